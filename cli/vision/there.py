"""What a project has of a folder's images already, and whether it is labelled there as the folder says.

Custom Vision calls an image that it has a duplicate, and leaves it as it is: with the tags and regions of back then.
https://learn.microsoft.com/rest/api/customvision/images/list
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cli.vision.labelled import Bad, Box, Labelled

if TYPE_CHECKING:
    from cli.vision.journal import Journal
    from shared.clients.vision import Image

CLOSE = 0.005
"""Of an image's side: how far apart the sides of two boxes may be that are the same one."""


class Label(NamedTuple):
    """What an image of the project is labelled with."""

    tags: frozenset[str]
    boxes: tuple[Box, ...]

    @classmethod
    def of(cls, image: Image) -> Label:
        """Read it; the tags are those of the whole image and of its regions."""
        boxes = tuple(Box(one.tag, one.left, one.top, one.width, one.height) for one in image.regions)
        return cls(frozenset(tag.name for tag in image.tags) | {box.tag for box in boxes}, boxes)

    def is_within(self, image: Labelled) -> bool:
        """Tell whether the folder says all of this, and maybe more, of an image."""
        left = list(image.boxes)
        for box in self.boxes:
            found = next((one for one in left if _is_same(one, box)), None)
            if found is None:
                return False
            left.remove(found)
        return self.tags <= image.all_tags

    def is_that_of(self, image: Labelled) -> bool:
        """Tell whether the folder says just this of an image."""
        return self.tags == image.all_tags and len(self.boxes) == len(image.boxes) and self.is_within(image)


def _is_same(one: Box, other: Box) -> bool:
    return one.tag == other.tag and all(abs(a - b) <= CLOSE for a, b in zip(one[1:], other[1:], strict=True))


@dataclass
class There:
    """The images of a project, read newest first and as far as they are asked for."""

    page: Callable[[int], Sequence[Image]]
    """Gives those after so many; none after the last."""
    _known: dict[str, Label] = field(default_factory=dict)
    _same: dict[Label, Label] = field(default_factory=dict)
    """One for all that are equal: a project has many images, and few labels."""

    def labels(self, ids: Iterable[str]) -> dict[str, Label]:
        """Give what images are labelled with; without those that the project does not have."""
        wanted, skip = set(ids), 0
        while wanted - self._known.keys() and (some := self.page(skip)):
            skip += len(some)
            for image in some:
                label = Label.of(image)
                self._known[image.id] = self._same.setdefault(label, label)
        return {id: self._known[id] for id in wanted & self._known.keys()}


class Other(NamedTuple):
    """An image that the project has with another label."""

    id: str
    label: Label


def replaceable(
    others: Mapping[Labelled, Other], images: Iterable[Labelled], journal: Journal, *, one_tag: bool
) -> tuple[dict[Labelled, str], list[Bad]]:
    """Say which of them may be labelled anew, each with its id, and what is to be done about the rest.

    With one tag for each image the folder is right. Where there may be more, nothing is taken away that somebody else
    has put there.
    """
    owners = {kept.id: image for image in images if (kept := journal.find(image)) is not None}
    found: dict[Labelled, str] = {}
    bad: list[Bad] = []
    for image, (id, label) in others.items():
        owner = owners.setdefault(id, image)
        if owner.label != image.label:
            why = f"it is the same picture to the service as {owner.name}, which is labelled otherwise"
            bad.append(Bad(image.name, why, "take one of them out"))
        elif one_tag or label.is_within(image):
            found[image] = id
        else:
            said = ", ".join(sorted(label.tags)) + (f" in {len(label.boxes)} regions" if label.boxes else "")
            why = f"the project has it already, with what the folder does not say of it ({said})"
            bad.append(Bad(image.name, why, f"label it so here, too, or delete it there (image {id})"))
    return found, bad
