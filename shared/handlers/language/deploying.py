"""Deploys what was trained: to a staging slot first, and swapped with what serves only once it is proven there.

Which model answers under a name is told by the model's id, so that nothing is ever swapped twice.
Whether a swap renews the date of a deployment is not documented: one that still expires soon after it is deployed to
once more, while the slot keeps the former model. One that has expired keeps nothing, and is deployed to straight.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/deploy-model
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from shared import redaction
from shared.clients.language import Deployment
from shared.errors import PermanentError
from shared.handlers.language import following, places, slots
from shared.handlers.language.places import Place
from shared.stages import Done, Job, Pending, Progress

SHOWN_WITHIN = timedelta(minutes=5)
"""How long the deployments may take to show what a job has done."""


def plan(params: Any, job: Job) -> Progress:
    """Say which deployments change, and which slots they are proven in."""
    place = places.again(job)
    there = _deployments(place, job)
    serving = {name: one.model_id for name, one in there.items()}
    last = job.now + place.about.expiry
    renewed = {name: _stamp(there[name]) for name in job.result["deployments"] if _expires(there.get(name), last)}
    changing = [
        name for name in job.result["deployments"] if serving.get(name) != _wanted(job, name) or name in renewed
    ]
    named = {name: places.slot(name, params.staging) for name in changing}
    has_expired = {name for name in renewed if _expires(there[name], job.now)}
    straight = [
        name
        for name in changing
        if not named[name] or not serving.get(name) or serving[name] == _wanted(job, name) or name in has_expired
    ]
    told = {"slots": named, "was": serving, "renewed": renewed, "straight": straight, "swapped": {}}
    told |= {"staged": [], "promoted": []}
    if not changing:
        return Done(told, next="confirm", note="everything is deployed already")
    note = f"to be deployed: {', '.join(changing)}"
    note += f"; {', '.join(renewed)} expires soon, or has, and is deployed to for its date" if renewed else ""
    return Done(told, next="" if params.staging else "promote", note=note)


def _deployments(place: Place, job: Job) -> dict[str, Deployment]:
    return {one.name: one for one in job.clients.language.deployments.list(place.at, place.project)}


def _expires(one: Deployment | None, last: datetime) -> bool:
    """Tell whether a deployment answers no more at a time."""
    return one is not None and one.expires is not None and one.expires <= last


def _stamp(one: Deployment) -> str:
    """Tell a deployment from itself once it is deployed to again."""
    return f"{one.model_id} {one.deployed.isoformat() if one.deployed else ''} {one.expires}"


def _wanted(job: Job, deployment: str) -> str:
    """Give the id of the model that a deployment is to serve."""
    return str(job.result["trained"][job.result["deployments"][deployment]])


# -- deploy -----------------------------------------------------------------------------------------------------------


def find_slot(_params: Any, job: Job) -> Done | None:
    """Look whether the next slot serves the model already."""
    place, name = places.again(job), _next(job, "staged")
    slot = job.result["slots"][name]
    there = _deployments(place, job).get(slot)
    if there is None or there.model_id != _wanted(job, name) or _expires(there, job.now):
        return None
    return _done(job, "staged", name, f"{slot} serves it")


def start_slot(params: Any, job: Job) -> Progress:
    """Deploy the model to the slot, in place of what was left there the last time."""
    place, name = places.again(job), _next(job, "staged")
    slot, serving = job.result["slots"][name], places.serving(job, place.at, place.project)
    slots.check(place, job, [slot], serving, may_overwrite=params.overwrite_edits)
    slots.note(place, job, slot, _wanted(job, name))
    return _deploy(place, job, slot, job.result["deployments"][name])


def watch_slot(params: Any, job: Job) -> Progress:
    """Look how the deployment to the slot is doing."""
    return _watch(params, job, "staged", find_slot)


def _deploy(place: Place, job: Job, name: str, label: str) -> Pending:
    url = job.clients.language.deployments.deploy(place.at, place.project, name, label)
    return following.begun(job, url, f"{label} is being deployed as {name}")


def _watch(params: Any, job: Job, list_: str, find: Callable[[Any, Job], Done | None]) -> Progress:
    """Look how a deployment, or a swap, is doing; it is done once the deployments say so, whatever the job does."""
    place, name = places.again(job), _next(job, list_)
    found = following.look(job, place.at, f"the deployment of {name}")
    if isinstance(found, Pending):
        return found
    if (done := find(params, job)) is not None:
        return done
    if found is not None and found.is_good and list_ == "promoted" and _renewed_from(job, name):
        return _done(job, "promoted", name, f"{name} was deployed again, and shows what it showed")
    if found is not None and not found.is_good:
        raise PermanentError(
            f"the deployment of {name} at {place.at.host} is {found.status}: {found.why}",
            remedy=f"replay the event; the {place.to} serves what it served",
        )
    over = job.memory.get("over") or job.now.isoformat()
    if job.now < datetime.fromisoformat(over) + SHOWN_WITHIN:
        return Pending(memory={"over": over}, note=f"the deployment of {name} is over, and not shown yet")
    raise PermanentError(
        f"the deployment of {name} at {place.at.host} is over, and it does not serve what was deployed",
        remedy="find out who deploys there too, then replay the event",
    )


def _next(job: Job, done: str) -> str:
    """Name the first deployment that is not done."""
    return next(str(name) for name in job.result["slots"] if name not in job.result[done])


def _done(job: Job, list_: str, name: str, note: str) -> Done:
    done = [*job.result[list_], name]
    is_last = set(done) == set(job.result["slots"])
    return Done({list_: done}, note=note, next="" if is_last else {"staged": "deploy", "promoted": "promote"}[list_])


# -- promote ----------------------------------------------------------------------------------------------------------


def find_promoted(_params: Any, job: Job) -> Done | None:
    """Look whether the next deployment serves the model already: it is never swapped twice.

    Where it does since a swap, and still expires soon, it comes again to be deployed to.
    """
    place, name = places.again(job), _next(job, "promoted")
    there = _deployments(place, job).get(name)
    if there is None or there.model_id != _wanted(job, name) or _stamp(there) == _renewed_from(job, name):
        return None
    was_only_swapped = name not in job.result["straight"] and name not in job.result["swapped"]
    if was_only_swapped and name in job.result["renewed"] and _expires(there, job.now + place.about.expiry):
        swapped = {**job.result["swapped"], name: _stamp(there)}
        return Done({"swapped": swapped}, next="promote", note=f"{name} serves it, and is deployed to for its date")
    return _done(job, "promoted", name, f"{name} serves it")


def _renewed_from(job: Job, name: str) -> str:
    """Give how a deployment was that serves the right model and is deployed to for its date alone; "" for others."""
    if name in job.result["swapped"]:
        return str(job.result["swapped"][name])
    is_right = job.result["was"].get(name) == _wanted(job, name)
    return str(job.result["renewed"].get(name, "")) if is_right else ""


def start_promoting(_params: Any, job: Job) -> Progress:
    """Swap the slot with what serves, unless somebody has come between; deploy where there is nothing to swap with."""
    place, name = places.again(job), _next(job, "promoted")
    slot, was_swapped = job.result["slots"][name], name in job.result["swapped"]
    was = _wanted(job, name) if was_swapped else job.result["was"].get(name, "")
    serving = places.serving(job, place.at, place.project)
    if serving.get(name, "") != was:
        raise PermanentError(
            f"{name} of the {place.to} was deployed by somebody else meanwhile, and serves "
            f"{serving.get(name) or 'nothing'}",
            remedy="find out who deploys there too, then replay the event",
        )
    if slot and not was_swapped and serving.get(slot) != _wanted(job, name):
        raise PermanentError(
            f"{slot} of the {place.to} does not serve what was proven any more",
            remedy="find out who deploys there too, then replay the event",
        )
    if was_swapped or name in job.result["straight"]:
        _check_label(place, job, name)
        return _deploy(place, job, name, job.result["deployments"][name])
    slots.note(place, job, slot, was)
    url = job.clients.language.deployments.swap(place.at, place.project, name, slot)
    return following.begun(job, url, f"{name} and {slot} are being swapped")


def _check_label(place: Place, job: Job, name: str) -> None:
    """Refuse to deploy by a label that is another model's by now: that was never proven, and would serve at once."""
    label = job.result["deployments"][name]
    models = job.clients.language.models.list(place.at, place.project)
    if not any(model.label == label and model.id == _wanted(job, name) for model in models):
        raise PermanentError(
            f"{redaction.tidy(label)} of the {place.to} was trained again, or deleted, since it was proven",
            remedy="find out who trains there too, then replay the event",
        )


