"""The body of a job: strict as Machine Learning's, and checked against the component that it runs.

The service's fields: https://learn.microsoft.com/rest/api/azureml/jobs/create-or-update
Types of inputs and outputs are written in snake case here ("uri_folder"), not as when an endpoint is invoked.
Not settled there, and decided here: an input that the component does not declare, or a required one that is missing, is
a 400 UserError; so are a component and a compute that are not there, and a literal that is not of its input's type.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.bodies import READ_ONLY, Kind, Shape, check, invalid
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import RefusedError, Request

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
LITERALS: Mapping[str, re.Pattern[str]] = {
    "number": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    "integer": re.compile(r"[+-]?\d+"),
    "boolean": re.compile(r"true|false", re.IGNORECASE),
}
"""How the value of a literal is written where a component declares its type."""
ASSETS = ("uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")
INPUT = Shape(
    "JobInput",
    {
        "jobInputType": ("literal", *ASSETS),
        "description": "string",
        "mode": ("ReadOnlyMount", "ReadWriteMount", "Download", "Direct", "EvalMount", "EvalDownload"),
        "uri": "string",
        "value": "string",
        "pathOnCompute": "string",
    },
    ("jobInputType",),
)
OUTPUT = Shape(
    "JobOutput",
    {
        "jobOutputType": ASSETS,
        "description": "string",
        "mode": ("ReadWriteMount", "Upload", "Direct"),
        "uri": "string",
        "assetName": "string",
        "assetVersion": "string",
        "autoDeleteSetting": "any",
        "pathOnCompute": "string",
    },
    ("jobOutputType",),
)
MAPS: Mapping[str, Kind] = {"inputs": INPUT, "outputs": OUTPUT, "jobs": "any", "settings": "any"}
"""Members that are maps, and what is in them."""
CHANGEABLE: Mapping[str, Kind] = {
    "description": "string",
    "tags": "map",
    "displayName": "string",
    "properties": "map",
    "isArchived": "boolean",
}
"""What may be changed of a job that is there."""
ANSWERED: Mapping[str, Kind] = {"status": "string", "services": "any"}
SHARED: Mapping[str, Kind] = {
    "jobType": "string",
    "componentId": "string",
    "computeId": "string",
    "experimentName": "string",
    "identity": "any",
    "notificationSetting": "any",
    "inputs": "any",
    "outputs": "any",
    **CHANGEABLE,
    **ANSWERED,
}
TYPES: Mapping[str, Shape] = {
    "pipeline": Shape("PipelineJob", {**SHARED, "jobs": "any", "settings": "any", "sourceJobId": "string"}),
    "command": Shape(
        "CommandJob",
        {
            **SHARED,
            "codeId": "string",
            "command": "string",
            "distribution": "any",
            "environmentId": "string",
            "environmentVariables": "map",
            "limits": Shape("CommandJobLimits", {"jobLimitsType": "string", "timeout": "string"}, ("jobLimitsType",)),
            "parameters": "any",
            "queueSettings": Shape("QueueSettings", {"jobTier": "string", "priority": "integer"}),
            "resources": "any",
        },
        ("command", "environmentId"),
    ),
}


def definition(request: Request, resources: Resources) -> Resource:
    """Give the properties of a job that is put, refused where the service would refuse them."""
    name, workspace = arm.name_of(request.path), arm.parent_of(request.path, "workspaces")
    if not NAME.fullmatch(name):
        raise arm.refuse(400, "ValidationError", f"'{name}' is no name of a job: letters, digits, '-' and '_'.")
    try:
        body = request.json()
    except ValueError as problem:
        raise invalid(f"The request body is no JSON: {problem}") from problem
    check(body, Shape("JobBase", {**READ_ONLY, "properties": "any"}, ("properties",)))
    properties: Resource = body["properties"]
    kind = properties.get("jobType") if isinstance(properties, dict) else None
    if str(kind).lower() not in TYPES:
        raise arm.refuse(400, "ValidationError", f"The JobType '{kind}' is not supported.")
    check(properties, TYPES[str(kind).lower()], "properties")
    for members, shape in MAPS.items():
        given = properties.get(members) or {}
        if not isinstance(given, dict):
            raise invalid(f"Error converting value {given!r} to type 'IDictionary'. Path 'properties.{members}'.")
        for one, value in given.items():
            check(value, shape, f"properties.{members}.{one}")
    refuse_words(properties)
    refuse_empty_inputs(properties)
    refuse_strangers(properties, workspace, resources)
    return properties


def refuse_words(properties: Resource) -> None:
    """Refuse a type that is not spelled as here, and an experiment's name that none can have."""
    for members, member in (("inputs", "jobInputType"), ("outputs", "jobOutputType")):
        for name, given in (properties.get(members) or {}).items():
            if (word := given[member]) != word.lower():
                path = f"properties.{members}.{name}.{member}"
                raise invalid(f"Error converting value '{word}' to a type in snake case. Path '{path}'.")
    if (experiment := properties.get("experimentName")) and not NAME.fullmatch(experiment):
        raise arm.refuse(
            400,
            "ValidationError",
            f"'{experiment}' is no name of an experiment: 1 to 255 letters, digits, '-' and '_', no sign first.",
        )


