"""The compute cluster that a step needs: looked at, and made where the step says how and it is missing.

https://learn.microsoft.com/azure/machine-learning/how-to-create-attach-compute-cluster
"""

from datetime import timedelta
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.clients.machine_learning.assets import Compute, ComputeSettings
from shared.clients.machine_learning.resources import asset_id
from shared.errors import PermanentError
from shared.handlers.machine_learning import serving
from shared.permissions import Permission
from shared.policy import Duration
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

PERMISSION = Permission(
    "workspace",
    (
        "Microsoft.MachineLearningServices/workspaces/computes/read",
        "Microsoft.MachineLearningServices/workspaces/computes/write",
    ),
    "to look whether the compute cluster is there; write only where `create_compute` is given",
)


class CreateCompute(BaseModel):
    """What a compute cluster is made of, where it is missing."""

    model_config = ConfigDict(extra="forbid")

    size: str = Field(description="The size of its machines, such as Standard_DS3_v2.", min_length=1)
    min_nodes: int = Field(default=0, ge=0, description="Machines that are kept while nothing runs.")
    max_nodes: int = Field(default=1, ge=1, description="Machines at most.")
    idle: Duration = Field(default=timedelta(minutes=2), description="How long a machine stays without work.")
    priority: Literal["Dedicated", "LowPriority"] = Field(
        default="Dedicated", description="LowPriority costs less, and may be taken away while it works."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_nodes > self.max_nodes:
            raise ValueError("min_nodes must not be more than max_nodes")
        return self


class _Params(Protocol):
    @property
    def compute(self) -> str: ...
    @property
    def create_compute(self) -> CreateCompute | None: ...


def find(params: _Params, job: Job) -> Progress | None:
    """Look whether the cluster is ready; None where it is missing. One of another workspace is left to the service."""
    if (name := _name(params, job)) is None:
        return Done()
    found = job.clients.machine_learning.assets.compute(job.result["workspace"], name)
    return _progress(found, name, job) if found else None


def start(params: _Params, job: Job) -> Progress:
    """Make the cluster; PermanentError where the step does not say how."""
    name, how = _name(params, job), params.create_compute
    if name is None:
        return Done()
    if how is None:
        raise PermanentError(
            f'the compute "{tidy(name)}" is not there', remedy="make it, or say how it is made with create_compute"
        )
    settings = ComputeSettings(
        size=how.size,
        min_nodes=how.min_nodes,
        max_nodes=how.max_nodes,
        idle=how.idle,
        priority=how.priority,
    )
    operation = job.clients.machine_learning.assets.put_compute(
        job.result["workspace"], name, job.result["location"], settings
    )
    return Pending(memory={"operation": operation}, note=f"compute {name} is being made")


def watch(params: _Params, job: Job) -> Progress:
    """Look whether the cluster is ready."""
    return find(params, job) or serving.not_visible(f"compute {params.compute}")


def _name(params: _Params, job: Job) -> str | None:
    """Give the name of a cluster of the step's own workspace; None where its id is of another one."""
    workspace = job.result["workspace"]
    whole = asset_id(workspace, "computes", params.compute)
    place, _, name = whole.partition("/computes/")
    return name if name and place.lower() == workspace.lower() else None


def _progress(found: Compute, name: str, job: Job) -> Progress:
    if found.state in serving.ENDED_BADLY and found.errors:
        raise PermanentError(
            f"compute {name} is {found.state}: {tidy('; '.join(found.errors))}",
            remedy="see the studio, delete it, then replay the event",
        )
    return serving.ready(f"compute {name}", found.state, job) or Done()
