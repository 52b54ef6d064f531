"""A pipeline job: what a rule says of it, whether its component takes that, and how the service wants it written."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.clients.machine_learning.jobs import PipelineSettings
from shared.clients.machine_learning.resources import asset_id
from shared.errors import PermanentError
from shared.policy import Duration
from shared.redaction import tidy
from shared.rules import templates
from shared.rules.declared import Names
from shared.stages import Job

DATA: Mapping[str, tuple[str, str]] = {
    "folder": ("uri_folder", "data"),
    "file": ("uri_file", "data"),
    "mltable": ("mltable", "data"),
    "mlflow_model": ("mlflow_model", "models"),
    "custom_model": ("custom_model", "models"),
    "triton_model": ("triton_model", "models"),
}
"""What an input or an output is, to its name on the wire and to where assets of that kind are."""
WIRE_TYPES = {type_: name for name, (type_, _) in DATA.items()}
LITERALS = frozenset({"string", "number", "integer", "boolean"})
SERVERLESS = "serverless"
"""The compute that is nobody's own."""
REGISTRY = "azureml://registries/"


def _input(given: Any) -> Any:
    if isinstance(given, str | bool | int | float):
        return given
    if not isinstance(given, Mapping) or len(given) != 1 or not given.keys() <= DATA.keys():
        raise ValueError(f"must be a text, a number, true or false, or one of {', '.join(DATA)}, such as {{folder: …}}")
    if not all(isinstance(uri, str) and uri for uri in given.values()):
        raise ValueError('must have a URI, an asset\'s id or its "name:version"')
    return dict(given)


def versioned(given: str) -> str:
    """Refuse the name of an asset without a version, before anything is rendered."""
    if (
        given
        and not templates.is_open(given)
        and ":" not in given.removeprefix("azureml:")
        and "/versions/" not in given
    ):
        raise ValueError('names no version: write "name:version", or the whole id')
    return given


class Output(BaseModel):
    """Where an output of the pipeline goes."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    type: Literal["folder", "file", "mltable", "mlflow_model", "custom_model", "triton_model"] = Field(
        default="folder", description="What it is."
    )
    uri: str = Field(default="", description="Where it is written; left out, where the service chooses.")
    model: str = Field(
        default="", description="The name of a model that it is registered as once the job has completed."
    )

    @model_validator(mode="after")
    def _is_a_model(self) -> Self:
        """Refuse to register as a model what is none."""
        if self.model and DATA[self.type][1] != "models":
            raise ValueError("must have the type of a model, such as mlflow_model, where it has the name of one")
        return self


class PipelineJob(BaseModel):
    """Runs a registered pipeline component as a job."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    component: Annotated[str, AfterValidator(versioned)] = Field(
        description='A registered pipeline component: "name:version", an ARM id, or azureml://registries/….',
        min_length=1,
    )
    inputs: dict[str, Annotated[Any, AfterValidator(_input)]] = Field(
        default_factory=dict,
        description="The component's inputs: a text, number or bool as it is, data as {folder: uri}, {file: uri}, "
        "{mltable: uri} or {mlflow_model: uri}.",
    )
    outputs: dict[str, Output] = Field(
        default_factory=dict,
        description="Its outputs: `type` (folder), `uri` to write to, `model` to register it as; all may be left out.",
    )
    experiment: str = Field(default="reactor", description="The experiment that the job is listed under.", min_length=1)
    display_name: str = Field(default="", description="What the studio calls the job; left out, the rule's name.")
    compute: str = Field(default="", description="The steps' default compute: a name, an ARM id, or serverless.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the job, beside those of lineage.")
    within: Duration = Field(
        default=timedelta(days=7), description="How long it may take; then the job is canceled, and the step fails."
    )


# -- the component ----------------------------------------------------------------------------------------------------