def refuse_empty_inputs(properties: Resource) -> None:
    """Refuse an input that says neither a value nor where its data is."""
    for name, given in (properties.get("inputs") or {}).items():
        member = "value" if given["jobInputType"].lower() == "literal" else "uri"
        if given.get(member) is None:
            raise arm.refuse(400, "ValidationError", f"The {member.title()} field of input '{name}' is required.")


def refuse_strangers(properties: Resource, workspace: str, resources: Resources) -> None:
    """Refuse components and computes that are not there, and inputs that do not fit the component."""
    settings = properties.get("settings") or {}
    for compute in (properties.get("computeId"), settings.get("default_compute")):
        if not isinstance(compute, str) or compute.lower() in ("", "serverless"):
            continue
        whole = compute if compute.startswith("/") else f"{workspace}/computes/{compute.removeprefix('azureml:')}"
        if resources.find(whole) is None:
            raise arm.refuse(400, "ComputeNotFound", f"Compute '{compute}' was not found.")
    nodes = properties.get("jobs") or {}
    for node in nodes.values():
        if isinstance(node, dict) and isinstance(node.get("componentId"), str):
            component(node["componentId"], workspace, resources)
    if properties["jobType"].lower() != "pipeline":
        return
    if not properties.get("componentId"):
        if not nodes and not properties.get("sourceJobId"):
            raise arm.refuse(400, "ValidationError", "A pipeline job needs a component or jobs of its own.")
        return
    spec = component(properties["componentId"], workspace, resources)
    if spec is not None:
        refuse_inputs(properties, spec)


def component(given: str, workspace: str, resources: Resources) -> Resource | None:
    """Give the specification of a component that is there, None for one of a registry, which nobody here knows."""
    if given.startswith("azureml://registries/"):
        return None
    whole = given
    if not given.startswith("/"):
        name, _, version = given.removeprefix("azureml:").partition(":")
        whole = f"{workspace}/components/{name}/versions/{version}"
    found = resources.find(whole)
    if found is None:
        raise arm.refuse(400, "ComponentNotFound", f"Component '{given}' was not found.")
    return found["properties"].get("componentSpec") or {}


def refuse_inputs(properties: Resource, spec: Resource) -> None:
    """Refuse inputs and outputs that the component does not declare, and required inputs that are not given."""
    for kind in ("inputs", "outputs"):
        declared = spec.get(kind) or {}
        if strangers := sorted(set(properties.get(kind) or {}) - set(declared)):
            raise arm.refuse(
                400,
                "UnknownBinding",
                f"The component has no {kind} named {', '.join(strangers)}; it has {', '.join(sorted(declared))}.",
            )
    needed = {
        name
        for name, one in (spec.get("inputs") or {}).items()
        if str(one.get("optional", "")).lower() != "true" and one.get("default") is None
    }
    for name, given in (properties.get("inputs") or {}).items():
        wanted = LITERALS.get(str((spec.get("inputs") or {})[name].get("type")).lower())
        if wanted and given["jobInputType"] == "literal" and not wanted.fullmatch(given["value"]):
            raise arm.refuse(400, "InvalidInput", f"Input '{name}' cannot be parsed: '{given['value']}'.")
    if missing := sorted(needed - set(properties.get("inputs") or {})):
        raise arm.refuse(400, "MissingInput", f"Required inputs are not provided: {', '.join(missing)}.")


def refuse_changes(before: Resource, properties: Resource) -> None:
    """Refuse properties of a job that are not the definition of the one which has that name already."""
    fixed = (set(before) | set(properties)) - set(CHANGEABLE) - set(ANSWERED)
    changed = [name for name in fixed if (before.get(name) or None) != (properties.get(name) or None)]
    if properties.get("experimentName") is None and "experimentName" in changed:
        changed.remove("experimentName")
    kept = before["properties"]
    if any(kept.get(name, value) != value for name, value in (properties.get("properties") or {}).items()):
        changed.append("properties")
    if changed:
        raise immutable([f"{name[0].upper()}{name[1:]}" for name in sorted(changed)])


def immutable(changed: Sequence[str]) -> RefusedError:
    """Give the refusal of another definition under the same name, in the service's own words."""
    message = (
        "A job with this name already exists. If you are trying to create a new job, use a different name. If you are "
        f"trying to update an existing job, the existing job's {',  '.join(changed)} cannot be changed. Only "
        "description, tags, displayName, properties, and isArchived can be updated."
    )
    refused = arm.ml_error(400, "Immutable", message)
    told: Any = refused.body
    inner = {"code": "Immutable", "innerError": {"code": "JobPropertyImmutable", "innerError": None}}
    told["error"] |= {"details": []}
    for info in told["error"]["additionalInfo"]:
        if info["type"] == "InnerError":
            info["info"] = {"value": inner}
    return RefusedError(refused)
