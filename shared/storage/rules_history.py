"""What is known of the published rules at one moment: every version, which is live, which were, and what was before."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from shared.errors import PermanentError

SHORTEST_HASH = 6
"""Characters of a hash that name a version."""
LISTED = "`reactor rules history` lists them"


class Version(BaseModel):
    """One text of the rules that was published."""

    model_config = ConfigDict(frozen=True)

    number: int
    hash: str
    """As `Rules.hash`."""
    at: datetime
    by: str = ""
    """Who published it; "" where it was found in the blob."""
    message: str = ""
    replaces: int = 0
    """The version that it took the place of; 0 where there was none."""
    restores: int = 0
    """The version that it brought back; 0 where it was new."""


@dataclass(frozen=True, slots=True)
class Live:
    """What is in the blob that the app reads."""

    text: str
    hash: str
    etag: str
    modified: datetime
    number: int
    """The version it says it is; 0 where it says nothing."""


@dataclass(frozen=True)
class History:
    """All versions, newest first, and what is live, as of one moment."""

    versions: tuple[Version, ...]
    live: Live | None
    taken: int
    """The largest number in use."""

    @cached_property
    def current(self) -> Version | None:
        """Return the live version; None where what is live is none of them, or where nothing is."""
        return next((version for version in self.versions if self.is_live(version)), None)

    def is_live(self, version: Version) -> bool:
        """Tell whether a version is what is live: pushed, or found in the blob and kept since."""
        live = self.live
        if live is None or version.hash != live.hash:
            return False
        return version.number == live.number if version.by else version.at == live.modified

    @cached_property
    def were_live(self) -> frozenset[int]:
        """Name the versions that are live or once were, following what each replaced.

        Where what is live was written by hand, the newest version is taken for the one before it.
        """
        by_number = {version.number: version for version in self.versions}
        newest = self.versions[0].number if self.versions else 0
        number, found = self.current.number if self.current else newest, set[int]()
        while number in by_number and number not in found:
            found.add(number)
            number = by_number[number].replaces
        return frozenset(found)

    def find(self, name: str) -> Version:
        """Find a version by its number or by how its hash begins; PermanentError where there is none."""
        for version in self.versions:
            if name.isdecimal() and version.number == int(name):
                return version
        found = [version for version in self.versions if version.hash.startswith(name.lower())]
        if not found or len(name) < SHORTEST_HASH:
            raise PermanentError(f"there is no version {name}", remedy=LISTED)
        if len({version.hash for version in found}) > 1:
            raise PermanentError(f"several versions begin with {name}", remedy="give more of the hash, or the number")
        return found[0]

    def before(self) -> Version:
        """Find what was live before; after a rollback, what was live before the version that it brought back.

        PermanentError where there is nothing to go back to.
        """
        by_number = {version.number: version for version in self.versions}
        number = max(self.were_live, default=0)
        while (version := by_number.get(number)) and self.live and version.hash == self.live.hash:
            number = by_number[version.restores].replaces if version.restores in by_number else version.replaces
        if version is None:
            raise PermanentError("there is no version before the one that is live", remedy=LISTED)
        return version
