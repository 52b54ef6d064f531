"""What a batch deployment is made of: the parameters of the step that makes one, and the settings that follow."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.clients.machine_learning.batch import BatchSettings
from shared.clients.machine_learning.resources import asset_id
from shared.events import digest
from shared.handlers.machine_learning import serving
from shared.handlers.machine_learning.clusters import CreateCompute
from shared.handlers.machine_learning.pipelines import versioned
from shared.policy import Duration
from shared.rules.declared import Names
from shared.stages import Job

NO_LIMIT = -1
OWN_TAG = "reactor-action"
SETTINGS_TAG = "reactor-settings"
"""The deployment's tag with a hash of its settings: what is live with others is not ours, but replaced by ours."""


OF_MODELS = (
    *("instance_count", "mini_batch_size", "error_threshold", "output_action", "output_file", "max_retries"),
    *("retry_timeout", "concurrency", "logging_level"),
)
"""Parameters that the deployment of a component has no use for."""


class BatchEndpoint(BaseModel):
    """Deploys a model, or a pipeline component, to a batch endpoint, and makes it the endpoint's default."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, protected_namespaces=())

    workspace: Annotated[str, Names("workspaces")] = Field(
        default="{{ source }}", description="A declared workspace; by default where the event comes from."
    )
    model: str = Field(default="{{ model.name | default('') }}", description="The model's name.")
    version: str = Field(default="{{ model.version | default('') }}", description="The model's version.")
    model_id: str = Field(
        default="",
        description="A model elsewhere, such as azureml://registries/prod/models/fraud/versions/12, or its ARM id.",
        pattern=r"^(azureml://registries/.+/models/.+/versions/.+|/subscriptions/.+/models/.+/versions/.+|)$",
    )
    component: Annotated[str, AfterValidator(versioned)] = Field(
        default="",
        description='In place of a model: a registered pipeline component, "name:version" or an id.',
    )
    endpoint: str = Field(
        description="The endpoint, made where it is missing; its name is unique in the region.",
        pattern=r"^[A-Za-z](?:-?[A-Za-z0-9])*$",
        min_length=3,
        max_length=32,
    )
    compute: str = Field(description="The compute cluster that scores: a name, or an ARM id.", min_length=1)
    create_compute: CreateCompute | None = Field(
        default=None, description="How the compute cluster is made where it is missing; left out, that is a failure."
    )
    instance_count: int = Field(default=1, ge=1, description="Nodes for one scoring job.")
    environment: str = Field(default="", description='"name:version" or an id; not needed for MLflow models.')
    environment_variables: dict[str, str] = Field(default_factory=dict, description="What the scoring script is told.")
    code: str = Field(
        default="", description='"name:version" or an id of registered code; not needed for MLflow models.'
    )
    scoring_script: str = Field(default="", description="The file in `code` that scores.")
    mini_batch_size: int | None = Field(default=None, ge=1, description="Files that are scored at a time.")
    error_threshold: int | None = Field(
        default=None, ge=NO_LIMIT, description="Files that may fail before the job does; -1: any number."
    )
    output_action: Literal["AppendRow", "SummaryOnly"] | None = Field(
        default=None, description="AppendRow: all that the script returns goes into one file."
    )
    output_file: str = Field(default="", description="That file's name, where the caller gives none.")
    max_retries: int | None = Field(default=None, ge=0, description="How often a mini-batch that fails is tried again.")
    retry_timeout: Duration | None = Field(default=None, description="How long one mini-batch may take.")
    concurrency: int | None = Field(default=None, ge=1, description="Processes on each node.")
    logging_level: Literal["Debug", "Info", "Warning"] | None = Field(
        default=None, description="How much the job's log holds."
    )
    set_default: bool = Field(
        default=True, description="Whether it answers callers that name no deployment; never in place of a newer one."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.component and self.model_id:
            raise ValueError("give a component, or a model_id, and not both")
        if self.component and (self.code or self.scoring_script or self.environment or self.environment_variables):
            raise ValueError("a component brings its own code and environment: give it, or a model with these")
        fields = type(self).model_fields
        unused = [name for name in OF_MODELS if getattr(self, name) != fields[name].default]
        if self.component and unused:
            raise ValueError(f"a component has no use for {', '.join(unused)}: leave it out, or give a model")
        return self


def settings(params: BatchEndpoint, job: Job) -> BatchSettings:
    """Make the settings of a deployment of what was found to be deployed, tagged with a hash of them."""
    workspace = job.result["workspace"]
    made: dict[str, Any] = {
        "model_id": job.result.get("model_id", ""),
        "component_id": job.result.get("component_id", ""),
        "compute_id": asset_id(workspace, "computes", params.compute),
        "instance_count": params.instance_count,
        "environment_id": params.environment and asset_id(workspace, "environments", params.environment),
        "environment_variables": params.environment_variables,
        "code_id": params.code and asset_id(workspace, "codes", params.code),
        "scoring_script": params.scoring_script,
        "mini_batch_size": params.mini_batch_size,
        "error_threshold": params.error_threshold,
        "output_action": params.output_action or "",
        "output_file": params.output_file,
        "max_retries": params.max_retries,
        "retry_timeout": params.retry_timeout,
        "concurrency": params.concurrency,
        "logging_level": params.logging_level or "",
    }
    tags = {OWN_TAG: job.key, SETTINGS_TAG: digest(*map(str, made.values()))[:12]}
    return BatchSettings(**made, tags=tags | serving.created_tag(job))
