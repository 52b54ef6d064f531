"""What is told of an upload: at its end, and where it is stopped before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.errors import RefusedError

if TYPE_CHECKING:
    from cli.vision.labelled import Labelled
    from cli.vision.upload import Outcome

AGAIN = "the same command goes on with the rest"


@contextmanager
def stoppable(arrived: Callable[[], int], of: int) -> Iterator[None]:
    """Say how many images have arrived where Ctrl-C stops an upload, which goes on up, or nothing answers any more."""
    from shared.errors import TemporaryError

    try:
        yield
    except KeyboardInterrupt:
        print(f"\nreactor: {arrived():,} of {of:,} images have arrived; {AGAIN}", file=sys.stderr)
        raise
    except TemporaryError as trouble:
        raise RefusedError(f"{trouble.reason}; {arrived():,} of {of:,} images have arrived; {AGAIN}") from None


def besides(found: Mapping[str, str]) -> str:
    """Say of images that were uploaded before, by their ids, that their files are gone and they are not.

    >>> besides({"8d1f": "apple/01.png"}).partition(": ")[2]
    'apple/01.png (image 8d1f); delete in the portal what is to go'
    """
    from cli.tables import clean

    (id, name), more = next(iter(sorted(found.items(), key=lambda one: one[1]))), len(found) - 1
    example = f"{f'{clean(name)} (image {clean(id)})' if name else clean(id)}{f' and {more:,} more' if more else ''}"
    many = "images more that came from here and are here no more, and they are"
    are = many if more else "image more that came from here and is here no more, and it is"
    return f"the project has {len(found):,} {are} trained with: {example}; delete in the portal what is to go"


def lost(number: int) -> str:
    """Say that images were uploaded, and are gone from the project.

    >>> lost(1)
    '1 image is not in the project any more, and goes out again'
    """
    many = "images are not in the project any more, and go"
    return f"{number:,} {many if number > 1 else 'image is not in the project any more, and goes'} out again"


def summary(images: Sequence[Labelled], new: int, outcome: Outcome, relabelled: int) -> str:
    """Say what came of an upload; `new` of the images were to be sent."""
    from cli.tables import count
    from cli.vision.labelled import tags_of

    relabelled = min(relabelled, outcome.taken)
    fresh = outcome.taken - relabelled
    parts = [f"{fresh:,} uploaded"] if fresh or not images else []
    parts += [f"{outcome.duplicates:,} of them there before"] if outcome.duplicates else []
    parts += [f"{outcome.unsure:,} of them with a label that is not known"] if outcome.unsure else []
    parts += [f"{relabelled:,} labelled anew"] if relabelled else []
    parts += [f"{len(images) - new:,} uploaded before"] if len(images) > new else []
    parts += [f"{len(outcome.bad):,} not taken"] if outcome.bad else []
    return f"{count(len(images), 'image')} with {count(len(tags_of(images)), 'tag')}: {', '.join(parts)}"
