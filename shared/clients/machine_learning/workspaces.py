"""Workspaces: where they are, where their data plane is, and where their files are kept.

https://learn.microsoft.com/rest/api/azureml/workspaces
https://learn.microsoft.com/rest/api/azureml/datastores
"""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from shared.clients.machine_learning.pages import Page
from shared.clients.machine_learning.resources import Arm, Read, Resource
from shared.clients.rest import Said
from shared.errors import PermanentError

LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost)(?::\d+)?")
"""Where the storage emulator is, which has no host for each account."""


class _Properties(Read):
    workspace_id: Said = ""
    discovery_url: Said | None = None


class _Workspace(Read):
    location: Said
    properties: _Properties = _Properties()


class _Credentials(Read):
    credentials_type: Said = "None"


class _Store(Read):
    datastore_type: Said = ""
    account_name: Annotated[str, Field(pattern=r"^[a-z0-9]{3,24}$")]
    container_name: Annotated[str, Field(pattern=r"^[a-z0-9$-]{3,63}$")]
    endpoint: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+(:\d+)?$")] | None = None
    protocol: Annotated[str, Field(pattern=r"^https?$")] | None = None
    credentials: _Credentials = _Credentials()


class _Kind(Read):
    datastore_type: Said = ""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace."""

    location: str
    guid: str
    api: str
    """Where its data plane begins: "https://westeurope.api.azureml.ms"."""


@dataclass(frozen=True, slots=True)
class Datastore:
    """A datastore in blob storage."""

    id: str
    name: str
    account: str
    container: str
    endpoint: str
    """ "core.windows.net", or the emulator's host and port."""
    protocol: str
    credentials: str = "None"
    """AccountKey, Sas, ServicePrincipal; None where everybody signs in with an identity of their own."""

    @property
    def url(self) -> str:
        """The container's URL."""
        host = f"{self.account}.blob.{self.endpoint}"
        if LOOPBACK.fullmatch(self.endpoint):
            host = f"{self.endpoint}/{self.account}"
        return f"{self.protocol}://{host}/{self.container}"

    def blob_uri(self, path: str) -> str:
        """Write the URL of a blob, or of a folder of blobs."""
        return f"{self.url}/{quote(path.strip('/'))}"

    def uri(self, path: str) -> str:
        """Write a path as Machine Learning names it: azureml://…/datastores/{name}/paths/{path}."""
        workspace = self.id.partition("/datastores/")[0].removeprefix("/")
        group, _, name = workspace.partition("/providers/Microsoft.MachineLearningServices/")
        return f"azureml://{group}/{name}/datastores/{self.name}/paths/{path.strip('/')}"


class Workspaces:
    """Reads workspaces."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def read(self, workspace: str) -> Workspace:
        """Read a workspace; a missing one is a PermanentError.

        https://learn.microsoft.com/rest/api/azureml/workspaces/get
        """
        found = self._arm.rest.get(self._arm.by_id(workspace, "workspace")).read(_Workspace)
        discovery = found.properties.discovery_url or f"https://{found.location}.api.azureml.ms/discovery"
        api = discovery.rstrip("/").removesuffix("/discovery")
        return Workspace(location=found.location, guid=found.properties.workspace_id, api=api)

    def location(self, workspace: str) -> str:
        """Read the region of a workspace."""
        return self.read(workspace).location

    def default_datastore(self, workspace: str) -> Datastore:
        """Read where a workspace keeps its files; PermanentError where that is no blob storage.

        https://learn.microsoft.com/rest/api/azureml/datastores/list
        """
        answer = self._arm.rest.get(self._arm.url(workspace, "/datastores", isDefault="true"))
        kinds = answer.read(Page[Resource[_Kind]]).value
        if not kinds:
            raise PermanentError("the workspace has no default datastore", remedy="make one the default")
        if (kind := kinds[0].properties.datastore_type) != "AzureBlob":
            raise PermanentError(f"the default datastore is {kind}", remedy="make a blob datastore the default")
        found = answer.read(Page[Resource[_Store]]).value[0]
        store = found.properties
        return Datastore(
            id=found.id,
            name=found.name,
            account=store.account_name,
            container=store.container_name,
            endpoint=store.endpoint or "core.windows.net",
            protocol=store.protocol or "https",
            credentials=store.credentials.credentials_type,
        )
