"""Registered models.

https://learn.microsoft.com/rest/api/azureml/model-versions
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.clients.machine_learning.resources import Arm, Read, Resource
from shared.clients.rest import segment


class _ModelProperties(Read):
    model_type: str | None = None
    tags: dict[str, str | None] | None = None
    is_archived: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """One version of a registered model."""

    id: str
    type: str
    """"mlflow_model", "custom_model" or "triton_model"."""
    tags: Mapping[str, str | None]
    archived: bool
    created_at: datetime | None


class Models:
    """Reads and registers models."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def read(self, workspace: str, name: str, version: str) -> Model | None:
        """Read a model version; None where it is gone.

        https://learn.microsoft.com/rest/api/azureml/model-versions/get
        """
        return self.by_id(f"{workspace}/models/{segment(name)}/versions/{segment(version)}")

    def by_id(self, model_id: str) -> Model | None:
        """Read a model version by its ARM id; None where it is gone, PermanentError where that is no ARM id."""
        if (answer := self._arm.rest.find(self._arm.by_id(model_id, "model"))) is None:
            return None
        found = answer.read(Resource[_ModelProperties])
        return Model(
            id=found.id,
            type=found.properties.model_type or "custom_model",
            tags=found.properties.tags or {},
            archived=found.properties.is_archived,
            created_at=found.system_data.created_at,
        )
