"""Delete iterations of a Custom Vision project that nobody needs any more: a project may have 20.

What is published, in training or the newest is never deleted. What goes is decided once, and each is looked at again
right before it goes.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.clients.vision import Iteration
from shared.counting import how_many
from shared.errors import PermanentError
from shared.handlers.vision import iterations, projects
from shared.handlers.vision.iterations import Place
from shared.permissions import Permission
from shared.policy import Duration, show_duration
from shared.rules.declared import Names
from shared.stages import Done, Job, Pending, Progress, Stage

AT_ONCE = 3
"""Deleted before a function returns: two requests each."""


class Vision(BaseModel):
    """Deletes old iterations of a Custom Vision project, never one that is published."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    keep: int = Field(default=10, ge=1, lt=projects.CAP, description="So many of the newest trained iterations stay.")
    only_backed_up: bool = Field(
        default=False,
        description="What can be exported is deleted only where one of its exports is backed up in our own store.",
    )
    older_than: Duration | None = Field(default=None, description="Only what was trained longer ago is deleted.")


# -- list -------------------------------------------------------------------------------------------------------------


def choose(params: Vision, job: Job) -> Progress:
    """Decide, once and while nobody publishes, which iterations go."""
    place = iterations.place(job, params.project)
    if holder := job.hold(iterations.names_lock(place.project)):
        return Pending(note=f"waits for action {holder}, which publishes an iteration of the project")
    projects.read_project(place, job)
    there = sorted(job.clients.vision.iterations.list(place.at, place.project), key=projects.age, reverse=True)
    stays = _staying(params, there, job)
    for one in there:
        may_be_kept = params.only_backed_up and one.id not in stays and one.exportable
        if may_be_kept and not job.clients.backups.whole(place.project, one.id):
            stays[one.id] = "not backed up"
    told = {
        "project": place.project,
        "chosen": [_shown(one) for one in there if one.id not in stays],
        "kept": [_shown(one) for one in there if one.id in stays],
    }
    return Done(told, _note(told["chosen"], stays))


def _staying(params: Vision, there: Sequence[Iteration], job: Job) -> dict[str, str]:
    """Say of each iteration that stays why, by its id; `there` is sorted, the newest first."""
    newest = [one.id for one in there if one.is_good][: params.keep]
    stays: dict[str, str] = {}
    for one in there:
        trained = one.trained_at or one.created
        why = _in_use(one)
        if not why and (one.id in newest or one is there[0]):
            why = f"among the newest {params.keep}"
        if not why and params.older_than and (trained is None or trained > job.now - params.older_than):
            why = f"not older than {show_duration(params.older_than)}"
        if why:
            stays[one.id] = why
    return stays


def _in_use(one: Iteration) -> str:
    """Say why an iteration is never deleted; "" where it may be."""
    if one.publish_name:
        return "published"
    return "" if one.is_over else "not trained yet"


def _shown(one: Iteration) -> dict[str, str]:
    return {"id": one.id, "name": iterations.label(one)}


def _note(chosen: Sequence[object], stays: Mapping[str, str]) -> str:
    reasons = list(stays.values())
    why = ", ".join(f"{reasons.count(reason)} {reason}" for reason in dict.fromkeys(reasons))
    return f"{len(chosen)} to delete; {len(stays)} to keep" + (f": {why}" if why else "")


# -- delete -----------------------------------------------------------------------------------------------------------


def find(_params: Vision, job: Job) -> Progress | None:
    """Look whether there is nothing to do; what is gone already is known when its turn comes."""
    return None if job.result["chosen"] else _deleted([], job)


def delete(params: Vision, job: Job) -> Progress:
    """Delete the next few, unless they are in use by now."""
    place = iterations.place(job, params.project)
    gone, chosen = dict(job.memory.get("gone", {})), job.result["chosen"]
    for one in [one for one in chosen if one["id"] not in gone][:AT_ONCE]:
        gone[one["id"]] = _delete(one["id"], place, job)
    left = len(chosen) - len(gone)
    if left:
        return Pending(0, memory={"gone": gone}, note=f"{left} of {how_many(len(chosen), 'iteration')} to delete")
    return _deleted([id_ for id_, is_gone in gone.items() if is_gone], job)


def _delete(id_: str, place: Place, job: Job) -> bool:
    """Delete an iteration, or leave it as it is because it is in use by now; what is gone is gone."""
    client = job.clients.vision.iterations
    one = client.read(place.at, place.project, id_)
    if one is None or _in_use(one):
        return one is None
    try:
        client.delete(place.at, place.project, id_)
    except PermanentError:
        after = client.read(place.at, place.project, id_)
        if after is not None and not _in_use(after):
            raise
        return after is None  # it was published in this very moment
    return True


def _deleted(gone: Iterable[str], job: Job) -> Done:
    ids = set(gone)
    deleted = [one for one in job.result["chosen"] if one["id"] in ids]
    spared = [one for one in job.result["chosen"] if one["id"] not in ids]
    names = ", ".join(one["name"] for one in deleted) or "nothing"
    note = f"{names} deleted" + (f"; {', '.join(one['name'] for one in spared)} is in use by now" if spared else "")
    return Done({"deleted": deleted, "kept": [*job.result["kept"], *spared]}, note)


_CV = "Microsoft.CognitiveServices/accounts/CustomVision/projects"
PERMISSIONS = {
    Vision: (
        Permission(
            "vision",
            (f"{_CV}/read", f"{_CV}/iterations/read", f"{_CV}/iterations/delete"),
            "to delete iterations, without a key",
            is_data=True,
        ),
    )
}
RESULTS = {Vision: ("deleted", "kept", "project")}
STAGES = {
    Vision: (
        Stage[Vision]("list", start=choose, watch=choose, effect="reads"),
        Stage[Vision]("delete", find=find, start=delete, watch=delete),
    )
}
