"""The published rules: every version that was pushed, which of them is live, and the way back.

    {name}                       the live file; its metadata says which version it is
    {name}.history/000012.yaml   a version, with who, when and why in its metadata

A version is kept first, under a number that nobody has taken.
It goes live by one write, conditional on the ETag of the file that it replaces.
So a crash in between leaves a version that never went live, and it can be told from the others: each names the one it
replaces, and only those that lead up to the live one ever were.
What somebody writes into the blob by hand becomes a version too, as soon as another replaces it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from pydantic import ValidationError

from shared.errors import PermanentError, SettingsError, TemporaryError
from shared.storage.exceptions import translated
from shared.storage.rules_copies import MOST_BYTES, hash_of
from shared.storage.rules_history import History, Live, Version

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

    from shared.storage.account import Account

LONGEST_MESSAGE = 500
"""Characters of a message: percent-encoded, it shares 8 KiB of metadata with the rest."""
LONGEST_NAME = 100
MOST_TRIES = 20
"""Numbers that are tried before it is said that too many others publish."""
BY_HAND = "not published, but written into the blob"
NUMBER = re.compile(r"\.history/(\d{6,})\.yaml\Z")


class RulesStore:
    """The blob that the app reads its rules from, and the versions beside it."""

    def __init__(self, account: "Account", location: str, clock: Callable[[], datetime]) -> None:
        self._account = account
        self._container, self._name = blob_of(location)
        self._clock = clock

    def look(self) -> History:
        """Read what is live, and list the versions."""
        live = self.live()
        names: list[int] = []
        versions: list[Version] = []
        for number, metadata in self._list():
            names.append(number)
            try:
                versions.append(_version(number, metadata))
            except ValidationError:
                continue  # somebody put a file there that is no version; its number is taken all the same
        newest_first = sorted(versions, key=lambda version: version.number, reverse=True)
        return History(tuple(newest_first), live, max(names, default=0))

    def live(self) -> Live | None:
        """Read what is live; None where nothing is."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("storage"):
            try:
                blob = self._live_blob().download_blob()
            except ResourceNotFoundError:
                return None
            text = bytes(blob.read(MOST_BYTES)).decode("utf-8", "replace")
        found = blob.properties
        number = (found.metadata or {}).get("version", "")
        return Live(
            text=text,
            hash=hash_of(text),
            etag=str(found.etag),
            modified=found.last_modified,
            number=int(number) if number.isdecimal() else 0,
        )

    def text(self, version: Version) -> str:
        """Read the text of a version; PermanentError where it is not what was kept."""
        from azure.core.exceptions import ResourceNotFoundError

        with translated("storage"):
            try:
                kept = bytes(self._blob(version.number).download_blob().read(MOST_BYTES))
            except ResourceNotFoundError:
                kept = b""
        text = kept.decode("utf-8", "replace")
        if hash_of(text) != version.hash:
            raise PermanentError(f"version {version.number} was changed or deleted since", remedy="choose another one")
        return text

    def publish(self, text: str, after: History, *, by: str, message: str = "", restores: int = 0) -> Version | None:
        """Make a text live as a new version, if what `after` saw is still live; None where it is live already.

        PermanentError where somebody else published meanwhile: theirs stays.
        """
        if after.live and after.live.hash == hash_of(text):
            return None
        replaces, taken = max(after.were_live, default=0), after.taken
        if after.live and not after.current:
            replaces = taken = self._adopt(after.live, replaces, taken + 1).number
        version = self._keep(
            text,
            taken + 1,
            {
                "hash": hash_of(text),
                "at": self._clock(),
                "by": by[:LONGEST_NAME] or "unknown",
                "message": message[:LONGEST_MESSAGE],
                "replaces": replaces,
                "restores": restores,
            },
        )
        self._switch(text, version, after.live)
        return version

    # -- the steps of it ----------------------------------------------------------------------------------------------

    def _adopt(self, live: Live, replaces: int, number: int) -> Version:
        """Make a version of what was written into the blob by hand, so that it is not lost."""
        said = {"hash": live.hash, "at": live.modified, "message": BY_HAND, "replaces": replaces}
        return self._keep(live.text, number, said)

    def _keep(self, text: str, number: int, said: dict[str, Any]) -> Version:
        """Write a version under the first number from `number` on that nobody has."""
        from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

        for free in range(number, number + MOST_TRIES):
            version = Version(number=free, **said)
            with translated("storage", "same"):
                try:
                    self._upload(free, text, version)
                except ResourceNotFoundError:  # the container is not there: it is the first version
                    self._create_container()
                    self._upload(free, text, version)
                except ResourceExistsError:
                    if not self._etag(version):
                        continue  # somebody else has just taken it; ours, if a lost reply was asked for again
            return version
        raise TemporaryError("too many others are publishing rules")

    def _upload(self, number: int, text: str, version: Version) -> None:
        self._blob(number).upload_blob(text, overwrite=False, metadata=_metadata(version), encoding="utf-8")

    def _switch(self, text: str, version: Version, live: Live | None) -> None:
        """Put a version live in place of what was; PermanentError, and no trace of it, where that has changed."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        condition: dict[str, Any] = (
            {"overwrite": True, "etag": live.etag, "match_condition": MatchConditions.IfNotModified}
            if live
            else {"overwrite": False}
        )
        metadata = {"version": str(version.number)}
        try:
            with translated("storage", "same"):
                try:
                    self._live_blob().upload_blob(text, metadata=metadata, encoding="utf-8", **condition)
                except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError):
                    now = self.look()
                    if not now.is_live(version):  # else it was ours, asked for again after a lost reply
                        self._take_back(version)
                        raise _overtaken(now) from None
        except TemporaryError:
            if not self.look().is_live(version):
                raise

    def _take_back(self, version: Version) -> None:
        """Delete a version that never went live, and not one that somebody else has kept there since."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        if etag := self._etag(version):
            with suppress(ResourceModifiedError, ResourceNotFoundError):
                self._blob(version.number).delete_blob(etag=etag, match_condition=MatchConditions.IfNotModified)

    def _etag(self, version: Version) -> str:
        """Give the ETag of a version; "" where its place is empty, or another's."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            found = self._blob(version.number).get_blob_properties()
        except ResourceNotFoundError:
            return ""
        return str(found.etag) if found.metadata == _metadata(version) else ""

    # -- the blobs ----------------------------------------------------------------------------------------------------

    def _list(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Give every version's number and metadata."""
        from azure.core.exceptions import ResourceNotFoundError

        prefix = f"{self._name}.history/"
        with translated("storage"):
            try:
                for blob in self._container_client().list_blobs(name_starts_with=prefix, include=["metadata"]):
                    if found := NUMBER.search(blob.name):
                        yield int(found[1]), blob.metadata or {}
            except ResourceNotFoundError:
                return

    def _create_container(self) -> None:
        from azure.core.exceptions import ResourceExistsError

        with suppress(ResourceExistsError):
            self._container_client().create_container()

    def _container_client(self) -> "ContainerClient":
        return self._account.blobs.get_container_client(self._container)

    def _live_blob(self) -> "BlobClient":
        return self._account.blobs.get_blob_client(self._container, self._name)

    def _blob(self, number: int) -> "BlobClient":
        return self._account.blobs.get_blob_client(self._container, f"{self._name}.history/{number:06d}.yaml")


