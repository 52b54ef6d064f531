"""What a service's answer means: any status code, body or broken connection becomes one of the two error words.

Pure. The one table of this is here, so that nobody above the clients and the storage looks at a status code.

Error shapes:
https://learn.microsoft.com/azure/azure-resource-manager/management/common-deployment-errors
https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError, UnansweredError
from shared.redaction import tidy

Effect = Literal["read", "same", "start"]
"""What doing a request twice does. read: nothing. same: leaves the same (PUT). start: starts a second one."""

LONGEST_BODY = 16 * 1024
"""Characters of a body that is not JSON that are read at all: the words are at its beginning."""

_VAGUE = frozenset({"badrequest", "usererror", "validationerror", "invalidrequest", "requestinvalid", "conflict"})
_BUSY = re.compile(
    r"in (?:Creating|Updating|Deleting|Scaling|Accepted) (?:provisioning )?state"
    r"|another operation\b.*\b(?:running|progress)|AnotherOperationInProgress|OperationCanceled\b",
    re.IGNORECASE | re.DOTALL,
)
_TAKEN = re.compile(r"needs? to be unique|already taken|name is not available|NameNotAvailable", re.IGNORECASE)
_QUOTA = re.compile(
    r"not enough quota|quota exceeded|OutOfQuota|QuotaExceeded|exceeding approved .{0,80}quota", re.IGNORECASE
)
_ARCHIVED = re.compile(r"BlobArchived|BlobBeingRehydrated|\barchived blob\b|blob is being rehydrated", re.IGNORECASE)
"""https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes"""
_CORES = (
    re.compile(
        r"quota available for (?P<what>[\w-]+).{0,200}?usage/limit: ?(?P<used>\d+)/(?P<limit>\d+)"
        r".{0,80}?needed: ?(?P<more>\d+)",
        re.IGNORECASE,
    ),
    re.compile(
        r"approved (?P<what>.{1,60}?) (?:cores )?quota.{0,200}?current limit: ?(?P<limit>\d+), "
        r"current usage: ?(?P<used>\d+), additional required: ?(?P<more>\d+)",
        re.IGNORECASE,
    ),
)
"""How a quota that does not suffice is told: by an online endpoint, and by a compute."""
_RETRY_TEXT = re.compile(r"retry after (\d+) second", re.IGNORECASE)
_HTML = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]{0,500}>", re.IGNORECASE | re.DOTALL)
"""Scripts and tags. What opens and never closes is taken to the end, so that no text is read once per opening."""
_KEY = re.compile(r"(?:subscription|authorization|access|account) key", re.IGNORECASE)


# -- what a body says -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Complaint:
    """A service's own words about what is wrong, without secrets and bounded."""

    code: str
    """The most telling code, "" for a body that is not JSON."""
    text: str


def complaint(body: str) -> Complaint:
    """Read an error body: nested (ARM), flat (Custom Vision), PascalCase (Machine Learning v1), text or HTML."""
    try:
        found = list(_errors(json.loads(body)))
    except (ValueError, RecursionError):
        return Complaint("", tidy(_HTML.sub(" ", body[:LONGEST_BODY])))
    codes = [code for code, _ in found if code and code.lower() not in _VAGUE] or [code for code, _ in found if code]
    told = [(code, message) for code, message in found if message]
    telling = [message for code, message in told if code.lower() not in _VAGUE] or [message for _, message in told]
    code = tidy(codes[0]) if codes else ""
    message = tidy(_unwrapped(telling[0])) if telling else ""
    return Complaint(code, f"{code}: {message}" if code and message else code or message)


def _errors(value: Any) -> Iterator[tuple[str, str]]:
    """Walk an error object outside in: (code, message) of itself, its details, its inner errors."""
    if isinstance(value, list):
        for item in value:
            yield from _errors(item)
    if not isinstance(value, dict):
        return
    member = {str(name).lower(): item for name, item in value.items()}
    if isinstance(nested := member.get("error"), dict):
        yield from _errors(nested)
        return
    code, message = (str(member.get(name) or "") for name in ("code" if "code" in member else "errorcode", "message"))
    if isinstance(member.get("error"), str):  # OAuth: {"error": "invalid_scope", "error_description": "…"}
        code, message = member["error"], str(member.get("error_description") or message)
    yield code, message
    yield from _errors(member.get("details"))
    yield from _errors(member.get("innererror"))
    infos = member.get("additionalinfo")
    for info in infos if isinstance(infos, list) else ():
        if isinstance(info, dict) and str(info.get("type")).lower() == "innererror":
            yield _inner_codes(info.get("info")), ""


def _inner_codes(info: Any) -> str:
    """Join the codes of Machine Learning's InnerError chain: "Immutable/JobPropertyImmutable"."""
    codes: list[str] = []
    while isinstance(info, dict) and len(codes) < 8:
        inner = info["value"] if isinstance(info.get("value"), dict) else info
        codes.append(str(inner.get("code") or ""))
        info = inner.get("innerError") or inner.get("innererror")
    return "/".join(code for code in codes if code)


