"""Restore: bring a version of the backups back into a region, train and prove it there, and have it serve again.

Nothing but the backup is needed: the project, or both resources, may be gone. What is being labelled is brought back by
itself, for it is trained and served by nobody.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.errors import PermanentError
from shared.handlers.language import (
    checking,
    course,
    importing,
    keeping,
    places,
    proving,
)
from shared.handlers.language.places import Place
from shared.permissions import Permission
from shared.rules.declared import Names
from shared.stages import Done, Job, Progress, Stage
from shared.storage.language_backups import SECONDARY, WORKING_COPY, LanguageManifest

_CLU = "Microsoft.CognitiveServices/accounts/Language/analyze-conversations"
WAITS_FOR_LOCK = timedelta(days=7)
PRIMARY = "primary.json"
EDITS = "what was edited by hand"


class Language(BaseModel):
    """Brings a version of a backed up Language project back into a region, and has it serve there."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("language")] = Field(
        default="", description="A declared project; by default the event's, or the only one."
    )
    version: str = Field(default="", description="The version of the backups; by default the newest.")
    from_host: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9]+([.-]+[A-Za-z0-9]+)*)?$",
        max_length=253,
        description="The host of the primary that it was kept of; by default the declared primary's.",
    )
    to: Literal["primary", "secondary"] = Field(default="secondary", description="The region that it is brought to.")
    working_copy: bool = Field(
        default=False, description="Whether what was being labelled is brought back, and nothing trained or deployed."
    )
    edits: bool = Field(
        default=False,
        description="Whether what was edited by hand, and kept before it was replaced, is brought back in place of "
        "what was being labelled; nothing is trained or deployed.",
    )
    staging: str = Field(
        default="next",
        pattern=r"^[A-Za-z0-9_.-]*$",
        max_length=20,
        description='What the staging slot of a deployment is called after it: production-next; "" for none.',
    )
    overwrite_edits: bool = Field(
        default=False,
        description="Whether a project there that is nowhere kept is kept first, and then replaced; "
        "and whether a staging slot is deployed over that is somebody's.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.working_copy and self.edits:
            raise ValueError("say working_copy or edits: what is being labelled is one of them")
        return self

    @property
    def force(self) -> bool:
        """What is brought back is always trained anew."""
        return True

    @property
    def only_imports(self) -> bool:
        """Whether what is brought back is for labelling on, and serves nothing."""
        return self.working_copy or self.edits


def look(params: Language, job: Job) -> Progress:
    """Take the lock of where it is brought to, and read what the version holds."""
    place = places.find(job, params.project, params.to)
    if not params.only_imports:
        checking.check_names(place, params.staging)
    if waits := checking.hold(place, job):
        return waits
    kept = _manifest(place, params, job)
    deployments = {} if params.only_imports else _served(kept)
    edited = _edited(kept) if params.edits else ""
    files = {WORKING_COPY: kept.files[edited]} if edited else kept.files
    if deployments:
        proving.check(place)
        checking.check_mode(place, kept.language, multilingual=kept.multilingual)
    told = {
        "name": place.name,
        "to": params.to,
        "project": place.project,
        "from_backup": True,
        "follow": kept.follow,
        "language": kept.language,
        "multilingual": kept.multilingual,
        "version": kept.version,
        "host": kept.host,
        "files": {name: file.model_dump() for name, file in files.items()},
        "file": edited,
        "deployments": deployments,
        "models": {} if params.only_imports else dict(kept.models),
        "taken": kept.taken.isoformat(),
        "kept_as": "",
        "kept_slots": [],
    }
    what = ", ".join(places.labels(deployments)) or (EDITS if edited else keeping.what(""))
    return Done(told, note=f"{what} of {kept.taken:%Y-%m-%d %H:%M}Z is brought back")


def _served(kept: LanguageManifest) -> dict[str, str]:
    return {name: label for name, label in kept.deployments.items() if kept.file_for(label)}


def _edited(kept: LanguageManifest) -> str:
    """Name the file of what was edited by hand, "" where there is none."""
    return next((name for name in (SECONDARY, PRIMARY) if name in kept.files), "")


def _holds(params: Language, kept: LanguageManifest) -> bool:
    if params.edits:
        return bool(_edited(kept))
    return WORKING_COPY in kept.files if params.working_copy else bool(_served(kept))


def _manifest(place: Place, params: Language, job: Job) -> LanguageManifest:
    """Read the version's manifest, or that of the newest one that holds what is wanted."""
    host, backups = params.from_host.lower() or place.primary.host, job.clients.language_backups
    named = [params.version] if params.version else [each.name for each in backups.versions(host, place.project)]
    wholes = 0
    for name in named:
        kept = backups.manifest(host, place.project, name)
        if kept is None:
            continue
        if kept.project != place.project:
            raise PermanentError(
                f'the backup {name} is of the project "{kept.project}", not of "{place.project}"',
                remedy="declare the project by the name that it was kept under: it comes back under no other",
            )
        if _holds(params, kept):
            return kept
        wholes += 1
    if wholes:
        what = "no working copy" if params.working_copy else "nothing that a deployment served"
        what = f"nothing of {EDITS}" if params.edits else what
        which = f"the backup {params.version} holds" if params.version else f"of {place.project} at {host} they hold"
        raise PermanentError(f"{which} {what}", remedy="take another version: `reactor language backups` lists them")
    raise _not_kept(place, params.version, host, job)


def _not_kept(place: Place, version: str, host: str, job: Job) -> PermanentError:
    """Say that there is no such version, and which other hosts have some of a project of this name."""
    places_ = job.clients.language_backups.projects()
    others = [other for other, project in places_ if project == place.project and other != host]
    remedy = "`reactor language backups` lists what is kept; "
    remedy += f"say from_host: {' or '.join(others)} for what was kept there" if others else "backup.language keeps it"
    what = f'no whole version "{version}"' if version else "nothing whole"
    return PermanentError(f"of {place.project} at {host} {what} is kept", remedy=remedy)


def watch_verify(params: Language, job: Job) -> Progress:
    """Compare what arrived with what was sent; of a working copy, that is all."""
    progress = importing.watch_verify(params, job)
    if params.only_imports and isinstance(progress, Done) and not progress.next:
        return replace(progress, next="finish")
    return progress


def finish(params: Language, job: Job) -> Progress:
    """Say what was brought back."""
    place, result = places.again(job), job.result
    job.let_go(place.lock)
    told = {"restored": dict(result["deployments"]), "at": place.at.host}
    if params.only_imports:
        what = EDITS if params.edits else keeping.what("")
        words = f"{what} of the backup {result['version']} is in the {place.to} again; nothing was trained"
        return Done(told, note=words)
    labels, slots = ", ".join(places.labels(result["deployments"])), ", ".join(result["kept_slots"])
    note = f"{labels} of the backup {result['version']} serves in the {place.to} again"
    return Done(told, note=note + (f"; {slots} keeps what served before" if slots else ""))


_NEEDED = (
    *(f"{_CLU}/projects/{what}" for what in ("read", "*/read", "export/action", "import/action", "train/*")),
    *(f"{_CLU}/projects/deployments/{what}" for what in ("write", "delete", "swap/action")),
    f"{_CLU}/action",
)
_WHY = "to import, train, deploy, swap and ask it where it is brought back to, without a key"
PERMISSIONS = {
    Language: (
        Permission("language", _NEEDED, _WHY, is_data=True, given="to"),
        Permission("language_secondary", _NEEDED, _WHY, is_data=True),
    )
}
RESULTS = {
    Language: (
        *("name", "project", "version", "to", "at", "restored", "deployments", "models", "follow", "kept_slots"),
        *("taken", "kept_as"),
    )
}
STAGES = {
    Language: (
        Stage[Language]("look", start=look, watch=look, effect="reads", within=lambda _: WAITS_FOR_LOCK),
        course.TARGET,
        course.COMPARE,
        *course.IMPORT,
        Stage[Language]("verify", start=importing.start_verify, watch=watch_verify, effect="reads"),
        *course.SERVE,
        Stage[Language]("finish", start=finish, effect="reads"),
        course.UNDO,
    )
}
