"""What one Language resource holds, and what everything it does needs: projects, jobs, settings, the clock."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dev.simulators.language.classifier import Classifier
from dev.simulators.language.jobs import Job, Outcome
from dev.simulators.language.refusals import refuse, whole
from dev.simulators.language.settings import CONFIG_VERSION, SETTINGS
from dev.simulators.wire import Answer, Request, instant, now

AUTHORING = "/language/authoring/analyze-conversations"
RUNTIME = "/language/:analyze-conversations"
Copied = tuple[dict[str, Any], dict[str, Any]]
"""Metadata and assets."""


@dataclass
class Model:
    """A trained model."""

    label: str
    id: str
    classifier: Classifier
    trained: datetime
    expires: str
    """A day."""
    config_version: str = CONFIG_VERSION
    seconds: int = 1
    snapshot: Copied | None = None
    evaluation: dict[str, Any] | None = None
    """The summary; None where it was not measured."""
    results: list[dict[str, Any]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """Give it as its GET does."""
        return {
            "label": self.label,
            "modelId": self.id,
            "lastTrainedDateTime": instant(self.trained),
            "lastTrainingDurationInSeconds": self.seconds,
            "modelExpirationDate": self.expires,
            "modelTrainingConfigVersion": self.config_version,
            "hasSnapshot": self.snapshot is not None,
        }


@dataclass
class Deployment:
    """A deployment: it serves the model that it was given, whatever becomes of the label."""

    name: str
    model: Model
    deployed: datetime
    expires: str
    resources: tuple[str, ...] = ()

    def shown(self, version: str) -> dict[str, Any]:
        """Give it as its GET does in a version."""
        return {
            "deploymentName": self.name,
            "modelId": self.model.id,
            "lastTrainedDateTime": instant(self.model.trained),
            "lastDeployedDateTime": instant(self.deployed),
            "deploymentExpirationDate": self.expires,
            "modelTrainingConfigVersion": self.model.config_version,
            **({} if version == "2023-04-01" else {"assignedResources": [*map(assigned, self.resources)]}),
        }


def assigned(id: str) -> dict[str, Any]:
    """Give a resource that a deployment is assigned to."""
    return {"azureResourceId": id, "region": "westeurope"}


@dataclass
class Project:
    """One project: the working copy, and what was made of it."""

    metadata: dict[str, Any]
    """As in an export."""
    assets: dict[str, Any]
    """As in an export, with offsets in code points."""
    created: datetime
    modified: datetime
    trained: datetime | None = None
    deployed: datetime | None = None
    models: dict[str, Model] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name, as it was written when it was made."""
        return str(self.metadata["projectName"])

    @property
    def threshold(self) -> float:
        """How likely an intent must be to be taken."""
        return float((self.metadata.get("settings") or {}).get("confidenceThreshold", 0.0))

    def shown(self) -> dict[str, Any]:
        """Give its details."""
        later = {"lastTrainedDateTime": self.trained, "lastDeployedDateTime": self.deployed}
        return {
            "createdDateTime": instant(self.created),
            "lastModifiedDateTime": instant(self.modified),
            **{name: instant(at) for name, at in later.items() if at},
            **copy.deepcopy(self.metadata),
        }

    def copied(self) -> Copied:
        """Give a copy of metadata and assets that does not change any more."""
        return copy.deepcopy(self.metadata), copy.deepcopy(self.assets)

    def model(self, label: str) -> Model:
        """Give a model by its label, or refuse."""
        if label not in self.models:
            raise refuse(
                404, "NotFound", f"The trained model '{label}' could not be found.", target="trainedModelLabel"
            )
        return self.models[label]

    def deployment(self, name: str) -> Deployment:
        """Give a deployment, or refuse."""
        if name not in self.deployments:
            raise refuse(404, "NotFound", f"The deployment '{name}' could not be found.", target="deploymentName")
        return self.deployments[name]


