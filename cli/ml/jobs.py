"""`reactor ml job show|follow|cancel`: jobs, and why they failed."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.ml.workspace import Here, add_workspace, find

if TYPE_CHECKING:
    from shared.clients.machine_learning.jobs import Job


def add_commands(groups: Any) -> None:
    """Add `reactor ml job …` to the parser."""
    job = groups.add_parser("job", help="jobs: how they are doing, and why they failed")
    commands = job.add_commands("VERB")
    for name, run, says in (
        ("show", show, "tell of a job"),
        ("follow", follow, "wait for a job to end; ends with 1 where it did not complete"),
        ("cancel", cancel, "cancel a job, and wait until it has ended"),
    ):
        one = commands.add_parser(name, help=says)
        one.add_argument("name", metavar="NAME", help="its name, as the studio and the records have it")
        if run is not cancel:
            one.add_argument("--json", action="store_true", help="for programs")
        add_workspace(one)
        one.set_defaults(run=reported(run))


def show(options: Namespace) -> int:
    """Print a job."""
    here = find(options)
    _tell(read(here, options.name), here, is_json=options.json)
    return 0


def follow(options: Namespace) -> int:
    """Wait for a job to end, and print it; 1 where it did not complete."""
    from cli.steps import interruptible

    here = find(options)
    with interruptible(f"the job goes on: `reactor ml job follow {options.name}`"):
        job = _ended(here, options)
    _tell(job, here, is_json=options.json)
    return 0 if job.status == "Completed" else 1


def cancel(options: Namespace) -> int:
    """Cancel a job, and wait until it has ended; one that has is left alone."""
    from cli.steps import interruptible
    from shared.clients.machine_learning.jobs import ENDED

    here = find(options)
    job = read(here, options.name)
    if job.status in ENDED:
        print(f"job {job.name} is {job.status} already")
        return 0
    here.ml.jobs.cancel(here.workspace, options.name)
    with interruptible("the service goes on canceling it"):
        job = _ended(here, options)
    print(f"job {job.name} is {job.status}")
    return 0


def read(here: Here, name: str) -> Job:
    """Read a job; RefusedError where there is none."""
    from cli.ml.telling import there

    return there(here.ml.jobs.read(here.workspace, name), f"job {name}", here)


def _ended(here: Here, options: Namespace) -> Job:
    from cli.steps import line_of, wait_until
    from shared.clients.machine_learning.jobs import ENDED

    seen: list[Job] = []

    def look() -> str | None:
        job = read(here, options.name)
        seen.append(job)
        return None if job.status in ENDED else f"{job.name} is {job.status}"

    wait_until(here, line_of(options), "job", look)
    return seen[-1]


def _tell(job: Job, here: Here, *, is_json: bool) -> None:
    from dataclasses import asdict

    from cli.documents import print_json
    from cli.ml.telling import state
    from cli.tables import clean, painter

    why = _why(job, here) if job.status in {"Failed", "NotResponding"} else ""
    if is_json:
        print_json(asdict(job) | {"error": why})
        return
    shown = state(job.status)
    print(f"{job.name}: {painter()(shown.colour, shown.text)}")
    lines = {
        "why": why,
        "type": job.type,
        "experiment": job.experiment,
        "display name": job.display_name if job.display_name != job.name else "",
        "made": f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC" if job.created_at else "",
        "by": job.created_by,
        **{f"output {name}": uri or "(where the service chose)" for name, uri in job.outputs.items()},
        **{f"tag {name}": value or "" for name, value in job.tags.items()},
        "studio": job.studio,
    }
    for name, value in lines.items():
        if value:
            print(f"  {clean(name)}  {clean(value)}")


def _why(job: Job, here: Here) -> str:
    """Say which step failed and why; that the run history cannot be read is no reason to say nothing else."""
    from shared.errors import ReactorError

    runs = here.ml.runs
    try:
        if child := runs.failed_child(here.workspace, job.name):
            return ": ".join(part for part in child if part)
        error = runs.error(here.workspace, job.name)
    except ReactorError as problem:
        return f"unknown: {problem.reason}"
    return ": ".join(part for part in (error.code, error.message) if part) if error else ""
