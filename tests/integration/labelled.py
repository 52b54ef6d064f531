"""Custom Vision projects with labelled images, and an independent look at what was kept of them."""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import requests
from azure.storage.blob import BlobServiceClient, ContainerClient
from jsonschema import Draft202012Validator
from PIL import Image as Pillow

from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients import Clients
from shared.clients.vision import NewImage, Region, Resource
from tests.unit.dataset_schemas import COCO, LINES

DOMAINS = {
    "multiclass": ("ee85a74c-405e-4adc-bb47-ffa8ca0c9f31", "Multiclass"),
    "multilabel": ("ee85a74c-405e-4adc-bb47-ffa8ca0c9f31", "Multilabel"),
    "detection": ("da2e3a8a-40a5-4171-82f4-58522f70fbc1", None),
}
"""By kind: a domain's id, and the classification type."""
FORMS = ("PNG", "JPEG", "BMP", "GIF")


def drawn(number: int) -> bytes:
    """Make an image that no other number has, of a size and format of its own."""
    held = io.BytesIO()
    colour = (number * 37 % 256, number * 91 % 256, number % 256)
    image = Pillow.new("RGB", (256 + number % 5, 300), colour)
    image.paste((number >> 8, 0, 255 - number % 256), (0, 0, 20 + number % 200, 40))
    image.save(held, FORMS[number % len(FORMS)])
    return held.getvalue()


@dataclass
class Labels:
    """A project of the simulated service."""

    clients: Clients
    at: Resource
    project: str
    kind: str
    tags: dict[str, str]
    """Name to id."""
    drawn: int = 0

    @classmethod
    def begin(cls, simulators: Simulators, clients: Clients, kind: str = "multiclass", **settings: Any) -> "Labels":
        """Seed a project with two tags."""
        project, (domain, classification) = str(uuid4()), DOMAINS[kind]
        told = {"domainId": domain, "classificationType": classification}
        simulators.vision.seed(projects=[{"id": project, "name": "fruit", "settings": told}], settings=settings)
        at = Resource(simulators.vision.url, KEY)
        tags = {name: clients.vision.tags.create(at, project, name).id for name in ("apple", "banana")}
        return cls(clients, at, project, kind, tags)

    def add(self, count: int, *names: str) -> list[str]:
        """Add images with these tags, as boxes where the project detects; give their ids."""
        ids: list[str] = []
        for _ in range(count):
            self.drawn += 1
            tags = tuple(self.tags[name] for name in names)
            regions: tuple[Region, ...] = ()
            if self.kind == "detection" and tags:
                regions = tuple(
                    Region(tag, name, 0.1 + at / 4, 0.25, 0.2, 0.5)
                    for at, (tag, name) in enumerate(zip(tags, names, strict=True))
                )
                tags = ()
            (told,) = self.clients.vision.images.upload(
                self.at, self.project, [NewImage(f"{self.drawn}.img", drawn(self.drawn), tags, regions)]
            )
            assert told.status == "OK", told
            ids.append(told.id)
        return ids

    def new_tag(self, name: str) -> str:
        """Make a tag; give its id."""
        return self.clients.vision.tags.create(self.at, self.project, name).id

    def tag(self, image: str, name: str) -> None:
        """Give an image one more tag."""
        url = f"{self.at.endpoint}/customvision/v3.3/training/projects/{self.project}/images/tags"
        told = {"tags": [{"imageId": image, "tagId": self.tags[name]}]}
        assert requests.post(url, json=told, headers={"Training-Key": self.at.key}, timeout=60).ok

    def move(self, image: str) -> None:
        """Move the boxes of an image: new ones are drawn and the old ones erased, so that its tags stay."""
        url = f"{self.at.endpoint}/customvision/v3.3/training/projects/{self.project}/images"
        with requests.Session() as session:
            session.headers["Training-Key"] = self.at.key
            (found,) = [one for one in session.get(f"{url}?take=256", timeout=60).json() if one["id"] == image]
            moved = [one | {"imageId": image, "top": one["top"] + 0.125} for one in found["regions"]]
            assert session.post(f"{url}/regions", json={"regions": moved}, timeout=60).ok
            old = ",".join(one["regionId"] for one in found["regions"])
            assert session.delete(f"{url}/regions?regionIds={old}", timeout=60).ok

    def remove(self, *ids: str) -> None:
        """Delete images."""
        self.clients.vision.images.delete(self.at, self.project, ids)


