"""Go on only where something holds: of the event, of what earlier steps gave, or of what the service says now.

A gate asks a filter, or compares a metric of a model, or of an iteration of Custom Vision, with a bar or with that of
what is live, or both. Where it does not hold, the action ends as skipped, with the condition and the value found as the
reason.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.clients.machine_learning.models import Model
from shared.errors import PermanentError
from shared.handlers import bars, declared, measuring, recognition
from shared.handlers.bars import Found, Live, Measured
from shared.handlers.machine_learning import serving
from shared.handlers.recognition import METRICS
from shared.permissions import Permission
from shared.rules import templates
from shared.rules.clauses import Reason
from shared.rules.declared import Follows, Names
from shared.rules.where import against, compile_where
from shared.stages import Done, End, Job, Progress, Stage

UNKNOWN = "a dry run gives no results to decide by: it goes on as if this held"
DEPLOYS = ("deploy.online_endpoint", "deploy.batch_endpoint")
PUBLISHES = ("publish.vision",)
OF_MODELS = ("workspace", "model", "version", "model_id")
OF_ITERATIONS = ("project", "iteration", "worst_tag_at_least", "worst_tag_as_good_as", "threshold", "overlap")
"""The parameters that are about an iteration of Custom Vision only."""
BESIDE = ("by", "worst_tag_as_good_as")
"""The parameters that say more of what is compared with."""


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
        description="A metric of the model: looked for in its properties, its tags, then in the job that trained it; "
        "of an iteration of Custom Vision precision, recall or average_precision.",
    )
    at_least: float | None = Field(default=None, description="The least that the metric may be.", allow_inf_nan=False)
    at_most: float | None = Field(default=None, description="The most that it may be.", allow_inf_nan=False)
    better_than: Literal["", "live"] = Field(
        default="",
        description="`live`: it must be better than that of the model that the endpoint serves, or of the iteration "
        "that is published now.",
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

    project: Annotated[str, Names("vision")] = Field(
        default="", description="A declared Custom Vision project; left out, the event's."
    )
    iteration: str = Field(default="", description="Its iteration that is measured; left out, the event's.")
    threshold: float = Field(
        default=0.5, ge=0, le=1, description="The probability from which a guess of the iteration counts."
    )
    overlap: float = Field(
        default=0.3, ge=0, le=1, description="How much of a box must be right, where the project detects objects."
    )
    worst_tag_at_least: float | None = Field(
        default=None,
        description="The least that the metric may be of any tag of the iteration.",
        ge=0,
        le=1,
        allow_inf_nan=False,
    )
    worst_tag_as_good_as: Literal["", "live"] = Field(
        default="",
        description="`live`, beside better_than: the worst tag must be as good as that of what is published now.",
    )
    publish_name: Annotated[str, Follows(PUBLISHES, needed_by="better_than", called="name")] = Field(
        default="",
        description="The name whose iteration is live; left out, that of the next `publish.vision`.",
    )

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        """Refuse a gate that asks nothing, and a metric without anything that it is compared with."""
        limits = (self.at_least, self.at_most, self.worst_tag_at_least)
        compares = any(limit is not None for limit in limits) or bool(self.better_than)
        if self.metric and not compares:
            raise ValueError("must compare the metric with something: at_least, at_most or better_than: live")
        if compares and not self.metric:
            raise ValueError("must name the metric that it compares")
        if not self.where and not self.metric:
            raise ValueError("must ask something: a filter (where) or a metric")
        for name in self.given(BESIDE):
            if not self.better_than:
                raise ValueError(f"must have better_than: live where it has {name}")
        return self

    @model_validator(mode="after")
    def _asks_of_one_thing(self) -> Self:
        """Refuse a gate about a model and an iteration at once, and a metric that no iteration has."""
        ours, theirs = self.given(OF_ITERATIONS), self.given(OF_MODELS)
        if ours and theirs:
            raise ValueError(f"must be about a model ({theirs[0]}) or about an iteration ({ours[0]}), not about both")
        if ours and self.metric and not templates.is_open(self.metric) and self.metric not in METRICS:
            raise ValueError(f"must have {', '.join(METRICS[:-1])} or {METRICS[-1]} as metric where it has {ours[0]}")
        return self

    def given(self, names: tuple[str, ...]) -> list[str]:
        """List which of these parameters say something else than where they are left out."""
        return [name for name in names if getattr(self, name) != type(self).model_fields[name].default]


def decide(params: Gate, job: Job) -> Progress:
    """Read what is asked for, and say whether it holds."""
    if job.is_dry_run and any(map(templates.is_template, _texts(params.model_dump(exclude={"reason"})))):
        return Done(note=UNKNOWN)
    roots = {condition.keys[0] for clause in compile_where(params.where) for condition in clause.conditions()}
    if job.is_dry_run and "steps" in roots:
        return Done(note=UNKNOWN)
    of_iteration = bool(params.metric) and _is_about_iteration(params, job)
    model = _model(params, job) if "live" in roots or (params.metric and not of_iteration) else None
    if params.where:
        names = templates.context(job.event(), steps=job.steps, action={"key": job.action, "rule": job.rule})
        if "live" in roots:
            names["live"] = {"model": _shown(model, params, job)} if model else {}
        reason = against(params.where, names)
        if reason is not None:
            return bars.stop(params, _without_settings(reason, job).show())
    if not params.metric:
        return Done({"passed": True}, note="it holds")
    return recognition.judge(params, job) if of_iteration else _measure(params, model, job)


def _is_about_iteration(params: Gate, job: Job) -> bool:
    """Tell whether an iteration of Custom Vision is measured: the gate says so, or the event, and the gate no model."""
    asked, facts = params.given(OF_ITERATIONS), job.event().facts
    if params.project or params.iteration or ("vision" in facts and not params.given(OF_MODELS)):
        return True
    if asked:
        raise PermanentError(
            f"{asked[0]} is about an iteration of Custom Vision, and the event tells of none", remedy=recognition.WHICH
        )
    return False


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
            "the event tells of no model to look at",
            remedy="give the gate's step `model` and `version`; of Custom Vision, `project` and `iteration`",
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
        return bars.stop(params, f"model {what} is not there any more")
    if model.archived:
        return bars.stop(params, f"model {what} is archived")
    workspace = _workspace(params, job)
    found = bars.hold(params, what, measuring.look(model, params.metric, workspace, job))
    if isinstance(found, End):
        return found
    return _compare(params, model, found, job) if params.better_than else bars.passed(found)


def _compare(params: Gate, model: Model, ours: Found, job: Job) -> Progress:
    """Compare the model's metric with that of the model that is live."""
    if not params.endpoint:
        raise PermanentError(
            "better_than: live does not say of which endpoint", remedy="give the gate's step `endpoint`"
        )
    workspace = _workspace(params, job)
    id = measuring.live_model_id(workspace, params.endpoint, job)
    live = None
    if id is not None:
        is_ours = serving.is_same(id, model.id)
        live = Live(id, _short(id), is_ours, look=lambda: _of_live(id, model, params, workspace, job))
    return bars.compare(params, ours, live, f"on {params.endpoint}", params.endpoint)


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


