"""How a Language project is replicated, as a rules file declares it: its training, and what proves that it is ready.

What the service's export of a project does not hold is stated here. Names, and what a training takes:
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/train-model
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictFloat, StrictInt, StringConstraints, model_validator

from shared.policy import Part
from shared.rules import templates

MOST_DEPLOYMENTS = 10
"""Of one project."""
LONGEST_UTTERANCE = 1_000
"""Characters that a prediction takes."""
NAME = re.compile(r"[A-Za-z0-9_.-]{1,50}\Z")
NAME_WANTED = "must be up to 50 letters, digits, dots, dashes and underscores"
CONFIG = re.compile(r"(?:latest|[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?)\Z")
CONFIG_WANTED = "must be latest, or a version such as 2022-09-01"
CULTURE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*\Z")
CULTURE_WANTED = "must be a language, such as ko or en-us"


def _fitting(pattern: re.Pattern[str], wanted: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not templates.is_open(value) and not pattern.match(value):
            raise ValueError(wanted)
        return value

    return check


check_name = _fitting(NAME, NAME_WANTED)
check_config = _fitting(CONFIG, CONFIG_WANTED)
check_culture = _fitting(CULTURE, CULTURE_WANTED)

LanguageName = Annotated[str, AfterValidator(check_name)]
"""What the service takes for the name of a project or of a deployment, or a setting."""


class LanguageEvaluation(Part):
    """How the service splits the utterances of a project into those that train and those that test."""

    kind: Literal["percentage", "manual"] = "percentage"
    train: Annotated[StrictInt, Field(ge=1, le=99)] = 80
    test: Annotated[StrictInt, Field(ge=1, le=99)] = 20

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.train + self.test != 100:
            raise ValueError(
                f"train and test are percentages that sum to 100, and {self.train} and {self.test} are "
                f"{self.train + self.test}: say test: {100 - self.train}"
            )
        if self.kind == "manual" and (self.train, self.test) != (80, 20):
            raise ValueError(
                "kind manual splits by what each utterance's own `dataset` says: leave train and test out, "
                "or say kind: percentage"
            )
        return self


class LanguageTraining(Part):
    """What the secondary is trained with: the service keeps it with no model and exports it with no project."""

    mode: Literal["standard", "advanced"] = "advanced"
    config_version: Annotated[str, AfterValidator(check_config)] = "latest"
    evaluation: LanguageEvaluation = LanguageEvaluation()


class LanguageUtterance(Part):
    """A text that both regions are asked."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_UTTERANCE)]
    language: Annotated[str, AfterValidator(check_culture)] | None = None
    """The project's own where left out."""
    intent: Annotated[str, StringConstraints(min_length=1)] | None = None
    """What the secondary has to answer; without it, what the primary answers."""


class LanguageProof(Part):
    """What has to hold before the secondary serves a model."""

    utterances: list[LanguageUtterance] = Field(default_factory=list)
    sample: Annotated[StrictInt, Field(ge=0, le=50)] = 5
    agree: Annotated[StrictFloat, Field(gt=0, le=1)] = 0.8
    """The share of what is compared that has to have the same intent; none at all would prove nothing."""
    margin: Annotated[StrictFloat, Field(ge=0, le=1)] = 0.05

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.utterances and not self.sample:
            raise ValueError("nothing would be asked of the secondary: give utterances, or a sample of at least 1")
        return self


def check_deployments(names: list[str]) -> list[str]:
    """Check that each deployment is named once."""
    twice = next((name for at, name in enumerate(names) if name in names[:at]), "")
    if twice:
        raise ValueError(f'"{twice}" stands there twice: say each deployment once')
    return names
