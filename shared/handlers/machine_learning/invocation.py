"""What a batch endpoint is invoked with: the step's parameters, whether they fit, and the invocation made of them."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.clients.machine_learning.resources import asset_id
from shared.clients.machine_learning.scoring import DataType, Input, Invocation, Output
from shared.errors import PermanentError
from shared.policy import Duration
from shared.redaction import tidy
from shared.rules.declared import Names
from shared.stages import Job

SCORE, PREDICTIONS = "score", "predictions.csv"
"""What a model deployment's output is called, and its file."""
NAMED = re.compile(r"(azureml:)?[^:/]+:[^:/]+")
"""An asset's "name:version"."""


class Kind(NamedTuple):
    """A kind of data."""

    type: DataType
    declared: str
    """What a component calls it."""
    assets: str
    """Where registered ones are."""


DATA: Mapping[str, Kind] = {
    "folder": Kind("UriFolder", "uri_folder", "data"),
    "file": Kind("UriFile", "uri_file", "data"),
    "mlflow_model": Kind("MLFlowModel", "mlflow_model", "models"),
    "custom_model": Kind("CustomModel", "custom_model", "models"),
    "triton_model": Kind("TritonModel", "triton_model", "models"),
}
FORMS = {**DATA, "data": DATA["folder"]}
"""What an input can be given as; a registered data asset is a folder, where nobody says that it is a file."""


def _input(given: Any) -> Any:
    if isinstance(given, str | bool | int | float):
        return given
    if not isinstance(given, Mapping) or len(given) != 1 or not given.keys() <= FORMS.keys():
        raise ValueError(
            f"must be a text, a number, true or false, or one of {', '.join(FORMS)}, such as {{folder: …}}"
        )
    if not all(isinstance(uri, str) and uri for uri in given.values()):
        raise ValueError('must have a URI, or the id or "name:version" of a registered asset')
    return dict(given)


def _path(path: str) -> str:
    if path.startswith("/") or "\\" in path or {".", ".."} & set(path.split("/")):
        raise ValueError("must be a path below the datastore, without . and .. in it")
    return path


class Where(BaseModel):
    """Where the job writes; the step's key is always part of it, so that nothing is there yet."""

    model_config = ConfigDict(extra="forbid")

    datastore: str = Field(
        default="", description="A datastore of Azure Blob Storage; left out, the workspace's default."
    )
    path: Annotated[str, AfterValidator(_path)] = Field(
        default="",
        description="A folder of it, reactor/<endpoint> if left out; a folder named by the step's key follows.",
    )
    file: Annotated[str, AfterValidator(_path)] = Field(
        default="", description=f"The file of predictions, {PREDICTIONS} if left out; of model deployments only."
    )


