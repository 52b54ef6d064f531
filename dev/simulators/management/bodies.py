"""Strict bodies: an unknown member is refused by its name and type, as Machine Learning does.

Numbers may be written as strings, as its reader tolerates them, and members may be null.
https://learn.microsoft.com/azure/templates/microsoft.machinelearningservices/workspaces/batchendpoints/deployments
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dev.simulators.management import arm
from dev.simulators.wire import RefusedError

type Kind = str | tuple[str, ...] | AtLeast | Shape
"""string, integer, boolean, duration, map (of strings), any; a tuple of the words allowed; or an object of a shape."""


@dataclass(frozen=True)
class AtLeast:
    """A whole number that has a lower bound."""

    least: int


@dataclass(frozen=True)
class Shape:
    """One type of object: its members and which of them must be there."""

    name: str
    members: Mapping[str, Kind]
    required: tuple[str, ...] = ()


READ_ONLY: Mapping[str, Kind] = {
    "id": "string",
    "name": "string",
    "type": "string",
    "systemData": "any",
    "etag": "string",
}
IDENTITY = Shape(
    "ManagedServiceIdentity",
    {
        "type": ("SystemAssigned", "UserAssigned", "SystemAssigned,UserAssigned", "None"),
        "userAssignedIdentities": "any",
        "principalId": "string",
        "tenantId": "string",
    },
    ("type",),
)
SKU = Shape("Sku", {"name": "string", "capacity": "integer", "family": "string", "size": "string", "tier": "any"})
TRACKED = {**READ_ONLY, "location": "string", "tags": "map", "kind": "string", "sku": SKU, "identity": IDENTITY}
"""What every resource with a location of its own has beside its properties."""
BATCH_ENDPOINT = Shape(
    "BatchEndpointTrackedResource",
    {
        **TRACKED,
        "properties": Shape(
            "BatchEndpoint",
            {
                "authMode": ("AADToken", "Key", "AMLToken"),
                "description": "string",
                "defaults": Shape("BatchEndpointDefaults", {"deploymentName": "string"}),
                "keys": "any",
                "properties": "map",
                "scoringUri": "string",
                "swaggerUri": "string",
                "provisioningState": "string",
            },
            ("authMode",),
        ),
    },
    ("location", "properties"),
)
CONFIGURATION = Shape(
    "BatchDeploymentConfiguration",
    {
        "deploymentConfigurationType": ("Model", "PipelineComponent"),
        "componentId": Shape("IdAssetReference", {"referenceType": ("Id",), "assetId": "string"}, ("assetId",)),
        "description": "string",
        "settings": "any",
        "tags": "map",
    },
    ("deploymentConfigurationType",),
)
BATCH_DEPLOYMENT = Shape(
    "BatchDeploymentTrackedResource",
    {
        **TRACKED,
        "properties": Shape(
            "BatchDeployment",
            {
                "model": Shape(
                    "AssetReferenceBase",
                    {
                        "referenceType": ("Id", "DataPath", "OutputPath"),
                        "assetId": "string",
                        "datastoreId": "string",
                        "jobId": "string",
                        "path": "string",
                    },
                    ("referenceType",),
                ),
                "codeConfiguration": Shape(
                    "CodeConfiguration", {"codeId": "string", "scoringScript": "string"}, ("scoringScript",)
                ),
                "environmentId": "string",
                "environmentVariables": "map",
                "compute": "string",
                "resources": Shape(
                    "DeploymentResourceConfiguration",
                    {"instanceCount": AtLeast(1), "instanceType": "string", "properties": "any"},
                ),
                "maxConcurrencyPerInstance": AtLeast(1),
                "miniBatchSize": AtLeast(1),
                "errorThreshold": AtLeast(-1),
                "outputAction": ("AppendRow", "SummaryOnly"),
                "outputFileName": "string",
                "retrySettings": Shape("BatchRetrySettings", {"maxRetries": AtLeast(0), "timeout": "duration"}),
                "loggingLevel": ("Info", "Warning", "Debug"),
                "deploymentConfiguration": CONFIGURATION,
                "description": "string",
                "properties": "map",
                "provisioningState": "string",
            },
        ),
    },
    ("location", "properties"),
)

BATCH_ENDPOINT_PATCH = Shape("PartialMinimalTrackedResourceWithIdentity", {"tags": "map", "identity": IDENTITY})
BATCH_DEPLOYMENT_PATCH = Shape(
    "PartialBatchDeploymentPartialMinimalTrackedResourceWithProperties",
    {"tags": "map", "properties": Shape("PartialBatchDeployment", {"description": "string"})},
)
DURATION = re.compile(r"-?P(?=.)(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?")
"""ISO 8601, without the weeks, months and years that no setting is given in."""
_UNITS = {"D": 86_400.0, "H": 3_600.0, "M": 60.0, "S": 1.0}


def seconds_of(duration: str) -> float:
    """Count the seconds of a duration.

    >>> seconds_of("PT1M30.5S"), seconds_of("-P1D")
    (90.5, -86400.0)
    """
    parts = re.findall(r"([\d.]+)([DHMS])", duration)
    return sum(float(count) * _UNITS[unit] for count, unit in parts) * (-1 if duration.startswith("-") else 1)


def check(value: Any, kind: Kind, path: str = "") -> None:
    """Refuse a value that is not of its kind, with the place where it is not."""
    if isinstance(kind, Shape):
        check_object(value, kind, path)
    elif isinstance(kind, AtLeast):
        check(value, "integer", path)
        if int(value) < kind.least:
            raise arm.refuse(400, "ValidationError", f"The value of {path} must be at least {kind.least}: {value}.")
    elif isinstance(kind, tuple):
        if not isinstance(value, str) or value.lower() not in {word.lower() for word in kind}:
            raise invalid(f"Error converting value {value!r} to one of {', '.join(kind)}. Path '{path}'.")
    elif not KINDS[kind](value):
        raise invalid(f"Error converting value {value!r} to type '{kind}'. Path '{path}', line 1, position 1.")


def check_object(value: Any, shape: Shape, path: str) -> None:
    """Refuse an object with a member too many or too few."""
    if not isinstance(value, dict):
        raise invalid(f"Error converting value {value!r} to type '{shape.name}'. Path '{path}'.")
    for name, member in value.items():
        inner = f"{path}.{name}".lstrip(".")
        if name not in shape.members:
            raise invalid(
                f"Could not find member '{name}' on object of type '{shape.name}'. Path '{inner}', line 1, position 1."
            )
        if member is None and shape.members[name] != "map":
            continue
        check(member, shape.members[name], inner)
    for name in shape.required:
        if value.get(name) is None:
            raise arm.refuse(400, "ValidationError", f"The {name[0].upper()}{name[1:]} field is required.")


def invalid(message: str) -> RefusedError:
    """Give what a body of the wrong shape gets."""
    return RefusedError(arm.ml_error(400, "RequestInvalid", message, outer="RequestInvalid"))


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: not isinstance(value, bool) and re.fullmatch(r"-?\d+", str(value)) is not None,
    "duration": lambda value: isinstance(value, str) and DURATION.fullmatch(value) is not None,
    "boolean": lambda value: isinstance(value, bool),
    "map": lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
    "any": lambda _value: True,
}
