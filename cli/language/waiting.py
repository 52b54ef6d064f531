"""What commands wait for: exports of a project, and what is said where somebody stops waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.language.project import Here, Side
    from cli.line import Line
    from shared.errors import PermanentError, ReactorError

SHOWN_WITHIN = 60.0
"""Seconds that a job which was begun just now may not be shown."""
WITHIN = 1800.0
A_KEY = "or give the resource a `key` in the rules file"
HERE = {
    "overwrite_edits: true": "--overwrite-edits",
    "restore.language with edits: true": "`reactor language restore --edits`",
    "force: true": "--force",
    "from_host: ": "--from ",
    'staging: ""': "--no-staging",
    "replay the event": "give the command again",
    "then replay": "then give the command again",
    "replay to train": "give the command again to train",
    "by replaying": "by giving the command again",
}
"""What a step calls its parameters in a rules file, and what they are called here."""


def exported(here: Here, side: Side, line: Line, *, model: str = "", within: float = WITHIN) -> bytes:
    """Export a project as it is worked on, or as it was when a model was trained; PermanentError where that fails."""
    from cli.steps import wait_until
    from shared.errors import PermanentError

    at, projects = here.at(side), here.language.projects
    what = f"the export of {f'model {model}' if model else 'the project'} from the {side}"
    began, started = time.monotonic(), ""

    def look() -> str | None:
        nonlocal started
        started = started or projects.export(at, here.project, model=model)
        job = here.language.jobs.read(at, started)
        passed = time.monotonic() - began
        if job is not None and job.is_over:
            if not job.is_good:
                raise PermanentError(
                    f"{what}, {at.host}, ended as {job.status}: {job.why}", remedy="give the command again"
                )
            return None
        if passed > (within if job else min(within, SHOWN_WITHIN)):
            raise PermanentError(f"{what}, {at.host}, is not over after {passed:.0f} s", remedy="try it again later")
        return f"{what}: {job.status if job else 'begun'}"

    wait_until(here, line, "wait", look)
    return projects.exported(at, started)


@contextmanager
def stoppable(goes_on: Callable[[], str]) -> Iterator[None]:
    """Say what goes on where Ctrl-C stops the command, which goes on up, or where nothing answers any more.

    What a step says of its parameters is said as this command calls them; where nobody is signed in, a key helps, too.
    """
    from cli.steps import interruptible
    from shared.errors import PermanentError, TemporaryError

    with interruptible(goes_on):
        try:
            yield
        except PermanentError as problem:
            raise said_here(problem) from None
        except TemporaryError as problem:
            raise (TemporaryError(told_of(problem)) if _is_nobody(problem) else problem) from None


def told_of(problem: ReactorError, *, key: str = A_KEY) -> str:
    """Say what the problem is, and what helps; where nobody is signed in, that is also a key."""
    remedy = key if _is_nobody(problem) else getattr(problem, "remedy", "")
    return "; ".join(text for text in (problem.reason, remedy) if text)


def _is_nobody(problem: ReactorError) -> bool:
    from shared.clients.identity import OPERATOR

    return OPERATOR in problem.reason


def said_here(problem: PermanentError) -> PermanentError:
    """Say a step's problem with the words of the command line."""
    from shared.errors import PermanentError

    reason, remedy = problem.reason, problem.remedy
    for there, said in HERE.items():
        reason, remedy = reason.replace(there, said), remedy.replace(there, said)
    return PermanentError(reason, remedy=remedy, code=problem.code)
