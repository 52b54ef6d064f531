"""The bodies that online endpoints and their deployments are written with.

https://learn.microsoft.com/rest/api/azureml/online-endpoints/create-or-update
https://learn.microsoft.com/rest/api/azureml/online-deployments/create-or-update
"""

from collections.abc import Mapping

from dev.simulators.management.bodies import IDENTITY, SKU, TRACKED, Kind, Shape

ACCESS = ("Enabled", "Disabled")
PROBE = Shape(
    "ProbeSettings",
    {
        "failureThreshold": "integer",
        "initialDelay": "duration",
        "period": "duration",
        "successThreshold": "integer",
        "timeout": "duration",
    },
)
ENDPOINT: Mapping[str, Kind] = {
    **TRACKED,
    "properties": Shape(
        "OnlineEndpoint",
        {
            "authMode": ("AADToken", "Key", "AMLToken"),
            "compute": "string",
            "description": "string",
            "endpoint": "string",
            "keys": "any",
            "mirrorTraffic": "any",
            "properties": "map",
            "provisioningState": "string",
            "publicNetworkAccess": ACCESS,
            "scoringUri": "string",
            "swaggerUri": "string",
            "traffic": "any",
        },
        ("authMode",),
    ),
}
ONLINE_ENDPOINT = Shape("OnlineEndpointTrackedResource", ENDPOINT, ("location", "identity", "properties"))
ONLINE_DEPLOYMENT = Shape(
    "OnlineDeploymentTrackedResource",
    {
        **TRACKED,
        "properties": Shape(
            "ManagedOnlineDeployment",
            {
                "appInsightsEnabled": "boolean",
                "codeConfiguration": Shape(
                    "CodeConfiguration", {"codeId": "string", "scoringScript": "string"}, ("scoringScript",)
                ),
                "dataCollector": "any",
                "description": "string",
                "egressPublicNetworkAccess": ACCESS,
                "endpointComputeType": ("Managed",),
                "environmentId": "string",
                "environmentVariables": "map",
                "instanceType": "string",
                "livenessProbe": PROBE,
                "model": "string",
                "modelMountPath": "string",
                "properties": "map",
                "provisioningState": "string",
                "readinessProbe": PROBE,
                "requestSettings": Shape(
                    "OnlineRequestSettings",
                    {
                        "maxConcurrentRequestsPerInstance": "integer",
                        "maxQueueWait": "duration",
                        "requestTimeout": "duration",
                    },
                ),
                "scaleSettings": Shape("OnlineScaleSettings", {"scaleType": ("Default",)}, ("scaleType",)),
                "startupProbe": PROBE,
            },
            ("endpointComputeType", "instanceType"),
        ),
    },
    ("location", "properties"),
)
ENDPOINT_PATCH = Shape("PartialMinimalTrackedResourceWithIdentity", {"tags": "map", "identity": IDENTITY})
DEPLOYMENT_PATCH = Shape("PartialMinimalTrackedResourceWithSku", {"tags": "map", "sku": SKU})
REGENERATE = Shape(
    "RegenerateEndpointKeysRequest", {"keyType": ("Primary", "Secondary"), "keyValue": "string"}, ("keyType",)
)
LOGS = Shape(
    "DeploymentLogsRequest",
    {"containerType": ("StorageInitializer", "InferenceServer", "ModelDataCollector"), "tail": "integer"},
)
DEPLOYMENT_DEFAULTS = {
    "appInsightsEnabled": False,
    "egressPublicNetworkAccess": "Enabled",
    "livenessProbe": {
        "failureThreshold": 30, "initialDelay": "PT10S", "period": "PT10S", "successThreshold": 1, "timeout": "PT2S",
    },
    "readinessProbe": {
        "failureThreshold": 30, "initialDelay": "PT10S", "period": "PT10S", "successThreshold": 1, "timeout": "PT2S",
    },
    "requestSettings": {
        "maxConcurrentRequestsPerInstance": 1, "maxQueueWait": "PT0.5S", "requestTimeout": "PT5S",
    },
    "scaleSettings": {"scaleType": "Default"},
}  # fmt: skip
