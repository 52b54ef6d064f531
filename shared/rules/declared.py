"""What a rules file declares beside its rules: the services it listens to and acts on, and the channels it writes to.

Nothing is ever followed outside of these. Any text may hold `${NAME}`, an app setting, which stays unresolved here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.policy import Duration
from shared.rules import paths, templates
from shared.rules.addresses import REGIONAL, ArmId, ContainerUrl, Https, QueueUrl, host_and_port
from shared.rules.replicated import (
    MOST_DEPLOYMENTS,
    LanguageName,
    LanguageProof,
    LanguageTraining,
    check_deployments,
)

Section = Literal["workspaces", "factories", "vision", "language", "channels"]

GUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z")
VISION_SOURCE = "customvision/"
LANGUAGE_SOURCE = "language/"


def source_key(source: str) -> str:
    """Spell a source for comparison: ARM ids ignore case, and a project's GUID may come without its dashes."""
    key = source.lower()
    return key.replace("-", "") if key.startswith(VISION_SOURCE) else key


@dataclass(frozen=True, slots=True)
class Names:
    """Says of a parameter that it names something declared: `channel: Annotated[str, Names("channels")]`."""

    section: Section
    kinds: tuple[str, ...] = ()
    """The kinds of channel that will do; none where each does."""
    has: str = ""
    """What must be declared of it, such as `replica`; "" where nothing beside it."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Says of a parameter that no event may fill it in: a template in it is an error."""


@dataclass(frozen=True, slots=True)
class Follows:
    """Says of a parameter that a step after this one may say it: left out, it is the same parameter of that step."""

    by: tuple[str, ...]
    """The actions of such steps."""
    needed_by: str
    """The parameter without which it is not needed; of several that are needed by the same one, one will do."""
    called: str = ""
    """What those steps call it, where that is another name."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Says of a parameter which values are hardly meant: a warning."""

    why: Callable[[Any], str]
    """What there is to say of a value, or of an element where it is a list; "" where nothing."""


class Declaration(BaseModel):
    """One entry of a section: known keys only, and none of them changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _project_id(value: str) -> str:
    if not templates.is_open(value) and not GUID.match(value):
        raise ValueError("must be a project's id, such as 00000000-0000-0000-0000-000000000000")
    return value


class Resource(Declaration):
    """An Azure AI resource; without a key the app's identity is used, which needs the resource's own subdomain."""

    endpoint: Https
    key: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _has_a_way_in(self) -> Self:
        host = "" if templates.is_open(self.endpoint) else (urlsplit(self.endpoint).hostname or "")
        if self.key is None and host.endswith(REGIONAL):
            raise ValueError(f"{host} takes keys only: give `key`, or the resource's own subdomain as `endpoint`")
        return self


class Prediction(Declaration):
    """A Custom Vision prediction resource: publishing needs its ARM id, and looking what it answers its endpoint."""

    resource: Annotated[str, ArmId("Microsoft.CognitiveServices/accounts")]
    endpoint: Https | None = None
    key: str | None = Field(default=None, repr=False)


def _prediction(value: Any) -> Any:
    return {"resource": value} if isinstance(value, str) else value


PredictionResource = Annotated[Prediction, BeforeValidator(_prediction, json_schema_input_type=str | Prediction)]
"""All of it, or its ARM id alone."""


class VisionReplica(Declaration):
    """Where a Custom Vision project is copied to, and what its copies are connected with."""

    training: Resource
    prediction: PredictionResource | None = None
    """Without it nothing is published there."""
    container: ContainerUrl | None = Field(default=None, repr=False)
    queue: QueueUrl | None = Field(default=None, repr=False)


class VisionProject(Declaration):
    """One Custom Vision project."""

    project: Annotated[str, AfterValidator(_project_id)]
    training: Resource
    prediction: PredictionResource | None = None
    """The prediction resource, or its ARM id alone: publishing an iteration needs it."""
    container: ContainerUrl | None = Field(default=None, repr=False)
    """The URL of the container that Custom Vision was told to write exports to."""
    replica: VisionReplica | None = None
    """Another training resource, best in another region, that copies of the project go to."""


class LanguageResource(Resource):
    """An Azure AI Language resource, and the version of the API that it is spoken to in."""

    api_version: Literal["2023-04-01", "2025-11-01"] = "2023-04-01"


class LanguageProject(Declaration):
    """One replicated Language project."""

    project: LanguageName
    """Upper and lower case count."""
    primary: LanguageResource
    secondary: LanguageResource
    deployments: Annotated[
        list[LanguageName], Field(min_length=1, max_length=MOST_DEPLOYMENTS), AfterValidator(check_deployments)
    ]
    """What the primary serves, and the secondary is to serve."""
    follow: Literal["deployed", "working_copy"] = "deployed"
    """Whether the snapshots of the models that are deployed are replicated, or what is being labelled."""
    training: LanguageTraining = LanguageTraining()
    proof: LanguageProof = LanguageProof()
    check: Duration = timedelta(hours=24)
    """How often the schedule compares."""
    expiry: Duration = timedelta(days=60)
    """How long before it expires a deployment or a model is told of."""

    @model_validator(mode="after")
    def _has_two_places(self) -> Self:
        first, second = (host_and_port(resource.endpoint) for resource in (self.primary, self.secondary))
        if first[0] and first == second:
            raise ValueError(
                f"primary and secondary are both {first[0]}: the secondary is another resource, best in another region"
            )
        return self

    @property
    def source(self) -> str:
        """What the events about it come from; it may hold a setting that is not filled in."""
        return f"{LANGUAGE_SOURCE}{host_and_port(self.primary.endpoint)[0] or self.primary.endpoint}/{self.project}"


class Email(Declaration):
    """Mail through Azure Communication Services, by the app's identity."""

    kind: Literal["email"]
    to: list[str] = Field(min_length=1)
    endpoint: Https = "${REACTOR_MAIL_ENDPOINT}"
    sender: str = "${REACTOR_MAIL_SENDER}"


