"""What the service looks at before it takes an online endpoint's traffic, or a deployment.

https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
https://learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models-online-endpoints
Not settled there, and decided here: what a deployment refers to in its workspace must be there when it is put; a
registry's assets are taken to be.
"""

from collections.abc import Collection, Mapping
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.bodies import invalid, seconds_of
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.management.usages import size
from dev.simulators.wire import RefusedError

MOST_MIRRORED = 50
MOST_INSTANCES = 50
LONGEST_REQUEST = 180
"""Seconds."""
REGISTRY = "azureml://registries/"
CRASH = (
    "User container has crashed or terminated: Liveness probe failed: HTTP probe failed with statuscode: 502. "
    "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-resourcenotready"
)
"""What comes of an MLflow model of version 3 or later without an environment of its own."""


def refused(message: str) -> RefusedError:
    """Give what any of these gets."""
    return arm.refuse(400, "BadRequest", message)


def check_traffic(properties: Mapping[str, Any], there: Collection[str], endpoint: str) -> None:
    """Refuse live and mirrored traffic that do not add up, or go where nothing is."""
    live, mirrored = (weights(properties.get(name), name) for name in ("traffic", "mirrorTraffic"))
    if sum(live.values()) not in (0, 100):
        raise refused(f"The sum of traffic has to be 0 or 100, and is {sum(live.values())}.")
    if sum(mirrored.values()) > MOST_MIRRORED or len(mirrored) > 1:
        raise refused(f"Mirror traffic can be set for one deployment, to at most {MOST_MIRRORED} percent.")
    known = {name.lower() for name in there}
    for name in (*live, *mirrored):
        if name not in known:
            raise refused(
                f"The deployment '{name}' that traffic is assigned to does not exist in endpoint '{endpoint}'. "
                "A new endpoint must be created without traffic."
            )
    if both := set(live) & set(mirrored):
        raise refused(f"Deployment '{both.pop()}' cannot have live traffic and mirror traffic at the same time.")


def weights(given: Any, name: str) -> dict[str, int]:
    """Read a map of traffic without what has none; names are compared in lower case."""
    if not isinstance(given or {}, dict):
        raise invalid(f"Error converting value {given!r} to type 'IDictionary`2'. Path 'properties.{name}'.")
    for share in (given or {}).values():
        if isinstance(share, bool) or not isinstance(share, int) or not 0 <= share <= 100:
            raise invalid(f"Error converting value {share!r} to a percentage. Path 'properties.{name}'.")
    return {deployment.lower(): share for deployment, share in (given or {}).items() if share}


def check_deployment(body: Resource, before: Resource | None, resources: Resources) -> None:
    """Refuse a deployment of what is not there, of what cannot be served, or that changes what cannot be changed."""
    properties = body["properties"]
    for member in ("codeConfiguration", "instanceType"):
        if before and (properties.get(member) or None) != (before["properties"].get(member) or None):
            raise refused(f"'{member}' of a deployment cannot be changed after it was made.")
    timeout = (properties.get("requestSettings") or {}).get("requestTimeout")
    if timeout and not 0 < seconds_of(timeout) <= LONGEST_REQUEST:
        raise refused(f"The request timeout of a deployment can be {LONGEST_REQUEST} seconds at most.")
    if not 1 <= int({"capacity": 1, **(body.get("sku") or {})}["capacity"]) <= MOST_INSTANCES:
        raise refused(f"The instance count of a deployment has to be between 1 and {MOST_INSTANCES}.")
    code = (properties.get("codeConfiguration") or {}).get("codeId")
    for kind, asset in (("Code", code), ("Environment", properties.get("environmentId"))):
        if asset and asset.startswith("/") and resources.find(asset) is None:
            raise arm.refuse(400, f"{kind}NotFound", f"{kind} '{asset}' was not found.")
    if model := properties.get("model"):
        check_model(model, properties, resources)
    elif not properties.get("environmentId"):
        raise arm.refuse(400, "ValidationError", "The Model field is required.")
    size(properties["instanceType"])


def check_model(model: str, properties: Mapping[str, Any], resources: Resources) -> None:
    """Refuse a model that is not there, or that the service does not know how to serve by itself."""
    if model.lower().startswith(REGISTRY):
        return
    found = resources.find(model) if model.startswith("/") else None
    if found is None:
        raise arm.refuse(400, "ModelNotFound", f"Model '{model}' was not found.")
    kind = found["properties"].get("modelType")
    if properties.get("environmentId") or kind == "triton_model":
        return
    if kind != "mlflow_model":
        raise refused(f"A model of type '{kind}' needs an environment and, unless that has it, a scoring script.")
    if "python_function" not in (found["properties"].get("flavors") or {}):
        raise refused(
            f"Model '{arm.name_of(arm.parent_of(model, 'models'))}' has no 'python_function' flavor, which deployment "
            "without a scoring script needs."
        )


def crashes(properties: Mapping[str, Any], resources: Resources) -> bool:
    """Tell whether the container that the service makes of an MLflow model dies: the model was saved by MLflow 3."""
    if properties.get("environmentId"):
        return False
    found = resources.find(properties.get("model") or "")
    return found is not None and any(is_three(version) for version in mlflow_versions(found))


def mlflow_versions(model: Resource) -> list[str]:
    """Find the versions of MLflow that a model's flavors and properties tell of."""
    flavors = (flavor.get("data", {}) for flavor in (model["properties"].get("flavors") or {}).values())
    told = [model["properties"].get("properties") or {}, *(data for data in flavors if isinstance(data, dict))]
    return [str(data[name]) for data in told for name in ("mlflow_version", "mlflow.version") if data.get(name)]


def is_three(version: str) -> bool:
    """Tell whether a version is 3 or later."""
    major = version.partition(".")[0]
    return major.isdigit() and int(major) >= 3
