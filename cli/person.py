"""The token of the person at the terminal, for what only people may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.errors import UsageError
from cli.http import ask


def token(values: Mapping[str, str], facts: Mapping[str, Any] | None, who: str = "") -> str:
    """Get a token: the one of REACTOR_TOKEN, the local stack's for `who`, or that of `az login`.

    `facts` is what the local stack's ready file holds, None where the app is elsewhere; `who` is an address.
    """
    if given := values.get("REACTOR_TOKEN", "").strip():
        return given
    if facts is not None:
        return simulated(facts, who or values.get("REACTOR_PERSON", "") or str(facts.get("person", "")))
    if who:
        raise UsageError("--as is for the local stack; elsewhere, `az login` says who you are")
    audience = values.get("REACTOR_AUDIENCE", "").split(",")[0].strip()
    if not audience:
        raise UsageError("REACTOR_AUDIENCE is not set: the API's app id URI, such as api://ml-reactor")
    return signed_in(f"{audience.removesuffix('/.default')}/.default")


def simulated(facts: Mapping[str, Any], who: str) -> str:
    """Get a token of somebody whom the local stack's issuer knows."""
    from urllib.parse import urlencode

    if not facts.get("issuer"):
        raise UsageError("the local stack is of a version that signs nobody in; start it again: `make run`")
    audience = str(facts["settings"]["REACTOR_AUDIENCE"]).split(",")[0]
    form = {"grant_type": "password", "username": who, "scope": f"{audience}/.default"}
    where = f"{str(facts['issuer']).removesuffix('/v2.0')}/oauth2/v2.0/token"
    answer = ask(where, body=urlencode(form).encode(), ca=str(facts["ca"]))
    told = answer.read()
    if isinstance(told, dict) and isinstance(told.get("access_token"), str):
        return str(told["access_token"])
    why = told.get("error_description") if isinstance(told, dict) else f"it answered {answer.status}"
    raise UsageError(f"the local stack does not sign {who} in: {why}")


def signed_in(scope: str) -> str:
    """Get a token of who is signed in to the Azure CLI."""
    from shared.clients.identity import person
    from shared.errors import TemporaryError

    try:
        return person().get_token(scope).token
    except TemporaryError as problem:
        raise UsageError(problem.reason) from None