class Resource:
    """One Language resource."""

    def __init__(self) -> None:
        self.settings = copy.deepcopy(dict(SETTINGS))
        self.projects: dict[str, Project] = {}
        self.jobs: dict[str, Job] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.settings.update(copy.deepcopy(dict(SETTINGS)))
        self.projects.clear()
        self.jobs.clear()

    def clock(self) -> datetime:
        """Read this resource's clock."""
        return now() + timedelta(seconds=float(self.settings["clock_seconds"]))

    def day_in(self, days: float) -> str:
        """Give the day that is so many days from now."""
        return (self.clock() + timedelta(days=days)).astimezone(UTC).date().isoformat()

    def is_past(self, day: str) -> bool:
        """Whether a day is over."""
        return day < self.clock().date().isoformat()

    def settle(self) -> None:
        """Finish the jobs whose time has come, in the order in which they end."""
        at = self.clock()
        for job in sorted(self.jobs.values(), key=lambda job: job.ends):
            if not job.is_over and job.ends <= at:
                job.finish()

    def start(
        self,
        kind: str,
        project: str,
        path: str,
        act: Callable[[datetime], None],
        *,
        target: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> Job:
        """Begin a job; what it does is done when it succeeds."""
        outcome = Outcome.taken(self.settings["outcomes"], kind)
        usual = self.settings["train_seconds" if kind == "train" else "job_seconds"]
        job = Job(
            kind=kind,
            project=project,
            path=path,
            created=self.clock(),
            seconds=float(usual if outcome.seconds is None else outcome.seconds),
            days=float(self.settings["job_days"]),
            outcome=outcome,
            act=act,
            target=target,
            details=details or {},
        )
        self.jobs[job.id] = job
        return job

    def accepted(self, request: Request, job: Job) -> Answer:
        """Give the 202 that tells where a job is."""
        version = request.query["api-version"]
        where = f"{request.base}{AUTHORING}{job.path}?api-version={version}"
        return Answer(202, None, {"operation-location": where, **self.later()})

    def later(self) -> dict[str, str]:
        """Give the header that says when to come back, where this resource has one."""
        after = self.settings["retry_after"]
        return {} if after is None else {"Retry-After": f"{after:g}"}

    def job(self, request: Request) -> Job:
        """Give the job that a path names, or refuse where there is none, or none yet, or no more."""
        found, at = self.jobs.get(request.parts["job"]), self.clock()
        hidden = timedelta(seconds=float(self.settings["job_hidden_seconds"]))
        path = request.path[len(AUTHORING) :].rstrip("/")
        if found is None or not path.startswith(found.path) or found.is_gone(at) or at < found.created + hidden:
            message = f"The operation '{request.parts['job']}' could not be found."
            raise refuse(404, "OperationNotFound", message, target="jobId")
        return found

    def looked_at(self, request: Request) -> Answer:
        """Give how a job stands that is no training."""
        job, at = self.job(request), self.clock()
        more = job.details if job.is_over and job.status in {"succeeded", "partiallyCompleted"} else {}
        version = request.query["api-version"]
        urls = {name: f"{request.base}{AUTHORING}{job.path}{end}?api-version={version}" for name, end in more.items()}
        return Answer(body={**job.shown(at), **urls}, headers={} if job.is_over else self.later())

    def running(self, kind: str, project: str, target: str | None = None) -> Job | None:
        """Give a job of a kind that is not over, of a project, and about something."""
        return next(
            (
                job
                for job in self.jobs.values()
                if not job.is_over and (job.kind, job.project) == (kind, project) and target in {None, job.target}
            ),
            None,
        )

    def project(self, request: Request) -> Project:
        """Give the project that a path names, by its exact name."""
        return self.named(request.parts["project"])

    def named(self, name: str) -> Project:
        """Give a project, or refuse."""
        if name not in self.projects:
            raise refuse(404, "ProjectNotFound", f"The project '{name}' could not be found.", target="projectName")
        return self.projects[name]

    def listing(self, request: Request, found: list[dict[str, Any]]) -> Answer:
        """Give a page of a listing, and where the next one is."""
        skip, top = whole(request, "skip", 0), whole(request, "top", len(found))
        size = max(1, min(whole(request, "maxpagesize", 10**9), int(self.settings["page_size"])))
        chosen = found[skip : skip + top]
        answer: dict[str, Any] = {"value": chosen[:size]}
        if len(chosen) > size:
            rest = {**request.query, "skip": str(skip + size), "top": str(top - size)}
            query = "&".join(f"{name}={value}" for name, value in rest.items())
            answer["nextLink"] = f"{request.base}{request.path}?{query}"
        return Answer(body=answer)
