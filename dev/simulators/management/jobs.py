"""Machine Learning's jobs: submitted, followed, canceled, and what they register at their end.

https://learn.microsoft.com/rest/api/azureml/jobs
A job's name is the caller's. The same name with another definition is refused as the service does (InnerError
Immutable/JobPropertyImmutable). Not settled there, and decided here: the same name with the same definition is a 200,
and takes over what may be changed; tags and properties are merged, never removed, and a property keeps its value.
A step of a pipeline has no job of its own: its id is answered with empty properties, as the official client expects.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.job_bodies import CHANGEABLE, component, definition, refuse_changes
from dev.simulators.management.job_lives import APP, UNTOUCHABLE, Job, Life, Outcome, Step, begun, seeded, steps_of
from dev.simulators.management.operations import Operations
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.tokens import MACHINE_LEARNING, Tokens
from dev.simulators.wire import Answer, Request, Route, instant, listed_until, now

JOB = WORKSPACE + "/jobs/{name}"
MODELS = {"mlflow_model", "custom_model", "triton_model"}
REGION = "westeurope"


class Jobs:
    """The jobs of every workspace. Their histories are read by another service (see `find_run`)."""

    def __init__(
        self,
        resources: Resources,
        operations: Operations,
        settings: Mapping[str, float],
        tokens: Tokens,
        make_workspace: Callable[[str], None],
    ) -> None:
        self._resources = resources
        self._operations = operations
        self._settings = settings
        self._tokens = tokens
        self._make_workspace = make_workspace
        self._jobs: dict[str, Job] = {}
        self._outcomes: list[Outcome] = []

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", WORKSPACE + "/jobs", self._list),
            ("GET", JOB, self._get),
            ("PUT", JOB, self._put),
            ("DELETE", JOB, self._delete),
            ("POST", JOB + "/cancel", self._cancel),
        ]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded."""
        return {"jobs": self._seed, "job_outcomes": self._plan}

    def state(self) -> list[Resource]:
        """Every job as a GET would answer it, oldest first."""
        return [self.shown(job) for job in self._jobs.values()]

    def clear(self) -> None:
        """No job is left."""
        self._jobs.clear()
        self._outcomes.clear()

    def remove(self, arm_id: str) -> None:
        """Forget a job at once."""
        self._jobs.pop(arm_id.lower(), None)

    def find(self, arm_id: str) -> Job | None:
        """Give a job by its id."""
        return self._jobs.get(arm_id.lower().rstrip("/"))

    def find_run(self, workspace: str, run: str) -> tuple[Job, Step | None] | None:
        """Give the job whose run has an id, or the job and that step of it."""
        if job := self.find(f"{workspace}/jobs/{run}"):
            return job, None
        prefix = f"{workspace}/jobs/".lower()
        mine = (job for key, job in self._jobs.items() if key.startswith(prefix))
        return next(((job, step) for job in mine for step in begun(job.steps) if step.id == run.lower()), None)

    def begin(
        self,
        arm_id: str,
        properties: Resource,
        *,
        steps: Sequence[str] = (),
        seconds: float | None = None,
        created_by: Mapping[str, str] = APP,
    ) -> Job:
        """Start a job with these properties; `steps` are those of a pipeline where no seeded outcome names others."""
        given = {"tags": {}, "properties": {}, "isArchived": False, "experimentName": "Default", **properties}
        names = {name: str(given.get(name) or "") for name in ("componentId", "experimentName")}
        outcome = self._outcome(arm.name_of(arm_id), names["componentId"], names["experimentName"])
        running = outcome.seconds if outcome.seconds is not None else seconds
        life = Life.planned(
            self._settings["queued_seconds"],
            self._settings["job_seconds"] if running is None else running,
            outcome.outcome,
        )
        job = Job(arm_id, given, life, outcome, created_by)
        if str(given.get("jobType")).lower() == "pipeline":
            job.steps = steps_of(arm_id, outcome.steps or steps or ("train",), life, outcome)
        self._jobs[arm_id.lower()] = job
        return job

    def settle(self) -> None:
        """Register what jobs have left behind that ended since the last time; asked before every request."""
        for job in self._jobs.values():
            if job.settled or job.life.status != "Completed":
                continue
            job.settled = True
            for name, output in (job.properties.get("outputs") or {}).items():
                if output.get("assetName"):
                    self._register(job, name, output)

    def shown(self, job: Job) -> Resource:
        """Give the job on the wire."""
        outputs = {
            name: {
                "uri": f"azureml://datastores/workspaceblobstore/paths/azureml/{job.name}/{name}/",
                "mode": "ReadWriteMount",
                **{member: value for member, value in output.items() if value is not None},
            }
            for name, output in (job.properties.get("outputs") or {}).items()
        }
        workspace = arm.parent_of(job.id, "workspaces")
        studio = f"https://ml.azure.com/runs/{job.name}?wsid={workspace}"
        services = {
            "Studio": {"jobServiceType": "Studio", "endpoint": studio},
            "Tracking": {"jobServiceType": "Tracking", "endpoint": f"azureml://{REGION}.api.azureml.ms/mlflow/v1.0"},
        }
        at = instant(job.life.begun)
        return {
            "id": job.id,
            "name": job.name,
            "type": arm.type_of(job.id),
            "properties": {**job.properties, "outputs": outputs, "status": job.life.status, "services": services},
            "systemData": {
                "createdAt": at,
                "createdBy": job.created_by["createdBy"],
                "createdByType": job.created_by["createdByType"],
                "lastModifiedAt": at,
            },
        }

    def change(self, job: Job, given: Mapping[str, Any]) -> None:
        """Take over what may be changed."""
        for name in CHANGEABLE:
            if (value := given.get(name)) is not None:
                job.properties[name] = {**job.properties[name], **value} if name in ("tags", "properties") else value

    def _outcome(self, job: str, component_id: str, experiment: str) -> Outcome:
        for one in self._outcomes:
            if one.means(job=job, component=component_id, experiment=experiment):
                one.n -= 1
                if one.n <= 0:
                    self._outcomes.remove(one)
                return one
        return Outcome()

    def _workspace(self, request: Request) -> Resource:
        return self._resources.get(arm.parent_of(request.path, "workspaces"), arm.missing)

    def _existing(self, request: Request) -> Job:
        workspace, name = self._workspace(request)["id"], request.parts["name"]
        if job := self.find(f"{workspace}/jobs/{name}"):
            return job
        raise arm.refuse(404, "NotFound", f"Job {name} was not found.")

    def _get(self, request: Request) -> Answer:
        workspace = self._workspace(request)["id"]
        if (found := self.find_run(workspace, request.parts["name"])) and (step := found[1]):
            child = f"{workspace}/jobs/{step.id}"
            return Answer(body={"id": child, "name": step.id, "type": arm.type_of(child), "properties": None})
        return Answer(body=self.shown(self._existing(request)))

    def _list(self, request: Request) -> Answer:
        prefix, until = f"{self._workspace(request)['id']}/jobs/".lower(), listed_until(request)
        mine = [job for key, job in self._jobs.items() if key.startswith(prefix) and job.life.begun <= until]
        mine.sort(key=lambda job: job.life.begun, reverse=True)
        found = [job for job in mine if is_listed(job, request.query)]
        skip, size = int(request.query.get("$skip", "0")), int(self._settings["page_size"])
        body: dict[str, Any] = {"value": [self.shown(job) for job in found[skip : skip + size]], "nextLink": None}
        if len(found) > skip + size:
            kept = "".join(f"&{name}={value}" for name, value in request.query.items() if name != "$skip")
            body["nextLink"] = f"{request.base}{request.path}?$skip={skip + size}{kept}"
        return Answer(body=body)

    def _put(self, request: Request) -> Answer:
        workspace = self._workspace(request)["id"]
        token = request.headers.get("x-azureml-token")
        if token is not None and (problem := self._tokens.problem(f"Bearer {token}", MACHINE_LEARNING)):
            raise arm.refuse(400, "InvalidUserToken", f"The x-azureml-token header is refused: {problem}.")
        properties = definition(request, self._resources)
        before = self.find(request.path)
        if before is not None:
            refuse_changes(before.properties, properties)
            self.change(before, properties)
            return Answer(body=self.shown(before))
        steps = list(properties.get("jobs") or {})
        if properties.get("componentId") and not steps:
            spec = component(properties["componentId"], workspace, self._resources) or {}
            steps = list(spec.get("jobs") or {})
        job = self.begin(request.path, properties, steps=steps)
        return Answer(201, self.shown(job))

    def _cancel(self, request: Request) -> Answer:
        job = self._existing(request)
        if (status := job.life.status) in UNTOUCHABLE:
            raise arm.refuse(
                400, "InvalidRunStateTransition", f"Job {job.name} is in state {status} and cannot be canceled."
            )
        operation = self._operations.begin(job.id, "Canceling", REGION)
        job.life.cancel(operation.seconds)
        for step in begun(job.steps):
            if step.life.ended is None:
                step.life.cancel(operation.seconds)
        job.steps = begun(job.steps)
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def _delete(self, request: Request) -> Answer:
        self._workspace(request)
        if (job := self.find(request.path)) is None:
            return Answer(204)
        if job.life.ended is None:
            raise arm.refuse(400, "BadRequest", f"Job {job.name} is in state {job.life.status} and cannot be deleted.")
        self.remove(job.id)
        operation = self._operations.begin(job.id, "Deleting", REGION)
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def _register(self, job: Job, name: str, output: Mapping[str, Any]) -> None:
        workspace, kind = arm.parent_of(job.id, "workspaces"), output["jobOutputType"].lower()
        container = "models" if kind in MODELS else "data"
        versions = f"{workspace}/{container}/{output['assetName']}/versions"
        numbers = [int(one["name"]) for one in self._resources.children(versions) if one["name"].isdigit()]
        version = output.get("assetVersion") or str(max(numbers, default=0) + 1)
        common: Resource = {"description": None, "tags": {}, "properties": {}}
        common |= {"isArchived": False, "isAnonymous": False, "provisioningState": "Succeeded"}
        at = f"azureml://jobs/{job.name}/outputs/{name}"
        own: Resource = {"dataType": kind, "dataUri": at}
        if kind in MODELS:
            flavors = job.outcome.flavors or {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}}
            own = {
                "modelType": kind,
                "modelUri": at,
                "jobName": job.name,
                "flavors": flavors if kind == "mlflow_model" else {},
                "stage": None,
            }
        ended = instant(job.life.ended or now())
        self._resources.put(f"{versions}/{version}", {**common, **own}, created=ended)

    def _plan(self, given: Sequence[Mapping[str, Any]]) -> None:
        self._outcomes.extend(Outcome(**one) for one in given)

    def _seed(self, given: Sequence[Mapping[str, Any]]) -> None:
        for one in given:
            if self._resources.find(workspace := arm.parent_of(one["id"], "workspaces")) is None:
                self._make_workspace(workspace)
            self._jobs[one["id"].lower()] = seeded(one)


def is_listed(job: Job, query: Mapping[str, str]) -> bool:
    """Whether a job is among those that a listing asks for."""
    view = query.get("listViewType", "ActiveOnly").lower()
    archived = bool(job.properties.get("isArchived"))
    wanted = [pair.partition("=")[::2] for pair in query.get("properties", "").split(",") if pair]
    return (
        (view == "all" or archived == (view == "archivedonly"))
        and query.get("jobType", "").lower() in ("", str(job.properties["jobType"]).lower())
        and (not (tag := query.get("tag")) or tag in job.properties["tags"])
        and all(job.properties["properties"].get(name) == value for name, value in wanted)
    )