def _unwrapped(message: str) -> str:
    """Open a message that embeds JSON, as quota errors do: `… error detail: {"errors":{"VmSize":["…"]}}`."""
    if (start := message.find('{"errors"')) < 0 and '{\\"errors\\"' in message:
        message = message.replace('\\"', '"')
        start = message.find('{"errors"')
    if start < 0:
        return message
    try:
        errors = json.JSONDecoder().raw_decode(message[start:])[0]["errors"]
        return "; ".join(str(line) for lines in errors.values() for line in lines)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return message


# -- what an answer means ---------------------------------------------------------------------------------------------


def error(service: str, status: int, headers: Mapping[str, str], body: str, effect: Effect = "read") -> ReactorError:
    """Translate an answer that is no success: TemporaryError, UnansweredError or PermanentError.

    `headers` are looked up in lower case.
    """
    said = complaint(body)
    request = tidy(headers.get("x-ms-request-id", ""))
    text = said.text.removeprefix(str(status)).lstrip(": ") if said.code == str(status) else said.text
    words = f"{service} answered {status}" + (f" {text}" if text else "")
    words += f" (request {request})" if request else ""
    after = retry_after(headers, said.text)
    for applies, make in _MEANINGS:
        if applies(status, said, effect):
            made = make(words, after)
            break
    else:
        made = PermanentError(words)
    if isinstance(made, PermanentError):
        made.code = said.code
    return made


def retry_after(headers: Mapping[str, str], text: str = "") -> float | None:
    """Seconds that the service asks us to wait: from its headers, or from the words of a throttled answer."""
    for name, unit in (("retry-after-ms", 1000.0), ("x-ms-retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(?:\.\d+)?", value):
            return float(value) / unit
    try:
        until, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        return max(0.0, (until - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        match = _RETRY_TEXT.search(text)
        return float(match[1]) if match else None


def _temporary(hint: str = "") -> Callable[[str, float | None], ReactorError]:
    return lambda words, after: TemporaryError(words + hint, after=after)


def _permanent(remedy: str) -> Callable[[str, float | None], ReactorError]:
    return lambda words, _after: PermanentError(words, remedy=remedy)


def _no_quota(words: str, _after: float | None) -> ReactorError:
    found = next((match for pattern in _CORES if (match := pattern.search(words))), None)
    if found is None:
        return PermanentError(words, remedy="ask for more quota, or need less")
    return PermanentError(
        words,
        remedy="{what} needs {more} more cores, and {used} of {limit} are used: ask for more quota, "
        "or choose a smaller or another size".format(**found.groupdict()),
    )


def _unanswered(words: str, after: float | None) -> ReactorError:
    return UnansweredError(f"{words}; it may have been started", after=after)


def _denied(words: str, after: float | None) -> ReactorError:
    return DeniedError(
        f"{words}; the role may not have propagated yet, or be missing",
        after=after,
        remedy="give the app's identity the role: `reactor rules permissions` says which, and on what",
    )


WRONG_KEY = "put the current key into the app's setting, and use this resource's own endpoint"
"""What helps where nothing is known of the setting."""
REHYDRATE = "rehydrate the blob, which takes hours, and do it again then; or take another one"
"""What helps where a blob lies in the archive tier, or is still on its way back."""
_MEANINGS: tuple[tuple[Callable[[int, Complaint, Effect], bool], Callable[[str, float | None], ReactorError]], ...] = (
    (lambda status, _, __: status == 429, _temporary()),
    (lambda _, said, __: bool(_TAKEN.search(said.text)), _permanent("choose another name: this one is taken")),
    (lambda _, said, __: bool(_QUOTA.search(said.text)), _no_quota),
    (lambda status, _, effect: effect == "start" and (status == 408 or status >= 500), _unanswered),
    (lambda status, _, __: status == 408 or status >= 500, _temporary()),
    (lambda status, said, __: 400 <= status < 500 and bool(_BUSY.search(said.text)), _temporary()),
    (lambda status, said, __: status == 401 and bool(_KEY.search(said.text)), _permanent(WRONG_KEY)),
    (lambda status, _, __: status == 401, _temporary("; a new token is asked for")),
    (lambda status, _, __: status == 403, _denied),
    (lambda status, _, __: status == 404, _permanent("check that it exists and that the rules file names it right")),
    (lambda status, said, __: status == 409 and bool(_ARCHIVED.search(said.text)), _permanent(REHYDRATE)),
    (lambda status, _, __: status == 409, _temporary()),
    (lambda status, _, __: status == 413, _permanent("send less")),
)
"""The first line that applies counts; an answer that no line is about is permanent."""


def host_of(url: str) -> str:
    """Name the host of a URL for people; the path of a webhook is a secret."""
    try:
        return tidy(urlsplit(url).hostname or "?")
    except ValueError:
        return "?"