class Smtp(Declaration):
    """Mail through an SMTP server."""

    kind: Literal["smtp"]
    to: list[str] = Field(min_length=1)
    host: str
    sender: str
    port: int | str = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = Field(default=None, repr=False)


class Teams(Declaration):
    """A Teams channel, by the URL of a Workflows webhook."""

    kind: Literal["teams"]
    url: Https = Field(repr=False)


class Slack(Declaration):
    """A Slack channel, by the URL of an incoming webhook."""

    kind: Literal["slack"]
    url: Https = Field(repr=False)


class Webhook(Declaration):
    """Any HTTPS endpoint; with a secret, requests are signed as Standard Webhooks says."""

    kind: Literal["webhook"]
    url: Https = Field(repr=False)
    secret: str | None = Field(default=None, repr=False)
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False)


class EventGridTopic(Declaration):
    """An Event Grid custom topic; without a key the app's identity is used."""

    kind: Literal["event_grid"]
    endpoint: Https
    key: str | None = Field(default=None, repr=False)


class Queue(Declaration):
    """A storage queue, by its URL: `https://<account>.queue.core.windows.net/<queue>`."""

    kind: Literal["queue"]
    url: QueueUrl = Field(repr=False)


class Route(Declaration):
    """A choice of another channel by a field of the event: the first prefix that fits, ignoring case."""

    kind: Literal["route"]
    by: str
    begins_with: Mapping[str, Annotated[str, Names("channels")]]
    otherwise: Annotated[str | None, Names("channels")] = None

    def picks(self, names: Mapping[str, Any]) -> str | None:
        """Choose by what templates can read of an event; None where nothing fits and there is no `otherwise`."""
        keys = paths.parse_path(self.by)
        value = paths.walk(names, paths.canonical(keys)) if keys else paths.MISSING
        text = "" if value in (paths.MISSING, None) else str(value).lower()
        fits = (target for prefix, target in self.begins_with.items() if text and text.startswith(prefix.lower()))
        return next(fits, self.otherwise)


Channel = Annotated[
    Email | Smtp | Teams | Slack | Webhook | EventGridTopic | Queue | Route, Field(discriminator="kind")
]


class Declared(Declaration):
    """Every section by the names that the file gives."""

    workspaces: Mapping[str, Annotated[str, ArmId("Microsoft.MachineLearningServices/workspaces")]] = Field(
        default_factory=dict
    )
    """Name to ARM id."""
    factories: Mapping[str, Annotated[str, ArmId("Microsoft.DataFactory/factories")]] = Field(default_factory=dict)
    """Name to ARM id."""
    vision: Mapping[str, VisionProject] = Field(default_factory=dict)
    language: Mapping[str, LanguageProject] = Field(default_factory=dict)
    channels: Mapping[str, Channel] = Field(default_factory=dict)

    def sources(self) -> dict[str, frozenset[str]]:
        """Map sources (see `source_key`) to the names they are declared by; unresolved ones are left out."""
        found: dict[str, set[str]] = {}
        for name, arm_id in self.workspaces.items():
            found.setdefault(arm_id, set()).add(name)
        for name, project in self.vision.items():
            found.setdefault(f"{VISION_SOURCE}{project.project}", set()).add(name)
        for name, replicated in self.language.items():
            found.setdefault(replicated.source, set()).add(name)
        return {source_key(at): frozenset(names) for at, names in found.items() if not templates.setting_names(at)}

    def bind(self, settings: Mapping[str, str]) -> tuple[Declared, dict[str, list[str]]]:
        """Fill in the settings that sources refer to; also return, by source name, the settings that are not set."""
        missing: dict[str, list[str]] = {}

        def fill(name: str, text: str) -> str:
            unset = [setting for setting in templates.setting_names(text) if setting not in settings]
            if unset:
                missing.setdefault(name, []).extend(unset)
                return text
            filled: str = templates.resolve(text, settings)
            return filled

        bound = self.model_copy(
            update={
                "workspaces": {name: fill(name, arm_id) for name, arm_id in self.workspaces.items()},
                "vision": {
                    name: project.model_copy(update={"project": fill(name, project.project)})
                    for name, project in self.vision.items()
                },
                "language": {name: _located(project, name, fill) for name, project in self.language.items()},
            }
        )
        return bound, missing


def _located(project: LanguageProject, name: str, fill: Callable[[str, str], str]) -> LanguageProject:
    """Fill in what says where the events about a Language project come from."""
    primary = project.primary.model_copy(update={"endpoint": fill(name, project.primary.endpoint)})
    return project.model_copy(update={"project": fill(name, project.project), "primary": primary})
