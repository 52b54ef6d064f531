"""Whether there is room for what will be made: a project has ten models and ten deployments at most.

Nobody else tidies a secondary up. So where a model would be one too many there, those go that a replication trained,
that nothing serves, and whose label the primary has no more: the oldest first, and no more than are in the way.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
"""

from collections.abc import Collection, Mapping, Sequence

from shared.clients.language import Model
from shared.errors import PermanentError
from shared.handlers.language import places
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.stages import Job


def check_models(
    place: Place, job: Job, models: Sequence[Model], serving: Mapping[str, str], wanted: Collection[str]
) -> list[Model]:
    """Give the models that have to go for those that are wanted; PermanentError where too few may."""
    labels = {model.label for model in models}
    new = [label for label in wanted if label not in labels]
    over = len(labels) + len(new) - places.MOST_MODELS
    if not new or over <= 0:
        return []
    spare = _spare(place, job, models, serving)
    if len(spare) >= over:
        return spare[:over]
    idle = sorted(model.label for model in models if model.id not in serving.values())
    raise PermanentError(
        f"the {place.to} has {len(labels)} models of {places.MOST_MODELS} at most, and {', '.join(new)} would come",
        remedy=f"delete models there that nothing serves: {', '.join(idle) or 'there is none'}",
    )


def _spare(place: Place, job: Job, models: Sequence[Model], serving: Mapping[str, str]) -> list[Model]:
    """List what may go, the oldest first; a version that is brought back deletes nothing, for nobody may be asked."""
    if place.to == "primary" or job.result.get("from_backup"):
        return []
    ours = {one.model for one in job.clients.replicas.trained(*place.key)} - {""}
    primary = {model.label.casefold() for model in job.clients.language.models.list(place.primary, place.project)}
    needed = primary | {label.casefold() for label in places.labels(job.result["deployments"])}
    found = [
        model
        for model in models
        if model.id in ours and model.id not in serving.values() and model.label.casefold() not in needed
    ]
    return sorted(found, key=lambda model: str(model.trained))


def make(place: Place, job: Job) -> str:
    """Delete what is in the way of the models that will be trained, and say what; "" where nothing is.

    Where it dies between, the next time finds what is left to delete.
    """
    wanted = [label for label in job.result["todo"] if label]
    if not wanted or not job.result["exists"]:
        return ""
    models = job.clients.language.models.list(place.at, place.project)
    serving = places.serving(job, place.at, place.project)
    gone = check_models(place, job, models, serving, wanted)
    for model in gone:
        job.clients.language.models.delete(place.at, place.project, model.label)
    what = tidy(", ".join(model.label for model in gone))
    return f"for room {what} was deleted in the {place.to}, which served nothing and is not in the primary" * bool(gone)


def check_deployments(place: Place, job: Job, serving: Collection[str], staging: str) -> None:
    """Count before anything is made: slots are deployments, too."""
    wanted = set(job.result["deployments"])
    slots = {places.slot(name, staging) for name in wanted} - {""}
    all_ = set(serving) | wanted | slots
    if len(all_) <= places.MOST_DEPLOYMENTS:
        return
    spare = sorted(set(serving) - wanted - slots)
    raise PermanentError(
        f"the {place.to} would have {len(all_)} deployments, and {places.MOST_DEPLOYMENTS} are allowed: "
        f"{len(serving)} are there, {len((wanted | slots) - set(serving))} would come",
        remedy=f"delete deployments there that nobody needs ({', '.join(spare) or 'there is none'}), "
        'declare fewer, or say staging: "" to do without slots',
    )
