"""Azure Machine Learning: one small client for each kind of thing it has.

Behind Resource Manager are workspaces, models and the endpoints' configuration; scoring, invoking and the run history
have hosts of their own, which are only talked to where they are among the hosts that the settings allow.
https://learn.microsoft.com/rest/api/azureml/
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.clients.machine_learning.assets import Assets
from shared.clients.machine_learning.batch import Batch
from shared.clients.machine_learning.containers import Containers
from shared.clients.machine_learning.data_plane import DataPlane
from shared.clients.machine_learning.downloads import Downloads
from shared.clients.machine_learning.jobs import Jobs
from shared.clients.machine_learning.models import Models
from shared.clients.machine_learning.monitor import Monitor
from shared.clients.machine_learning.online import Online
from shared.clients.machine_learning.online_scoring import Scorer
from shared.clients.machine_learning.resources import Arm
from shared.clients.machine_learning.runs import Runs
from shared.clients.machine_learning.scoring import Scoring
from shared.clients.machine_learning.uploads import Uploads
from shared.clients.machine_learning.usage import Usage
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
    def data_plane(self) -> DataPlane:
        """Requests beside Resource Manager."""
        return DataPlane(self._settings, self._credential)

    @cached_property
    def workspaces(self) -> Workspaces:
        """Workspaces."""
        return Workspaces(self.arm)

    @cached_property
    def models(self) -> Models:
        """Registered models."""
        return Models(self.arm)

    @cached_property
    def assets(self) -> Assets:
        """Code, environments, data, components and compute clusters."""
        return Assets(self.arm)

    @cached_property
    def containers(self) -> Containers:
        """What is behind datastores."""
        return Containers(self.arm, self.data_plane, self._credential)

    @cached_property
    def uploads(self) -> Uploads:
        """Files into a workspace's own storage."""
        return Uploads(self.arm, self.workspaces, self.assets, self.containers)

    @cached_property
    def downloads(self) -> Downloads:
        """Files out of a workspace's own storage."""
        return Downloads(self.workspaces, self.containers)

    @cached_property
    def usage(self) -> Usage:
        """Quotas."""
        return Usage(self.arm)

    @cached_property
    def batch(self) -> Batch:
        """Batch endpoints and their deployments."""
        return Batch(self.arm)

    @cached_property
    def scoring(self) -> Scoring:
        """Batch endpoints at work."""
        return Scoring(self.data_plane, self.workspaces)

    @cached_property
    def jobs(self) -> Jobs:
        """Jobs."""
        return Jobs(self.arm, self.runs, self._credential, f"{self._settings.ml_audience}/.default")

    @cached_property
    def runs(self) -> Runs:
        """The history of runs."""
        return Runs(self.workspaces, self.data_plane)

    @cached_property
    def online(self) -> Online:
        """Managed online endpoints and their deployments."""
        scorer = Scorer("Machine Learning", self._credential, f"{self._settings.ml_audience}/.default")
        return Online(self.arm, self.data_plane, scorer)

    @cached_property
    def monitor(self) -> Monitor:
        """What Azure Monitor counted of online endpoints."""
        rest = management("Azure Monitor", self._settings.arm_endpoint, self._credential)
        return Monitor(Arm(self._settings.arm_endpoint, rest, self._settings.monitor_api_version))
