"""The errors of Custom Vision, and the readers of parameters that raise them.

Codes are those of `CustomVisionErrorCodes` in the service's own description; where that does not say which code goes
with what, the module that refuses says what was decided.
https://learn.microsoft.com/rest/api/customvision/
"""

import uuid
from collections.abc import Mapping
from typing import Any

from dev.simulators.wire import Answer, RefusedError, Request


def refuse(status: int, code: str, message: str) -> RefusedError:
    """Make a flat error, to be raised."""
    return RefusedError(Answer(status, {"code": code, "message": message}))


def gateway(status: int, message: str) -> Answer:
    """Give an error of the gateway before the service: nested, with the number as its code."""
    return Answer(status, {"error": {"code": str(status), "message": message}})


def guid(text: str) -> str:
    """Give an id in its usual spelling."""
    try:
        return str(uuid.UUID(text))
    except (ValueError, AttributeError, TypeError) as problem:
        raise refuse(400, "BadRequestInvalidIds", f"'{text}' is not a valid id.") from problem


def required(given: Mapping[str, Any], *names: str) -> None:
    """Refuse where one of these is missing."""
    for name in names:
        if given.get(name) is None:
            raise refuse(400, "BadRequestRequiredParamIsNull", f"The required parameter '{name}' is null.")


def flag(request: Request, name: str) -> bool:
    """Read a boolean of the query, false where it is not there."""
    text = request.query.get(name, "false").lower()
    if text not in {"true", "false"}:
        raise refuse(400, "BadRequestInvalid", f"'{text}' is no value of '{name}'.")
    return text == "true"


def whole(request: Request, name: str, default: int) -> int:
    """Read a whole number of the query."""
    return int(number(request, name, default))


def number(request: Request, name: str, default: float) -> float:
    """Read a number of the query."""
    text = request.query.get(name)
    try:
        return default if text is None else float(text)
    except ValueError as problem:
        raise refuse(400, "BadRequestInvalid", f"'{text}' is no value of '{name}'.") from problem


def ids(request: Request, name: str, *, most: int) -> list[str]:
    """Read the ids of the query, which commas separate; [] where there are none."""
    found = [guid(one) for one in request.query.get(name, "").split(",") if one]
    if len(found) > most:
        raise refuse(400, "BadRequestExceededBatchSize", f"{len(found)} {name} are more than {most}.")
    return found


def entries(given: Any, name: str, *, most: int) -> list[dict[str, Any]]:
    """Read the entries of a batch."""
    found = (given or {}).get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise refuse(400, "BadRequestRequiredParamIsNull", f"The required parameter '{name}' is null.")
    if len(found) > most:
        raise refuse(400, "BadRequestExceededBatchSize", f"{len(found)} {name} in a batch are more than {most}.")
    return found


def body(request: Request) -> Any:
    """Read the body as JSON, {} where there is none."""
    try:
        return request.json() or {}
    except ValueError as problem:
        raise refuse(400, "BadRequest", "The request body is not valid JSON.") from problem
