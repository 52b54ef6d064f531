"""What is told of an upload: at its end, and where it is stopped before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
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


def summary(images: Sequence[Labelled], new: int, outcome: Outcome, relabelled: int) -> str:
    """Say what came of an upload; `new` of the images were to be sent."""
    from cli.tables import count
    from cli.vision.labelled import tags_of

    parts = [f"{outcome.taken:,} uploaded"] if outcome.taken or not images else []
    parts += [f"{outcome.duplicates:,} of them there before"] if outcome.duplicates else []
    parts += [f"{outcome.unsure:,} of them with a label that is not known"] if outcome.unsure else []
    parts += [f"{relabelled:,} of them labelled anew"] if relabelled else []
    parts += [f"{len(images) - new:,} uploaded before"] if len(images) > new else []
    parts += [f"{len(outcome.bad):,} not taken"] if outcome.bad else []
    return f"{count(len(images), 'image')} with {count(len(tags_of(images)), 'tag')}: {', '.join(parts)}"
