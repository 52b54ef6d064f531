"""Which rules are paused: one small blob that every instance looks at twice a minute, and that operators write.

    reactor-payloads/pauses.json    {"retrain-on-drift": {"by": …, "at": …, "reason": …}, "*": …}

Where the blob cannot be read as that, everything is paused, on every instance alike. Nobody touches it but to pause
something, and what is held goes on when the blob is mended, whereas what was done in error stays done.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import ReactorError, TemporaryError
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.exceptions import translated

if TYPE_CHECKING:
    from shared.storage.account import Account

log = logging.getLogger("reactor")

PAUSES = "pauses.json"
EVERYTHING = "*"
"""Stands for all rules; no rule can have that name."""
RECHECK = timedelta(minutes=1)
LARGEST = 1024 * 1024
"""Bytes of the blob: thousands of pauses."""
MOST_TRIES = 20
"""Times that a change is made anew because somebody else made one."""
UNREADABLE = "cannot be read, so what it is about counts as paused; `reactor resume` mends it"


class Pause(BaseModel):
    """Who paused a rule, when, and why; a pause that was written by hand may leave out any of it."""

    model_config = ConfigDict(frozen=True)

    by: str = ""
    at: datetime | None = None
    reason: str = ""


class Pauses:
    """Tells what is paused, and changes it."""

    def __init__(self, account: "Account", clock: Callable[[], datetime], recheck: timedelta = RECHECK) -> None:
        self._account = account
        self._clock = clock
        self._recheck = recheck
        self._known: Mapping[str, Pause] | None = None
        self._checked: datetime | None = None

    def of(self, rule: str) -> Pause | None:
        """Return what pauses a rule: a pause of its own, or one of everything; None where it may go on.

        The blob is looked at once every so often (`recheck`); where storage fails, what was known counts.
        TemporaryError: nothing is known yet and storage fails.
        """
        known = self._current()
        return known.get(rule) or known.get(EVERYTHING)

    def _current(self) -> Mapping[str, Pause]:
        now = self._clock()
        if self._known is None or self._checked is None or now >= self._checked + self._recheck:
            try:
                self._known = self.read()
            except ReactorError as error:
                if self._known is None:
                    raise TemporaryError(error.reason) from error
                log.warning("pauses=%d outcome=not_refreshed reason=%s", len(self._known), error.reason)
            self._checked = now
        return self._known

    # -- for operators ------------------------------------------------------------------------------------------------

    def read(self) -> Mapping[str, Pause]:
        """Read what is paused right now."""
        return self._read()[0]

    def pause(self, rule: str, pause: Pause) -> Pause | None:
        """Pause a rule, or EVERYTHING; return the pause that there is already, which stays, or None."""
        found: list[Pause | None] = []

        def change(known: dict[str, Pause]) -> None:
            found.append(known.get(rule))
            known.setdefault(rule, pause)

        self._change(change)
        return found[-1]

    def resume(self, *rules: str) -> Mapping[str, Pause]:
        """Let rules go on, or all that is paused where none is named; return the pauses that this ended."""
        found: list[dict[str, Pause]] = []

        def change(known: dict[str, Pause]) -> None:
            found.append({name: known.pop(name) for name in rules or tuple(known) if name in known})

        self._change(change)
        return found[-1]

    def _change(self, change: Callable[[dict[str, Pause]], None]) -> None:
        """Read, change and write, again if somebody else wrote in between; what is the same is not written."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        for _ in range(MOST_TRIES):
            before, etag = self._read()
            after = dict(before)
            change(after)
            if after == before:
                return
            condition: dict[str, Any] = (
                {"overwrite": True, "etag": etag, "match_condition": MatchConditions.IfNotModified}
                if etag
                else {"overwrite": False}
            )
            pauses = {rule: pause.model_dump(mode="json") for rule, pause in after.items()}
            with translated("storage", "same"):
                try:
                    self._blob().upload_blob(json.dumps(pauses, indent=2), **condition)
                except (ResourceExistsError, ResourceModifiedError):
                    continue
            return
        raise TemporaryError("too many others are pausing and resuming")

    # -- the blob -----------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Mapping[str, Pause], str]:
        """Read the pauses and the blob's ETag, "" where there is none."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("storage"):
            try:
                blob = self._blob().download_blob()
            except ResourceNotFoundError:
                return {}, ""
            return _pauses(blob.read(LARGEST + 1)), str(blob.properties.etag)

    def _blob(self) -> Any:
        return self._account.blobs.get_blob_client(PAYLOADS_CONTAINER, PAUSES)


def _pauses(body: bytes) -> dict[str, Pause]:
    """Read the blob's content. What cannot be read is paused: a rule where its entry is wrong, else everything."""
    try:
        found = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        log.error("pauses=%s outcome=unreadable", PAUSES)
        return {EVERYTHING: Pause(reason=f"{PAUSES} {UNREADABLE}")}
    return {str(rule): _pause(str(rule), pause) for rule, pause in found.items()}


def _pause(rule: str, entry: Any) -> Pause:
    try:
        return Pause.model_validate(entry)
    except ValidationError:
        log.error("pauses=%s rule=%s outcome=unreadable", PAUSES, rule)  # noqa: TRY400 # there is nothing more to say
        return Pause(reason=f"its entry in {PAUSES} {UNREADABLE}")
