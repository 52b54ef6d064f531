"""What a rule says of an iteration that is to be published."""

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.policy import Duration
from shared.rules import templates
from shared.rules.addresses import StorageUrl, is_url
from shared.rules.declared import Doubtful, Names


def _publish_name(value: str) -> str:
    is_bad = value in {".", ".."} or not value.strip() or not value.isprintable() or set(value) & set("/\\?#%")
    if is_bad and not templates.is_open(value):
        raise ValueError("must be a name that can stand in a URL")
    return value


def _sample(value: str) -> str:
    if value and not templates.is_open(value) and not is_url(value):
        raise ValueError("must be the URL of an image")
    return value


def _secret(value: Any) -> str:
    words = "a SAS is a secret, which rules do not hold: put the URL into an app setting, and write ${NAME}"
    return words if isinstance(value, str) and "sig=" in value else ""


class Vision(BaseModel):
    """Publishes an iteration under a name, tried out before and after."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    project: Annotated[str, Names("vision", has="prediction")] = Field(
        default="{{ vision.project }}",
        description="A declared project with a prediction resource; by default the event's.",
    )
    iteration: str = Field(default="{{ vision.iteration }}", description="The iteration's id; by default the event's.")
    name: Annotated[str, AfterValidator(_publish_name)] = Field(
        description="The name that it is published under; it is taken from an older iteration that has it.",
        max_length=128,
    )
    sample: Annotated[StorageUrl, AfterValidator(_sample), Doubtful(_secret)] = Field(
        default="",
        repr=False,
        description="The URL of an image that it must recognise; left out, tagged images of the project are shown.",
    )
    expects: str = Field(default="", description="The tag that it must see first in `sample`.")
    probability: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How probable the tag must be that it is to see; of an image of the project, the image's own.",
    )
    samples: int = Field(default=3, ge=1, le=20, description="How many images of the project are shown.")
    within: Duration = Field(
        default=timedelta(minutes=5),
        description="How long the prediction resource may take to answer for it; then the name is given back.",
    )

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        """Refuse an image without a tag to be seen in it, and a tag without an image."""
        if bool(self.sample) != bool(self.expects):
            raise ValueError("must have `expects`, the tag to be seen, where it has `sample`, and neither without")
        return self
