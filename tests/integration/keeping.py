"""Backups of simulated Custom Vision projects, in containers of their own, for tests of what keeps and reads them."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from azure.storage.blob import BlobServiceClient, ContainerClient, ContainerSasPermissions, generate_container_sas

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.rules.declared import Declared
from shared.storage import prepare
from tests.integration.stages import Bench, clients_of, event_of

COMPLETED = json.loads((Path(__file__).parents[1] / "events/vision_export_completed.json").read_text("utf-8"))
ALL = ContainerSasPermissions(read=True, list=True, write=True, create=True, delete=True, add=True)
Make = Callable[..., Bench]


def seed(simulators: Simulators, project: str, exports: Sequence[dict[str, Any]], **settings: Any) -> None:
    """Keep a project whose one iteration, of the same id, has these exports."""
    iterations = [{"id": project, "exports": list(exports)}]
    simulators.vision.seed(projects=[{"id": project, "settings": settings, "iterations": iterations}])


def several(simulators: Simulators, project: str, iterations: Sequence[dict[str, Any]]) -> None:
    """Keep a project of several iterations, each exported once unless it says something else."""
    exports = [{"platform": "ONNX", "bytes": 100}]
    told = [{"exports": exports} | iteration for iteration in iterations]
    simulators.vision.seed(projects=[{"id": project, "name": "Fruit basket", "iterations": told}])


def maker(simulators: Simulators, azurite: str) -> Make:
    """Make the surroundings of a backup: the project is declared, its key a setting."""

    def make(project: str, container: str | None = None, iteration: str = "", **values: str) -> Bench:
        training = {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"}
        declared = {"fruit": {"project": project.upper(), "training": training, "container": container}}
        event = json.loads(json.dumps(COMPLETED))
        event["Content"] |= {"projectId": project, "iterationId": iteration or project}
        values = {"REACTOR_BACKUP_CONTAINER": f"backups-{uuid4().hex}"} | values
        clients = clients_of(simulators, azurite, **values)
        prepare(clients.account, values["REACTOR_BACKUP_CONTAINER"])
        return Bench(
            clients, Declared.model_validate({"vision": declared}), event_of(json.dumps(event)), {"VISION_KEY": KEY}
        )

    return make


def container_of(bench: Bench) -> ContainerClient:
    """Give the container of the app's backups."""
    return bench.clients.account.blobs.get_container_client(bench.clients.backups._container)


def stored(bench: Bench, path: str) -> bytes:
    """Read a file of the store."""
    return container_of(bench).download_blob(path).readall()


def second_container(
    emulator: Azurite, *, permission: ContainerSasPermissions = ALL, lasts: timedelta = timedelta(hours=1)
) -> tuple[ContainerClient, str]:
    """Make a container in another account; give it, and its URL with a SAS."""
    service = BlobServiceClient.from_connection_string(emulator.service)
    container = service.create_container(f"second-{uuid4().hex}")
    query = generate_container_sas(
        str(service.account_name),
        container.container_name,
        account_key=service.credential.account_key,
        permission=permission,
        expiry=datetime.now(UTC) + lasts,
        start=datetime.now(UTC) - timedelta(hours=2),
    )
    return container, f"{container.url}?{query}"
