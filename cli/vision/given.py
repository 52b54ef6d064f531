"""A Custom Vision project as options give it: written as a rules file would, so that keys stay names of settings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from shlex import quote
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from cli.surroundings import Surroundings

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from shared.clients.vision import Resource
    from shared.rules.declared import VisionProject

KEY_SETTING, PREDICTION_KEY_SETTING = "REACTOR_VISION_KEY", "REACTOR_VISION_PREDICTION_KEY"
LOCAL: Mapping[str, str] = {
    "endpoint": "SIMULATOR_VISION",
    "key": "SIMULATOR_VISION_KEY",
    "prediction_key": "SIMULATOR_VISION_PREDICTION_KEY",
}
"""The settings of the local stack that lead to its training resource."""
NOBODY = "00000000-0000-0000-0000-000000000000"
"""The id of a project that is still to be made."""
OPTIONS: Mapping[str, str] = {
    "training_endpoint": "--endpoint",
    "training": "--endpoint",
    "prediction_resource": "--prediction",
    "prediction_endpoint": "--prediction-endpoint",
}
"""The option that a field of a declaration comes from."""


def resource_of(options: Namespace, around: Surroundings) -> dict[str, str]:
    """Write a training resource as a rules file would."""
    endpoint = options.endpoint or f"${{{LOCAL['endpoint']}}}"
    default = KEY_SETTING if options.endpoint else LOCAL["key"]
    key = _key(options.key_setting, default, "key", around)
    return {"endpoint": endpoint} | ({"key": key} if key else {})


def prediction_of(options: Namespace, around: Surroundings) -> dict[str, str]:
    """Write a prediction resource; {} where none is given."""
    resource = getattr(options, "prediction", None)
    endpoint = getattr(options, "prediction_endpoint", None)
    if not resource:
        return {}  # an endpoint alone is enough to ask, and nothing that could be published on
    key = _key(getattr(options, "prediction_key_setting", None), PREDICTION_KEY_SETTING, "prediction_key", around)
    made = {"resource": resource, "endpoint": endpoint, "key": key}
    return {name: value for name, value in made.items() if value}


def prediction_at(options: Namespace, around: Surroundings) -> Resource | None:
    """Give the prediction resource that is to be asked, which needs no ARM id; None where no endpoint is given."""
    from pydantic import ValidationError

    from shared.clients.vision import Resource
    from shared.rules import declared

    if not options.prediction_endpoint:
        return None
    key = _key(options.prediction_key_setting, PREDICTION_KEY_SETTING, "prediction_key", around)
    resource = {"endpoint": options.prediction_endpoint} | ({"key": key} if key else {})
    try:
        given = declared.Resource.model_validate(resource)
    except ValidationError as problem:
        raise UsageError(f"--prediction-endpoint: {_said(problem)}") from None
    return Resource.of(filled_in(given, around.values, "--prediction-endpoint"))


def said_again(options: Namespace, *names: str) -> str:
    """Write options as they were given, each with a space before it; those that were not are left out."""
    given = ((name, getattr(options, name, None)) for name in names)
    return "".join(f" --{name.replace('_', '-')} {quote(str(value))}" for name, value in given if value)


def _key(named: str | None, default: str, local: str, around: Surroundings) -> str:
    """Write a key as a rules file would; "" where the identity is to be used."""
    if named:
        return f"${{{named}}}"
    names = [default, LOCAL[local]] if around.is_local else [default]
    return next((f"${{{name}}}" for name in names if around.values.get(name)), "")


def project_of(project: str, **parts: Any) -> VisionProject:
    """Declare a project; UsageError names the option that does not fit."""
    from pydantic import ValidationError

    from shared.rules.declared import VisionProject

    try:
        return VisionProject.model_validate({"project": project, **parts})
    except ValidationError as problem:
        field = "_".join(str(part) for part in problem.errors()[0]["loc"])
        option = OPTIONS.get(field, "")
        raise UsageError(f"{option}: {_said(problem)}" if option else _said(problem)) from None


def _said(problem: ValidationError) -> str:
    return str(problem.errors()[0]["msg"]).removeprefix("Value error, ")


def written(resource: Mapping[str, str]) -> str:
    """Write a resource on one line of a rules file."""
    return "{" + ", ".join(f'{name}: "{value}"' for name, value in resource.items()) + "}"


# -- settings ---------------------------------------------------------------------------------------------------------


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill settings in; "" where one is not set."""
    from shared.errors import PermanentError
    from shared.rules import templates

    try:
        return str(templates.resolve(text, values))
    except PermanentError:
        return ""


def filled_in[D: BaseModel](project: D, values: Mapping[str, str], name: str) -> D:
    """Fill settings in, and check what they make of it; UsageError names each that is not set, and shows no value."""
    from pydantic import ValidationError

    from shared.rules import templates

    written = project.model_dump()
    unset = sorted(setting for setting in templates.named_settings(written) if not values.get(setting))
    if unset:
        told = f"{unset[0]} is" if len(unset) == 1 else f"{', '.join(unset)} are"
        raise UsageError(f"{told} not set here, and {name} needs it: put it into the environment as the app has it")
    try:
        return type(project).model_validate(templates.resolve(written, values))
    except ValidationError as problem:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problem.errors())
        raise UsageError(f"a setting does not fit where {name} uses it: {wrong}") from None
