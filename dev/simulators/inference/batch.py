"""Batch endpoints: invoked, and their jobs listed and read.

An invocation makes a job of the workspace, so it is followed, and canceled, at Resource Manager too. When the job ends
well, what it predicts is in the datastore that its output names; where a file is there already, it fails instead.
https://learn.microsoft.com/azure/machine-learning/how-to-use-batch-model-deployments
The listing is azure-ai-ml's own, and documented nowhere: newest first is decided here.
"""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dev.simulators.inference import invocations
from dev.simulators.inference.invocations import PLACE, Invocation, bad
from dev.simulators.later import Later
from dev.simulators.management import Management, arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.changes import page
from dev.simulators.management.endpoints import is_by_pipeline
from dev.simulators.management.job_lives import Job, Outcome
from dev.simulators.management.resources import Resource
from dev.simulators.storage import Storage
from dev.simulators.wire import Answer, RefusedError, Request, Route, instant, listed_until, now

STORE = "workspaceblobstore"
LISTING = "/studio/mferp/managementfrontend" + WORKSPACE + "/batchEndpoints/{endpoint}"
LISTING_VERSION = "2020-09-01-dataplanepreview"
STEP = "batchscoring"
WORDS = {"uri_file": "UriFile", "uri_folder": "UriFolder"}


@dataclass
class Run:
    """One invocation, and the job that it became."""

    workspace: str
    endpoint: str
    deployment: str
    settings: Mapping[str, Any]
    """The deployment's properties, with what the invocation says instead."""
    asked: Invocation
    outputs: dict[str, str]
    """Where each goes: "<workspace>/datastores/<store>/paths/<path>"."""
    job: Job

    @property
    def id(self) -> str:
        """Its id on the data plane."""
        return f"{self.workspace}/batchEndpoints/{self.endpoint}/deployments/{self.deployment}/jobs/{self.job.name}"

    @property
    def is_of_model(self) -> bool:
        """Whether a model predicts, and no pipeline runs."""
        return not is_by_pipeline(dict(self.settings))

    def shown(self) -> Resource:
        """Give it on the wire."""
        properties = self.job.properties
        types = self.asked.output_types
        at = instant(self.job.life.begun)
        return {
            "id": self.id,
            "name": self.job.name,
            "type": arm.type_of(self.id),
            "properties": {
                "name": self.asked.friendly or self.job.name,
                "description": "",
                "status": self.job.life.status,
                "provisioningState": "Succeeded",
                "compute": self.settings.get("compute"),
                "inputData": properties["inputs"],
                "outputData": {
                    name: {"jobOutputType": WORDS.get(types.get(name, "uri_file"), "UriFile"), "uri": uri}
                    for name, uri in self.outputs.items()
                },
                "outputFileName": self.settings.get("outputFileName"),
                "errorThreshold": self.settings.get("errorThreshold"),
                "miniBatchSize": self.settings.get("miniBatchSize"),
                "retrySettings": self.settings.get("retrySettings"),
                "interactionEndpoints": {
                    "Studio": {
                        "jobEndpointType": "Studio",
                        "endpoint": f"https://ml.azure.com/runs/{self.job.name}?wsid={self.workspace}",
                    }
                },
                "properties": properties["properties"],
                "tags": properties["tags"],
            },
            "systemData": {"createdAt": at, "createdBy": "ml-reactor", "createdByType": "Application"},
        }