def _doubts(params: Gate, families: Collection[str]) -> Iterator[tuple[str, str]]:
    """Point out a metric that Custom Vision does not measure, and a bar above 1 for one that is from 0 to 1."""
    about_iteration = params.given(OF_ITERATIONS) or (set(families) == {"vision"} and not params.given(OF_MODELS))
    if not about_iteration or not params.metric or templates.is_open(params.metric):
        return
    if params.metric not in METRICS:
        yield "metric", f"{recognition.unmeasured(params.metric)}: this step would fail"
        return
    for name in ("at_least", "at_most", "by"):
        bar = getattr(params, name)
        if bar is not None and bar > 1:
            meant = f": {bar / 100:g} for {bar:g} %" if bar <= PERCENT else ""
            yield name, f"{name} is {bar:g}, and the {params.metric} of an iteration is from 0 to 1{meant}"


PERCENT = 100
_ML = "Microsoft.MachineLearningServices/workspaces"
PERMISSIONS = {
    Gate: (
        Permission("workspace", (f"{_ML}/models/versions/read",), "to read the model again, and the one that is live"),
        *serving.REGISTRY_READS,
        *measuring.READS,
        *recognition.READS,
    )
}
DOUBTS = {Gate: _doubts}
RESULTS = {Gate: ("passed", "metric", "live", "compared_with", "compared_at")}
STAGES = {Gate: (Stage[Gate]("decide", start=decide, effect="decides"),)}
