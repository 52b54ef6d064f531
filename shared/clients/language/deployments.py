"""Deployments: the names by which models answer.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/deployments
"""

from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from shared.clients.language.resource import Resource
from shared.clients.language.service import OWNER, Instant, Read, Service, Text
from shared.clients.rest import segment


@dataclass(frozen=True, slots=True)
class Deployment:
    """What answers under a name."""

    name: str
    model_id: str
    """`Model.id` of the model; its label is not said."""
    trained: datetime | None
    deployed: datetime | None
    expires: datetime | None
    """From when on it answers no more."""
    config_version: str


class _Deployment(Read):
    deployment_name: str = Field(min_length=1)
    model_id: Text = ""
    last_trained_date_time: Instant = None
    last_deployed_date_time: Instant = None
    deployment_expiration_date: Instant = None
    model_training_config_version: Text = ""

    def told(self) -> Deployment:
        return Deployment(
            name=self.deployment_name,
            model_id=self.model_id,
            trained=self.last_trained_date_time,
            deployed=self.last_deployed_date_time,
            expires=self.deployment_expiration_date,
            config_version=self.model_training_config_version,
        )


class Deployments:
    """The deployments of projects."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def deploy(self, at: Resource, project: str, name: str, label: str) -> str:
        """Start to deploy a model under a name, in place of what is there; give the job's URL.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/deploy-project/deploy-project
        """
        path = f"deployments/{segment(name)}"
        body = {"trainedModelLabel": label}
        return self._service.start(at, "PUT", project, path, body=body, role=OWNER, effect="same")

    def swap(self, at: Resource, project: str, first: str, second: str) -> str:
        """Start to exchange what answers under two names; give the job's URL.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/swap-deployments/swap-deployments
        """
        body = {"firstDeploymentName": first, "secondDeploymentName": second}
        return self._service.start(at, "POST", project, "deployments/:swap", body=body, role=OWNER)

    def delete(self, at: Resource, project: str, name: str) -> str:
        """Start to delete a deployment; give the job's URL, "" where it is gone already.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/delete-deployment/delete-deployment
        """
        return self._service.away(at, project, f"deployments/{segment(name)}", role=OWNER)

    def list(self, at: Resource, project: str) -> list[Deployment]:
        """List the deployments of a project.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/list-deployments/list-deployments
        """
        return [one.told() for one in self._service.pages(at, project, "deployments", _Deployment)]