def component_id(workspace: str, given: str) -> str:
    """Make the id of a component version; PermanentError where no version is named.

    >>> component_id("/subscriptions/…/workspaces/fraud", "azureml:retrain:4")
    '/subscriptions/…/workspaces/fraud/components/retrain/versions/4'
    """
    made = asset_id(workspace, "components", given)
    name, found, version = made.rpartition("/versions/")
    if not (found and version and name):
        raise PermanentError(
            f"component: {tidy(given)} names no version", remedy='write "name:version", or the whole id'
        )
    return made


def check(component: str, params: PipelineJob, job: Job) -> None:
    """Read the component, and refuse what it does not take; one of a registry is not looked up."""
    if component.startswith(REGISTRY):
        return
    parent, _, version = component.rpartition("/versions/")
    workspace, _, name = parent.rpartition("/components/")
    found = job.clients.machine_learning.assets.component(workspace, name, version)
    if found is None:
        raise PermanentError(
            f"component {name}:{version} is not there", remedy="register it, or correct the rule's component"
        )
    what = f"component {name}:{version}"
    if found.type not in ("", "pipeline"):
        raise PermanentError(
            f"{what} is a {tidy(found.type)} and no pipeline", remedy="name a pipeline component, which has its steps"
        )
    for kind, given, known in (("input", params.inputs, found.inputs), ("output", params.outputs, found.outputs)):
        if unknown := sorted(given.keys() - set(known)):
            raise PermanentError(
                f"{what} has no {kind} {', '.join(unknown)}: it has {', '.join(known) or 'none'}",
                remedy="correct the rule, or name another version",
            )
    if missing := sorted(found.needed - params.inputs.keys()):
        raise PermanentError(f"{what} needs the input {', '.join(missing)}", remedy="give it under `inputs`")
    for input_, given in params.inputs.items():
        _check_type(input_, given, found.inputs[input_])


def _check_type(name: str, given: Any, wanted: str) -> None:
    """Refuse a literal where the component wants data, and data where it wants a literal."""
    is_data = isinstance(given, Mapping)
    if (wanted in LITERALS and is_data) or (wanted in WIRE_TYPES and not is_data):
        such = f"{{{WIRE_TYPES[wanted]}: …}}" if wanted in WIRE_TYPES else "the value as it is"
        raise PermanentError(f"input {name} is a {wanted}", remedy=f"write {such}")


# -- on the wire ------------------------------------------------------------------------------------------------------


def settings(
    params: PipelineJob, workspace: str, component: str, *, display_name: str, lineage: Mapping[str, str]
) -> PipelineSettings:
    """Write the job as the service wants it; tags of a rule never hide its lineage."""
    return PipelineSettings(
        component_id=component,
        experiment=params.experiment,
        display_name=display_name,
        inputs={name: _input_of(workspace, given) for name, given in params.inputs.items()},
        outputs={name: _output_of(given) for name, given in params.outputs.items()},
        compute=_compute_id(workspace, params.compute),
        tags=params.tags | dict(lineage),
    )


def _compute_id(workspace: str, given: str) -> str:
    return asset_id(workspace, "computes", given) if given.lower() not in ("", SERVERLESS) else given


def _input_of(workspace: str, given: Any) -> dict[str, str]:
    """Write an input as the service wants it: every literal is a text, and Python's own spelling is what it reads."""
    if not isinstance(given, Mapping):
        return {"jobInputType": "literal", "value": str(given)}
    ((kind, uri),) = given.items()
    type_, assets = DATA[kind]
    return {"jobInputType": type_, "uri": uri if _is_uri(uri) else asset_id(workspace, assets, uri)}


def _is_uri(text: str) -> bool:
    """Tell a URI, or what stands for a path, from an asset's "name:version"."""
    return "/" in text or not re.fullmatch(r"(azureml:)?[^:]+:[^:]+", text)


def _output_of(given: Output) -> dict[str, str]:
    named = {"jobOutputType": DATA[given.type][0], "uri": given.uri, "assetName": given.model}
    return {name: value for name, value in named.items() if value}
