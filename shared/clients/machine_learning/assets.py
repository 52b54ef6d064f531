"""What a deployment or a job is made of beside a model: code, environments, data, components, compute clusters.

A version of an asset keeps its content for ever: creating one again with the same content is fine, with other content
it is a PermanentError.
https://learn.microsoft.com/rest/api/azureml/environment-versions
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.clients.machine_learning.resources import Arm, Read, Resource, duration
from shared.clients.rest import Said, segment


class _Port(Read):
    type: Said = ""
    optional: Any = None
    default: Any = None

    @property
    def is_needed(self) -> bool:
        """Tell whether it must be given; the service says so as a bool or as a text."""
        return str(self.optional).lower() != "true" and self.default is None


class _Spec(Read):
    type: Said = ""
    inputs: dict[str, _Port] | None = None
    outputs: dict[str, _Port] | None = None


class _ComponentProperties(Read):
    component_spec: _Spec = _Spec()


class _Error(Read):
    code: Said = ""
    message: Said = ""


class _Trouble(Read):
    error: _Error | None = None


class _Cluster(Read):
    vm_size: Said = ""
    errors: list[_Trouble] | None = None


class _ComputeProperties(Read):
    provisioning_state: Said = "Unknown"
    provisioning_errors: list[_Trouble] | None = None
    properties: _Cluster | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """A version of a registered component."""

    id: str
    type: str
    """"command", "pipeline" and others."""
    inputs: Mapping[str, str]
    """By name, their type."""
    needed: frozenset[str]
    """The inputs that must be given."""
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Compute:
    """A compute cluster."""

    id: str
    state: str
    """Unknown, Updating, Creating, Deleting, Succeeded, Failed or Canceled."""
    size: str
    errors: tuple[str, ...]
    """What the service says is wrong with it, or with its nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeSettings:
    """What a new compute cluster is made of."""

    size: str
    max_nodes: int
    min_nodes: int = 0
    idle: timedelta = timedelta(minutes=2)
    """How long a machine stays without work."""
    priority: str = "Dedicated"
    """Or LowPriority."""
    subnet: str = ""
    """The id of a subnet; "" for none."""


class Assets:
    """Creates and reads them."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def code(self, workspace: str, name: str, version: str, uri: str) -> str:
        """Register code that is in blob storage below `uri`, and return its id.

        https://learn.microsoft.com/rest/api/azureml/code-versions/create-or-update
        """
        return self._put(workspace, "codes", name, version, {"codeUri": uri, "isAnonymous": False})

    def code_id(self, workspace: str, name: str, version: str) -> str:
        """Return the id of registered code; "" where there is none."""
        answer = self._arm.rest.find(self._url(workspace, "codes", name, version))
        return answer.read(Resource[Read]).id if answer else ""

    def environment(self, workspace: str, name: str, version: str, image: str, conda: str = "") -> str:
        """Register an environment of an image and, where it is given, a whole conda file, and return its id.

        https://learn.microsoft.com/rest/api/azureml/environment-versions/create-or-update
        """
        properties = {"image": image, "osType": "Linux"} | ({"condaFile": conda} if conda else {})
        return self._put(workspace, "environments", name, version, properties)

    def data(self, workspace: str, name: str, version: str, type: str, uri: str) -> str:
        """Register data ("uri_file", "uri_folder" or "mltable") and return its id.

        https://learn.microsoft.com/rest/api/azureml/data-versions/create-or-update
        """
        return self._put(workspace, "data", name, version, {"dataType": type, "dataUri": uri, "isAnonymous": False})

    def component(self, place: str, name: str, version: str) -> Component | None:
        """Read a component of a workspace or registry, given by its ARM id; None where it is gone.

        https://learn.microsoft.com/rest/api/azureml/component-versions/get
        """
        path = f"{place}/components/{segment(name)}/versions/{segment(version)}"
        if (answer := self._arm.rest.find(self._arm.by_id(path, "component"))) is None:
            return None
        found = answer.read(Resource[_ComponentProperties])
        spec = found.properties.component_spec
        return Component(
            id=found.id,
            type=spec.type,
            inputs={port: told.type for port, told in (spec.inputs or {}).items()},
            needed=frozenset(port for port, told in (spec.inputs or {}).items() if told.is_needed),
            outputs={port: told.type for port, told in (spec.outputs or {}).items()},
        )

    def compute(self, workspace: str, name: str) -> Compute | None:
        """Read a compute cluster; None where there is none.

        https://learn.microsoft.com/rest/api/azureml/compute/get
        """
        if (answer := self._arm.rest.find(self._arm.url(workspace, f"/computes/{segment(name)}"))) is None:
            return None
        found = answer.read(Resource[_ComputeProperties])
        compute, cluster = found.properties, found.properties.properties or _Cluster()
        troubles = [one.error for one in [*(compute.provisioning_errors or ()), *(cluster.errors or ())] if one.error]
        return Compute(
            id=found.id,
            state=compute.provisioning_state,
            size=cluster.vm_size,
            errors=tuple(": ".join(filter(None, (one.code, one.message))) for one in troubles),
        )

    def put_compute(self, workspace: str, name: str, location: str, settings: ComputeSettings) -> str:
        """Create a compute cluster and return the URL of the operation, for `operation_error`.

        https://learn.microsoft.com/rest/api/azureml/compute/create-or-update
        """
        cluster: dict[str, Any] = {
            "osType": "Linux",
            "vmSize": settings.size,
            "vmPriority": settings.priority,
            "scaleSettings": {
                "minNodeCount": settings.min_nodes,
                "maxNodeCount": settings.max_nodes,
                "nodeIdleTimeBeforeScaleDown": duration(settings.idle),
            },
            "remoteLoginPortPublicAccess": "NotSpecified",
        }
        cluster |= {"subnet": {"id": settings.subnet}} if settings.subnet else {}
        body = {"location": location, "properties": {"computeType": "AmlCompute", "properties": cluster}}
        return self._arm.put(self._arm.url(workspace, f"/computes/{segment(name)}"), body)

    def _put(self, workspace: str, kind: str, name: str, version: str, properties: Mapping[str, Any]) -> str:
        url = self._url(workspace, kind, name, version)
        answer = self._arm.rest.send("PUT", url, body={"properties": dict(properties)}, effect="same")
        return answer.read(Resource[Read]).id

    def _url(self, workspace: str, kind: str, name: str, version: str) -> str:
        return self._arm.url(workspace, f"/{kind}/{segment(name)}/versions/{segment(version)}")
