"""What a project has before it is taught: told before anything is sent, since it may be the wrong one.

A training needs images of each tag. So a tag is made only where pictures will have it, and those that nothing has are
left out of a training.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.errors import RefusedError, UsageError
from cli.vision.labelled import Labelled, named, shortages, tags_of

if TYPE_CHECKING:
    from cli.vision.there import There
    from shared.clients.vision import NewImage, Tag, Uploaded

MOST_TAGS = 10
"""Tags that a line names."""


def announced(project: str, images: int, tags: Iterable[Tag], wanted: Iterable[str]) -> str:
    """Say what a project has, and which tags would be new there.

    >>> announced("fruit", 0, [], ["apple"])
    'fruit has no images; new: apple'
    """
    there = {tag.name: tag.images for tag in tags}
    of = named(sorted(name for name, number in there.items() if number), MOST_TAGS)
    new = named(sorted(set(wanted) - there.keys()), MOST_TAGS)
    has = f"{images:,} image{'' if images == 1 else 's'}" if images else "no images"
    return f"{project} has {has}{f' of {of}' if of else ''}{f'; new: {new}' if new else ''}"


def refuse_unknown(only: Iterable[str], known: Collection[str]) -> None:
    """Refuse to train tags that neither the folder nor the project has."""
    from shared.rules.problems import did_you_mean

    for tag in only:
        if tag not in known:
            raise UsageError(
                f'--tags: neither the folder nor the project has "{tag}"{did_you_mean(tag, known)}; they have '
                f"{named(sorted(known), MOST_TAGS)}"
            )


def refuse_too_few(
    new: Iterable[Labelled], left: Mapping[str, int], wanted: Collection[str], *, detects: bool, only: Collection[str]
) -> None:
    """Refuse what cannot be trained with, before anything is sent.

    `left` is what stays in the project of each tag, `wanted` names the tags of the folder, `only` those that are to be
    trained, where it is not all. What nothing has and the folder knows nothing of is not trained, and blocks nothing.
    """
    there = {tag: number for tag, number in left.items() if number or tag in wanted or tag in only}
    short = list(shortages(new, there, detects=detects, only=[tag for tag in only if tag in left or tag in wanted]))
    if short:
        raise RefusedError(
            f"too little to train with, so nothing was sent: {'; '.join(short)}\n"
            "  add images, name the tags to train as --tags TAG,TAG, or upload what there is with --no-train"
        )


def refuse_strangers(
    new: Sequence[Labelled],
    missing: Collection[str],
    send: Callable[[Sequence[NewImage]], Sequence[Uploaded]],
    take_back: Callable[[Sequence[str]], None],
    there: There,
) -> None:
    """Refuse tags whose pictures the project has with others: it is the wrong project, or a tag has another name there.

    One picture of each is sent without a tag, and taken back where it was new: no tag need be made to learn that, and
    nobody can delete one here.
    """
    from cli.vision.upload import batches
    from cli.vision.verdicts import DUPLICATE, TAKEN
    from shared.clients.vision import NewImage

    asked = {tag: next(image for image in new if tag in image.all_tags) for tag in sorted(missing)}
    found: dict[Labelled, Uploaded] = {}
    for some in batches(dict.fromkeys(asked.values())):
        try:
            sent = send([NewImage(one.name, one.path.read_bytes()) for one in some])
        except OSError as problem:
            raise RefusedError(f"{problem.filename} cannot be read any more: {problem.strerror}") from None
        if unasked := [answer.id for answer in sent if answer.status == TAKEN and answer.id]:
            take_back(unasked)
        found |= zip(some, sent, strict=False)
    labels = there.labels({answer.id for answer in found.values() if answer.status == DUPLICATE and answer.id})
    for tag, image in asked.items():
        label = labels.get(found[image].id) if image in found else None
        if label is not None and label.tags and not label.is_within(image):
            raise RefusedError(
                f"{tag} would be a new tag, and {image.name} is in the project already, as "
                f"{', '.join(sorted(label.tags))}: is it the right project? Nothing was changed\n"
                "  name the right one with --project; where it is this one, rename the folder, or the tag in the"
                " portal, or label anew with --relabel"
            )


def untrained(tags: Iterable[Tag], images: Iterable[Labelled]) -> tuple[list[str], list[str]]:
    """Give the tags to train, and those that neither the project nor the folder has an image of.

    The former are none where all have images. One whose images were not taken is among them, to be refused: that it was
    left out would not be what the folder says.
    """
    wanted, listed = tags_of(images), list(tags)
    lacking = {tag.name for tag in listed if not tag.images and tag.type != "Negative"}
    empty = sorted(lacking - wanted.keys())
    return [tag.name for tag in listed if tag.name not in empty] if lacking else [], empty
