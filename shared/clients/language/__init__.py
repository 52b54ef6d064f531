"""Azure AI Language: conversational projects, one small client for each kind of thing that they have.

The first argument of each call says where: a `Resource`. Names of projects, models and deployments are case-sensitive.
What takes the service a while gives the URL of a job, which `jobs` reads.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/overview
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.clients.language.deployments import Deployment, Deployments
from shared.clients.language.evaluations import Evaluation
from shared.clients.language.failover import Answered, Breaker, Failover
from shared.clients.language.jobs import Job, Jobs
from shared.clients.language.models import ConfigVersion, Model, Models, Training
from shared.clients.language.predictions import Entity, Prediction, Predictions
from shared.clients.language.projects import Project, Projects
from shared.clients.language.resource import Resource
from shared.clients.language.service import Service

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings
    from shared.storage.rates import Rates

__all__ = [
    "Answered",
    "Breaker",
    "ConfigVersion",
    "Deployment",
    "Entity",
    "Evaluation",
    "Failover",
    "Job",
    "Language",
    "Model",
    "Prediction",
    "Predictions",
    "Project",
    "Resource",
    "Service",
    "Training",
]


class Language:
    """All of it, each part made when first used."""

    def __init__(
        self, settings: "Settings", credential: "Callable[[], TokenCredential]", rates: "Rates | None" = None
    ) -> None:
        self._settings, self._credential, self._rates = settings, credential, rates
        self._service = Service(credential, rates=rates, values=settings.values)

    def sparing(self) -> "Language":
        """Give one that leaves a part of what a resource lets be asked to others: for what can be done later."""
        if self._rates is None:
            return self
        return Language(self._settings, self._credential, self._rates.sparing())

    @cached_property
    def projects(self) -> Projects:
        """Projects, and their exports and imports."""
        return Projects(self._service)

    @cached_property
    def jobs(self) -> Jobs:
        """Whatever takes the service a while."""
        return Jobs(self._service)

    @cached_property
    def models(self) -> Models:
        """Models: their training and evaluation."""
        return Models(self._service)

    @cached_property
    def deployments(self) -> Deployments:
        """The names by which models answer."""
        return Deployments(self._service)

    @cached_property
    def predictions(self) -> Predictions:
        """What deployments answer."""
        return Predictions(self._service)
