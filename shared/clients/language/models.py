"""Models: trained, evaluated, deleted.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/models
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from shared.clients.language.evaluations import Evaluation, EvaluationRead
from shared.clients.language.jobs import Job, JobRead, newest_first
from shared.clients.language.remedies import trained_once
from shared.clients.language.resource import Resource
from shared.clients.language.service import OWNER, Instant, Read, Service, Text
from shared.clients.rest import segment
from shared.errors import ReactorError

CONVERSATION = "Conversation"


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model."""

    label: str
    id: str
    """What deployments name it by: the label, a time and a hash."""
    trained: datetime | None
    expires: datetime | None
    config_version: str
    has_snapshot: bool
    """Whether the project can be exported as it was when this was trained."""


@dataclass(frozen=True, slots=True)
class Training:
    """A training as it is wanted."""

    label: str
    """The model's; one of the same label is replaced."""
    mode: Literal["standard", "advanced"] = "advanced"
    """"standard" is fast, free and for English only."""
    config_version: str = "latest"
    kind: Literal["percentage", "manual"] = "percentage"
    """How utterances are told apart that are kept back for the evaluation."""
    train: int = 80
    test: int = 20


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """A version of the training itself."""

    version: str
    expires: datetime | None
    """When models that were trained with it expire."""


class _Model(Read):
    label: str = Field(min_length=1)
    model_id: Text = ""
    last_trained_date_time: Instant = None
    model_expiration_date: Instant = None
    model_training_config_version: Text = ""
    has_snapshot: bool | None = None

    def told(self) -> Model:
        return Model(
            label=self.label,
            id=self.model_id,
            trained=self.last_trained_date_time,
            expires=self.model_expiration_date,
            config_version=self.model_training_config_version,
            has_snapshot=bool(self.has_snapshot),
        )


class _ConfigVersion(Read):
    training_config_version: str = Field(min_length=1)
    model_expiration_date: Instant = None

    def told(self) -> ConfigVersion:
        return ConfigVersion(self.training_config_version, self.model_expiration_date)


class Models:
    """The models of projects."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def train(self, at: Resource, project: str, wanted: Training) -> str:
        """Start a training; give the job's URL. TemporaryError while another one runs: a project trains once at a time.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/train/train
        """
        options: dict[str, Any] = {"kind": wanted.kind}
        if wanted.kind == "percentage":
            options |= {"trainingSplitPercentage": wanted.train, "testingSplitPercentage": wanted.test}
        body = {
            "modelLabel": wanted.label,
            "trainingMode": wanted.mode,
            "trainingConfigVersion": wanted.config_version,
            "evaluationOptions": options,
        }
        try:
            return self._service.start(at, "POST", project, ":train", body=body)
        except ReactorError as problem:
            raise trained_once(problem) from None

    def training_jobs(self, at: Resource, project: str) -> list[Job]:
        """List the trainings of the last days, whatever came of them, the newest first.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/list-training-jobs/list-training-jobs
        """
        found = self._service.pages(at, project, "train/jobs", JobRead)
        return newest_first(
            [
                one.told(self._service.url(at, project, f"train/jobs/{segment(one.job_id)}"))
                for one in found
                if one.job_id
            ]
        )

    def cancel(self, at: Resource, url: str) -> None:
        """Cancel a training by the URL of its job; one that is over already is left as it is.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/cancel-training-job/cancel-training-job
        """
        self._service.cancel(at, url)

    def delete(self, at: Resource, project: str, label: str) -> None:
        """Delete a model; one that is gone is fine, one that is deployed is refused.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/delete-trained-model/delete-trained-model
        """
        self._service.away(at, project, f"models/{segment(label)}", role=OWNER)

    def evaluation(self, at: Resource, project: str, label: str) -> Evaluation | None:
        """Read how well a model did in its evaluation; None where it has none.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-model-evaluation-summary/get-model-evaluation-summary
        """
        answer = self._service.there(at, project, f"models/{segment(label)}/evaluation/summary-result")
        return answer.read(EvaluationRead).told() if answer is not None else None

    def config_versions(self, at: Resource) -> list[ConfigVersion]:
        """List the versions that can be trained with.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/list-training-config-versions/list-training-config-versions
        """
        query = {"projectKind": CONVERSATION}
        pages = self._service.pages(at, "global", "training-config-versions", _ConfigVersion, query=query)
        return [one.told() for one in pages]

    def list(self, at: Resource, project: str) -> list[Model]:
        """List the models of a project.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/list-trained-models/list-trained-models
        """
        return [one.told() for one in self._service.pages(at, project, "models", _Model)]