class BatchEndpoint(BaseModel):
    """Invokes a batch endpoint, and follows the scoring job to its end."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    endpoint: str = Field(description="The batch endpoint.", min_length=1)
    deployment: str = Field(default="", description="Which of its deployments; left out, the default one.")
    inputs: dict[str, Annotated[Any, AfterValidator(_input)]] = Field(
        default_factory=dict,
        description='By name: data as {folder: uri}, {file: uri}, {mlflow_model: uri} or {data: "name:version"}, and '
        "for pipeline components a text, a number or a bool as it is. A model takes one, of any name.",
    )
    output: Where = Field(default_factory=Where, description="Where the job writes.")
    outputs: dict[str, Literal["folder", "file", "mlflow_model", "custom_model", "triton_model"]] = Field(
        default_factory=dict, description="Outputs of a pipeline component, by name; left out, all that it declares."
    )
    experiment: str = Field(
        default="", description="The experiment that a pipeline component's job is listed under; else, the endpoint's."
    )
    mini_batch_size: int | None = Field(
        default=None, ge=1, description="Files at a time, in place of the deployment's."
    )
    error_threshold: int | None = Field(
        default=None, ge=-1, description="Files that may fail, in place of the deployment's; -1: any number."
    )
    max_retries: int | None = Field(default=None, ge=0, description="How often a mini-batch that fails is tried again.")
    retry_timeout: Duration | None = Field(default=None, description="How long one mini-batch may take.")
    within: Duration = Field(
        default=timedelta(days=7), description="How long it may take; then the job is canceled, and the step fails."
    )


# -- whether it fits --------------------------------------------------------------------------------------------------


def check_model(params: BatchEndpoint) -> None:
    """Check what a model deployment is given; PermanentError says what it does not take."""
    literals = sorted(name for name, one in params.inputs.items() if not isinstance(one, Mapping))
    if literals:
        raise PermanentError(
            f"a model deployment takes no literals: {', '.join(literals)}",
            remedy="give data, such as {folder: …}; literals are for deployments of pipeline components",
        )
    if len(params.inputs) != 1:
        raise PermanentError(
            f"a model deployment takes one input, not {len(params.inputs)}",
            remedy="give one folder, file or data asset",
        )
    if params.outputs:
        raise PermanentError(
            "a model deployment writes one file", remedy="say where with `output`; `outputs` is for pipeline components"
        )


def check_component(params: BatchEndpoint, component_id: str, job: Job) -> dict[str, DataType]:
    """Check what a component is given, as far as it can be read; return the types of its outputs."""
    asked = {name: DATA[kind].type for name, kind in params.outputs.items()}
    place, _, rest = component_id.partition("/components/")
    name, _, version = rest.partition("/versions/")
    if not place.startswith("/"):
        return asked  # of a registry that only names itself
    found = job.clients.machine_learning.assets.component(place, name, version)
    if found is None:
        raise PermanentError(
            f"component {tidy(name)}:{tidy(version)} is not there any more", remedy="deploy another one"
        )
    for what, given, known in (("input", params.inputs, found.inputs), ("output", params.outputs, found.outputs)):
        if unknown := sorted(given.keys() - set(known)):
            raise PermanentError(
                f"component {name}:{version} has no {what} {', '.join(unknown)}: it has {', '.join(known) or 'none'}",
                remedy="correct the step",
            )
    if missing := sorted(found.needed - params.inputs.keys()):
        raise PermanentError(
            f"component {name}:{version} needs the input {', '.join(missing)}", remedy="give it under `inputs`"
        )
    kinds = {one.declared: one.type for one in DATA.values()}
    return {name: kinds[type_] for name, type_ in found.outputs.items() if type_ in kinds} | asked


# -- the invocation ---------------------------------------------------------------------------------------------------


def invocation(params: BatchEndpoint, job: Job) -> Invocation:
    """Make the invocation, of what `check` found out; it is the same whenever it is made."""
    result, is_model = job.result, job.result["is_model"]
    folder = "/".join((params.output.path.strip("/") or f"reactor/{params.endpoint}", job.key))
    paths = f"azureml://datastores/{result['datastore']}/paths/{folder}"
    file = params.output.file or PREDICTIONS
    if is_model:
        outputs = {SCORE: Output("UriFile", f"{paths}/{file}")}
    else:
        outputs = {name: Output(type_, f"{paths}/{name}") for name, type_ in result["types"].items()}
    return Invocation(
        inputs={name: _given(result["workspace"], one) for name, one in params.inputs.items()},
        outputs=outputs,
        experiment=params.experiment,
        name=f"reactor-{job.key[:8]}",
        mini_batch_size=params.mini_batch_size,
        error_threshold=params.error_threshold,
        max_retries=params.max_retries,
        retry_timeout=params.retry_timeout,
        output_file=file if is_model else "",
    )


def _given(workspace: str, one: Any) -> Input:
    if not isinstance(one, Mapping):
        return Input("Literal", value=str(one).lower() if isinstance(one, bool) else str(one))
    ((form, uri),) = one.items()
    kind = FORMS[form]
    return Input(kind.type, asset_id(workspace, kind.assets, uri) if NAMED.fullmatch(uri) else uri)