@dataclass(frozen=True)
class Kept:
    """A version, read without any of the code that wrote it."""

    container: ContainerClient
    folder: str

    @classmethod
    def of(cls, store: BlobServiceClient, container: str, folder: str) -> "Kept":
        """Find a version."""
        return cls(store.get_container_client(container), folder)

    def read(self, name: str) -> bytes:
        """Read one of its files."""
        return self.container.download_blob(f"{self.folder}/{name}").readall()

    @property
    def coco(self) -> dict[str, Any]:
        """Its coco.json, checked against the schema."""
        found: dict[str, Any] = json.loads(self.read("coco.json"))
        Draft202012Validator(COCO).validate(found)
        return found

    @property
    def manifest(self) -> dict[str, Any]:
        """Its manifest."""
        found: dict[str, Any] = json.loads(self.read("manifest.json"))
        return found

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines of its train.jsonl, each checked against the schema."""
        found: list[dict[str, Any]] = [json.loads(line) for line in self.read("train.jsonl").splitlines()]
        for line in found:
            Draft202012Validator(LINES[self.manifest["kind"]]).validate(line)
        return found

    @property
    def images(self) -> dict[str, bytes]:
        """The project's images, by their file names."""
        prefix = f"{self.folder.split('/')[0]}/images/"
        names = [str(name) for name in self.container.list_blob_names(name_starts_with=prefix)]
        return {name.removeprefix(prefix): self.container.download_blob(name).readall() for name in names}

    def check(self) -> None:
        """See that it is whole and that its files agree: with each other, with the images, and with the manifest."""
        coco, lines, manifest, images = self.coco, self.lines, self.manifest, self.images
        told = {name: file["sha256"] for name, file in manifest["files"].items()}
        contents = {name: self.read(name) for name in ("coco.json", "train.jsonl")}
        assert told == {name: [hashlib.sha256(one).hexdigest()] if one else [] for name, one in contents.items()}
        assert {name: file["size"] for name, file in manifest["files"].items()} == {
            name: len(one) for name, one in contents.items()
        }
        assert [one["id"] for one in coco["images"]] == [*range(1, manifest["images"] + 1)]
        assert [one["id"] for one in coco["annotations"]] == [*range(1, manifest["annotations"] + 1)]
        assert len(lines) == manifest["labelled"]
        assert len(manifest["missing"]) == manifest["lost"]
        for image in coco["images"]:
            with Pillow.open(io.BytesIO(images[image["file_name"]])) as read:
                assert read.size == (image["width"], image["height"])
        names = {one["id"]: one["name"] for one in coco["categories"]}
        assert [one["name"] for one in manifest["tags"]] == [*names.values()]
        assert sum(one["annotations"] for one in manifest["tags"]) == manifest["annotations"]
        files = {one["id"]: one["file_name"] for one in coco["images"]}
        by_coco = sorted((files[one["image_id"]], names[one["category_id"]]) for one in coco["annotations"])
        by_lines = sorted(
            (line["image_url"].rpartition("/")[2], label) for line in lines for label in _names(line["label"])
        )
        assert by_coco == by_lines


class InTurn:
    """Stands for a pool of threads: does everything on the caller's, so that requests have an order."""

    def __init__(self, _workers: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_problem: object) -> None:
        pass

    def map[G, R](self, do: Callable[[G], R], given: Iterable[G]) -> Iterator[R]:
        """Do it with each."""
        return map(do, given)


def _names(label: Any) -> list[str]:
    """Name what a line's label is about."""
    labels = label if isinstance(label, list) else [label]
    return [one["label"] if isinstance(one, dict) else one for one in labels]


def service_blob(emulator: Azurite, project: str, image: str) -> Any:
    """Give where the simulated service keeps an image's bytes."""
    service = BlobServiceClient.from_connection_string(emulator.service)
    return service.get_blob_client(f"i-{project.replace('-', '')}", f"o-{image.replace('-', '')}")
