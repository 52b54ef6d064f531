"""A Custom Vision project, as the steps that train, export and prune look at it.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/getting-started-improving-your-classifier
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from shared.answers import host_of
from shared.clients.vision import Iteration, Project
from shared.errors import PermanentError
from shared.handlers.vision.iterations import Place
from shared.redaction import tidy
from shared.stages import Job

PAGE = "https://www.customvision.ai/projects/"
CAP = 20
"""Iterations that a project may have: https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas"""
EVER = datetime.min.replace(tzinfo=UTC)


def read_project(place: Place, job: Job) -> Project:
    """Read the project; PermanentError where the declared resource has none of this id, or only half of it."""
    found = job.clients.vision.projects.read(place.at, place.project)
    if found is None:
        raise PermanentError(
            f"the training resource at {host_of(place.at.endpoint)} has no project {place.project}",
            remedy="declare the project's own training resource, or correct the project's id in the rules file",
        )
    if found.status == "Failed":
        raise PermanentError(
            f"project {tidy(found.name)} is Failed: it was not imported whole", remedy="delete it, and import it again"
        )
    return found


def link(project: str) -> str:
    """Give the project's page."""
    return f"{PAGE}{project}"


def under_way(there: Iterable[Iteration]) -> Iteration | None:
    """Pick the iteration that is being trained; a project has one at most."""
    return max((one for one in there if not one.is_over and one.status != "New"), key=age, default=None)


def age(one: Iteration) -> datetime:
    """Say when an iteration was begun, to sort by."""
    return one.created or EVER
