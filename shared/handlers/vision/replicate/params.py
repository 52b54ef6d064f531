"""What a rule says of the project that is to be copied."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.handlers.vision.replicate import copies
from shared.policy import Duration
from shared.rules.declared import Names


class Vision(BaseModel):
    """Copies a Custom Vision project to its declared replica, and follows the copy until it is whole and published."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Names("vision", has="replica")] = Field(
        default="{{ vision.project }}", description="A declared project with a replica; by default the event's."
    )
    name: str = Field(
        default="",
        description="What the copy is called; by default as the project. This step's key is put after it.",
        max_length=copies.LONGEST,
    )
    keep: int = Field(
        default=0,
        ge=0,
        description="How many older copies that this step made are kept beside the new one; 0 keeps all.",
    )
    within: Duration = Field(
        default=timedelta(hours=24), description="How long the import may take; then the step fails."
    )
