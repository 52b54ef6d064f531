"""What Custom Vision has exported of an iteration, where each model can be read, and the folder that it is kept in.

The model's URL in a notification is never followed. The source is the declared container's own blob, or a fresh SAS
that GetExports gives, on one of Custom Vision's own hosts.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from shared.clients.vision import Export, Resource
from shared.errors import PermanentError
from shared.events import without_url_queries
from shared.handlers import declared
from shared.rules.declared import VisionProject
from shared.stages import Job
from shared.storage.backups import Blob, Origin

BLOB_NAME = re.compile(
    r"(?P<project>[0-9a-fA-F-]{32,36})\s*-\s*(?P<iteration>[0-9a-fA-F-]{32,36})"
    r"\.(?P<platform>[A-Za-z]+)(?:\.(?P<flavor>(?!zip$)[A-Za-z0-9_]+))?(?:\.zip)?"
)
"""`{projectId} - {iterationId}.{platformType}`, tolerant of what the documentation leaves open."""


@dataclass(frozen=True, slots=True)
class Target:
    """Whose exports are kept."""

    project: str
    iteration: str
    about: VisionProject

    @property
    def resource(self) -> Resource:
        """The training resource."""
        return Resource.of(self.about.training)

    @property
    def base(self) -> str:
        """Where its backups are."""
        return f"{self.project}/{self.iteration}"


@dataclass(frozen=True, slots=True)
class Item:
    """An export that is to be kept: JSON between stages."""

    platform: str
    flavor: str | None
    folder: str
    size: int
    etag: str
    md5: str
    modified: str
    source: str

    @property
    def name(self) -> str:
        """The export, for people."""
        return named(self.platform, self.flavor)


@dataclass(frozen=True, slots=True)
class Listed:
    """A finished export."""

    export: Export
    blob: Origin | None
    """The declared container's; None where it has none that is surely of this export."""

    @property
    def name(self) -> str:
        """The export, for people."""
        return named(self.export.platform, self.export.flavor)

    def origin(self, job: Job) -> Origin | None:
        """Say where it can be read: in the declared container, or by the SAS that comes with it.

        None where Custom Vision gives no link to it yet; PermanentError where its link leads nowhere that we follow.
        """
        link = self.export.download_uri
        if self.blob or not link:
            return self.blob
        if "://" not in link:
            raise PermanentError(
                f"Custom Vision is in a virtual network and gives no link to {self.name}",
                remedy="connect the project to a container with `reactor vision connect`, and declare it",
            )
        return job.clients.backups.by_sas(link)


def named(platform: str, flavor: str | None) -> str:
    """Name an export for people."""
    return f"{platform} {flavor}" if flavor else platform


def finished(target: Target, job: Job) -> Iterator[Listed]:
    """List the finished exports; that one of them cannot be read is no reason to leave the others.

    The declared container's blob is that of an export where its name fits no other one, be that one finished or not: a
    second flavor may have overwritten it already.
    """
    exports = job.clients.vision.iterations.exports(target.resource, target.project, target.iteration)
    done = [export for export in exports if export.status.lower() == "done"]
    own = list(_own_blobs(target, job)) if done else []
    for export in done:
        fitting = (origin for match, origin in own if [one for one in exports if _fits(match, one)] == [export])
        yield Listed(export, next(fitting, None))


def again(item: Item, target: Target, job: Job) -> Listed | None:
    """Find an export once more, for a SAS does not last; None where it is gone."""
    return next((one for one in finished(target, job) if one.export.is_of(item.platform, item.flavor)), None)


def _own_blobs(target: Target, job: Job) -> Iterator[tuple[re.Match[str], Origin]]:
    """List what Custom Vision wrote to the declared container for this iteration."""
    ids = (target.project, target.iteration)
    for prefix in (target.project, target.project.replace("-", "")) if target.about.container else ():
        for name, origin in job.clients.backups.find_in_container(target.about.container or "", prefix):
            match = BLOB_NAME.fullmatch(unquote(name))
            if match and (declared.guid(match["project"]), declared.guid(match["iteration"])) == ids:
                yield match, origin


def _fits(match: re.Match[str], export: Export) -> bool:
    """Tell whether a blob's name may be that of an export: the flavor is not always in it."""
    flavor = match["flavor"]
    return match["platform"].lower() == export.platform.lower() and (
        flavor is None or flavor.lower() == (export.flavor or "").lower()
    )


# -- folders ----------------------------------------------------------------------------------------------------------


def folder_of(export: Export, source: Blob, base: str, job: Job) -> tuple[str, bool]:
    """Name the folder of an export, and say whether it is kept there already.

    What is kept is never overwritten. A flavor exported again after its platform changed has another ETag and another
    content; it is kept beside the first, in a folder named after that ETag.
    """
    first = f"{base}/{_part(export.platform)}/{_part(export.flavor or 'default')}"
    other = f"{first}/{hashlib.sha256(source.etag.encode()).hexdigest()[:12]}"
    if (manifest := job.clients.backups.manifest(first)) is None:
        return first, False
    if manifest.source_etag == source.etag or (source.md5 and manifest.md5 == source.md5):
        return first, True
    return other, job.clients.backups.manifest(other) is not None


def item_of(export: Export, folder: str, source: Blob, origin: Origin) -> Item:
    """Remember what an export was when it was listed; its source without the query."""
    return Item(
        platform=export.platform,
        flavor=export.flavor,
        folder=folder,
        size=source.size,
        etag=source.etag,
        md5=source.md5,
        modified=source.modified.isoformat(),
        source=without_url_queries(origin.url),
    )


def _part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text)
