"""Which iteration came of just what is asked for, where no training is needed: the service does not say which.

It is looked for among all of them: the newest may be of other tags, of another type, or of images that were there once.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import TYPE_CHECKING

from cli.errors import RefusedError
from cli.vision.given import said_again

if TYPE_CHECKING:
    from cli.vision.lesson import Lesson
    from shared.clients.vision import Iteration, Tag, Training

MOST_TAGS = 20
"""Tags by which images can be asked for: https://learn.microsoft.com/rest/api/customvision/images/list"""


def trained(lesson: Lesson) -> list[Iteration]:
    """List what was trained well, the newest first."""
    there = lesson.here.vision.iterations.list(lesson.here.at, lesson.here.project)
    dated = [(one.trained_at, one) for one in there if one.is_good and one.trained_at]
    return [one for _, one in sorted(dated, key=lambda two: two[0], reverse=True)]


def find(lesson: Lesson, wanted: Training, among: list[Iteration]) -> Iteration | None:
    """Find the iteration that is of the tags and images of now, trained as wanted; None where that cannot be shown.

    `among` is sorted, the newest first. That one is known where it was begun here with just this.
    """
    from cli.vision.asked import how

    begun, newest = lesson.journal.begun, among[0]
    if begun and (begun.iteration, begun.how) == (newest.id, how(lesson.options)):
        return newest
    return next(_alike(lesson, wanted, among), None)


def publishing(lesson: Lesson, name: str, iteration: str) -> str:
    """Write the command that publishes a stated iteration."""
    again = said_again(lesson.options, "prediction", "prediction_endpoint", "prediction_key_setting")
    return f"reactor vision publish {lesson.here.words}{again} --name {quote(name)} --iteration {iteration}"


def refusal(lesson: Lesson, name: str, newest: Iteration) -> RefusedError:
    """Say why nothing is published, and how a stated iteration is."""
    return RefusedError(
        "no training is needed, and which iteration came of just this cannot be told: nothing is published as "
        f"{name}\n  `{publishing(lesson, name, newest.id)}` publishes {newest.name}, the newest; "
        f"`reactor vision status {lesson.here.words}` lists the others; --force trains anew"
    )


def _alike(lesson: Lesson, wanted: Training, among: list[Iteration]) -> Iterator[Iteration]:
    """Give those that are of what the project has now, as far as can be shown.

    As many images of each tag as then, and none that came later, are the images of then.
    """
    here = lesson.here
    tags = _tags(lesson)
    counts = {tag.id: tag.images for tag in tags}
    regular = {tag.id for tag in tags if tag.type != "Negative"}
    ids = tuple(counts) if len(counts) <= MOST_TAGS else ()
    images = here.vision.images.page(here.at, here.project, skip=0, take=1, tags=ids, order="Newest")
    for one in among:
        way = (one.type, one.budget if one.type == "Advanced" else 0, one.domain)
        if way != (wanted.type, wanted.budget, lesson.project.domain):
            continue
        if any(image.created is None or one.created is None or image.created > one.created for image in images):
            continue
        then = {tag.id: tag.images for tag in here.vision.tags.list(here.at, here.project, one.id)}
        if any(then.get(id) != number for id, number in counts.items()):
            continue
        measured = here.vision.iterations.performance(here.at, here.project, one.id).tags
        if {tag.id for tag in measured} - (counts.keys() - regular) == regular:
            yield one


def _tags(lesson: Lesson) -> list[Tag]:
    """List the tags that are asked for, with how many images they have now: those that are named, else all of any."""
    there = lesson.here.vision.tags.list(lesson.here.at, lesson.here.project)
    return [tag for tag in there if (tag.name in lesson.options.tags if lesson.options.tags else tag.images)]
