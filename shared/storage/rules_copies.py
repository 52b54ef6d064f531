"""The app's own copies of rules: each that was ever live, by its hash, and the last good one.

reactor-payloads/rules/{hash}.yaml       what an event was judged by; kept before any event names it
reactor-payloads/rules/last-good.yaml    what an instance starts from where the file does not load
"""

import hashlib
import re
from typing import TYPE_CHECKING, Any

from shared.rules.document import LONGEST
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.failures import temporary

if TYPE_CHECKING:
    from shared.storage.account import Account

LAST_GOOD = "rules/last-good.yaml"
MOST_BYTES = 4 * LONGEST + 1
"""Bytes that are read of a rules file: what has more has too many characters as well, and is refused for it."""
HASH = re.compile(r"[0-9a-f]{64}\Z")


class RulesCopies:
    """Keeps the copies, and reads them."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def keep(self, text: str) -> None:
        """Keep a text by its hash; one that is there already is the same."""
        from azure.core.exceptions import ResourceExistsError

        with temporary("keeping the rules by their hash"):
            try:
                self._blob(f"rules/{hash_of(text)}.yaml").upload_blob(text, overwrite=False, encoding="utf-8")
            except ResourceExistsError:
                return

    def keep_as_last_good(self, text: str) -> None:
        """Keep the text that later instances start from."""
        with temporary("keeping the rules"):
            self._blob(LAST_GOOD).upload_blob(text, overwrite=True, encoding="utf-8")

    def read(self, hash: str) -> str | None:
        """Read a text by its hash; None where it was never kept, or is another text by now."""
        text = self._read(f"rules/{hash}.yaml") if HASH.match(hash) else None
        return text if text is not None and hash_of(text) == hash else None

    def last_good(self) -> str | None:
        """Read the last good text; None where there was none."""
        return self._read(LAST_GOOD)

    def _read(self, name: str) -> str | None:
        from azure.core.exceptions import ResourceNotFoundError

        with temporary(f"reading {name}"):
            try:
                return bytes(self._blob(name).download_blob().readall()).decode("utf-8", "replace")
            except ResourceNotFoundError:
                return None

    def _blob(self, name: str) -> Any:
        return self._account.blobs.get_blob_client(PAYLOADS_CONTAINER, name)


def hash_of(text: str) -> str:
    """Name a rules file by its text, as `Rules.hash` does."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
