"""Workspaces: where they are, and where their data plane is.

https://learn.microsoft.com/rest/api/azureml/workspaces
"""

from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.rest import Said


class _Workspace(Read):
    location: Said


class Workspaces:
    """Reads workspaces."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def location(self, workspace: str) -> str:
        """Read the region of a workspace. https://learn.microsoft.com/rest/api/azureml/workspaces/get"""
        return self._arm.rest.get(self._arm.url(workspace)).read(_Workspace).location
