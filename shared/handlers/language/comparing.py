"""Compares what is where the project is brought to with what is kept: nothing that is nowhere kept is replaced.

A project that was edited by hand is replaced only where the rule says so, and is kept first.
"""

from collections.abc import Mapping
from typing import Any

from shared.errors import PermanentError
from shared.handlers.language import following, keeping, places, training
from shared.handlers.language.places import Place
from shared.language_content import fingerprint, sizes
from shared.redaction import tidy
from shared.replicas import Kept, Trained
from shared.stages import Done, Job, Pending, Progress


def start(params: Any, job: Job) -> Progress:
    """Have the project exported that is to be replaced, where there is one."""
    place = places.again(job)
    if not job.result["exists"]:
        left = _left_to_do(place, job, "", is_forced=params.force)
        return left if isinstance(left, Pending) else Done({"held": ""} | left)
    url = job.clients.language.projects.export(place.at, place.project)
    return following.begun(job, url, f"the project in the {place.to} is being exported")


def watch(params: Any, job: Job) -> Progress:
    """Look whether what is there may be replaced, and what of it need not be."""
    place = places.again(job)
    found = following.look(job, place.at, f"the export of the {place.to}")
    if isinstance(found, Pending):
        return found
    if found is None:
        more = following.once_more(job, f"the export of the {place.to}")
        return Done(more, next="compare", note="the export is gone, and is made again")
    if not found.is_good:
        raise PermanentError(
            f"the export of the {place.to} at {place.at.host} is {found.status}: {found.why}",
            remedy="replay the event; nothing was changed there",
        )
    content = job.clients.language.projects.exported(place.at, job.memory["url"])
    held = fingerprint(content)
    kept, _ = job.clients.replicas.read(*place.key)
    told: dict[str, Any] = {"held": held}
    note = ""
    is_edited = not _is_known(place, job, held, kept)
    if is_edited and not params.overwrite_edits:
        raise PermanentError(
            f"the project in the {place.to} at {place.at.host} holds {sizes(content)} that are nowhere kept: "
            "it was edited by hand, or was never replicated",
            remedy="take the edits over into the project that it is replaced by, or say overwrite_edits: true: "
            "then they are replaced, and kept in the backup, from where restore.language with edits: true brings "
            "them back",
        )
    left = _left_to_do(place, job, held, is_forced=params.force)
    if isinstance(left, Pending):
        return left
    if is_edited:
        told |= keeping.keep_edits(place, job, content)
        name = f" as {told['kept_as']}" if "kept_as" in told else ""
        note = f"what was edited by hand is kept{name}, and will be replaced"
    told |= left
    return Done(told, note=note or _note(told))


def _is_known(place: Place, job: Job, held: str, kept: Kept | None) -> bool:
    """Tell whether this very content is kept somewhere, or is what an import of ours left there."""
    if kept is not None and kept.secondary_hash == held and place.to == "secondary":
        return True
    if held in {file["holds"] for file in job.result["files"].values()}:
        return True
    hosts = {place.primary.host, job.result.get("host", place.primary.host)}
    return held in job.clients.replicas.imported(*place.key) or any(
        held in job.clients.language_backups.hashes(host, place.project) for host in hosts
    )


def _labels(job: Job) -> list[str]:
    """List the labels of what is imported; where nothing is to be served, it is the working copy, which has none."""
    return places.labels(job.result["deployments"]) or [""]


def _left_to_do(place: Place, job: Job, held: str, *, is_forced: bool) -> dict[str, Any] | Pending:
    """Say which models are trained, and which are there already: a training is billed.

    What is there in the end holds what one of them was trained from: where nothing is to be trained and it does not,
    the last one is only imported. How well a model does that is there is read where nobody knows it yet.
    """
    labels = _labels(job)
    known = () if is_forced or place.to == "primary" else job.clients.replicas.trained(*place.key)
    there: Mapping[str, str] = job.result["there"]
    good: dict[str, Trained] = {}
    refused: dict[str, str] = {}
    for label in labels:
        for noted in known:
            if (noted.label, noted.hash, noted.options) != (label, keeping.holds(job, label), place.options):
                continue
            one = training.what_came_of(place, job, noted) if noted.begun else noted
            if one is None:
                continue
            if one.failed:
                refused |= {label: f"{BEFORE}, and that failed: {one.failed}"} if label not in good else {}
                continue
            is_there, found = there.get(label) == one.model, training.Measured(one)
            if is_there and one.intents is None:
                measured = training.measure(place, job, one)
                if isinstance(measured, Pending):
                    return measured
                found = measured
                training.note_training(place, job, found.training)
            worse = found.worse(place.about.proof.margin)
            refused[label] = f"{BEFORE}, and did badly: {worse}" if worse else ""
            good.pop(label, None)
            if is_there and not worse:
                good[label] = found.training
    todo = [label for label in labels if label not in good]
    if not todo and held not in {each for one in good.values() for each in (one.left, one.hash)}:
        todo = labels[-1:]
    return {
        "todo": todo,
        "trained": {label: one.model for label, one in good.items()},
        "f1": [{"label": label, "intents": one.intents, "primary": one.primary_intents} for label, one in good.items()],
        "refused": "; ".join(f"{tidy(label)} {why}" for label, why in refused.items() if why),
    }


BEFORE = "was trained from this very content with these options before"


def _note(told: Mapping[str, Any]) -> str:
    if told["todo"] == [""]:
        return "its working copy will be replaced"
    new = [label for label in told["todo"] if label not in told["trained"]]
    if new:
        return f"to be trained: {', '.join(new)}"
    return "its models are trained already" + "; what is labelled there is brought back" * bool(told["todo"])
