"""What becomes of a job by the clock, as planned, until somebody cancels it.

The statuses, and their order:
https://learn.microsoft.com/python/api/azure-ai-ml/azure.ai.ml.entities.job#attributes
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.tokens import OBJECT, TENANT
from dev.simulators.wire import moment, now

ENDED = ("Completed", "Failed", "Canceled", "NotResponding", "Paused")
UNTOUCHABLE = (*ENDED, "Finalizing", "CancelRequested")
"""In these a cancel is refused; Finalizing was seen to be one of them (Azure/azureml-assets, pull request 2496)."""
STEP_FAILED = {"code": "UserError", "message": "Execution failed. User process exited with status code 1."}
APP = {"createdBy": "ml-reactor", "createdByType": "Application", "userObjectId": OBJECT, "userTenantId": TENANT}
MATCHED = ("job", "component", "experiment")


@dataclass
class Life:
    """The statuses of one job or step, by seconds since it began."""

    changes: Sequence[tuple[float, str]]
    begun: datetime = field(default_factory=now)
    canceled: datetime | None = None
    canceling: float = 0.0
    """Seconds between the request to cancel it and its end."""

    @classmethod
    def planned(cls, queued: float, seconds: float, outcome: str) -> "Life":
        """Make the usual one: waiting in three statuses, then running, then what it comes to."""
        waits = ((0, "NotStarted"), (queued * 0.2, "Preparing"), (queued * 0.6, "Queued"))
        works = ((queued, "Running"), (queued + seconds * 0.9, "Finalizing"), (queued + seconds, outcome))
        return cls((*waits, *works))

    def at(self, status: str) -> datetime | None:
        """Give the instant from which it has a status, None where it never has."""
        return next((self.begun + timedelta(seconds=after) for after, one in self.changes if one == status), None)

    @property
    def status(self) -> str:
        """Its status at this moment."""
        at = now()
        if self.canceled is not None:
            return "Canceled" if at >= self.canceled + timedelta(seconds=self.canceling) else "CancelRequested"
        passed = (at - self.begun).total_seconds()
        return [status for after, status in self.changes if passed >= after][-1]

    @property
    def ended(self) -> datetime | None:
        """When it ended, None while it has not."""
        if (status := self.status) not in ENDED:
            return None
        return self.canceled + timedelta(seconds=self.canceling) if self.canceled else self.at(status)

    def cancel(self, seconds: float) -> None:
        """Begin to cancel it."""
        self.canceled, self.canceling = now(), seconds


@dataclass
class Outcome:
    """What comes of jobs that match (seed "job_outcomes")."""

    job: str = ""
    component: str = ""
    experiment: str = ""
    """Regular expressions, searched in the job's name, its component's id and its experiment, ignoring case."""
    outcome: str = "Completed"
    seconds: float | None = None
    step: str = ""
    """The step of a pipeline that fails, "" for the last one."""
    steps: Sequence[str] = ()
    """Those of a pipeline whose component does not say."""
    error: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    flavors: Mapping[str, Any] = field(default_factory=dict)
    """Of the MLflow models that it registers."""
    n: int = 1

    def __post_init__(self) -> None:
        """Refuse an outcome that is none."""
        if self.outcome not in ENDED:
            raise ValueError(f"outcome '{self.outcome}' is none of {ENDED}")
        for name in MATCHED:
            re.compile(getattr(self, name))

    def means(self, **names: str) -> bool:
        """Whether it is about a job with these names."""
        return all(re.search(getattr(self, name), names[name], re.IGNORECASE) for name in MATCHED)


@dataclass
class Step:
    """One step of a pipeline, with a run of its own."""

    name: str
    id: str
    life: Life
    error: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Job:
    """One job: its definition as it was put, and its life."""

    id: str
    properties: dict[str, Any]
    life: Life
    outcome: Outcome
    created_by: Mapping[str, str]
    steps: Sequence[Step] = ()
    settled: bool = False
    """Whether what it leaves behind has been registered."""

    @property
    def name(self) -> str:
        """Its name, which is its run's id."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def error(self) -> Mapping[str, Any]:
        """Why it failed, empty where it did not: of a pipeline only that a step did, as the service has it."""
        if self.life.status != "Failed":
            return {}
        if not (failed := [step.name for step in self.steps if step.life.status == "Failed"]):
            return self.outcome.error or STEP_FAILED
        return {
            "code": "UserError",
            "message": f"Pipeline has failed child jobs. Failed nodes: {', '.join('/' + name for name in failed)}. "
            "For more details and logs, please go to the job detail page and check the child jobs.",
            "innerError": {"code": "PipelineHasStepJobFailed"},
        }


def steps_of(job: str, names: Sequence[str], whole: Life, outcome: Outcome) -> list[Step]:
    """Divide a pipeline's running time among its steps; those after the one that fails never begin."""
    begins, ends = whole.at("Running"), whole.at("Finalizing")
    if begins is None or ends is None or not names:
        return []
    each = (ends - begins).total_seconds() / len(names)
    failing = (outcome.step if outcome.step in names else names[-1]) if outcome.outcome == "Failed" else ""
    steps = []
    for index, name in enumerate(names):
        comes_to = "Failed" if name == failing else "Completed"
        life = Life([(0, "Running"), (each, comes_to)], begins + timedelta(seconds=index * each))
        step = Step(name, str(uuid.uuid5(uuid.NAMESPACE_URL, f"{job}/{name}")), life)
        steps.append(step)
        if name == failing:
            step.error = outcome.error or STEP_FAILED
            break
    if steps:
        steps[-1].metrics = outcome.metrics
    return steps


def begun(steps: Sequence[Step]) -> list[Step]:
    """Those steps that have a run by now."""
    return [step for step in steps if step.life.begun <= now()]


def seeded(given: Mapping[str, Any]) -> Job:
    """Make a job that was there before anybody asked."""
    begun_at = moment(given["createdAt"]) if "createdAt" in given else now()
    status = given.get("status", "Running")
    since = (now() - begun_at).total_seconds()
    then = [(since + change["after"], change["status"]) for change in given.get("then", ())]
    life = Life([(0, status), *then], begun_at)
    ends = next((one for _, one in reversed(life.changes) if one in ENDED), "Completed")
    outcome = Outcome(outcome=ends, **{name: given[name] for name in ("error", "warnings", "metrics") if name in given})
    properties = {
        "jobType": given.get("jobType", "Pipeline"),
        "displayName": given.get("displayName"),
        "description": given.get("description"),
        "experimentName": given.get("experimentName", "Default"),
        "tags": given.get("tags", {}),
        "properties": given.get("properties", {}),
        "isArchived": given.get("isArchived", False),
        "inputs": given.get("inputs", {}),
        "outputs": given.get("outputs", {}),
    }
    steps = [seeded_step(given["id"], one, begun_at) for one in given.get("children", ())]
    by = {**APP, "createdBy": given.get("createdBy", "seed"), "createdByType": "User"}
    return Job(given["id"], properties, life, outcome, by, steps, settled=True)


def seeded_step(job: str, given: Mapping[str, Any], begun_at: datetime) -> Step:
    """Make a step of such a job."""
    (made,) = steps_of(job, [given["name"]], Life([(0, "Running"), (0, "Finalizing")], begun_at), Outcome())
    made.id = given.get("id", made.id).lower()
    made.life = Life([(0, given.get("status", "Completed"))], begun_at)
    made.error, made.metrics = given.get("error", {}), given.get("metrics", {})
    return made