class Batch:
    """The batch jobs of every endpoint."""

    def __init__(self, management: Management, storage: Storage) -> None:
        self._management = management
        self._storage = storage
        self._runs: dict[str, Run] = {}
        self._predictions: list[dict[str, Any]] = []
        self._later = Later()

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [
            ("POST", "/{region}/{endpoint}/jobs", self._invoke),
            ("GET", "/{region}/{endpoint}/jobs/{job}", self._get),
            ("GET", LISTING + "/jobs", self._list),
            ("GET", LISTING + "/deployments/{deployment}/jobs", self._list),
        ]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded: what jobs write."""
        return {"predictions": self._predictions.extend}

    def state(self) -> Resource:
        """Every job by its id."""
        return {run.id: run.shown() for run in self._runs.values()}

    def clear(self) -> None:
        """Nothing is left, and nothing is written any more."""
        self._later.forget()
        self._runs.clear()
        self._predictions.clear()

    # -- routes -------------------------------------------------------------------------------------------------------

    def _invoke(self, request: Request) -> Answer:
        endpoint = self._endpoint(request)
        deployment = self._deployment(endpoint, request.headers.get("azureml-model-deployment", ""))
        asked = invocations.read(request)
        by_pipeline = is_by_pipeline(deployment["properties"])
        if by_pipeline:
            invocations.check_for_component(asked, self._declared(deployment))
        else:
            invocations.check_for_model(asked)
        invocations.check_inputs(asked, self._management.resources)
        return Answer(201, self._start(endpoint, deployment, asked).shown())

    def _get(self, request: Request) -> Answer:
        endpoint = self._endpoint(request)
        for run in self._runs.values():
            if run.job.name == request.parts["job"] and run.id.lower().startswith(endpoint["id"].lower() + "/"):
                return Answer(body=run.shown())
        raise arm.refuse(404, "NotFound", f"Job '{request.parts['job']}' was not found.")

    def _list(self, request: Request) -> Answer:
        if request.query.get("api-version") != LISTING_VERSION:
            raise bad(f"The api-version must be {LISTING_VERSION}.")
        under = request.path.split("/managementfrontend", 1)[1].rsplit("/jobs", 1)[0].lower()
        self._management.changes.existing(under)
        until = listed_until(request)
        runs = [run for run in reversed(self._runs.values()) if run.id.lower().startswith(under + "/")]
        shown = [run.shown() for run in runs if run.job.life.begun <= until]
        return page(request, shown, int(self._management.settings["page_size"]))

    # -- who is asked -------------------------------------------------------------------------------------------------

    def _endpoint(self, request: Request) -> Resource:
        """Find an endpoint by what is a host in Azure: its name, and its region."""
        for one in self._management.changes.state():
            where = self._management.places.scoring(request.parts["region"], request.parts["endpoint"], "jobs")
            if str(one["properties"].get("scoringUri")).lower() == where.lower():
                return one
        raise arm.refuse(404, "NotFound", f"Endpoint '{request.parts['endpoint']}' was not found.")

    def _deployment(self, endpoint: Resource, named: str) -> Resource:
        name = named or (endpoint["properties"]["defaults"] or {}).get("deploymentName")
        if not name:
            raise bad(f"Endpoint '{endpoint['name']}' has no default deployment: name one.")
        found = self._management.changes.now(f"{endpoint['id']}/deployments/{name}")
        if found is None:
            raise arm.refuse(404, "NotFound", f"Deployment '{name}' was not found in endpoint '{endpoint['name']}'.")
        if (state := found["properties"]["provisioningState"]) not in {"Succeeded", "Updating"}:
            raise bad(f"Deployment '{name}' cannot be invoked in provisioning state {state}.")
        return found

    def _declared(self, deployment: Resource) -> Mapping[str, Any]:
        found = self._management.resources.find(component_of(deployment["properties"]))
        return ((found or {"properties": {}})["properties"].get("componentSpec") or {}).get("inputs") or {}

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def _start(self, endpoint: Resource, deployment: Resource, asked: Invocation) -> Run:
        workspace = arm.parent_of(endpoint["id"], "workspaces")
        settings = {**deployment["properties"], **asked.overrides}
        by_pipeline = is_by_pipeline(settings)
        name = f"{'pipeline' if by_pipeline else 'batch'}job-{uuid.uuid4()}"
        wanted = asked.outputs or ({} if by_pipeline else {"score": ""})
        outputs = {
            one: self._place(workspace, uri or f"azureml://datastores/{STORE}/paths/{chosen(name, one, settings)}")
            for one, uri in wanted.items()
        }
        job = self._management.jobs.begin(
            f"{workspace}/jobs/{name}",
            {
                "jobType": "Pipeline",
                "displayName": asked.friendly or name,
                "experimentName": (asked.experiment if by_pipeline else "") or endpoint["name"],
                "componentId": component_of(settings) if by_pipeline else None,
                "computeId": settings.get("compute"),
                "inputs": {one: typed(given) for one, given in asked.inputs.items()},
                "outputs": {
                    one: {"jobOutputType": asked.output_types.get(one, "uri_file"), "uri": uri}
                    for one, uri in outputs.items()
                },
                "tags": {} if by_pipeline else {"azureml.batchrun": "true"},
                "properties": {
                    "azureml.endpointname": endpoint["name"],
                    "azureml.deploymentname": deployment["name"],
                },
            },
            steps=() if by_pipeline else (STEP,),
        )
        run = Run(workspace, endpoint["name"], deployment["name"], settings, asked, outputs, job)
        self._runs[job.id.lower()] = run
        after, outcome = job.life.changes[-1]
        job.life.changes = job.life.changes[:-1]  # it has not ended before its output is there
        self._later.do(after, lambda: self._end(run, outcome))
        return run

    def _end(self, run: Run, outcome: str) -> None:
        with self._management.lock:
            job = run.job
            if job.life.canceled is not None or job.id.lower() not in self._runs:
                return
            there = [uri for uri in run.outputs.values() if self._storage.has_blob(*self._blob(uri))]
            if outcome == "Completed" and there:
                error = {"code": "UserError", "message": f"The path already exists: {there[0]}"}
                job.outcome, outcome = Outcome(outcome="Failed", error=error), "Failed"
            if outcome == "Completed":
                try:
                    for name, uri in run.outputs.items():
                        self._write(run, name, uri)
                except RefusedError as refused:  # what it was to read, or write to, is not there
                    job.outcome, outcome = Outcome(outcome="Failed", error=refused.answer.body["error"]), "Failed"
            job.life.changes = [*job.life.changes, ((now() - job.life.begun).total_seconds(), outcome)]

    def _write(self, run: Run, name: str, uri: str) -> None:
        container, path = self._blob(uri)
        if run.is_of_model:
            if run.settings.get("outputAction") == "AppendRow":
                self._storage.write(container, path, self._rows(run).encode())
            return
        is_file = run.asked.output_types.get(name) == "uri_file"
        whole = path if is_file else f"{path.rstrip('/')}/{name}.json"
        self._storage.write(container, whole, json.dumps(run.job.properties["inputs"]).encode())

    def _rows(self, run: Run) -> str:
        for one in self._predictions:
            if one["endpoint"].lower() == run.endpoint.lower():
                self._predictions.remove(one)
                return str(one["content"])
        (data,) = run.asked.inputs.values()
        url = self._url(run.workspace, str(data["uri"]))
        names = [file.rsplit("/", 1)[-1] for file in self._storage.files(url)] or [url.rstrip("/").rsplit("/", 1)[-1]]
        return "".join(f"{name},{hashlib.sha256(name.encode()).digest()[0] / 255:.2f}\n" for name in names)

    # -- places -------------------------------------------------------------------------------------------------------

    def _place(self, workspace: str, uri: str) -> str:
        """Give an output's place in its whole form; 400 where it is not on a datastore."""
        found = PLACE.fullmatch(uri)
        if found is None:
            raise bad(f"'{uri}' is no place on a datastore: only datastores of blob storage can be written to.")
        place = f"{workspace}/datastores/{found['store']}/paths/{found['path'].lstrip('/')}"
        self._blob(place)
        return place

    def _blob(self, place: str) -> tuple[str, str]:
        """Give the container and the name of a blob by its place; 404 where there is no such datastore."""
        store, _, path = place.partition("/paths/")
        return self._management.assets.datastores.existing(store)["properties"]["containerName"], path

    def _url(self, workspace: str, uri: str) -> str:
        """Give the https URL of input data."""
        asset = self._management.resources.find(uri.removeprefix("azureml:"))
        at = asset["properties"]["dataUri"] if asset else uri
        if (found := PLACE.fullmatch(at)) is None:
            return str(at)
        container, path = self._blob(f"{workspace}/datastores/{found['store']}/paths/{found['path']}")
        return f"{self._storage.url}/{container}/{path}"


def component_of(settings: Mapping[str, Any]) -> str:
    """Give the component that a deployment runs."""
    return str(settings["deploymentConfiguration"]["componentId"]["assetId"])


def chosen(job: str, output: str, settings: Mapping[str, Any]) -> str:
    """Give the path that the service chooses where an invocation names none."""
    return f"azureml/{job}/{output}/" + ("" if is_by_pipeline(dict(settings)) else settings["outputFileName"])


def typed(given: Resource) -> Resource:
    """Give an input as a job shows it."""
    return {"jobInputType": given["type"], **{name: given[name] for name in ("uri", "value") if name in given}}
