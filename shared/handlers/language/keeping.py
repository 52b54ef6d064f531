"""Exports a Language project from the primary, and keeps it: the models that are deployed, and the working copy.

An export changes nothing, and a second one is the same: it is simply begun again where its answer got lost.
https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/export/export
"""

from typing import Any

from shared.clients.language import Model
from shared.errors import PermanentError
from shared.handlers.language import following, places
from shared.handlers.language.places import Place
from shared.language_content import sizes
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress
from shared.storage.language_backups import SECONDARY, File, LanguageManifest, file_of

MOST_ANEW = 3
"""How often it is exported, where what is exported is trained again meanwhile."""
FIRST = "reactor"
"""The label of a model that is trained from a working copy, where the primary has no model to name it after."""


# -- look -------------------------------------------------------------------------------------------------------------


def read_primary(place: Place, job: Job) -> dict[str, Any]:
    """Read what the primary has, and say what is to be exported and trained; PermanentError where that cannot be."""
    project = places.read_project(job, place.primary, place.project, "primary")
    if project is None:
        raise places.missing(place.primary, place.project)
    there = places.serving(job, place.primary, place.project)
    models = job.clients.language.models.list(place.primary, place.project)
    served = {name: there[name] for name in place.about.deployments if name in there}
    follow = place.about.follow
    known = {name: label for name, id in served.items() if (label := _label_of(id, models))}
    if follow == "deployed":
        _check_served(place, served, known, models)
    kept = [label for label in places.labels(known) if _has_snapshot(label, models)]
    deployments = known if follow == "deployed" else dict.fromkeys(place.about.deployments, _newest(models))
    return {
        "name": place.name,
        "project": place.project,
        "follow": follow,
        "language": project.language,
        "multilingual": project.multilingual,
        "version": stamp(job),
        "exports": [*kept, ""],
        "files": {},
        "deployments": deployments,
        "models": {label: _id_of(label, models) for label in places.labels(known)},
        "trained_at": {label: _trained_at(label, models) for label in places.labels(known)},
        "served": served,
        "modified": project.modified.isoformat() if project.modified else None,
    }


def _check_served(place: Place, served: dict[str, str], known: dict[str, str], models: list[Model]) -> None:
    """Refuse where what the primary serves cannot be exported as it is served."""
    if lacking := [name for name in place.about.deployments if name not in served]:
        raise PermanentError(
            f"the primary serves nothing as {', '.join(lacking)}",
            remedy="deploy a model there, correct `deployments` in the rules file, or say follow: working_copy",
        )
    if gone := [name for name in served if name not in known]:
        labels = ", ".join(sorted(model.label for model in models)) or "none"
        raise PermanentError(
            f"the model that the primary serves as {', '.join(gone)} is not among its models any more: it was deleted, "
            f"or trained again under its label, so that what it was trained from cannot be exported",
            remedy=f"deploy one of its models there ({labels}), or say follow: working_copy",
        )
    if bare := [label for label in places.labels(known) if not _has_snapshot(label, models)]:
        raise PermanentError(
            f"the service keeps no snapshot of what {', '.join(bare)} was trained from",
            remedy="train and deploy it again in the primary, or say follow: working_copy",
        )


def _label_of(id: str, models: list[Model]) -> str:
    return next((model.label for model in models if model.id == id), "")


def _id_of(label: str, models: list[Model]) -> str:
    return next((model.id for model in models if model.label == label), "")


def _trained_at(label: str, models: list[Model]) -> str:
    return next((str(model.trained) for model in models if model.label == label), "")


def _has_snapshot(label: str, models: list[Model]) -> bool:
    return any(model.label == label and model.has_snapshot for model in models)


def _newest(models: list[Model]) -> str:
    """Name the model that was trained last: what is being labelled goes on from there."""
    trained = sorted((model for model in models if model.trained), key=lambda model: str(model.trained))
    return trained[-1].label if trained else FIRST


# -- export -----------------------------------------------------------------------------------------------------------


def start_export(_params: Any, job: Job) -> Progress:
    """Begin the next export, or go on where everything is kept."""
    place, label = places.again(job), _next(job)
    if label is None:
        return Done()
    url = job.clients.language.projects.export(place.primary, place.project, model=label)
    return following.begun(job, url, f"{what(label)} is being exported")


def watch_export(_params: Any, job: Job) -> Progress:
    """Look how the export is doing, and keep what it brought."""
    place, label = places.again(job), _next(job)
    assert label is not None  # there was one to begin
    found = following.look(job, place.primary, f"the export of {what(label)}")
    if isinstance(found, Pending):
        return found
    if found is None:
        more = following.once_more(job, f"the export of {what(label)}")
        return Done(more, next="export", note=f"the export of {what(label)} is gone, and is made again")
    if not found.is_good:
        raise PermanentError(
            f"the export of {what(label)} from {place.primary.host} is {found.status}: {found.why}",
            remedy="replay the event; what the secondary serves is untouched",
        )
    content = job.clients.language.projects.exported(place.primary, job.memory["url"])
    file = _keep(place, job, file_of(label), content)
    exports = [each for each in job.result["exports"] if each != label]
    told: dict[str, Any] = {"exports": exports, "files": {**job.result["files"], file_of(label): file}}
    note = f"{what(label)} is exported: {sizes(content)}"
    return Done(told, note=note, next="export" if exports else "")


