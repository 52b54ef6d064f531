"""Puts back what serves where a replication went wrong after something was swapped, and stops what is billed.

Each look does one thing and then looks what serves: what is uncertain is given time, and nothing is swapped twice.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.errors import PermanentError, ReactorError, UnansweredError
from shared.handlers.language import places, training
from shared.handlers.language.places import Place
from shared.stages import Done, Job, Pending, Progress

SURE_AFTER = timedelta(minutes=2)
"""How long a swap that was not answered, or ran already, may take to be seen."""
SOON = 5.0
MOST_TRIES = 3


def undo(_params: Any, job: Job) -> Progress:
    """Have served again what was served before, and say which slots stay."""
    place = places.again(job)
    return _nothing_swapped(place, job) or _put_all_back(place, job)


def _nothing_swapped(place: Place, job: Job) -> Done | None:
    """Say how it is where nothing is to be put back; None where that is to be looked at."""
    if job.clients.language.projects.read(place.at, place.project) is None:
        return Done(note=f"the {place.to} has no such project, as before")
    if "trained" not in job.result:
        return Done(note=_stopped(place, job) or f"the {place.to} serves what it served")
    if job.result.get("is_live"):
        return Done(note=f"the {place.to} serves what was proven")
    return None


def _put_all_back(place: Place, job: Job) -> Progress:
    """Do what is left to be done, or say how it was left."""
    stopped = job.memory.get("stopped") or _stopped(place, job)
    serving = places.serving(job, place.at, place.project)
    name = _to_put_back(place, job, serving)
    if not name:
        since = datetime.fromisoformat(job.memory.get("since") or job.now.isoformat())
        if _may_come_late(job) and job.now < since + SURE_AFTER:
            memory = {"stopped": stopped, "since": since.isoformat()}
            return Pending(SOON, memory=memory, note="looks whether anything is swapped late")
        return Done(note=_said(place, job, serving, stopped))
    tried = dict(job.memory.get("tried", {}))
    last = tried.get(name)
    if last and job.now < datetime.fromisoformat(last[1]) + SURE_AFTER:
        return Pending(SOON, note=f"{name} is being put back")
    count = last[0] + 1 if last else 1
    if count > MOST_TRIES:
        raise PermanentError(
            f"{name} of the {place.to} serves what was not proven",
            remedy=f"swap it with its slot in Language Studio, or deploy {job.result['was'][name]} again",
        )
    tried[name] = [count, job.now.isoformat()]
    _put_back(place, job, name)
    return Pending(SOON, memory={"stopped": stopped, "tried": tried}, note=f"{name} is being put back")


def _may_come_late(job: Job) -> bool:
    """Tell whether something was being swapped that nobody has seen the end of."""
    slots = job.result.get("slots", {})
    was_begun = "proof" in job.result or not any(slots.values())
    return was_begun and set(job.result.get("promoted", ())) != set(slots)


def _to_put_back(place: Place, job: Job, serving: Mapping[str, str]) -> str:
    """Name a deployment that serves what we deployed, where something else served before; "" where none does."""
    was = job.result.get("was", {})
    for name in job.result.get("slots", {}):
        new = job.result["trained"][job.result["deployments"][name]]
        if was.get(name) not in (None, "", new) and serving.get(name) == new and _way_back(place, job, name, serving):
            return str(name)
    return ""


def _way_back(place: Place, job: Job, name: str, serving: Mapping[str, str]) -> str:
    """Say how what served before comes back: the slot that has it, the model's label after "="; "" where it cannot."""
    former, slot = job.result["was"][name], job.result["slots"][name]
    if slot and serving.get(slot) == former:
        return str(slot)
    models = job.clients.language.models.list(place.at, place.project)
    label = next((model.label for model in models if model.id == former), "")
    return f"={label}" if label else ""


def _put_back(place: Place, job: Job, name: str) -> None:
    """Swap back, or deploy again; where nobody answers, the next look sees what came of it."""
    serving = places.serving(job, place.at, place.project)
    way = _way_back(place, job, name, serving)
    deployments = job.clients.language.deployments
    try:
        if way.startswith("="):
            deployments.deploy(place.at, place.project, name, way[1:])
        elif way:
            deployments.swap(place.at, place.project, name, way)
    except UnansweredError:
        return


def _stopped(place: Place, job: Job) -> str:
    """Stop a training of ours that nobody waits for any more: it is billed by the hour."""
    labels = places.labels(job.result.get("deployments", {}))
    try:
        running = places.running(job.clients.language.models.training_jobs(place.at, place.project))
        is_ours = running is not None and running.model in labels and running.created is not None
        if running is None or running.created is None or not is_ours or running.created < training.began(job):
            return ""
        job.clients.language.models.cancel(place.at, running.url)
    except ReactorError as problem:
        return f"whether a training goes on there is not known: {problem.reason}"
    return f"the training of {running.model} is cancelled"


def _said(place: Place, job: Job, serving: Mapping[str, str], stopped: str) -> str:
    """Say how it was left."""
    slots, was = job.result.get("slots", {}), job.result.get("was", {})
    new = {name: job.result["trained"][job.result["deployments"][name]] for name in slots}
    lost = [name for name in slots if was.get(name) not in (None, "", new[name]) and serving.get(name) == new[name]]
    made = [name for name in slots if not was.get(name) and name in serving]
    stay = [slot for slot in slots.values() if slot and slot in serving]
    words = [f"{', '.join(lost)} serves the new model, for the former one is gone"] if lost else []
    words += [f"{', '.join(made)} is new and stays"] if made else []
    words += [f"the {place.to} serves what it served"] if not lost and not made else []
    words += [f"the staging slot {', '.join(stay)} stays, with what was not taken over"] if stay else []
    return "; ".join([*words, *([stopped] if stopped else [])])
