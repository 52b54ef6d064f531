"""Back up: keep a Language project as the primary exports it, each content once.

What a deployed model was trained from is kept, and what is being labelled; a whole version is never overwritten.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.handlers.language import keeping, places
from shared.permissions import Permission
from shared.rules.declared import Names
from shared.stages import Done, Job, Progress, Stage

_CLU = "Microsoft.CognitiveServices/accounts/Language/analyze-conversations"


class Language(BaseModel):
    """Keeps a Language project: the models that the primary serves, and its working copy."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("language")] = Field(
        default="", description="A declared project; by default the event's, or the only one."
    )
    force: bool = Field(default=False, description="Whether content that is kept already is kept once more.")


def look(params: Language, job: Job) -> Progress:
    """Read what the primary has."""
    place = places.find(job, params.project)
    told = keeping.read_primary(place, job)
    return Done(told, note=f"to be exported: {len(told['exports'])} times")


def store(params: Language, job: Job) -> Progress:
    """Write the manifest."""
    place = places.again(job)
    return keeping.begin_anew(place, job) or keeping.store(place, job, again=params.force)


PERMISSIONS = {
    Language: (
        Permission(
            "language",
            tuple(f"{_CLU}/projects/{what}" for what in ("read", "*/read", "export/action")),
            "to export the project, without a key",
            is_data=True,
        ),
    )
}
RESULTS = {Language: ("name", "project", "host", "version", "is_new", "files", "deployments", "models", "follow")}
STAGES = {
    Language: (
        Stage[Language]("look", start=look, effect="reads"),
        Stage[Language]("export", start=keeping.start_export, watch=keeping.watch_export, effect="prepares"),
        Stage[Language]("store", start=store, effect="prepares"),
    )
}
