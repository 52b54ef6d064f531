"""Is it still drifting? What an event told is old by the time it is answered, so the monitor's run is read again.

Model Monitor has no event of its own: a breach is a tag on a run that has failed.
https://learn.microsoft.com/azure/machine-learning/how-to-monitor-model-performance
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.actions import Status
from shared.errors import PermanentError, TemporaryError
from shared.events import Event
from shared.handlers import declared
from shared.parse.machine_learning import BREACH_TAG
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import End, Job

if TYPE_CHECKING:
    from shared.clients.machine_learning.jobs import Job as Run

PATIENCE = timedelta(minutes=10)
"""How long a monitor's run that cannot be read keeps the answer to its drift waiting."""
OVER = "Completed"
"""The status of a monitor's run that found no breach, or none any more."""


def recheck(job: Job) -> End | str:
    """Read the monitor's run again: the end of an action whose drift is over, else a note, "" where all is well.

    A monitor's run that cannot be read holds nothing up for longer than `PATIENCE`; until then TemporaryError.
    Anything but a drift needs no look.
    """
    event = job.event()
    if "DriftDetected" not in event.kinds:
        return ""
    try:
        return _judge(event, _runs(event, job))
    except PermanentError as problem:
        return _unread(problem.reason)
    except TemporaryError as problem:
        if job.now < job.began + PATIENCE:
            raise
        return _unread(problem.reason)


def _judge(event: Event, found: "list[Run]") -> End | str:
    drift = event.facts["drift"]
    what = tidy(str(drift["signal"] or "the drift"))
    if drift["generation"] == 1:
        return "" if found else _unread("it is not there")
    if not found:
        return End(Status.SKIPPED, f"{what}: the monitor's run {tidy(_names(event)[0])} is not there any more")
    if _is_breached(found[-1]):
        return ""
    return End(Status.SKIPPED, f"{what} has recovered: the monitor's run {found[0].name} is {_shown(found[0])}")


def _runs(event: Event, job: Job) -> "list[Run]":
    """Read the monitor's run, and where that tells of no breach the step of it that the event is about."""
    workspace, found = declared.workspace(job, event.source), []
    for name in _names(event):
        run = job.clients.machine_learning.jobs.read(workspace, name)
        if run is not None:
            found.append(run)
            if _is_breached(run):
                break
    return found


def _names(event: Event) -> list[str]:
    """Name the runs that may carry the tag, the root first."""
    run = event.facts["run"]
    return list(dict.fromkeys(name for name in (run["root_id"], run["id"]) if name))


def _is_breached(run: "Run") -> bool:
    """Tell whether the run says that a threshold was breached; a blank tag was taken back."""
    tagged = any(name.lower() == BREACH_TAG and (text or "").strip() for name, text in run.tags.items())
    return tagged and run.status != OVER


def _shown(run: "Run") -> str:
    return run.status if run.status == OVER else f"{run.status}, without a breach"


def _unread(why: str) -> str:
    return f"the monitor's run could not be read again, so the drift is taken for real: {why}"


READS = (
    Permission(
        "workspace",
        ("Microsoft.MachineLearningServices/workspaces/jobs/read",),
        "to read a monitor's run again before its drift is answered",
        optional=True,
    ),
)
"""What `recheck` needs, where it is to know."""
