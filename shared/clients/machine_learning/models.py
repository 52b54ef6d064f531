"""Registered models.

https://learn.microsoft.com/rest/api/azureml/model-versions
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.clients.machine_learning.pages import Page, every
from shared.clients.machine_learning.resources import Arm, Read, Resource
from shared.clients.rest import segment

READ_ONLY_PROPERTIES = {"provisioningState"}


class _Flavor(Read):
    data: dict[str, Any] | None = None


class _ModelProperties(Read):
    model_type: str | None = None
    model_uri: str | None = None
    tags: dict[str, str | None] | None = None
    properties: dict[str, str | None] | None = None
    flavors: dict[str, _Flavor | None] | None = None
    job_name: str | None = None
    is_archived: bool = False


class _Version(Resource[_ModelProperties]):
    def told(self) -> "Model":
        """Give what others are told of it."""
        model, system = self.properties, self.system_data
        name, _, version = self.id.rpartition("/models/")[2].partition("/versions/")
        return Model(
            id=self.id,
            name=name,
            version=version,
            type=model.model_type or "custom_model",
            uri=model.model_uri or "",
            tags=model.tags or {},
            properties=model.properties or {},
            flavors={flavor: (data and data.data) or {} for flavor, data in (model.flavors or {}).items()},
            job=model.job_name or "",
            archived=model.is_archived,
            created_at=system.created_at,
            modified_at=system.last_modified_at,
            created_by=system.created_by or "",
        )


class _WholeProperties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    tags: dict[str, str | None] | None = None


class _Whole(BaseModel):
    """A version with everything that it has, known here or not, to be put back."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    properties: _WholeProperties


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a registered model."""

    id: str
    name: str
    version: str
    type: str
    """"mlflow_model", "custom_model" or "triton_model"."""
    uri: str
    """Where its files are; nothing that we may follow unseen."""
    tags: Mapping[str, str | None]
    properties: Mapping[str, str | None]
    flavors: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """By name ("python_function", "sklearn"), what an MLflow model says of each."""
    job: str
    """The name of the job that trained it; "" for none."""
    archived: bool
    created_at: datetime | None
    modified_at: datetime | None
    created_by: str


class Models:
    """Reads and registers models."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def read(self, workspace: str, name: str, version: str) -> Model | None:
        """Read a model version; None where it is gone.

        https://learn.microsoft.com/rest/api/azureml/model-versions/get
        """
        return self.by_id(_path(workspace, name, version))

    def by_id(self, model_id: str) -> Model | None:
        """Read a model version by its ARM id, of a workspace or of a registry.

        None where it is gone, PermanentError where that is no ARM id.
        https://learn.microsoft.com/rest/api/azureml/registry-model-versions/get
        """
        if (answer := self._arm.rest.find(self._arm.by_id(model_id, "model"))) is None:
            return None
        return answer.read(_Version).told()

    def versions(self, workspace: str, name: str, *, most: int = 50) -> list[Model]:
        """List versions of a model that are not archived, newest first; none where there is no such model.

        https://learn.microsoft.com/rest/api/azureml/model-versions/list
        """
        query = {"$orderBy": "createdtime desc", "$top": str(most), "listViewType": "ActiveOnly"}
        url = self._arm.url(workspace, f"/models/{segment(name)}/versions", **query)
        found = every(self._arm, url, Page[_Version], what="a model's versions")
        return [one.told() for one in islice(found, most)]

    def names(self, workspace: str) -> Iterator[str]:
        """List the names of the models that are not archived, page by page.

        https://learn.microsoft.com/rest/api/azureml/model-containers/list
        """
        url = self._arm.url(workspace, "/models", listViewType="ActiveOnly")
        for one in every(self._arm, url, Page[Resource[Read]], what="models"):
            yield one.called

    def registry(self, workspace: str, name: str) -> str:
        """Give the ARM id of a registry of the workspace's subscription; "" where none of that name is to be seen.

        https://learn.microsoft.com/rest/api/azureml/registries/list-by-subscription
        """
        subscription = "/".join(workspace.split("/")[:3])
        url = self._arm.url(subscription, "/providers/Microsoft.MachineLearningServices/registries")
        found = every(self._arm, url, Page[Resource[Read]], what="registries")
        return next((one.id for one in found if one.called.lower() == name.lower()), "")

    def put(
        self,
        workspace: str,
        name: str,
        version: str,
        *,
        uri: str,
        type: str,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str = "",
    ) -> Model:
        """Register a version, or register it again as it is.

        PermanentError where the version is there with other content: that can never be replaced.
        https://learn.microsoft.com/rest/api/azureml/model-versions/create-or-update
        """
        body: dict[str, Any] = {"modelUri": uri, "modelType": type, "tags": dict(tags or {})}
        body |= {"properties": dict(properties or {}), "isAnonymous": False}
        body |= {"description": description} if description else {}
        return self._put(_path(workspace, name, version), body)

    def set_tags(self, workspace: str, name: str, version: str, tags: Mapping[str, str | None]) -> Model:
        """Add or change tags of a version, and take away those that are None; the others stay.

        There is no PATCH and no ETag: the whole version is read, changed and put back.
        """
        path = _path(workspace, name, version)
        before = self._arm.rest.get(self._arm.by_id(path, "model")).read(_Whole).properties
        wanted = {tag: value for tag, value in {**(before.tags or {}), **tags}.items() if value is not None}
        kept = before.model_dump(exclude=READ_ONLY_PROPERTIES, exclude_none=True)
        return self._put(path, kept | {"tags": wanted})

    def _put(self, path: str, properties: Mapping[str, Any]) -> Model:
        url = self._arm.by_id(path, "model")
        answer = self._arm.rest.send("PUT", url, body={"properties": dict(properties)}, effect="same")
        return answer.read(_Version).told()


def _path(workspace: str, name: str, version: str) -> str:
    return f"{workspace}/models/{segment(name)}/versions/{segment(version)}"
