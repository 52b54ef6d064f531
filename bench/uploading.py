"""Uploading a folder of images to Custom Vision, against a bare uploader with the same batches: rate, and memory.

Both send to the same simulated service, one after the other in each round, each to a project of its own. Ours looks at
every file, hashes it, keeps a journal and judges each image's status; the other reads, posts, and nothing else.
"""

import base64
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from bench.measure import WALL, Spread, Work, ratio, rounds
from bench.simulated import simulators
from bench.table import Report
from cli.vision.images import MIB
from cli.vision.journal import Journal
from cli.vision.labelled import Labelled, read_folder
from cli.vision.upload import AT_ONCE, Upload, batches
from dev.azurite import azurite
from dev.simulators.vision import KEY
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.clients.vision import NewProject, Resource
from shared.settings import Settings

ROUNDS = 9
TAGS, OF_EACH = 3, 128
SIDE = 160
"""Pixels: 75 KB without compression, as of a small photograph."""
LARGER = 4
"""How many times as many images the folder has that memory is looked at with."""
GROWTH = """
import sys
from pathlib import Path
from bench.measure import peak
from bench.uploading import Place, ours

before = peak()
ours(Place(sys.argv[1], sys.argv[2]), Path(sys.argv[3]))
print(peak() - before)
"""


@dataclass(frozen=True)
class Place:
    """Where it is measured."""

    url: str
    ca: str

    @property
    def clients(self) -> Clients:
        """Make clients as a command does."""
        os.environ["REQUESTS_CA_BUNDLE"] = self.ca
        return Clients(Settings.read({"AzureWebJobsStorage__accountName": "none"}), managed_identity)

    def project(self) -> tuple[str, dict[str, str]]:
        """Make a project with tags; give its id, and the ids of its tags by name."""
        at, vision = Resource(self.url, KEY), self.clients.vision
        made = vision.projects.create(at, NewProject(name=os.urandom(8).hex()))
        names = map(str, range(TAGS))
        return made.id, {name: vision.tags.create(at, made.id, name).id for name in names}

    def delete(self, project: str) -> None:
        """Delete a project, and have what is in it forgotten."""
        self.clients.vision.projects.delete(Resource(self.url, KEY), project)


def measure(report: Report) -> None:
    """Measure the rate of an upload, and what it takes of memory."""
    with place() as here, TemporaryDirectory(prefix="bench-") as folder:
        images, more = Path(folder) / "images", Path(folder) / "more"
        size = draw(images, OF_EACH)
        draw(more, OF_EACH * LARGER)
        works = {"bare": Work(lambda: bare(here, images)), "ours": Work(lambda: ours(here, images))}
        times = rounds(works, ROUNDS, clock=WALL)
        count, seconds = TAGS * OF_EACH, Spread.of(times["ours"]).middle
        rate = f"{count / seconds:.0f} images, {size / MIB / seconds:.0f} MB a second"
        report.bar("upload", ratio(times, "bare", "ours"), f"{count} images, {size / MIB:.0f} MB: {rate}")
        grown = [growth(here, each) / MIB for each in (images, more)]
        report.fact(
            "memory that an upload takes",
            f"{grown[0]:.0f} MB for {size / MIB:.0f} MB of images, {grown[1]:.0f} MB for {LARGER * size / MIB:.0f} MB",
        )


@contextmanager
def place() -> Iterator[Place]:
    """Run the simulated service in a process of its own."""
    with azurite() as storage, simulators(storage) as service:
        # no blob is written for an image then: the service is as quick as it can be
        service.seed(settings={"artifacts": True})
        yield Place(service.vision, service.ca)


def draw(folder: Path, of_each: int) -> int:
    """Draw noise, so many images for each tag; give the bytes of all of them."""
    size = 0
    for number in range(TAGS * of_each):
        into = folder / str(number % TAGS)
        into.mkdir(parents=True, exist_ok=True)
        content = noise()
        (into / f"{number}.png").write_bytes(content)
        size += len(content)
    return size


def noise() -> bytes:
    """Make a PNG that nobody can compress."""
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + os.urandom(SIDE * 3) for _ in range(SIDE)), 0)
    parts = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# -- both -------------------------------------------------------------------------------------------------------------


def ours(here: Place, folder: Path) -> int:
    """Do what the command does, from looking at the first file to the last image that is kept."""
    project, tags = here.project()
    at, client = Resource(here.url, KEY), here.clients.vision
    found = read_folder(folder, lambda _done, _of: None)
    found.merge(one_tag=True)
    with TemporaryDirectory(prefix="bench-") as kept:
        journal = Journal.of(folder, here.url, project, Path(kept) / "journal.jsonl")
        outcome = Upload(lambda some: client.images.upload(at, project, some), tags, journal, lambda _done: None).run(
            found.images
        )
    here.delete(project)
    assert (outcome.taken, outcome.bad) == (len(found.images), []), outcome
    return outcome.taken


def bare(here: Place, folder: Path) -> int:
    """Send the same batches by hand, as many at a time."""
    project, tags = here.project()
    url = f"{here.url}/customvision/v3.3/training/projects/{project}/images/files"
    session = requests.Session()
    session.verify, session.headers["Training-Key"] = here.ca, KEY

    def send(some: Sequence[tuple[Path, str]]) -> int:
        images = [
            {"name": path.name, "contents": base64.b64encode(path.read_bytes()).decode(), "tagIds": [tags[tag]]}
            for path, tag in some
        ]
        answer = session.post(url, json={"images": images}, timeout=60)
        answer.raise_for_status()
        said: Mapping[str, object] = answer.json()
        assert said["isBatchSuccessful"], said
        return len(images)

    files = sorted(path for path in folder.rglob("*.png"))
    there = [Labelled(path, path.name, path.stat().st_size, 0, "", (path.parent.name,)) for path in files]
    same = [[(image.path, image.tags[0]) for image in some] for some in batches(there)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = sum(pool.map(send, same))
    session.close()
    here.delete(project)
    assert sent == len(files)
    return sent


def growth(here: Place, folder: Path) -> int:
    """Give by how many bytes a process grows that uploads a folder."""
    command = [sys.executable, "-c", GROWTH, here.url, here.ca, str(folder)]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
