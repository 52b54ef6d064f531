"""The rules file, from beside the app or from a blob, and the last good one.

A file that does not load never takes the app down: the last good one stays live, also for an instance that starts
later, and the log says so. Where there is none, there are no rules, and events wait.
Before a file becomes live a copy of it is kept by its hash, so that whatever was judged by it can be explained by it.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import TemporaryError
from shared.rules import Rules, RulesError, load
from shared.rules.document import LONGEST
from shared.storage.failures import temporary
from shared.storage.rules_copies import LAST_GOOD, MOST_BYTES, RulesCopies
from shared.storage.rules_store import blob_of, is_blob

if TYPE_CHECKING:
    from shared.storage.account import Account

log = logging.getLogger("reactor")

RECHECK = timedelta(minutes=1)
"""How long a file is trusted before its ETag is looked at again."""
MOST_REMEMBERED = 4
"""Earlier files that are kept loaded."""
NOT_MODIFIED = 304


class RulesFile:
    """Gives the rules of the moment."""

    def __init__(
        self,
        account: "Account",
        location: str,
        *,
        actions: Mapping[str, str],
        values: Mapping[str, str],
        clock: Callable[[], datetime],
        recheck: timedelta = RECHECK,
    ) -> None:
        self._account = account
        self._copies = RulesCopies(account)
        self._location = location
        self._actions = actions
        self._values = values
        self._clock = clock
        self._recheck = recheck
        self._rules: Rules | None = None
        self._earlier: dict[str, Rules | None] = {}
        self._version = ""
        self._checked: datetime | None = None

    def current(self) -> Rules | None:
        """Return the rules to go by; None where no valid file was ever seen.

        The source is looked at once a minute at most. TemporaryError: there are no rules yet and storage fails.
        """
        now = self._clock()
        if self._checked is None or now >= self._checked + self._recheck:
            try:
                self._refresh()
            except TemporaryError as error:
                if self._rules is None:
                    raise
                log.warning("rules=%s outcome=not_refreshed reason=%s", self._rules.hash[:12], error.reason)
            self._checked = now
        return self._rules

    def by_hash(self, hash: str) -> Rules | None:
        """Return the rules that something was judged by, bound to the settings of now.

        None where they were never kept, or where this version of the app cannot load them any more; the log says which.
        TemporaryError: storage fails.
        """
        if self._rules is not None and self._rules.hash == hash:
            return self._rules
        if hash in self._earlier:
            return self._earlier[hash]
        text = self._copies.read(hash)
        if text is None:
            log.error("rules=%s outcome=missing", hash[:12])
            return None
        earlier = dict(list(self._earlier.items())[1 - MOST_REMEMBERED :])
        rules = earlier[hash] = self._load(text, f"rules/{hash[:12]}.yaml")
        self._earlier = earlier
        return rules

    def _refresh(self) -> None:
        """Load the file where it changed; keep to what there is where it is broken, or gone."""
        version, text = self._read_blob() if is_blob(self._location) else self._read_file()
        if text is None or version == self._version:
            if self._rules is None:
                self._rules = self._load_last_good()
            return
        rules = self._load(text, self._location)
        if rules is not None:
            self._copies.keep(text)  # first: an event may name its hash as soon as it is live
            self._rules = rules
            self._copies.keep_as_last_good(text)
            for warning in rules.warnings:
                if warning.level == "warning":
                    log.warning("outcome=warned problem=%s", warning.show(self._location))
            log.info("rules=%s origin=%s outcome=live", rules.hash[:12], self._location)
        else:
            self._rules = self._rules or self._load_last_good()
            live = self._rules.hash[:12] if self._rules else "none"
            log.error("rules=%s origin=%s outcome=kept_last_good", live, self._location)
        self._version = version  # last: what failed on the way is done again

    def _load(self, text: str, origin: str) -> Rules | None:
        try:
            return load(text, self._actions, origin).bind(self._values)
        except RulesError as error:
            log.error("origin=%s outcome=invalid problems=%s", origin, error)  # noqa: TRY400 # the problems say it all
            return None

    def _read_file(self) -> tuple[str, str | None]:
        """Read the file beside the app; its version is when it was changed."""
        path = Path(self._location)
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                return str(path.stat().st_mtime_ns), file.read(LONGEST + 1)
        except OSError as error:
            log.error("origin=%s outcome=missing reason=%s", self._location, error.strerror)  # noqa: TRY400
            return "", None

    def _read_blob(self) -> tuple[str, str | None]:
        """Read the blob unless its ETag is the one we have; (version, None) where there is nothing new."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

        known: dict[str, Any] = (
            {"etag": self._version, "match_condition": MatchConditions.IfModified} if self._version else {}
        )
        with temporary("reading the rules"):
            try:
                blob = self._blob().download_blob(**known)
                return str(blob.properties.etag), blob.read(MOST_BYTES).decode("utf-8", "replace")
            except ResourceNotFoundError:
                log.error("origin=%s outcome=missing", self._location)  # noqa: TRY400 # there is nothing more to say
                return "", None
            except HttpResponseError as error:
                if error.status_code != NOT_MODIFIED:
                    raise
                return self._version, None

    def _blob(self) -> Any:
        return self._account.blobs.get_blob_client(*blob_of(self._location))

    def _load_last_good(self) -> Rules | None:
        text = self._copies.last_good()
        rules = None if text is None else self._load(text, LAST_GOOD)
        if text is not None and rules is not None:
            self._copies.keep(text)  # an earlier version of the app may have kept it as the last good one only
        return rules
