"""Backups of Custom Vision: how much the app's memory grows by a model of 1 GiB, and by a data set of 10,000 images.

The app is a process of its own on a real storage emulator, which holds all of it in memory, so nothing is left on a
disk. It is brought a notification, and performs what a rule says as the Functions host has it do.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from azure.storage.blob import BlobServiceClient, ContainerClient

from bench.app import MIB, Taken
from bench.measure import Spread
from bench.simulated import Simulated, simulators
from bench.table import Report
from dev.azurite import azurite
from dev.simulators.vision import KEY
from shared.clients.identity import managed_identity
from shared.handlers.backups import collecting
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from shared.storage.backups import Manifest
from shared.storage.datasets import DatasetManifest

SIZE = 1024 * MIB
IMAGES = 10_000
BLOCK = 4 * MIB
STOPS_AFTER = 20
"""Messages, each a page of images, that the first process takes of a data set; a second one goes on."""
KEPT = "backups"
RULES = """
version: 1
vision:
  fruit:
    project: {project}
    container: "{container}"
    training: {{endpoint: "{vision}", key: "${{VISION_KEY}}"}}
rules:
  - {{name: keep-models, on: ExportCompleted, do: [backup.vision_export]}}
  - {{name: keep-images, on: TrainingCompleted, do: [backup.vision_dataset]}}
"""


@dataclass(frozen=True)
class Place:
    """A project of the simulated service, and an app that it tells."""

    project: str
    service: Simulated
    exports: ContainerClient
    """Where the service writes what it exports."""
    kept: ContainerClient
    values: Mapping[str, str]
    """The app's environment."""

    def told(self, kind: str, iteration: str = "") -> str:
        """Write the notification of something that was completed."""
        iteration = iteration or self.project
        content = {"projectId": self.project, "iterationId": iteration, f"{kind.lower()}Status": f"{kind}Completed"}
        return json.dumps({"version": "1.0", "type": kind, "Content": content})

    def manifest(self, inside: str = "") -> bytes:
        """Read the one manifest that there is."""
        names = self.kept.list_blob_names(name_starts_with=f"{self.project}/{inside}")
        (name,) = (name for name in names if name.endswith("/manifest.json"))
        return self.kept.download_blob(name).readall()


@contextmanager
def place() -> Iterator[Place]:
    """Run an emulator and the simulated service, and write the rules."""
    project = str(uuid4())
    with azurite() as storage, simulators(storage) as service, TemporaryDirectory(prefix="bench-") as folder:
        account = BlobServiceClient.from_connection_string(storage.app)
        exports = account.create_container("exports")
        rules = Path(folder) / "rules.yaml"
        rules.write_text(RULES.format(project=project, container=exports.url, vision=service.vision), "utf-8")
        values = {
            "AzureWebJobsStorage": storage.app,
            "REACTOR_RULES": str(rules),
            "REACTOR_BACKUP_CONTAINER": KEPT,
            "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": service.ca,
            "VISION_KEY": KEY,
        }
        prepare(Account(Settings.read(values).storage, managed_identity), KEPT)
        yield Place(project, service, exports, account.get_container_client(KEPT), values)


def measure(report: Report) -> None:
    """Measure a large model, and a large data set."""
    with place() as here:
        model(report, here)
    with place() as here:
        dataset(report, here)


# -- a model ----------------------------------------------------------------------------------------------------------


def model(report: Report, here: Place) -> None:
    """Back up an export of 1 GiB, after a small one."""
    small, large = str(uuid4()), str(uuid4())
    iterations = [{"id": id, "exports": [{"platform": "ONNX", "bytes": MIB}]} for id in (small, large)]
    settings = {"exportModelContainerUri": here.exports.url}
    here.service.seed(projects=[{"id": here.project, "settings": settings, "iterations": iterations}])
    here.exports.upload_blob(f"{here.project} - {large}.ONNX", noise(SIZE), length=SIZE, overwrite=True)
    begun = time.perf_counter()
    taken = Taken.by(here.values, here.told("Export", small), here.told("Export", large), is_traced=True)
    seconds = time.perf_counter() - begun
    kept = Manifest.model_validate_json(here.manifest(large))
    assert (kept.size, len(kept.sha256)) == (SIZE, SIZE // kept.chunk), kept
    how = f"storage copies it, the app reads it once to hash it: {taken.told()}, {seconds:.0f} s"
    report.bar("backup", Spread.of([taken.mib]), how)


def noise(size: int) -> Iterator[bytes]:
    """Give so many bytes, piece by piece."""
    piece = os.urandom(BLOCK)
    for _ in range(size // BLOCK):
        yield piece


# -- a data set -------------------------------------------------------------------------------------------------------


def dataset(report: Report, here: Place) -> None:
    """Keep 10,000 images; in the middle of it a process ends, and another one goes on."""
    images = {"count": IMAGES, "tags": ["apple", "banana"], "size": [32, 32]}
    # no blob is written for an image then: the service is as quick as it can be
    here.service.seed(projects=[{"id": here.project, "name": "fruit", "images": images}], settings={"artifacts": True})
    begun = time.perf_counter()
    first = Taken.by(here.values, here.told("Training"), most=STOPS_AFTER)
    there, _ = asked(here)
    second = Taken.by(here.values)
    seconds = time.perf_counter() - begun
    kept = DatasetManifest.model_validate_json(here.manifest("datasets/"))
    assert (kept.images, kept.lost, kept.changed) == (IMAGES, 0, ""), kept
    begins, read = asked(here)
    goes_on = begins[len(there)]
    assert goes_on == there[-1] + collecting.PAGE, begins
    assert read == IMAGES, f"{read} images were read"
    grown = max(first, second, key=lambda taken: taken.mib)
    how = f"gone on with at image {goes_on:,}, each read once: {grown.told()}, {seconds:.0f} s"
    report.bar("dataset", Spread.of([grown.mib]), how)


def asked(here: Place) -> tuple[list[int], int]:
    """Say from which image on each page of the project was asked for, and how many images were read."""
    urls = [json.loads(line)["url"] for line in here.service.log.read_text("utf-8").splitlines()]
    begins = [parse_qs(urlsplit(url).query).get("skip") for url in urls if "/images?" in url]
    return [int(skip[0]) for skip in begins if skip], sum("/artifacts?" in url for url in urls)
