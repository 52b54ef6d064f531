"""Where a project notifies and exports to: what may be given, how the service is told of it, and tested once more."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.errors import RefusedError, UsageError
from cli.http import LOOPBACK
from cli.vision.project import Here

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from shared.clients.vision import Project
    from shared.errors import DeniedError, PermanentError
    from shared.storage.places import Places

CONTAINER = "exports"
"""The container of the app's account that exports go to where none is declared."""
TRIES, BETWEEN = 6, 2.0
"""How often, and seconds apart, a project is told of its own queue again."""


def add_places(parser: ArgumentParser) -> None:
    """Let a command say where a project notifies and exports to."""
    queue, container = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    queue.add_argument(
        "--queue", metavar="URL", help="where it notifies; default: the queue vision-notifications of the app's account"
    )
    queue.add_argument("--no-queue", action="store_true", help="leave its queue alone")
    container.add_argument(
        "--container",
        metavar="URL",
        help=f"where it exports to; default: the declared one, else {CONTAINER} of the app's account",
    )
    container.add_argument("--no-container", action="store_true", help="leave its container alone")


def wanted_places(options: Namespace, places: Places, declared: str = "") -> dict[str, str]:
    """Give the URLs of the queue and the container that are wanted; RefusedError for those that lead nowhere."""
    wanted = {}
    if not options.no_queue:
        wanted["queue"] = _queue(_plain("--queue", options.queue or ""), places)
    if not options.no_container:
        given = _plain("--container", options.container or "")
        wanted["container"] = _container(given or declared or places.container_url(CONTAINER), places)
    return wanted


def _plain(option: str, url: str) -> str:
    """Refuse what is no URL of a queue or a container alone: the service wants no SAS, and no folder."""
    parts = urlsplit(url)
    if parts.query:
        raise UsageError(f"{option}: give the URL without a SAS: the service writes there as itself, by a role")
    emulated = parts.hostname in LOOPBACK
    if url and (not parts.hostname or len(parts.path.strip("/").split("/")) != 1 + emulated):
        kind = option.removeprefix("--")
        raise UsageError(f"{option}: give it as https://<account>.<service>.core.windows.net/<{kind}>")
    return url


def _queue(given: str, places: Places) -> str:
    """Give the app's queue, or the one that was given where the app would hear it."""
    from cli.vision.missing import account_name
    from shared.storage import VISION_QUEUE

    url = (given or places.queue_url(VISION_QUEUE)).rstrip("/")
    own = places.own_queue(url)
    if own == "":
        app = account_name(places.queue_url(VISION_QUEUE))
        raise RefusedError(
            f"--queue: it is of the account {account_name(url)}, and the app listens in {app} alone: "
            "it would never hear of anything; leave --queue out"
        )
    if own is not None and own != VISION_QUEUE:
        raise RefusedError(f"--queue: the app listens to {VISION_QUEUE} alone, and not to {own}; leave --queue out")
    return url


def _container(url: str, places: Places) -> str:
    """Refuse the containers that the app keeps things of its own in."""
    if name := places.own_store(url):
        raise RefusedError(f"--container: {name} is the app's own; take another one, such as {CONTAINER}")
    return url.rstrip("/")


def make(places: Places, wanted: Mapping[str, str]) -> list[str]:
    """Make the queue and the container where they are missing; gives those that were."""
    from cli.vision.missing import may_not_make
    from shared.errors import DeniedError

    make_it = {"queue": places.make_queue, "container": places.make_container}
    made = []
    for what, url in wanted.items():
        try:
            made += [what] if make_it[what](url) else []
        except DeniedError as problem:
            raise may_not_make(what, url, problem) from None
    return made


def there(here: Here) -> Project:
    """Read the project; RefusedError where the resource has none of that id."""
    project = here.vision.projects.read(here.at, here.project)
    if project is None:
        known = ", ".join(f"{one.name} ({one.id})" for one in here.vision.projects.list(here.at)) or "none"
        raise RefusedError(
            f"project {here.project} is not in the training resource at {here.core.training.endpoint}, which has: "
            f"{known}; if it is of another resource, give that one's endpoint and key"
        )
    return project


def same(one: str, other: str) -> bool:
    """Tell whether two URLs are the same place."""
    return one.rstrip("/").lower() == other.rstrip("/").lower()


# -- telling the service ----------------------------------------------------------------------------------------------


def set_places(here: Here, changes: Mapping[str, str]) -> None:
    """Set both at once; where that is refused, each by itself: one works, and the other one is what is missing."""
    from cli.vision.missing import refused

    problem, missing = _set(here, changes), changes
    if problem is not None and len(changes) > 1:
        troubles = {what: _set(here, {what: url}) for what, url in changes.items()}
        missing = {what: changes[what] for what, trouble in troubles.items() if trouble is not None}
        problem = next((trouble for trouble in troubles.values() if trouble is not None), None)
    if problem is None:
        return
    done = [what for what in changes if what not in missing]
    told = f"the {' and the '.join(missing)} {'is' if len(missing) == 1 else 'are'} not connected"
    raise refused(here.core.training.endpoint, problem, missing, told + (f", the {done[0]} is" if done else ""))


def _set(here: Here, changes: Mapping[str, str]) -> PermanentError | DeniedError | None:
    """Set them; the service's refusal where it refuses."""
    from shared.errors import DeniedError, PermanentError

    try:
        here.vision.projects.connect(here.at, here.project, **changes)
    except (PermanentError, DeniedError) as problem:
        return problem
    return None


def aside_of(queue: str, project: str) -> str:
    """Name the queue that a project is told of for a moment: its own alone, since it is deleted when that is over.

    >>> aside_of("https://acct.queue.core.windows.net/notes", "7d0c2f6e-5b1a-4e0f-8f53-2a86c19b4d01")
    'https://acct.queue.core.windows.net/notes-aside-7d0c2f6e5b1a4e0f8f532a86c19b4d01'
    """
    return f"{queue}-aside-{project.replace('-', '')}"


def tell_again(here: Here, places: Places, queue: str, aside: str) -> None:
    """Tell the project of another queue and of its own again, which has the service test its own anew."""
    from shared.errors import TemporaryError

    places.make_queue(aside)
    set_places(here, {"queue": aside})
    try:
        for left in reversed(range(TRIES)):
            try:
                set_places(here, {"queue": queue})
                break
            except TemporaryError:
                if not left:
                    raise
                time.sleep(BETWEEN)
    except BaseException:
        print(f"reactor: the project notifies {aside} now: give this command again, nothing is lost", file=sys.stderr)
        raise


def bring_over(here: Here, places: Places, aside: str, queue: str) -> None:
    """Move what came to the other queue, its tests apart, and delete it, unless the project still notifies it."""
    from shared import parse
    from shared.errors import MalformedError

    def is_news(text: str) -> bool:
        try:
            return "ConnectionTested" not in parse.PARSERS["vision_notification"](text).kinds
        except MalformedError:
            return True

    project = here.vision.projects.read(here.at, here.project)
    if project is not None and not same(project.queue, aside) and not places.move(aside, queue, is_news):
        print(f"reactor: messages are left in {aside}: the same command brings them over", file=sys.stderr)


def read_time(option: str, text: str) -> float:
    """Read how long something may take, in seconds."""
    from shared.policy import read_duration

    try:
        return read_duration(text).total_seconds()
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None
