"""Whose a staging slot is: ours is what we had it serve, or what we trained; anything else is somebody's, and stays.

What a slot is about to serve is written down before it does, so that whatever dies between, it is still ours.
"""

from collections.abc import Iterable, Mapping

from shared.errors import PermanentError
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.stages import Job


def note(place: Place, job: Job, slot: str, model: str) -> None:
    """Remember what a slot is about to serve."""
    job.clients.replicas.note_slot(*place.key, _named(place, slot), model)


def _named(place: Place, slot: str) -> str:
    return f"{place.to}/{slot}"


def check(place: Place, job: Job, slots: Iterable[str], serving: Mapping[str, str], *, may_overwrite: bool) -> str:
    """Refuse slots that serve what is none of ours; where they may be overwritten, say which."""
    foreign = [slot for slot in slots if slot in serving and not _is_ours(place, job, slot, serving[slot])]
    if not foreign:
        return ""
    what = ", ".join(f"{slot} (which serves {tidy(serving[slot]) or 'nothing'})" for slot in foreign)
    if may_overwrite:
        return f"{what} is somebody's, and is deployed over"
    raise PermanentError(
        f"the {place.to} at {place.at.host} has a deployment of its own where the staging slot would be: {what}",
        remedy="give another `staging`, so that the slot has another name, or say overwrite_edits: true: then it is "
        "deployed over",
    )


def _is_ours(place: Place, job: Job, slot: str, model: str) -> bool:
    if model in job.clients.replicas.slot(*place.key, _named(place, slot)):
        return True
    if not model or place.to == "primary":
        return False
    return any(model == one.model for one in job.clients.replicas.trained(*place.key))
