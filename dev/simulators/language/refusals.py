"""The errors of the Language service, and the readers of parameters that raise them.

The codes are those of the service's own description; where it does not say which code goes with what, the module that
refuses says what was decided.
https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.language.settings import Limits
from dev.simulators.wire import Answer, RefusedError, Request

NAME = re.compile(r"[A-Za-z0-9_.-]+")
INVALID = "InvalidArgument"


def problem(code: str, message: str, *, target: str | None = None, inner: str = "") -> dict[str, Any]:
    """Give an error as it stands in an answer, in another error's details, or in a job's errors."""
    found: dict[str, Any] = {"code": code, "message": message}
    if target is not None:
        found["target"] = target
    if inner:
        found["innererror"] = {"code": inner, "message": message}
    return found


def answered(status: int, code: str, message: str, **more: Any) -> Answer:
    """Give an error as an answer: nested, as all of this service's."""
    return Answer(status, {"error": problem(code, message, **more)})


def refuse(status: int, code: str, message: str, **more: Any) -> RefusedError:
    """Make an error, to be raised."""
    return RefusedError(answered(status, code, message, **more))


def invalid(found: Sequence[tuple[str, str]], message: str = "Invalid argument.") -> RefusedError:
    """Make the 400 of several problems: for each where it is and what it is."""
    error = problem(INVALID, message if len(found) > 1 else found[0][1], target=found[0][0])
    error["details"] = [problem(INVALID, said, target=target) for target, said in found]
    error["innererror"] = {"code": "InvalidParameterValue", "message": found[0][1]}
    return RefusedError(Answer(400, {"error": error}))


def unparsed(found: Sequence[tuple[str, str]]) -> RefusedError:
    """Make the 400 of a body that cannot be read."""
    error = problem(INVALID, "Failed to parse the input.")
    error["details"] = [problem(INVALID, said, target=target) for target, said in found]
    error["innererror"] = {"code": "InvalidRequestBodyFormat", "message": found[0][1] if found else ""}
    return RefusedError(Answer(400, {"error": error}))


def body(request: Request) -> dict[str, Any]:
    """Read the body as a JSON object."""
    try:
        read = request.json()
    except ValueError as unread:
        raise unparsed([("", str(unread))]) from unread
    if not isinstance(read, dict):
        raise unparsed([("", "A JSON object is expected.")])
    return read


def text_of(given: Mapping[str, Any], name: str, *, target: str = "") -> str:
    """Read a text that must be there."""
    found = given.get(name)
    if not isinstance(found, str) or not found:
        raise unparsed([(target or name, f"Required property '{name}' is missing or no text.")])
    return found


def name_of(text: str, target: str) -> str:
    """Check a name of a project, model or deployment."""
    if not NAME.fullmatch(text) or len(text) > Limits.NAME:
        message = f"'{text}' is no valid name: letters, digits, '_', '.' and '-', at most {Limits.NAME} of them."
        raise invalid([(target, message)])
    return text


def whole(request: Request, name: str, default: int) -> int:
    """Read a whole number of the query that is not negative."""
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise invalid([(name, f"'{text}' is no value of '{name}'.")])
    return int(text)