def is_blob(location: str) -> bool:
    """Tell a blob, written blob:container/name, from a path."""
    return location.startswith("blob:")


def blob_of(location: str) -> tuple[str, str]:
    """Read a blob's container and name; SettingsError where it names none."""
    container, _, name = location.removeprefix("blob:").partition("/")
    if not is_blob(location) or not container or not name:
        raise SettingsError(f"REACTOR_RULES: {location} is not a blob, which is written blob:container/name")
    return container, name


def _overtaken(now: History) -> PermanentError:
    """Say who was faster."""
    current = now.current
    what = f"{current.by} published version {current.number}" if current and current.by else "the blob was changed"
    return PermanentError(
        f"{what} while this was under way: nothing was published",
        remedy="look at `reactor rules history`, and publish again if it still should be",
    )


def _metadata(version: Version) -> dict[str, str]:
    """Write a version's facts as blob metadata, which is a set of HTTP headers: ASCII, and no spaces at the ends."""
    facts = version.model_dump(mode="json", exclude={"number"})
    return {name: quote(str(value), safe="/:@,()+") for name, value in facts.items() if value}


def _version(number: int, metadata: dict[str, str]) -> Version:
    """Read them back; ValidationError where they are not a version's."""
    return Version.model_validate({"number": number, **{name: unquote(value) for name, value in metadata.items()}})
