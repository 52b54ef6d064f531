"""Go on only where something holds: of the event, of what earlier steps gave, or of what the service says now.

A gate asks a filter, or compares a model's metric with a bar or with that of the model that is live, or both. Where it
does not hold, the action ends as skipped, with the condition and the value found as the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.actions import Status
from shared.clients.machine_learning.models import Model
from shared.errors import PermanentError
from shared.handlers import declared, measuring, serving
from shared.handlers.measuring import Measured
from shared.permissions import Permission
from shared.rules import templates
from shared.rules.clauses import Reason
from shared.rules.declared import Follows
from shared.rules.where import against, compile_where
from shared.stages import Done, End, Job, Progress, Stage

UNKNOWN = "a dry run gives no results to decide by: it goes on as if this held"
DEPLOYS = ("deploy.online_endpoint", "deploy.batch_endpoint")
ROUNDING = 1e-12
"""Two numbers that differ by less are the same: 0.92 - 0.91 is a little more than 0.01."""


class Gate(BaseModel):
    """Stops the action as skipped unless a filter holds, or a metric is good enough."""

    model_config = ConfigDict(
        extra="forbid",
        coerce_numbers_to_str=True,
        protected_namespaces=(),
        json_schema_extra={"anyOf": [{"required": ["where"]}, {"required": ["metric"]}]},
    )

    where: dict[str, Any] = Field(
        default_factory=dict,
        description="A filter as a rule's, which may also ask for `steps.<id>.…` and, of now, `live.model.…`.",
        min_length=1,
    )
    metric: str = Field(
        default="",
        description="A metric of the model: looked for in its properties, its tags, then in the job that trained it.",
    )
    at_least: float | None = Field(default=None, description="The least that the metric may be.", allow_inf_nan=False)
    at_most: float | None = Field(default=None, description="The most that it may be.", allow_inf_nan=False)
    better_than: Literal["", "live"] = Field(
        default="", description="`live`: the metric must be better than that of the model that the endpoint serves."
    )
    by: float = Field(default=0.0, ge=0, description="By how much at least.", allow_inf_nan=False)
    goal: Literal["maximize", "minimize"] = Field(
        default="maximize", description="Whether more is better (maximize), or less is (minimize)."
    )
    endpoint: Annotated[str, Follows(DEPLOYS, needed_by="better_than")] = Field(
        default="",
        description="The online or batch endpoint whose model is live; left out, that of the next deployment.",
    )
    reason: str = Field(default="", description="What to say where it does not hold, before what was found.")
    workspace: str = Field(
        default="", description="Where model and endpoint are; left out, where the event comes from."
    )
    model: str = Field(default="", description="The model that is looked at, `live.model`; left out, the event's.")
    version: str = Field(default="", description="Its version; left out, the event's.")
    model_id: str = Field(
        default="",
        description="A model elsewhere, by its ARM id or as azureml://registries/…; in place of model and version.",
    )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        """Refuse a gate that asks nothing, and a metric without anything that it is compared with."""
        bars = self.at_least is not None or self.at_most is not None or bool(self.better_than)
        if self.metric and not bars:
            raise ValueError("must compare the metric with something: at_least, at_most or better_than: live")
        if bars and not self.metric:
            raise ValueError("must name the metric that it compares")
        if not self.where and not self.metric:
            raise ValueError("must ask something: a filter (where) or a metric")
        if self.by and not self.better_than:
            raise ValueError("must have better_than: live where it has by")
        return self


def decide(params: Gate, job: Job) -> Progress:
    """Read what is asked for, and say whether it holds."""
    if job.is_dry_run and any(map(templates.is_template, _texts(params.model_dump(exclude={"reason"})))):
        return Done(note=UNKNOWN)
    roots = {condition.keys[0] for clause in compile_where(params.where) for condition in clause.conditions()}
    if job.is_dry_run and "steps" in roots:
        return Done(note=UNKNOWN)
    model = _model(params, job) if params.metric or "live" in roots else None
    if params.where:
        names = templates.context(job.event(), steps=job.steps, action={"key": job.action, "rule": job.rule})
        if "live" in roots:
            names["live"] = {"model": _shown(model, params, job)} if model else {}
        reason = against(params.where, names)
        if reason is not None:
            return _stop(params, _without_settings(reason, job).show())
    return _measure(params, model, job) if params.metric else Done({"passed": True}, note="it holds")


def _stop(params: Gate, why: str) -> End:
    return End(Status.SKIPPED, f"{params.reason}: {why}" if params.reason else why)


# -- the filter -------------------------------------------------------------------------------------------------------


def _without_settings(reason: Reason, job: Job) -> Reason:
    """Put the names of settings back in place of what they stand for: a reason is written down and shown."""
    names = {name for text in _texts(job.written.get("where")) for name in templates.setting_names(text)}
    values = {str(job.resolve(f"${{{name}}}")): f"${{{name}}}" for name in names}
    return reason.masked({value: name for value, name in values.items() if value})


def _model(params: Gate, job: Job) -> Model | None:
    """Read the model as Azure Machine Learning has it now; None where it is gone."""
    models, at = job.clients.machine_learning.models, params.model_id
    if not at:
        return models.read(_workspace(params, job), *_named(params, job))
    return models.by_id(at if at.startswith("/") else serving.arm_id(at, _workspace(params, job), job) or at)


def _named(params: Gate, job: Job) -> tuple[str, str]:
    if params.model_id:
        at, _, number = params.model_id.rpartition("/versions/")
        return at.rpartition("/")[2], number
    told: Mapping[str, Any] = job.event().facts.get("model", {})
    name, version = params.model or told.get("name"), params.version or told.get("version")
    if not name or not version:
        raise PermanentError(
            "the event tells of no model to look at", remedy="give the gate's step `model` and `version`"
        )
    return name, version


def _workspace(params: Gate, job: Job) -> str:
    return declared.workspace(job, params.workspace or job.event().source)


def _shown(found: Model, params: Gate, job: Job) -> dict[str, Any]:
    name, version = _named(params, job)
    created = found.created_at.isoformat() if found.created_at else None
    told = {"id": found.id, "type": found.type, "tags": dict(found.tags), "archived": found.archived}
    return {"name": name, "version": version, "created": created, **told}


def _texts(value: Any) -> Iterator[str]:
    """List the texts in a value, however deep."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(item)