def watch_promoting(params: Any, job: Job) -> Progress:
    """Look how the swap is doing."""
    return _watch(params, job, "promoted", find_promoted)


# -- tidy -------------------------------------------------------------------------------------------------------------


def tidy(_params: Any, job: Job) -> Progress:
    """Delete the slots that serve what was proven, too; the others keep the former model, which is the way back."""
    place = places.again(job)
    spare = _spare(job, places.serving(job, place.at, place.project))
    if spare and "url" in job.memory:
        found = following.look(job, place.at, "the deletion of a slot")
        if isinstance(found, Pending):
            return found
    asked = job.memory.get("asked", [])
    left = [slot for slot in spare if slot not in asked]
    if not left:
        kept = [slot for name, slot in job.result["slots"].items() if slot and name not in job.result["straight"]]
        words = [f"{', '.join(kept)} keeps what served before"] if kept else []
        words += [f"{', '.join(spare)} could not be deleted"] if spare else []
        return Done({"kept_slots": kept}, note="; ".join(words))
    url = job.clients.language.deployments.delete(place.at, place.project, left[0])
    memory: dict[str, Any] = {"asked": [*asked, left[0]]}
    if not url:
        return Pending(0, memory=memory)
    begun = following.begun(job, url, f"{left[0]} is being deleted")
    return Pending(memory={**begun.memory, **memory}, note=begun.note)


def _spare(job: Job, serving: Mapping[str, str]) -> list[str]:
    """List the slots that were not swapped, and still serve what was proven in them."""
    proven = {job.result["slots"][name]: _wanted(job, name) for name in job.result["straight"]}
    return [slot for slot, model in proven.items() if slot and serving.get(slot) == model]
