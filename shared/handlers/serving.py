"""What deployments behind batch and online endpoints have in common: the model read again, names, age, readiness."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NoReturn

from shared.actions import Status
from shared.clients.machine_learning.models import Model
from shared.errors import PermanentError, TemporaryError
from shared.redaction import tidy
from shared.stages import End, Job, Pending

ENDED_BADLY = frozenset({"Failed", "Canceled"})
DELETE_IT = "see the studio, delete it, then replay the event"
REGISTRY = re.compile(
    r"(?:azureml:/|/subscriptions/.+)/registries/(?P<registry>[^/]+)/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)


# -- the model --------------------------------------------------------------------------------------------------------


def read_model(job: Job, workspace: str, name: str, version: str) -> Model:
    """Read a model again: an event tells what was. PermanentError where it is gone or archived."""
    model = job.clients.machine_learning.models.read(workspace, name, version)
    return usable(model, f"{name}:{version}")


def usable(model: Model | None, name: str) -> Model:
    """Give a model that may be deployed; PermanentError where it is gone or archived."""
    if model is None:
        raise PermanentError(f"model {tidy(name)} is not there any more")
    if model.archived:
        raise PermanentError(f"model {tidy(name)} is archived", remedy="restore it, then replay")
    return model


def outdated(model: Model, job: Job) -> End | str:
    """Look whether the model's tags are still those that the event told of.

    End: the rule would not answer the event, had it told of these. Else what there is to say, "" for nothing.
    """
    event, tags = job.event(), dict(model.tags)
    told, about = event.data.get("modelTags"), event.facts.get("model", {})
    if not isinstance(told, Mapping) or about.get("name") != model.name or told == tags:
        return ""
    as_now = replace(
        event, data={**event.data, "modelTags": tags}, facts={**event.facts, "model": {**about, "tags": tags}}
    )
    changed = "the model's tags have changed since the event"
    if refused := job.refuses(as_now):
        return End(Status.SKIPPED, f"{changed}, and {refused} does not fit the rule any more")
    return changed


def deployment_name(model: str, version: str, model_id: str) -> str:
    """Name a deployment by the model it holds: at most 29 characters of the 32 that the service allows.

    >>> deployment_name("Credit Default", "12", "/subscriptions/…/models/Credit Default/versions/12")[:16]
    'credit-defau-v12'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    slug = (slug if slug[:1].isalpha() else f"m-{slug}")[:12].strip("-")
    short = re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")[:8].strip("-")
    return f"{slug}-v{short}-{hashlib.sha256(model_id.lower().encode()).hexdigest()[:6]}"


def deployable(model_id: str) -> str:
    """Spell a model's id as a deployment takes it: a registry's model is azureml://registries/….

    >>> deployable("/subscriptions/s/resourceGroups/g/providers/p/registries/prod/models/credit/versions/12")
    'azureml://registries/prod/models/credit/versions/12'
    """
    if found := REGISTRY.fullmatch(model_id):
        return "azureml://registries/{registry}/models/{name}/versions/{version}".format(**found.groupdict())
    return model_id


def is_same(model_id: str, other: str) -> bool:
    """Tell whether two ids name the same version of a model, in any casing and either spelling of a registry."""
    return deployable(model_id).lower() == deployable(other).lower()


def is_newer(job: Job, live_model: str, live_since: datetime | None, ours: str, made: str) -> bool:
    """Tell whether what is live holds a newer version of our model, by when the versions were made.

    `live_since` is when the live deployment was made, `made` when our version was, "" where nobody knows.
    Where the live version is gone, its deployment's age stands for it: it cannot be older than its model.
    """
    if not made or _without_version(live_model) != _without_version(ours):
        return False
    model = job.clients.machine_learning.models.by_id(live_model) if live_model.startswith("/") else None
    theirs = model.created_at if model else live_since
    return theirs is not None and theirs > datetime.fromisoformat(made)


def _without_version(model_id: str) -> str:
    return deployable(model_id).lower().rpartition("/versions/")[0]


# -- how a resource is doing ------------------------------------------------------------------------------------------


def ready(what: str, state: str, job: Job, wake_on: str = "", *, remedy: str = DELETE_IT) -> Pending | None:
    """Return None for what is ready, Pending for what is not yet; PermanentError where it never will be.

    `job.memory["operation"]` is the URL of the operation, where the stage has one: it says why something failed.
    """
    if state == "Succeeded":
        return None
    if state in ENDED_BADLY:
        operation = job.memory.get("operation", "")
        why = job.clients.machine_learning.arm.operation_error(operation) if operation else ""
        raise PermanentError(
            f"{what} is {state}" + (f": {why}" if why else ""),
            remedy=remedy,
        )
    return Pending(note=f"{what} is {state}", wake_on=wake_on)


def not_visible(what: str) -> NoReturn:
    """Ask for what was made a moment ago once more: it is not seen everywhere yet."""
    raise TemporaryError(f"{what} cannot be seen yet")


def wake_token(workspace: str, endpoint: str) -> str:
    """Name what an event says when something was deployed to an endpoint."""
    return f"deployed:{workspace.lower()}/{endpoint.lower()}"
