"""What the schedule has seen of models and projects, in the limits' table, each written only under its ETag.

    <workspace and model>   row "sighting"   what was seen of one model (shared.tagging.Sighting)
    <the watch>             row "watch"      since when models are looked for, and where the last round stopped
    <vision project>        row "endings"    what was seen of its trainings and exports (shared.endings.Sighting)
    <language project>      row "regions"    what was seen of its two regions (shared.regions.Sighting)

What is not written for a long time is forgotten with the limits.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shared import endings, regions
from shared.events import digest
from shared.storage import LIMITS_TABLE, entities
from shared.storage.packing import pack, unpack
from shared.tagging import RENEWED, Sighting

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

SIGHTING, WATCH, ENDINGS, REGIONS = "sighting", "watch", "endings", "regions"
KEPT = 3 * RENEWED


class Round(BaseModel):
    """How far the looking has come."""

    model_config = ConfigDict(frozen=True)

    asked: str = ""
    """A hash of what is looked for: where that changes, it begins anew."""
    began: datetime
    """Since when it is looked for."""
    workspace: str = ""
    name: str = ""
    """The model that was looked at last where time was up; "" where the round was whole."""


class Sightings:
    """Reads and writes what was seen."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def read(self, workspace: str, name: str) -> tuple[Sighting | None, str]:
        """Read what was seen of a model and its ETag; None and "" where it never was."""
        return self._read(Sighting, _key(workspace, name), SIGHTING)

    def write(self, workspace: str, name: str, seen: Sighting, etag: str, now: datetime) -> bool:
        """Remember what was seen; False where somebody else has meanwhile.

        Where it is too much for an entity, the newest versions are kept: the others count as never seen.
        """
        return self._write(seen, _key(workspace, name), SIGHTING, etag, now)

    def read_round(self) -> tuple[Round | None, str]:
        """Read how far the looking has come, and the ETag; None and "" where it never began."""
        return self._read(Round, digest(WATCH), WATCH)

    def write_round(self, round_: Round, etag: str, now: datetime) -> bool:
        """Remember how far the looking has come; False where somebody else has meanwhile."""
        return self._write(round_, digest(WATCH), WATCH, etag, now)

    def read_project(self, project: str) -> tuple[endings.Sighting | None, str]:
        """Read what was seen of a Custom Vision project and its ETag; None and "" where it never was."""
        return self._read(endings.Sighting, digest(ENDINGS, project), ENDINGS)

    def write_project(self, project: str, seen: endings.Sighting, etag: str, now: datetime) -> bool:
        """Remember what was seen of a Custom Vision project; False where somebody else has meanwhile."""
        return self._write(seen, digest(ENDINGS, project), ENDINGS, etag, now)

    def read_regions(self, pair: str) -> tuple[regions.Sighting | None, str]:
        """Read what was seen of a Language project and its second region, and its ETag; None and "" where never."""
        return self._read(regions.Sighting, digest(REGIONS, pair), REGIONS)

    def write_regions(self, pair: str, seen: regions.Sighting, etag: str, now: datetime) -> bool:
        """Remember what was seen of a Language project and its second region; False where somebody else has."""
        return self._write(seen, digest(REGIONS, pair), REGIONS, etag, now)

    def _read[S: BaseModel](self, shape: type[S], key: str, row: str) -> tuple[S | None, str]:
        """Read an entity; what another version of the app wrote is as good as nothing, and is written over."""
        entity = entities.read(self._table, key, row)
        if entity is None:
            return None, ""
        try:
            return shape.model_validate_json(unpack(row, entity) or ""), str(entity.metadata["etag"])
        except ValidationError:
            return None, str(entity.metadata["etag"])

    def _write(self, kept: BaseModel, key: str, row: str, etag: str, now: datetime) -> bool:
        packed = pack(row, kept.model_dump_json())
        while packed is None and isinstance(kept, Sighting):
            newest = list(kept.tags.items())[(len(kept.tags) + 1) // 2 :]
            kept = kept.model_copy(update={"tags": dict(newest)})
            packed = pack(row, kept.model_dump_json())
        entity: dict[str, Any] = {"PartitionKey": key, "RowKey": row, "until": now + KEPT, **(packed or {})}
        if etag:
            return entities.replace(self._table, entity, etag) is not None
        return entities.insert(self._table, entity)

    @property
    def _table(self) -> "TableClient":
        return self._account.table(LIMITS_TABLE)


def _key(workspace: str, name: str) -> str:
    return digest(SIGHTING, workspace.lower(), name)
