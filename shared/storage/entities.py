"""One entity of a table: read, inserted, or replaced under its ETag. Each write answers whether it was done.

UnansweredError: it may have been done; read again.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.storage.failures import temporary

if TYPE_CHECKING:
    from azure.data.tables import TableClient


def read(table: "TableClient", key: str, row: str) -> Any:
    """Read an entity with its ETag; None where there is none."""
    from azure.core.exceptions import ResourceNotFoundError

    with temporary(f"reading {table.table_name} {key}"):
        try:
            return table.get_entity(key, row)
        except ResourceNotFoundError as error:
            if error.error_code == "TableNotFound":  # type: ignore[attr-defined] # the tables SDK sets it
                raise
            return None


def insert(table: "TableClient", entity: dict[str, Any]) -> bool:
    """Write an entity for the first time; False where there is one already."""
    from azure.core.exceptions import ResourceExistsError

    with temporary(f"inserting into {table.table_name}"):
        try:
            table.create_entity(entity)
        except ResourceExistsError:
            return False
    return True


def replace(table: "TableClient", entity: dict[str, Any], etag: str) -> str | None:
    """Write an entity where nobody has since it was read; return the new ETag, None where somebody has."""
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
    from azure.data.tables import UpdateMode

    with temporary(f"writing {table.table_name}"):
        try:
            written = table.update_entity(
                entity, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return None
    return str(written["etag"])


def utc(value: Any) -> datetime:
    """Read a timestamp, which the SDK hands out as a datetime subclass that remembers its 100 ns."""
    return datetime.fromisoformat(value.isoformat())
