"""What ARM does before and around every provider: errors, tokens, versions, permissions, ids."""

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.wire import Answer, RefusedError, Request, instant, now

GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"
WORKSPACE = GROUP + "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
FACTORY = GROUP + "/providers/Microsoft.DataFactory/factories/{factory}"

VERSIONS: Mapping[str, frozenset[str]] = {
    "microsoft.machinelearningservices": frozenset({
        "2021-10-01", "2022-02-01-preview", "2022-05-01", "2022-10-01", "2022-10-01-preview", "2023-02-01-preview",
        "2023-04-01", "2023-04-01-preview", "2023-06-01-preview", "2023-08-01-preview", "2023-10-01",
        "2024-01-01-preview", "2024-04-01", "2024-04-01-preview", "2024-10-01", "2024-10-01-preview",
        "2025-01-01-preview", "2025-06-01", "2025-09-01", "2025-12-01", "2026-03-01", "2026-07-01",
    }),
    "microsoft.datafactory": frozenset({"2018-06-01"}),
    "microsoft.insights": frozenset({"2018-01-01", "2019-07-01", "2021-05-01", "2023-10-01", "2024-02-01"}),
}  # fmt: skip
"""By provider, in lower case; reference: the table of api-versions."""

REFUSALS: Mapping[str, tuple[str, str]] = {
    "missing": ("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."),
    "invalid": ("InvalidAuthenticationToken", "The access token is invalid."),
    "expired": ("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."),
    "audience": (
        "InvalidAuthenticationTokenAudience",
        (
            "The access token has been obtained for wrong audience or resource. It should exactly match with one of "
            "the allowed audiences 'https://management.core.windows.net/','https://management.azure.com/'."
        ),
    ),
}
ACTIONS = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


def error(status: int, code: str, message: str, *, details: Sequence[Mapping[str, Any]] = ()) -> Answer:
    """ARM's own error: a code and a message, nested."""
    return Answer(status, {"error": {"code": code, "message": message, **({"details": details} if details else {})}})


def ml_error(status: int, code: str, message: str, *, outer: str = "UserError") -> Answer:
    """Make an error of Machine Learning: the useful code stands in `details` and InnerError, not in front."""
    info = {"ComponentName": "managementfrontend", "Environment": "westeurope", "Location": "westeurope",
            "Time": instant(now()), "Correlation": {"operation": uuid.uuid4().hex, "request": uuid.uuid4().hex[:16]},
            "InnerError": {"code": code, "innerError": None}}  # fmt: skip
    return Answer(
        status,
        {
            "error": {
                "code": outer,
                "message": message,
                "target": None,
                "details": [{"code": code, "message": message, "target": None, "details": []}],
                "additionalInfo": [{"type": name, "info": {"value": value}} for name, value in info.items()],
            }
        },
    )


def refuse(status: int, code: str, message: str) -> RefusedError:
    """Make a Machine Learning error, to be raised."""
    return RefusedError(ml_error(status, code, message))


def missing(arm_id: str) -> RefusedError:
    """ARM's answer about a top-level resource that is not there."""
    found = re.search(r"/resourceGroups/([^/]+)", arm_id, re.IGNORECASE)
    kind, group = f"{type_of(arm_id)}/{name_of(arm_id)}", found[1] if found else ""
    return RefusedError(
        error(
            404,
            "ResourceNotFound",
            f"The Resource '{kind}' under resource group '{group}' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    )


def unauthenticated(problem: str) -> Answer:
    """Give the 401 for a token that is missing, broken, expired or meant for somebody else."""
    refused = error(401, *REFUSALS[problem])
    challenge = 'Bearer authorization_uri="https://login.windows.net/", error="invalid_token"'
    return Answer(refused.status, refused.body, {"WWW-Authenticate": challenge})


def version_problem(path: str, version: str) -> Answer | None:
    """Give the 400 for an api-version that is missing or none of the provider's."""
    if not version:
        return error(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    providers = re.findall(r"/providers/([^/]+)", path)
    known = VERSIONS.get(providers[-1].lower()) if providers else None
    if known is not None and version not in known:
        return error(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location 'westeurope' and API version '{version}'. "
            f"The supported api-versions are '{', '.join(sorted(known))}'.",
        )
    return None


def forbidden(request: Request, identity: str) -> Answer:
    """Give the 403 that an identity without a role gets, or one whose role has not reached the service yet."""
    kind = type_of(request.path) if request.method != "POST" else request.path.split("/providers/")[-1]
    return error(
        403,
        "AuthorizationFailed",
        f"The client '{identity}' with object id '{identity}' does not have authorization to perform action "
        f"'{kind}/{ACTIONS.get(request.method, 'action')}' over scope '{request.path}' or the scope is invalid. "
        "If access was recently granted, please refresh your credentials.",
    )


def name_of(arm_id: str) -> str:
    """Give the last name in an id."""
    return arm_id.rstrip("/").rsplit("/", 1)[-1]


def type_of(arm_id: str) -> str:
    """Such as "Microsoft.MachineLearningServices/workspaces/models/versions"."""
    provider, *rest = arm_id.strip("/").split("/providers/")[-1].split("/")
    return "/".join((provider, *rest[::2]))


def parent_of(arm_id: str, kind: str) -> str:
    """Give the part of an id down to the resource of a kind, such as "workspaces"."""
    found = re.match(rf".*?/{kind}/[^/]+", arm_id, re.IGNORECASE)
    if found is None:
        raise ValueError(f"'{arm_id}' is under no {kind}")
    return found[0]
