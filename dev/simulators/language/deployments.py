"""Deployments: put, listed, deleted, swapped.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/deploy-model
Not settled there, and decided here: a model that is not there is a 400; a deployment that has a job already is refused
with 409, and so are all of them while two are swapped; until a job has succeeded, the deployment serves what it served;
a swap leaves the expiries where they are.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dev.simulators.language.refusals import body, invalid, name_of, refuse, text_of, unparsed
from dev.simulators.language.resource import Deployment, Project, Resource
from dev.simulators.language.settings import VERSIONS, Limits
from dev.simulators.wire import Answer, Request


def assigned_resources(version: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the other resources that a deployment is for, which only the newer version knows."""
    told = given.get("azureResourceIds") or []
    if version == VERSIONS[0]:
        return ()
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise unparsed([("azureResourceIds", "A list of texts is expected.")])
    return tuple(told)


class Deployments:
    """The deployments of projects."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def list(self, request: Request) -> Answer:
        """ListDeployments."""
        version, held = request.query["api-version"], self._resource.project(request).deployments.values()
        return self._resource.listing(request, [one.shown(version) for one in held])

    def get(self, request: Request) -> Answer:
        """GetDeployment."""
        found = self._resource.project(request).deployment(request.parts["deployment"])
        return Answer(body=found.shown(request.query["api-version"]))

    def put(self, request: Request) -> Answer:
        """DeployProject: makes one, or replaces what one serves."""
        project, given = self._resource.project(request), body(request)
        name = name_of(request.parts["deployment"], "deploymentName")
        label = text_of(given, "trainedModelLabel")
        if label not in project.models:
            raise invalid([("trainedModelLabel", f"The trained model '{label}' could not be found.")])
        model = project.models[label]
        if self._resource.is_past(model.expires):
            raise invalid([("trainedModelLabel", f"The trained model '{label}' has expired.")])
        coming = {job.target for job in self._resource.jobs.values() if not job.is_over and job.kind == "deploy"
                  and job.project == project.name}  # fmt: skip
        if len(coming | {*project.deployments, name}) > Limits.DEPLOYMENTS:
            message = f"Deployment limit reached: a project has at most {Limits.DEPLOYMENTS}. Delete one first."
            raise refuse(400, "QuotaExceeded", message, target="deploymentName")
        self._check_free(project, name)
        resources = assigned_resources(request.query["api-version"], given)

        def act(at: datetime) -> None:
            expires = self._resource.day_in(self._resource.settings["deployment_days"])
            project.deployments[name] = Deployment(name, model, at, expires, resources)
            project.deployed = at

        path = f"/projects/{project.name}/deployments/{name}/jobs"
        return self._resource.accepted(request, self._resource.start("deploy", project.name, path, act, target=name))

    def delete(self, request: Request) -> Answer:
        """DeleteDeployment."""
        project = self._resource.project(request)
        name = project.deployment(request.parts["deployment"]).name
        self._check_free(project, name)

        def act(_at: datetime) -> None:
            project.deployments.pop(name, None)

        path = f"/projects/{project.name}/deployments/{name}/jobs"
        job = self._resource.start("delete_deployment", project.name, path, act, target=name)
        return self._resource.accepted(request, job)

    def swap(self, request: Request) -> Answer:
        """SwapDeployments: each serves what the other one served."""
        project, given = self._resource.project(request), body(request)
        first, second = (text_of(given, f"{which}DeploymentName") for which in ("first", "second"))
        if first == second:
            raise invalid([("secondDeploymentName", "A deployment cannot be swapped with itself.")])
        for name in (first, second):
            project.deployment(name)
            self._check_free(project, name)

        def act(at: datetime) -> None:
            one, other = project.deployment(first), project.deployment(second)
            one.model, other.model = other.model, one.model
            one.deployed = other.deployed = project.deployed = at

        path = f"/projects/{project.name}/deployments/swap/jobs"
        return self._resource.accepted(request, self._resource.start("swap", project.name, path, act))

    def _check_free(self, project: Project, name: str) -> None:
        for kind, target in (("deploy", name), ("delete_deployment", name), ("swap", None)):
            if self._resource.running(kind, project.name, target):
                message = f"Another operation on the deployment '{name}' is in progress."
                raise refuse(409, "Conflict", message, target="deploymentName")
