"""Storage: the queues, tables and blobs the app keeps its state in, named once here.

Only this package and `clients` know the Azure SDKs. Nothing connects before the first call.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.storage.account import Account

ACTIONS_QUEUE = "actions"
ML_EVENTS_QUEUE = "ml-events"
VISION_QUEUE = "vision-notifications"
QUEUES = (ACTIONS_QUEUE, ML_EVENTS_QUEUE, VISION_QUEUE)
POISON_QUEUES = tuple(f"{queue}-poison" for queue in QUEUES)

EVENTS_TABLE = "reactorevents"
ACTIONS_TABLE = "reactoractions"
OPEN_TABLE = "reactoropen"
LIMITS_TABLE = "reactorlimits"
TIMELINE_TABLE = "reactortimeline"
TABLES = (EVENTS_TABLE, ACTIONS_TABLE, OPEN_TABLE, LIMITS_TABLE, TIMELINE_TABLE)

PAYLOADS_CONTAINER = "reactor-payloads"


def prepare(account: "Account", backup_container: str) -> None:
    """Create every queue, table and container that is missing; in Azure the infrastructure has done so."""
    from azure.core.exceptions import ResourceExistsError

    creations: dict[Callable[[str], object], tuple[str, ...]] = {
        account.queues.create_queue: (*QUEUES, *POISON_QUEUES),
        account.tables.create_table: TABLES,
        account.blobs.create_container: (PAYLOADS_CONTAINER, backup_container),
    }
    for create, names in creations.items():
        for name in names:
            with suppress(ResourceExistsError):
                create(name)
