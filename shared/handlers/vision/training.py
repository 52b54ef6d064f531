"""What a training of a Custom Vision project is made of: the parameters of the step, and the tags that are trained.

https://learn.microsoft.com/rest/api/customvision/projects/train
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from shared.clients.vision import Tag, Training
from shared.errors import PermanentError
from shared.policy import Duration
from shared.redaction import tidy
from shared.rules.declared import Names

HOUR = timedelta(hours=1)
FEWEST = {"classification": 5, "detection": 15}
"""Images that each tag needs: https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas"""
FEWEST_TAGS = {"classification": 2, "detection": 1}
MOST_NAMED = 10
"""Tags that an error or a note names."""


def _hours(budget: timedelta) -> timedelta:
    if budget % HOUR:
        raise ValueError("must be whole hours, such as 1h or 24h")
    return budget


class Vision(BaseModel):
    """Trains a Custom Vision project, and follows the training to its end."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    type: Literal["regular", "advanced"] = Field(
        default="regular", description="A regular training takes minutes; an advanced one is better, and takes hours."
    )
    budget: Annotated[Duration, AfterValidator(_hours)] | None = Field(
        default=None, description="How long an advanced training may take, and cost, at most: whole hours, such as 2h."
    )
    force: bool = Field(default=False, description="Train even where nothing has changed since the last training.")
    tags: list[str] = Field(
        default_factory=list, description="The names of the tags to train; left out, all that have images."
    )
    email: str = Field(
        default="",
        description="Whom Custom Vision itself writes to when it is over.",
        pattern=r"^([^@\s]+@[^@\s]+)?$",
    )
    under_way: Literal["follow", "wait", "skip"] = Field(
        default="wait",
        description="Where a training is under way already: wait for its end and train then, follow that one, or skip.",
    )
    within: Duration = Field(
        default=timedelta(days=1),
        description="How long it may take beside its budget; then the step fails, and the training goes on.",
    )

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        """Refuse an advanced training without a budget, and a regular one with one."""
        if self.type == "advanced" and self.budget is None:
            raise ValueError("must have a budget, such as 2h, where type is advanced")
        if self.type == "regular" and self.budget is not None:
            raise ValueError("must have type: advanced where it has a budget")
        return self


def chosen(params: Vision, there: Sequence[Tag], project: str) -> list[Tag]:
    """Pick the tags that are trained; PermanentError where one that is named is not there, or there is none at all."""
    by_name = {tag.name: tag for tag in there}
    unknown = [f'"{tidy(name)}"' for name in params.tags if name not in by_name]
    if unknown:
        names = ", ".join(tidy(name) for name in list(by_name)[:MOST_NAMED]) or "none"
        raise PermanentError(
            f"tags: project {project} has no tag {', '.join(unknown)}; it has {names}"
            + (" and more" if len(by_name) > MOST_NAMED else ""),
            remedy="correct the names: upper and lower case count",
        )
    if not there:
        raise PermanentError(f"project {project} has no tags", remedy="upload images that are tagged")
    return [by_name[name] for name in dict.fromkeys(params.tags)] or list(there)


def without_images(params: Vision, tags: Sequence[Tag]) -> list[Tag]:
    """Pick the tags that are left out, since nobody asks for them and they would have the training refused."""
    return [] if params.tags else [tag for tag in tags if not tag.images and tag.type != "Negative"]


def told(tags: Sequence[Tag], left_out: Sequence[Tag]) -> str:
    """Say what is trained, and without what."""
    said = f"{sum(tag.images for tag in tags)} images of {len(tags)} tags"
    return f"{said}; without images, and left out: {_named(left_out)}" if left_out else said


def refuse_too_few(tags: Sequence[Tag], kind: str, left_out: Sequence[Tag]) -> None:
    """Refuse tags of too few images before the service does, which does not say which; and too few that have any."""
    fewest = FEWEST[kind]
    if left_out and sum(tag.type != "Negative" for tag in tags) < FEWEST_TAGS[kind]:
        raise PermanentError(
            f"{kind} needs {FEWEST_TAGS[kind]} or more tags with images, and there are none of {_named(left_out)}",
            remedy="upload images that have these tags",
        )
    poor = [tag for tag in tags if tag.images < fewest and tag.type != "Negative"]
    if poor:
        named = ", ".join(f'"{tidy(tag.name)}" has {tag.images}' for tag in poor[:MOST_NAMED])
        more = f" and {len(poor) - MOST_NAMED} more have too few" if len(poor) > MOST_NAMED else ""
        raise PermanentError(
            f"{kind} needs {fewest} images of each tag: {named}{more}",
            remedy="upload more images of it, or name the others as `tags`",
        )


def _named(tags: Sequence[Tag]) -> str:
    more = f" and {len(tags) - MOST_NAMED} more" if len(tags) > MOST_NAMED else ""
    return ", ".join(tidy(tag.name) for tag in tags[:MOST_NAMED]) + more


def wanted(params: Vision, tags: Sequence[str]) -> Training:
    """Say what is trained, with these tags, or with all of them where there are none."""
    return Training(
        type="Advanced" if params.type == "advanced" else "Regular",
        budget=(params.budget or timedelta()) // HOUR,
        force=params.force,
        tags=tuple(tags),
        email=params.email,
    )


def longest(params: Vision) -> timedelta:
    """Say how long the training may take, and one that is waited for, which is probably of the same rule."""
    return params.within + (params.budget or timedelta())
