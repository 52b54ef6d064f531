"""What is remembered of replicated Language projects, in the limits' table, each written only under its ETag.

    <primary, project, secondary>   row "replica"   the last replication that succeeded (shared.replicas.Kept)
                                    row "imports"   what our imports left in the secondary, and what was trained there

None of it is ever swept: a replication may be right for years.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

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
TRIES = 8


class Imports(BaseModel):
    """What our imports left, and the models that we trained from it, the oldest first."""

    model_config = ConfigDict(frozen=True)

    hashes: tuple[str, ...] = ()
    models: tuple[Trained, ...] = ()


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
        """Give the models that we trained in the secondary and that did well, the oldest first."""
        found, _ = self._read(Imports, _key(primary, project, secondary), IMPORTS)
        return found.models if found else ()

    def note_training(self, primary: str, project: str, secondary: str, trained: Trained) -> None:
        """Remember a model that we trained in the secondary and that did well."""

        def add(known: Imports) -> Imports:
            return known.model_copy(update={"models": _added(known.models, trained)})

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
