"""Go on only where something holds: of the event, of what earlier steps gave, or of what the service says now.

Where it does not, the action ends as skipped, with the condition and the value found as the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.actions import Status
from shared.errors import PermanentError
from shared.handlers import declared
from shared.rules import templates
from shared.rules.clauses import Reason
from shared.rules.where import against, compile_where
from shared.stages import Done, End, Job, Progress, Stage

UNKNOWN = "a dry run gives no results to decide by: it goes on as if this held"


class Gate(BaseModel):
    """Stops the action as skipped unless a filter holds."""

    model_config = ConfigDict(extra="forbid")

    where: dict[str, Any] = Field(
        description="A filter as a rule's, which may also ask for `steps.<id>.…` and, of now, `live.model.…`.",
        min_length=1,
    )
    reason: str = Field(default="", description="What to say where it does not hold, before what was found.")
    workspace: str = Field(default="", description="Where `live.model` is; left out, where the event comes from.")
    model: str = Field(default="", description="The model that `live.model` is; left out, the event's.")
    version: str = Field(default="", description="Its version; left out, the event's.")


def decide(params: Gate, job: Job) -> Progress:
    """Read what is asked for, and say whether it holds."""
    if job.is_dry_run and any(map(templates.is_template, _texts(params.where))):
        return Done(note=UNKNOWN)
    roots = {condition.keys[0] for clause in compile_where(params.where) for condition in clause.conditions()}
    if job.is_dry_run and "steps" in roots:
        return Done(note=UNKNOWN)
    names = templates.context(job.event(), steps=job.steps, action={"key": job.action, "rule": job.rule})
    if "live" in roots:
        names["live"] = _live(params, job)
    reason = against(params.where, names)
    if reason is None:
        return Done({"passed": True}, note="it holds")
    shown = _without_settings(reason, job).show()
    return End(Status.SKIPPED, f"{params.reason}: {shown}" if params.reason else shown)


def _without_settings(reason: Reason, job: Job) -> Reason:
    """Put the names of settings back in place of what they stand for: a reason is written down and shown."""
    names = {name for text in _texts(job.written.get("where")) for name in templates.setting_names(text)}
    values = {str(job.resolve(f"${{{name}}}")): f"${{{name}}}" for name in names}
    return reason.masked({value: name for value, name in values.items() if value})


def _live(params: Gate, job: Job) -> dict[str, Any]:
    """Read the model as Azure Machine Learning has it now; nothing of one that is gone."""
    event = job.event()
    told: Mapping[str, Any] = event.facts.get("model", {})
    name, version = params.model or told.get("name"), params.version or told.get("version")
    if not name or not version:
        raise PermanentError(
            "the event tells of no model to look at", remedy="give the gate's step `model` and `version`"
        )
    workspace = declared.workspace(job, params.workspace or event.source)
    found = job.clients.machine_learning.models.read(workspace, name, version)
    if found is None:
        return {}
    created = found.created_at.isoformat() if found.created_at else None
    shown = {"id": found.id, "type": found.type, "tags": dict(found.tags), "archived": found.archived}
    return {"model": {"name": name, "version": version, "created": created, **shown}}


def _texts(value: Any) -> Iterator[str]:
    """List the texts in a value, however deep."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _texts(item)


RESULTS = {Gate: ("passed",)}
STAGES = {Gate: (Stage[Gate]("decide", start=decide, effect="decides"),)}
