"""Strict bodies of assets and computes, and which members of a version can never be replaced.

https://learn.microsoft.com/rest/api/azureml/model-versions/create-or-update
https://learn.microsoft.com/rest/api/azureml/compute/create-or-update
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.simulators.management.bodies import IDENTITY, READ_ONLY, SKU, Kind, Shape, check, invalid
from dev.simulators.management.resources import Resource
from dev.simulators.wire import Request

ASSET: Mapping[str, Kind] = {
    "description": "string",
    "properties": "any",  # a map of text, but azure-ai-ml puts a number there: see `text_of`
    "tags": "map",
    "isAnonymous": "boolean",
    "isArchived": "boolean",
    "provisioningState": "string",
}
"""What every version has."""


@dataclass(frozen=True)
class Registered:
    """One kind of registered asset."""

    label: str
    """As the service's sentences name it."""
    shape: Shape
    fixed: tuple[str, ...]
    """Members that a version is made with and keeps."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    """The member that says where its content is: the service has words of its own about that."""


def version(kind: str, members: Mapping[str, Kind], required: tuple[str, ...] = ()) -> Shape:
    """Give the shape of a version whose properties have these members."""
    properties = Shape(f"{kind}Version", {**ASSET, **members}, required)
    return Shape(f"{kind}VersionResource", {**READ_ONLY, "properties": properties}, ("properties",))


KINDS: Mapping[str, Registered] = {
    "codes": Registered("Code", version("Code", {"codeUri": "string"}, ("codeUri",)), ("codeUri",), path="codeUri"),
    "models": Registered(
        "Model",
        version(
            "Model",
            {
                "modelUri": "string",
                "modelType": ("custom_model", "mlflow_model", "triton_model"),
                "flavors": "any",
                "jobName": "string",
                "stage": "string",
                "datasets": "any",
            },
            ("modelUri",),
        ),
        ("modelUri", "modelType", "jobName", "flavors"),
        {"modelType": "custom_model", "flavors": {}, "jobName": None, "stage": None},
        path="modelUri",
    ),
    "environments": Registered(
        "Environment",
        version(
            "Environment",
            {
                "image": "string",
                "condaFile": "string",
                "build": Shape("BuildContext", {"contextUri": "string", "dockerfilePath": "string"}, ("contextUri",)),
                "inferenceConfig": "any",
                "osType": ("Linux", "Windows"),
                "autoRebuild": ("Disabled", "OnBaseImageUpdate"),
                "environmentType": "string",
                "stage": "string",
            },
        ),
        ("image", "condaFile", "build", "inferenceConfig", "osType"),
        {"osType": "Linux", "environmentType": "UserCreated"},
    ),
    "data": Registered(
        "Data",
        version(
            "Data",
            {
                "dataType": ("uri_file", "uri_folder", "mltable"),
                "dataUri": "string",
                "referencedUris": "any",
                "stage": "string",
            },
            ("dataType", "dataUri"),
        ),
        ("dataType", "dataUri"),
        path="dataUri",
    ),
    "components": Registered(
        "Component",
        version("Component", {"componentSpec": "any", "stage": "string"}, ("componentSpec",)),
        ("componentSpec",),
    ),
}
"""By the collection in the path."""

CONTAINER = Shape(
    "AssetContainerResource",
    {
        **READ_ONLY,
        "properties": Shape(
            "AssetContainer",
            {
                "description": "string",
                "properties": "map",
                "tags": "map",
                "isArchived": "boolean",
                "dataType": "string",
                "latestVersion": "string",
                "nextVersion": "string",
                "provisioningState": "string",
            },
        ),
    },
    ("properties",),
)
PENDING_UPLOAD = Shape(
    "PendingUploadRequestDto",
    {"pendingUploadId": "string", "pendingUploadType": ("None", "TemporaryBlobReference")},
)
SECRETS = Shape("SecretExpiry", {"expirableSecret": "boolean", "expireAfterHours": "integer"})
DESTINATION = Shape(
    "DestinationAsset",
    {"registryName": "string", "destinationName": "string", "destinationVersion": "string"},
    ("registryName",),
)

SCALE = Shape(
    "ScaleSettings",
    {"minNodeCount": "integer", "maxNodeCount": "integer", "nodeIdleTimeBeforeScaleDown": "duration"},
    ("maxNodeCount",),
)
CLUSTER: Mapping[str, Kind] = {
    "osType": ("Linux", "Windows"),
    "vmSize": "string",
    "vmPriority": ("Dedicated", "LowPriority"),
    "scaleSettings": SCALE,
    "remoteLoginPortPublicAccess": ("Enabled", "Disabled", "NotSpecified"),
    "subnet": Shape("ResourceId", {"id": "string"}, ("id",)),
    "enableNodePublicIp": "boolean",
    "isolatedNetwork": "boolean",
    "userAccountCredentials": "any",
    "virtualMachineImage": "any",
    "propertyBag": "any",
    "allocationState": "string",
    "allocationStateTransitionTime": "string",
    "currentNodeCount": "integer",
    "targetNodeCount": "integer",
    "nodeStateCounts": "any",
    "errors": "any",
}
COMPUTE = Shape(
    "ComputeResource",
    {
        **READ_ONLY,
        "location": "string",
        "tags": "map",
        "sku": SKU,
        "identity": IDENTITY,
        "properties": Shape(
            "Compute",
            {
                "computeType": ("AmlCompute",),
                "computeLocation": "string",
                "description": "string",
                "disableLocalAuth": "boolean",
                "resourceId": "string",
                "isAttachedCompute": "boolean",
                "createdOn": "string",
                "modifiedOn": "string",
                "provisioningState": "string",
                "provisioningErrors": "any",
                "properties": Shape("AmlComputeProperties", CLUSTER, ("vmSize", "scaleSettings")),
            },
            ("computeType", "properties"),
        ),
    },
    ("location", "properties"),
)
COMPUTE_UPDATE = Shape(
    "ClusterUpdateParameters",
    {
        "properties": Shape(
            "ClusterUpdateProperties",
            {"properties": Shape("ScaleSettingsInformation", {"scaleSettings": SCALE}, ("scaleSettings",))},
            ("properties",),
        )
    },
    ("properties",),
)


def text_of(properties: Any) -> dict[str, str]:
    """Give a bag of properties as the service keeps it: a map of text, numbers written out."""
    if not isinstance(properties, dict) or any(isinstance(one, (dict, list)) for one in properties.values()):
        raise invalid(f"Error converting value {properties!r} to type 'map'. Path 'properties.properties'.")
    return {name: one if isinstance(one, str) else str(one) for name, one in properties.items()}


def body_of(request: Request, shape: Shape) -> Resource:
    """Give a body of a shape, nothing at all being an empty one; refused where it is none."""
    try:
        body = request.json() if request.body else {}
    except ValueError as problem:
        raise invalid(f"The request body is no JSON: {problem}") from problem
    check(body, shape)
    assert isinstance(body, dict)
    return body