def _next(job: Job) -> str | None:
    exports: list[str] = job.result["exports"]
    return exports[0] if exports else None


def what(label: str) -> str:
    """Name what is exported or imported: what a model was trained from, or what is being labelled."""
    return f"model {tidy(label)}" if label else "the working copy"


def _keep(place: Place, job: Job, name: str, content: bytes) -> dict[str, Any]:
    file = job.clients.language_backups.keep(place.primary.host, place.project, job.result["version"], name, content)
    return file.model_dump()


def keep_edits(place: Place, job: Job, content: bytes) -> dict[str, Any]:
    """Keep what is to be replaced; give what the stages after this one are to know of it.

    A version that is brought back is whole already: what it replaces is a version of its own then.
    """
    if not job.result.get("from_backup"):
        return {"files": {**job.result["files"], SECONDARY: _keep(place, job, SECONDARY, content)}}
    name, version = f"{place.to}.json", stamp(job)
    backups, host = job.clients.language_backups, place.primary.host
    file = backups.keep(host, place.project, version, name, content)
    ours = manifest(place, job).model_copy(
        update={"version": version, "files": {name: file}, "models": {}, "deployments": {}, "modified": None}
    )
    return {"kept_as": backups.finish(ours)}


def stamp(job: Job) -> str:
    """Name a version after when it was begun, to the millisecond, and by what, so that names sort by time."""
    return f"{job.began:%Y%m%dT%H%M%SZ}-{job.began.microsecond // 1000:03x}{job.key[:5]}"


# -- store ------------------------------------------------------------------------------------------------------------


def begin_anew(place: Place, job: Job) -> Done | None:
    """Begin again where a model was trained again while it was exported: that goes by label, and may be of either.

    What is served was read before the exports: whatever is the same model now was that all the time between.
    """
    models = job.clients.language.models.list(place.primary, place.project)
    was: dict[str, str] = job.result["models"]
    now = {label: (_id_of(label, models), _trained_at(label, models)) for label in was}
    other = [label for label, id in was.items() if now[label] != (id, job.result["trained_at"][label])]
    if not other:
        return None
    words = f"{tidy(', '.join(other))} was trained again, or deleted, in the primary while it was exported"
    times = job.result.get("anew", 0) + 1
    if times >= MOST_ANEW:
        raise PermanentError(words, remedy="replay the event once nobody trains there")
    job.clients.language_backups.discard(place.primary.host, place.project, job.result["version"])
    return Done({"anew": times}, next="look", note=f"{words}: what is served is looked at anew")


def manifest(place: Place, job: Job) -> LanguageManifest:
    """Say what the version is."""
    result = job.result
    return LanguageManifest(
        version=result["version"],
        host=place.primary.host,
        project=place.project,
        language=result["language"],
        multilingual=result["multilingual"],
        files={name: File.model_validate(file) for name, file in result["files"].items()},
        models=result["models"],
        deployments=result["deployments"],
        follow=result["follow"],
        training=place.options,
        modified=result.get("modified"),
        taken=job.now,
    )


def store(place: Place, job: Job, *, again: bool) -> Done:
    """Write the manifest: from now on the version is whole; the same content is one version."""
    ours = manifest(place, job)
    version = job.clients.language_backups.finish(ours, again=again)
    is_new = version == ours.version
    size = sum(file.size for file in ours.files.values())
    words = f"kept as {version}: {len(ours.files)} files, {size:,} bytes" if is_new else f"kept already as {version}"
    told = {"version": version, "host": ours.host, "is_new": is_new}
    return Done(told, note=words)


# -- what the files hold ----------------------------------------------------------------------------------------------


def content(place: Place, job: Job, label: str) -> bytes:
    """Read what a model of a label is trained from, of the version that is brought."""
    kept = job.clients.language_backups.manifest(job.result["host"], place.project, job.result["version"])
    name = job.result.get("file") or (kept.file_for(label) if kept else "")
    if kept is None or not name:
        raise PermanentError(
            f"the backup {job.result['version']} holds nothing that {tidy(label)} was trained from",
            remedy="replay the event: it is exported anew",
        )
    return job.clients.language_backups.read(kept, name)


def holds(job: Job, label: str) -> str:
    """Give the hash of what a model of a label is trained from."""
    follow = places.of_follow(job.result["follow"])
    name = file_of("" if follow == "working_copy" else label)
    return str(job.result["files"][name]["holds"])


def is_deployed(job: Job, label: str) -> bool:
    """Tell whether the primary has a model of the label that was trained from just what is brought."""
    deployed = job.result["files"].get(file_of(label))
    return deployed is not None and deployed["holds"] == holds(job, label)


def holds_working_copy(job: Job) -> str:
    """Give the hash of the primary's working copy."""
    return str(job.result["files"][file_of("")]["holds"])
