"""`reactor vision connect`: tells a project where its notifications and exports go, and proves that they arrive.

Custom Vision tests a queue and a container when it is told of them. Where a project is connected already, it is told of
another queue for a moment and then of this one again; what comes meanwhile is brought over, so nothing is lost.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.vision.places import (
    add_places,
    aside_of,
    bring_over,
    make,
    read_time,
    same,
    set_places,
    tell_again,
    there,
    wanted_places,
)
from cli.vision.project import Here, add_project, find

if TYPE_CHECKING:
    from cli.vision.proof import Proof
    from shared.clients.vision import Project


def add_command(commands: Any) -> None:
    """Add `reactor vision connect` to the parser."""
    one = commands.add_parser("connect", help="have a project notify the app and export to a container, and prove it")
    add_project(one)
    add_places(one)
    one.add_argument(
        "--within", metavar="TIME", default="3m", help="how long the proof may take to come; default: %(default)s"
    )
    one.add_argument("--app", metavar="URL", help="the app; default: REACTOR_URL, else the local stack")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(connect))


@dataclass
class Outcome:
    """What was done, and what came of it."""

    project: str
    name: str
    queue: str
    container: str
    changed: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    proof: str = ""
    """How it is known that notifications arrive; "" where it is not."""
    encoding: str = ""
    """How a message was written, where it was seen in the queue."""
    test_blob_seen: bool = False
    notes: list[str] = field(default_factory=list)


def connect(options: Namespace) -> int:
    """Connect, prove it, and say what is missing where that does not work."""
    from cli.documents import print_json
    from cli.vision.missing import unproven
    from cli.vision.proof import Ears, Proof

    seconds = read_time("--within", options.within)
    here = find(options, is_whole=False)
    places = here.around.places
    wanted = wanted_places(options, places, here.core.container or "")
    if not wanted:
        raise UsageError("--no-queue and --no-container: nothing is left to be connected")
    project = there(here)
    if project.dr_mode:
        raise RefusedError(f"{project.name} is a read-only copy for disaster recovery: connect the first one")
    made = make(places, wanted)
    proof = Proof(here.project, Ears(here.around, options), places, wanted.get("queue", ""))
    outcome = _connect(here, project, proof, wanted, options)
    outcome.made = made
    if options.json:
        print_json(asdict(outcome))
    else:
        _tell(outcome, wanted)
    if proof.queue and not outcome.proof:
        raise unproven(here, proof, seconds)
    return 0


def _connect(here: Here, project: Project, proof: Proof, wanted: Mapping[str, str], options: Namespace) -> Outcome:
    """Set what is not so already, or have what is so tested again, and wait for the proof."""
    from cli.steps import interruptible, line_of
    from cli.vision.proof import watching

    line, seconds = line_of(options), read_time("--within", options.within)
    changes = {what: url for what, url in wanted.items() if not same(url, getattr(project, what))}
    outcome = Outcome(project.id, project.name, project.queue, project.container, [*changes])
    proof.is_changed = "queue" in changes
    aside = aside_of(proof.queue, here.project) if proof.queue else ""
    try:
        with watching(proof.places, wanted.get("container", "")) as is_seen:
            if changes:
                line.show("connect", " and ".join(changes))
                set_places(here, changes)
            with interruptible("the project is connected; the same command goes on to prove it"):
                tests_again = not changes
                if proof.is_changed and 0 < (rest := proof.rest) <= seconds:
                    line.show("connect", f"the app would not record another test for {rest:.0f} s; then it is tested")
                    time.sleep(rest)
                    tests_again = True
                if tests_again and proof.queue and proof.rest <= 0:
                    line.show("connect", "connected already; testing it again")
                    tell_again(here, proof.places, proof.queue, aside)
                found = proof.find(line, seconds) if proof.queue else None
            outcome.test_blob_seen = is_seen()
    finally:
        line.close()
        if aside:  # what the service was about to write there has come by now; an earlier run may have left some, too
            bring_over(here, proof.places, aside, proof.queue)
    if "queue" in changes and project.queue and not same(project.queue, aside):
        outcome.notes.append(f"it notified {project.queue} before")
    outcome.queue, outcome.container = wanted.get("queue", project.queue), wanted.get("container", project.container)
    if found is not None:
        outcome.proof, outcome.encoding = proof.told(found), found.encoding
        outcome.notes += proof.advice(found)
    outcome.notes += _advice(here, wanted)
    return outcome


def _advice(here: Here, wanted: Mapping[str, str]) -> Iterator[str]:
    """Say what else has to be done so that something comes of it."""
    container = wanted.get("container", "")
    if container and not same(container, here.core.container or ""):
        yield f"declare `container: {container}` with the project in the rules file, so that backups are read there"


def _tell(outcome: Outcome, wanted: Mapping[str, str]) -> None:
    print(f"{outcome.name} ({outcome.project})" + ("" if outcome.changed else ": connected already"))
    for what, url in wanted.items():
        how = [word for word, has in (("made", outcome.made), ("connected", outcome.changed)) if what in has]
        print(f"  {what:9}  {url}  ({', '.join(how) or 'as before'})")
    if "queue" in wanted:
        seen = f", written as {outcome.encoding}" if outcome.encoding else ""
        print(f"  proof      {outcome.proof or 'none'}{seen}")
    if "container" in wanted:
        print(f"  test blob  {'seen' if outcome.test_blob_seen else 'not seen: it is there for a moment only'}")
    for note in outcome.notes:
        print(f"  note       {note}")
