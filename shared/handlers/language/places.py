"""A declared Language project: the resource that it comes from, and the one that it is brought to.

Every stage finds both by what the first stage wrote down, so that the stages that bring a project somewhere are the
same for a replication and for a restoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.clients.language import Deployment, Project, Resource
from shared.clients.language import Job as ServiceJob
from shared.errors import PermanentError
from shared.handlers import declared
from shared.replicas import Follow, Options
from shared.rules.declared import LanguageProject
from shared.stages import Job

To = Literal["primary", "secondary"]
CONVERSATION = "conversation"
MOST_MODELS = 10
MOST_DEPLOYMENTS = 10
"""Of one project. https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits"""
LONGEST_NAME = 50
"""Characters of a deployment's name."""


@dataclass(frozen=True, slots=True)
class Place:
    """A declared project, and where the step brings it."""

    name: str
    """As the rules file calls it."""
    project: str
    """As the service does; case counts."""
    about: LanguageProject
    primary: Resource
    secondary: Resource
    to: To

    @property
    def at(self) -> Resource:
        """Where the project is brought to."""
        return self.primary if self.to == "primary" else self.secondary

    @property
    def lock(self) -> str:
        """The name of the lock under which the project is changed there."""
        return f"language:{self.at.host}/{self.project}"

    @property
    def options(self) -> Options:
        """What it is trained with."""
        return Options.of(self.about.training)

    @property
    def key(self) -> tuple[str, str, str]:
        """What a replication is remembered by."""
        return self.primary.host, self.project, self.secondary.host


def find(job: Job, given: str, to: To = "secondary") -> Place:
    """Find a declared project; PermanentError where there is none."""
    name, about = declared.language(job, given)
    primary, secondary = Resource.of(about.primary), Resource.of(about.secondary)
    return Place(name, about.project, about, primary, secondary, to)


def again(job: Job) -> Place:
    """Find the project that the step's first stage found."""
    return find(job, job.result["name"], job.result.get("to", "secondary"))


def read_project(job: Job, at: Resource, project: str, which: str) -> Project | None:
    """Read a project, None where there is none; PermanentError where only its case differs, or its kind is another."""
    found = job.clients.language.projects.read(at, project)
    if found is None:
        near = job.clients.language.projects.near(at, project)
        if near and near != project:
            raise PermanentError(
                f'the {which} at {at.host} has no project "{project}", but one that is called "{near}": '
                "upper and lower case count",
                remedy=f"write {near} in the rules file, or give the projects of both regions the same name",
            )
        return None
    if found.kind and found.kind.lower() != CONVERSATION:
        raise PermanentError(
            f'"{project}" at {at.host} is a project of the kind {found.kind}, not Conversation',
            remedy="declare a conversational language understanding project; other kinds are not replicated",
        )
    return found


def missing(at: Resource, project: str) -> PermanentError:
    """Say that the primary has no such project."""
    return PermanentError(
        f'the primary at {at.host} has no project "{project}"',
        remedy="correct `project` or the primary's endpoint in the rules file; "
        "if the project was lost, restore.language brings it back from its backups",
    )


def serving(job: Job, at: Resource, project: str) -> dict[str, str]:
    """Give what each deployment of a project serves: its name to the model's id."""
    found: list[Deployment] = job.clients.language.deployments.list(at, project)
    return {one.name: one.model_id for one in found}


def slot(deployment: str, suffix: str) -> str:
    """Name the staging slot of a deployment, "" where there is none.

    >>> slot("production", "next"), slot("production", "")
    ('production-next', '')
    """
    return f"{deployment}-{suffix}" if suffix else ""


def running(jobs: list[ServiceJob]) -> ServiceJob | None:
    """Pick the training that is under way; a project has one at most."""
    return next((one for one in jobs if not one.is_over), None)


def labels(deployments: Mapping[str, str]) -> list[str]:
    """List the distinct labels that deployments serve, in the order of the deployments."""
    return list(dict.fromkeys(deployments.values()))


def of_follow(text: str) -> Follow:
    """Read what is followed from what a stage wrote down."""
    return "working_copy" if text == "working_copy" else "deployed"
