"""Data Factory, api-version 2018-06-01: pipelines, createRun, runs.

https://learn.microsoft.com/rest/api/datafactory/
A run goes Queued, InProgress, then to its pipeline's outcome, by the clock; what its ExecutePipeline activities start
(seeded as {"activityName", "pipeline"}) has runs of its own, which a cancel reaches where it is recursive.
Not settled there, and decided here: a parameter that the pipeline does not declare is refused, as is a declared one
without a default that is not given; both as 400 BadRequest with the ErrorCode text that the service is known for. So is
the cancel of a run that is over.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.arm import FACTORY
from dev.simulators.management.assets import each
from dev.simulators.management.pipeline_runs import (
    ACTIVITY_OPERANDS,
    OUTCOMES,
    RUN_OPERANDS,
    Pages,
    Rows,
    Run,
    bad,
    not_found,
)
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, Request, Route, listed_until, moment

PIPELINE = FACTORY + "/pipelines/{pipeline}"
RUN = FACTORY + "/pipelineruns/{run}"


class DataFactory:
    """The factories of this ARM."""

    def __init__(self, resources: Resources, settings: Mapping[str, float]) -> None:
        self._resources = resources
        self._settings = settings
        self._runs: dict[str, Run] = {}
        self._plans: dict[str, Mapping[str, Any]] = {}
        self._pages = Pages()

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done."""
        return [
            ("GET", FACTORY, lambda request: Answer(body=self._factory(request))),
            ("GET", FACTORY + "/pipelines", self._pipelines),
            ("GET", PIPELINE, lambda request: Answer(body=self._pipeline(request))),
            ("POST", PIPELINE + "/createRun", self._create_run),
            ("GET", RUN, lambda request: Answer(body=self._run(request).shown())),
            ("POST", FACTORY + "/queryPipelineRuns", self._query_runs),
            ("POST", RUN + "/queryActivityruns", self._query_activities),
            ("POST", RUN + "/cancel", self._cancel),
        ]

    def seeds(self) -> Mapping[str, Callable[[Sequence[Mapping[str, Any]]], None]]:
        """Give what can be seeded."""
        return {
            "factories": each(self._seed_factory),
            "pipelines": each(self._seed_pipeline),
            "runs": each(self._seed_run),
        }

    def state(self) -> list[Resource]:
        """Every run, oldest first."""
        return [run.shown() for run in self._runs.values()]

    def clear(self) -> None:
        """No run is left."""
        self._runs.clear()
        self._pages.clear()
        self._plans.clear()

    def _factory(self, request: Request) -> Resource:
        return self._resources.get(arm.parent_of(request.path, "factories"), arm.missing)

    def _pipelines(self, request: Request) -> Answer:
        self._factory(request)
        return Answer(body={"value": self._resources.children(request.path)})

    def _pipeline(self, request: Request) -> Resource:
        self._factory(request)
        path = arm.parent_of(request.path, "pipelines")
        return self._resources.get(
            path, lambda _id: not_found("pipeline", "PipelineNotFound", request.parts["pipeline"])
        )

    def _run(self, request: Request) -> Run:
        factory, run = self._factory(request), self._runs.get(request.parts["run"].lower())
        if run is None or run.factory != factory["id"].lower():
            raise not_found("run", "RunNotFound", request.parts["run"])
        return run

    def _create_run(self, request: Request) -> Answer:
        pipeline = self._pipeline(request)
        given = self._object(request)
        declared: Mapping[str, Mapping[str, Any]] = pipeline["properties"]["parameters"]
        referenced = self._runs.get(request.query.get("referencePipelineRunId", "").lower())
        if referenced is not None:
            given = dict(referenced.parameters)
        elif "referencePipelineRunId" in request.query:
            raise bad("ReferencedPipelineRunNotValid", "Referenced pipeline run id is not a valid run id.")
        if strangers := sorted(set(given) - set(declared)):
            raise bad(
                "BadRequest",
                "ErrorCode=InvalidTemplate, ErrorMessage=The template validation failed: 'The parameters "
                f"{', '.join(strangers)} are not valid; they are not present in the pipeline definition'.",
            )
        values = {name: given.get(name, parameter.get("defaultValue")) for name, parameter in declared.items()}
        if absent := sorted(name for name, value in values.items() if value is None):
            raise bad(
                "BadRequest",
                "ErrorCode=InvalidTemplate, ErrorMessage=The template validation failed: 'The value for the parameters "
                f"{', '.join(absent)} is not provided'.",
            )
        run = self._started(pipeline, values)
        if referenced is not None and request.query.get("isRecovery", "").lower() == "true":
            run.group, run.activities = referenced.group or referenced.id, recovered(request.query, referenced)
            for other in self._runs.values():
                other.is_latest = other is run or (other.group or other.id) != run.group
        return Answer(body={"runId": run.id})

    def _started(self, pipeline: Resource, values: Mapping[str, Any], *, invoked_by: str = "Manual") -> Run:
        factory = arm.parent_of(pipeline["id"], "factories")
        run = Run(
            factory=factory.lower(),
            pipeline=pipeline["name"],
            parameters={name: value if isinstance(value, str) else str(value) for name, value in values.items()},
            queued=self._settings["queued_seconds"],
            group="",
            invoked_by=invoked_by,
            **self._plans[pipeline["id"].lower()],
        )
        self._runs[run.id] = run
        for activity in run.activities:
            if "pipeline" in activity:
                name, inner = activity["activityName"], f"{factory}/pipelines/{activity['pipeline']}"
                started = self._resources.get(inner, lambda one: not_found("pipeline", "PipelineNotFound", one))
                run.children[name] = self._started(started, {}, invoked_by=name)
        return run

    def _query_runs(self, request: Request) -> Answer:
        factory = self._factory(request)["id"].lower()
        asked = self._object(request)
        until = listed_until(request)
        mine = [run for run in self._runs.values() if run.factory == factory and run.started <= until]
        return self._page(asked, [(run.shown(), run.last_updated()) for run in mine], RUN_OPERANDS)

    def _query_activities(self, request: Request) -> Answer:
        run = self._run(request)
        found = [(one, run.last_updated()) for one in run.shown_activities()]
        return self._page(self._object(request), found, ACTIVITY_OPERANDS)

    def _page(self, asked: Mapping[str, Any], found: Rows, operands: Mapping[str, str]) -> Answer:
        return Answer(body=self._pages.query(asked, found, operands, size=int(self._settings["page_size"])))

    def _cancel(self, request: Request) -> Answer:
        run = self._run(request)
        if run.status() in OUTCOMES:
            raise bad("BadRequest", f"Pipeline run {run.id} is already {run.status()} and cannot be cancelled.")
        if run.status() != "Canceling":
            is_recursive = request.query.get("isRecursive", "").lower() == "true"
            run.cancel(self._settings["queued_seconds"], is_recursive=is_recursive)
        return Answer(200)

    @staticmethod
    def _object(request: Request) -> dict[str, Any]:
        try:
            body = request.json() or {}
        except ValueError as problem:
            raise bad("BadRequest", f"The request body is no JSON: {problem}") from problem
        if not isinstance(body, dict):
            raise bad("BadRequest", "The request body is no object.")
        return body

    def _seed_factory(self, given: Mapping[str, Any]) -> None:
        self._resources.put(
            given["id"], {"provisioningState": "Succeeded"}, location=given.get("location", "westeurope")
        )

    def _seed_pipeline(self, given: Mapping[str, Any]) -> None:
        factory = arm.parent_of(given["id"], "factories")
        if self._resources.find(factory) is None:
            self._seed_factory({"id": factory})
        if (outcome := given.get("outcome", "Succeeded")) not in OUTCOMES:
            raise ValueError(f"outcome '{outcome}' is none of {OUTCOMES}")
        properties = {"activities": [], "parameters": given.get("parameters", {})}
        self._plans[given["id"].lower()] = {
            "seconds": given.get("seconds", 1.0),
            "outcome": outcome,
            "message": given.get("message", ""),
            "activities": given.get("activities", []),
        }
        self._resources.put(given["id"], properties, etag=str(uuid.uuid4()))

    def _seed_run(self, given: Mapping[str, Any]) -> None:
        name = f"{given['factory']}/pipelines/{given['pipelineName']}"
        pipeline = self._resources.find(name)
        if pipeline is None:
            raise ValueError(f"'{name}' is no pipeline")
        run = self._started(pipeline, given.get("parameters", {}))
        run.started = moment(given["runStart"]) if "runStart" in given else run.started


def recovered(asked: Mapping[str, str], run: Run) -> Sequence[Mapping[str, Any]]:
    """Give the activities that are run again: all, those from one on, or those from the failed one on."""
    names = [one["activityName"] for one in run.activities]
    start = asked.get("startActivityName", "")
    if not start and asked.get("startFromFailure", "").lower() == "true":
        start = run.failing()
    if start and start not in names:
        raise bad("BadRequest", f"The activity '{start}' is not in the pipeline '{run.pipeline}'.")
    return run.activities[names.index(start) if start else 0 :]
