"""What is remembered of replicated Language projects, in the limits' table, each written only under its ETag.

    <primary, project, secondary>   row "replica"   the last replication that succeeded (shared.replicas.Kept)
                                    row "imports"   what our imports left in the secondary, and what came of each
                                                    training that was made there, well or badly, and what
                                                    the staging slots were given

None of it is ever swept: a replication may be right for years.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import TemporaryError
from shared.events import digest
from shared.replicas import Kept, Trained
from shared.storage import LIMITS_TABLE, entities
from shared.storage.packing import pack, unpack

if TYPE_CHECKING:
    from azure.data.tables import TableClient

    from shared.storage.account import Account

REPLICA, IMPORTS = "replica", "imports"
KEPT = 50
"""Of each: the newest."""
KEPT_OF_SLOT = 10
TRIES = 8


class Imports(BaseModel):
    """What our imports left, and what came of our trainings from it, the oldest first."""

    model_config = ConfigDict(frozen=True)

    hashes: tuple[str, ...] = ()
    models: tuple[Trained, ...] = ()
    slots: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """By region and staging slot, the ids of the models that we had it serve, the latest last."""


class Replicas:
    """Reads and writes what is remembered. Hosts are compared in lower case, a project's name as it is."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def read(self, primary: str, project: str, secondary: str) -> tuple[Kept | None, str]:
        """Read the last replication of a project between two hosts, and its ETag; None and "" where there was none."""
        return self._read(Kept, _key(primary, project, secondary), REPLICA)

    def write(self, primary: str, project: str, secondary: str, kept: Kept, etag: str) -> bool:
        """Remember a replication; False where somebody else has written meanwhile."""
        return self._write(kept, _key(primary, project, secondary), REPLICA, etag)

    def imported(self, primary: str, project: str, secondary: str) -> frozenset[str]:
        """Give the hashes of what our imports left in the secondary."""
        found, _ = self._read(Imports, _key(primary, project, secondary), IMPORTS)
        return frozenset(found.hashes if found else ())

    def note_import(self, primary: str, project: str, secondary: str, hash: str) -> None:
        """Remember what an import left in the secondary, so that nobody takes it for an edit."""

        def add(known: Imports) -> Imports:
            return known.model_copy(update={"hashes": _added(known.hashes, hash)})

        self._change(_key(primary, project, secondary), add)

    def trained(self, primary: str, project: str, secondary: str) -> tuple[Trained, ...]:
        """Give what came of our trainings in the secondary, the oldest first: also what did badly, or failed."""
        found, _ = self._read(Imports, _key(primary, project, secondary), IMPORTS)
        return found.models if found else ()

    def note_training(self, primary: str, project: str, secondary: str, trained: Trained) -> None:
        """Remember a training in the secondary, however it came out; what was known of the same one is replaced."""

        def add(known: Imports) -> Imports:
            begun = trained.model_copy(update={"model": ""}).identity
            others = tuple(
                one
                for one in known.models
                if one.identity != trained.identity and not (one.begun is not None and one.identity == begun)
            )
            return known.model_copy(update={"models": (*others, trained)[-KEPT:]})

        self._change(_key(primary, project, secondary), add)

    def slot(self, primary: str, project: str, secondary: str, slot: str) -> frozenset[str]:
        """Give the ids of the models that we had a staging slot serve; a slot is named with its region."""
        found, _ = self._read(Imports, _key(primary, project, secondary), IMPORTS)
        return frozenset(found.slots.get(slot, ()) if found else ())

    def note_slot(self, primary: str, project: str, secondary: str, slot: str, model: str) -> None:
        """Remember what a staging slot is about to serve, so that nobody takes it for a deployment of somebody's."""

        def add(known: Imports) -> Imports:
            held = (*(one for one in known.slots.get(slot, ()) if one != model), model)[-KEPT_OF_SLOT:]
            return known.model_copy(update={"slots": {**known.slots, slot: held}})

        self._change(_key(primary, project, secondary), add)

    def _change(self, key: str, add: Callable[[Imports], Imports]) -> None:
        """Add to what is remembered, whoever else does so at the same time."""
        for _ in range(TRIES):
            found, etag = self._read(Imports, key, IMPORTS)
            known = found or Imports()
            if (changed := add(known)) == known or self._write(changed, key, IMPORTS, etag):
                return
        raise TemporaryError("what was imported is written by too many at once")

    def _read[S: BaseModel](self, shape: type[S], key: str, row: str) -> tuple[S | None, str]:
        """Read an entity; what another version of the app wrote is as good as nothing, and is written over."""
        entity = entities.read(self._table, key, row)
        if entity is None:
            return None, ""
        try:
            return shape.model_validate_json(unpack(row, entity) or ""), str(entity.metadata["etag"])
        except ValidationError:
            return None, str(entity.metadata["etag"])

    def _write(self, kept: BaseModel, key: str, row: str, etag: str) -> bool:
        packed = pack(row, kept.model_dump_json())
        assert packed is not None  # a few deployments' names and hashes
        entity: dict[str, Any] = {"PartitionKey": key, "RowKey": row, **packed}
        if etag:
            return entities.replace(self._table, entity, etag) is not None
        return entities.insert(self._table, entity)

    @property
    def _table(self) -> "TableClient":
        return self._account.table(LIMITS_TABLE)


def _added[T](known: tuple[T, ...], one: T) -> tuple[T, ...]:
    return known if one in known else (*known, one)[-KEPT:]


def _key(primary: str, project: str, secondary: str) -> str:
    return digest(REPLICA, primary.lower(), project, secondary.lower())
