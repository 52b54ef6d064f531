"""Azure Machine Learning: one small client for each kind of thing it has.

Behind Resource Manager are workspaces, models and the endpoints' configuration; scoring, invoking and the run history
have hosts of their own, which are only talked to where they are among the hosts that the settings allow.
https://learn.microsoft.com/rest/api/azureml/
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.clients.machine_learning.batch import Batch
from shared.clients.machine_learning.models import Models
from shared.clients.machine_learning.resources import Arm
from shared.clients.machine_learning.workspaces import Workspaces
from shared.clients.management import management

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings


class MachineLearning:
    """All of it, each part made when first used."""

    def __init__(self, settings: "Settings", credential: "Callable[[], TokenCredential]") -> None:
        self._settings = settings
        self._credential = credential

    @cached_property
    def arm(self) -> Arm:
        """Requests behind Resource Manager."""
        rest = management("Machine Learning", self._settings.arm_endpoint, self._credential)
        return Arm(self._settings.arm_endpoint, rest, self._settings.ml_api_version)

    @cached_property
    def workspaces(self) -> Workspaces:
        """Workspaces."""
        return Workspaces(self.arm)

    @cached_property
    def models(self) -> Models:
        """Registered models."""
        return Models(self.arm)

    @cached_property
    def batch(self) -> Batch:
        """Batch endpoints and their deployments."""
        return Batch(self.arm)
