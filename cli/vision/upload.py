"""Uploads images to Custom Vision: some batches at the same time, each of bounded bytes, and what fails is tried again.

Memory is bounded by how many batches are under way, not by how many images there are: a batch is read when it is sent.
https://learn.microsoft.com/rest/api/customvision/training/images/create-images-from-files
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from cli.vision.images import MIB
from cli.vision.labelled import Bad, Labelled
from cli.vision.there import Other
from cli.vision.verdicts import AGAIN, CHANGED, DUPLICATE, FULL, TAKEN, TRANSIENT, UNTOLD, of_status

if TYPE_CHECKING:
    from cli.vision.journal import Journal
    from cli.vision.there import There
    from shared.clients.vision import NewImage, Uploaded
    from shared.errors import ReactorError

MOST_IMAGES, MOST_TAGS = 64, 20
"""What one request may hold."""
ROOM = 16 * MIB
"""Bytes of one request: the service gives up on some that are larger than 55 MB."""
OVERHEAD, OF_A_REGION = 200, 160
"""Bytes of JSON around an image's content, and of one region."""
AT_ONCE = 4
MOST_TRIES = 4
"""Of an image that the service could not take, and of a batch that was not answered before it is halved no further."""
MOST_THROTTLED = 60
"""Times in a row that the service may ask to be left alone."""
MOST_IN_VAIN, MOST_REFUSED = 20, 8
"""Batches in a row that fail as a whole before it is given up: the service is away, or a key was rotated."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 600.0
"""Seconds before an image is tried again, twice as long each time; and how long a pause the service may ask for."""

Send = Callable[[Sequence["NewImage"]], Sequence["Uploaded"]]


class Part(NamedTuple):
    """Some images that go out in one request."""

    images: tuple[Labelled, ...]
    tries: int = 0
    due: float = 0.0
    """By the monotonic clock."""


@dataclass
class Outcome:
    """What came of an upload."""

    taken: int = 0
    duplicates: int = 0
    """Of these, what the project had already."""
    unsure: int = 0
    """Of these, what the project had already with a label that nobody knows."""
    others: dict[Labelled, Other] = field(default_factory=dict)
    """What the project had already with another label: not taken."""
    bad: list[Bad] = field(default_factory=list)
    is_full: bool = False


def batches(images: Iterable[Labelled], room: int = ROOM) -> Iterator[tuple[Labelled, ...]]:
    """Put images together, in their order, as many as one request may hold.

    Answers are told apart by their names, and two files may have the same one where systems write it in other codes.
    """
    some: dict[str, Labelled] = {}
    size, tags = 0, frozenset[str]()
    for image in images:
        more, is_full = weight(image), len(some) == MOST_IMAGES or image.name in some
        if some and (is_full or size + more > room or len(tags | image.all_tags) > MOST_TAGS):
            yield tuple(some.values())
            some, size, tags = {}, 0, frozenset()
        some[image.name] = image
        size, tags = size + more, tags | image.all_tags
    if some:
        yield tuple(some.values())


def weight(image: Labelled) -> int:
    """Say how many bytes of a request an image takes, in base64."""
    return (image.size + 2) // 3 * 4 + OVERHEAD + len(image.name) + OF_A_REGION * len(image.boxes)


class Upload:
    """One upload of a folder's images to a project."""

    def __init__(
        self,
        send: Send,
        tags: Mapping[str, str],
        journal: Journal,
        show: Callable[[int], None],
        at_once: int = AT_ONCE,
        *,
        there: There | None = None,
    ) -> None:
        self._send = send
        self._tags = tags
        """Name to id."""
        self._journal = journal
        self._show = show
        self._at_once = at_once
        self._there = there
        """Says how duplicates are labelled; without it, none is noted as what the folder says of it."""
        self.outcome = Outcome()
        self._again: list[Part] = []
        self._running: dict[Future[Sequence[Uploaded]], Part] = {}
        self._quiet_until = 0.0
        """By the monotonic clock: nothing is sent before."""
        self._throttled = self._in_vain = 0

    def run(self, images: Iterable[Labelled]) -> Outcome:
        """Send images until each is taken or given up; what was taken is kept in the journal, however this ends."""
        fresh = (Part(some) for some in batches(images))
        with ThreadPoolExecutor(self._at_once, "upload") as pool:
            try:
                while self._fill(pool, fresh):
                    for done in wait(self._running, self._until_due(), FIRST_COMPLETED).done:
                        self._settle(self._running.pop(done), done)
                        self._show(self.outcome.taken + len(self.outcome.bad))
            except BaseException:
                self._keep_what_is_under_way()
                raise
        return self.outcome

    # -- sending ------------------------------------------------------------------------------------------------------

    def _fill(self, pool: ThreadPoolExecutor, fresh: Iterator[Part]) -> bool:
        """Have as many batches under way as there may be; tell whether there is anything left."""
        while len(self._running) < self._at_once and not self.outcome.is_full:
            rest = self._quiet_until - time.monotonic()
            if rest > 0 and self._running:
                return True  # what comes back meanwhile is looked at first
            time.sleep(max(rest, 0.0))
            part = self._due() or next(fresh, None)
            if part is not None:
                self._running[pool.submit(self._ask, part)] = part
            elif self._again and not self._running:
                time.sleep(self._until_due() or 0.0)
            else:
                break
        return bool(self._running)

    def _due(self) -> Part | None:
        """Take what is to be tried again and is due, the newest first: halves soon show whether they are small."""
        now = time.monotonic()
        part = next((one for one in reversed(self._again) if one.due <= now), None)
        if part is not None:
            self._again.remove(part)
        return part

    def _until_due(self) -> float | None:
        """Give the seconds until something is to be tried again; None where nothing is."""
        return max(min(part.due for part in self._again) - time.monotonic(), 0.01) if self._again else None

    def _ask(self, part: Part) -> Sequence[Uploaded]:
        """Read a batch and send it; on a thread of the pool."""
        from shared.clients.vision import Uploaded

        made = [self._read(image) for image in part.images]
        sent = [one for one in made if one is not None]
        answers = iter(self._send(sent) if sent else ())
        return [
            Uploaded(image.name, CHANGED, "") if one is None else next(answers, Uploaded(image.name, UNTOLD, ""))
            for image, one in zip(part.images, made, strict=True)
        ]

    def _read(self, image: Labelled) -> NewImage | None:
        """Read a file; None where it is not what was looked at any more."""
        from shared.clients.vision import NewImage, Region

        try:
            if image.path.stat().st_mtime_ns != image.changed:
                return None
            content = image.path.read_bytes()
        except OSError:
            return None
        regions = tuple(Region(self._tags[tag], tag, *place) for tag, *place in image.boxes)
        return NewImage(image.name, content, tuple(self._tags[tag] for tag in image.tags), regions)

    # -- what came of it ----------------------------------------------------------------------------------------------

    def _settle(self, part: Part, done: Future[Sequence[Uploaded]]) -> None:
        """Keep what was taken, and decide of the rest what is tried again."""
        from shared.errors import DeniedError, PermanentError, TemporaryError

        try:
            answered = done.result()
        except DeniedError:
            raise
        except TemporaryError as trouble:
            if trouble.after is None:
                return self._halve(part, trouble, may_help=True)
            return self._rest(part, trouble.after, trouble)
        except PermanentError as problem:
            return self._halve(part, problem, may_help=False)
        self._throttled = self._in_vain = 0
        return self._judge(part, answered)

    def _rest(self, part: Part, seconds: float, trouble: Exception) -> None:
        """Leave the service alone for as long as it asks; that is no failure of the batch."""
        self._throttled += 1
        if self._throttled > MOST_THROTTLED or seconds > LONGEST_PAUSE:
            raise trouble
        self._quiet_until = max(self._quiet_until, time.monotonic() + seconds)
        self._again.append(part)

    def _halve(self, part: Part, trouble: ReactorError, *, may_help: bool) -> None:
        """Send a batch that failed as a whole in two halves: it was too much, or one of its images spoils it."""
        self._in_vain += 1
        if self._in_vain > (MOST_IN_VAIN if may_help else MOST_REFUSED):
            raise trouble
        middle = len(part.images) // 2
        if middle:
            self._again += [Part(part.images[:middle], part.tries), Part(part.images[middle:], part.tries)]
        elif may_help and part.tries + 1 < MOST_TRIES:
            self._later(part.images, part.tries)
        else:
            self.outcome.bad.append(Bad(part.images[0].name, trouble.reason, getattr(trouble, "remedy", "") or AGAIN))

    def _later(self, images: Sequence[Labelled], tries: int) -> None:
        self._again.append(Part(tuple(images), tries + 1, time.monotonic() + FIRST_PAUSE * 2**tries))

    def _judge(self, part: Part, answered: Sequence[Uploaded]) -> None:
        """Go by what the service says of each image."""
        taken: dict[Labelled, str] = {}
        later: list[Labelled] = []
        found = {one.id for one in answered if one.status == DUPLICATE and one.id}
        labels = self._there.labels(found) if self._there and found else {}
        for image, one in zip(part.images, answered, strict=True):
            is_there, label = one.status == DUPLICATE, labels.get(one.id)
            if one.status == TAKEN or (is_there and label is not None and label.is_that_of(image)):
                taken[image] = one.id
                self.outcome.duplicates += is_there
            elif is_there and label is not None:
                self.outcome.others[image] = Other(one.id, label)
            elif is_there and not (one.id and self._there):
                self.outcome.unsure += 1
                self.outcome.duplicates += 1
                self.outcome.taken += 1
            elif (is_there or one.status in TRANSIENT) and part.tries + 1 < MOST_TRIES:
                later.append(image)
            else:
                self.outcome.is_full |= one.status == FULL
                self.outcome.bad.append(Bad(image.name, *of_status(one.status)))
        self._journal.keep(taken)
        self.outcome.taken += len(taken)
        if later:
            self._later(later, part.tries)

    def _keep_what_is_under_way(self) -> None:
        """Let the batches end that are sent already, and keep what is taken of them."""
        for done in self._running:
            done.cancel()
        for done in wait(self._running).done:
            if not done.cancelled() and done.exception() is None:
                part = self._running[done]
                answers = zip(part.images, done.result(), strict=True)
                self._journal.keep({image: one.id for image, one in answers if one.status == TAKEN})


def patiently[T](ask: Callable[[], T]) -> T:
    """Ask the service, again where it asks for patience or does not answer; the last error is raised."""
    from shared.errors import DeniedError, TemporaryError

    for tries in range(MOST_TRIES):
        try:
            return ask()
        except DeniedError:
            raise
        except TemporaryError as trouble:
            pause = trouble.after if trouble.after is not None else FIRST_PAUSE * 2**tries
            if tries + 1 == MOST_TRIES or pause > LONGEST_PAUSE:
                raise
            time.sleep(pause)
    raise AssertionError