# -- the metric -------------------------------------------------------------------------------------------------------


def _measure(params: Gate, model: Model | None, job: Job) -> Progress:
    """Compare the model's metric with the bars, and with that of the model that is live."""
    what = ":".join(_named(params, job))
    if model is None:
        return _stop(params, f"model {what} is not there any more")
    if model.archived:
        return _stop(params, f"model {what} is archived")
    workspace = _workspace(params, job)
    ours = measuring.look(model, params.metric, workspace, job)
    if ours.value is None:
        return _stop(params, f"{what} has no {params.metric}: {ours.where}")
    found = f"{params.metric} of {what} is {ours.value:g} ({ours.where})"
    if params.at_least is not None and ours.value < params.at_least:
        return _stop(params, f"{found}, and less than {params.at_least:g}")
    if params.at_most is not None and ours.value > params.at_most:
        return _stop(params, f"{found}, and more than {params.at_most:g}")
    told = {"passed": True, "metric": ours.value, "live": None}
    return _compare(params, model, ours.value, found, job) if params.better_than else Done(told, note=found)


def _compare(params: Gate, model: Model, ours: float, found: str, job: Job) -> Progress:
    """Compare the model's metric with that of the model that is live; where nothing is, it is good enough."""
    if not params.endpoint:
        raise PermanentError(
            "better_than: live does not say of which endpoint", remedy="give the gate's step `endpoint`"
        )
    workspace = _workspace(params, job)
    live = measuring.live_model_id(workspace, params.endpoint, job)
    told = {"passed": True, "metric": ours, "compared_with": live or "", "compared_at": params.endpoint}
    if live is None:
        return Done(told | {"live": None}, note=f"{found}, and nothing is live on {params.endpoint} yet")
    if serving.is_same(live, model.id):
        return Done(told | {"live": ours}, note=f"{found}, and it is live on {params.endpoint} already")
    theirs = _of_live(live, model, params, workspace, job)
    if theirs.value is None:
        why = f"what is live on {params.endpoint}, {_short(live)}, has no {params.metric} to compare with"
        return _stop(params, f"{found}, but {why}: {theirs.where}")
    compared = f"{found}, and {theirs.value:g} of {_short(live)}, which is live on {params.endpoint}"
    gain = (ours - theirs.value) * (1 if params.goal == "maximize" else -1)
    if gain > 0 and gain >= params.by - ROUNDING:
        return Done(told | {"live": theirs.value}, note=compared)
    wanted = f"{params.by:g} better" if params.by else "better"
    return _stop(params, f"{compared}: not {wanted} (goal: {params.goal})")


def _of_live(model_id: str, ours: Model, params: Gate, workspace: str, job: Job) -> Measured:
    """Look for the metric of the model that is live; what cannot be read has none."""
    try:
        whole = serving.arm_id(model_id, workspace, job, near=ours.id)
        model = job.clients.machine_learning.models.by_id(whole or model_id)
    except PermanentError as problem:
        return Measured(None, f"it cannot be read: {problem.reason}")
    if model is None:
        return Measured(None, "its model was deleted")
    return measuring.look(model, params.metric, workspace, job)


def _short(model_id: str) -> str:
    """Write a model's id for people: name and version.

    >>> _short("azureml://registries/prod/models/credit/versions/12")
    'credit:12'
    """
    name, _, version = model_id.rpartition("/versions/")
    return f"{name.rpartition('/')[2]}:{version}" if name else model_id


_ML = "Microsoft.MachineLearningServices/workspaces"
PERMISSIONS = {
    Gate: (
        Permission("workspace", (f"{_ML}/models/versions/read",), "to read the model again, and the one that is live"),
        *serving.REGISTRY_READS,
        *measuring.READS,
    )
}
RESULTS = {Gate: ("passed", "metric", "live", "compared_with", "compared_at")}
STAGES = {Gate: (Stage[Gate]("decide", start=decide, effect="decides"),)}
