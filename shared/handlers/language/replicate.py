"""Replicate: bring a Language project to its second region, train and prove it there, and only then have it serve.

The secondary goes on serving what it serves until a model was trained there, does as well as the primary's, and answers
as it should from a staging slot; then the slot is swapped in. Whatever goes wrong, what served before serves.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import PermanentError
from shared.handlers.language import (
    checking,
    course,
    importing,
    keeping,
    noting,
    places,
    room,
    training,
)
from shared.permissions import Permission
from shared.rules.declared import Names
from shared.stages import Done, Job, Progress, Stage

_CLU = "Microsoft.CognitiveServices/accounts/Language/analyze-conversations"
WAITS_FOR_LOCK = timedelta(days=7)


class Language(BaseModel):
    """Brings a Language project to its declared secondary: exported, kept, imported, trained, proven, deployed."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("language")] = Field(
        default="", description="A declared project; by default the event's, or the only one."
    )
    staging: str = Field(
        default="next",
        pattern=r"^[A-Za-z0-9_.-]*$",
        max_length=20,
        description='What the staging slot of a deployment is called after it: production-next; "" for none.',
    )
    overwrite_edits: bool = Field(
        default=False,
        description="Whether a secondary that was edited by hand is kept, and then replaced; and whether a staging "
        "slot is deployed over that is somebody's.",
    )
    force: bool = Field(default=False, description="Whether it is trained and deployed anew though nothing differs.")


def look(params: Language, job: Job) -> Progress:
    """Take the lock of the secondary's project, and read what the primary has."""
    place = places.find(job, params.project)
    checking.check_names(place, params.staging)
    if waits := checking.hold(place, job):
        return waits
    told = keeping.read_primary(place, job)
    checking.check_mode(place, told["language"], multilingual=told["multilingual"])
    what = ", ".join(places.labels(told["deployments"]))
    return Done({**told, "to": "secondary"}, note=f"{what} is to be served by the secondary")


def store(_params: Language, job: Job) -> Progress:
    """Keep it before anything is replaced, make room for what will be trained, and go on to what is left to do.

    What did badly when it was trained from the same is refused here, before it is paid for once more.
    """
    place = places.again(job)
    if anew := keeping.begin_anew(place, job):
        return anew
    stored = keeping.store(place, job, again=False)
    if job.result["refused"]:
        raise PermanentError(job.result["refused"], remedy=training.DID_BADLY)
    made = room.make(place, job)
    note = stored.note + (f"; {made}" if made else "")
    return Done(stored.result, note=note, next="" if job.result["todo"] else "plan")


PERMISSIONS = {
    Language: (
        Permission(
            "language",
            tuple(f"{_CLU}/projects/{what}" for what in ("read", "*/read", "export/action")),
            "to export the project, without a key",
            is_data=True,
        ),
        Permission(
            "language",
            (f"{_CLU}/action",),
            "to have the primary asked what the secondary is to answer, without a key",
            is_data=True,
            optional=True,
        ),
        Permission(
            "language_secondary",
            (
                *(
                    f"{_CLU}/projects/{what}"
                    for what in ("read", "*/read", "export/action", "import/action", "train/*", "models/delete")
                ),
                *(f"{_CLU}/projects/deployments/{what}" for what in ("write", "delete", "swap/action")),
                f"{_CLU}/action",
            ),
            "to import, train, deploy, swap and ask it, and to delete models of its own for room, without a key",
            is_data=True,
        ),
    )
}
RESULTS = {
    Language: (
        *("name", "project", "primary", "secondary", "version", "replicated", "served", "agreed", "f1_intents"),
        *("follow", "deployments", "models", "kept_slots"),
    )
}
STAGES = {
    Language: (
        Stage[Language]("look", start=look, watch=look, effect="reads", within=lambda _: WAITS_FOR_LOCK),
        course.TARGET,
        Stage[Language]("export", start=keeping.start_export, watch=keeping.watch_export, effect="prepares"),
        course.COMPARE,
        Stage[Language]("store", start=store, effect="prepares"),
        *course.IMPORT,
        Stage[Language]("verify", start=importing.start_verify, watch=importing.watch_verify, effect="reads"),
        *course.SERVE,
        Stage[Language]("note", start=noting.start, watch=noting.watch, effect="reads"),
        course.UNDO,
    )
}
