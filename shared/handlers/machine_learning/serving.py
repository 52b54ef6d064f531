"""What deployments behind batch and online endpoints have in common: the model read again, names, age, readiness."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from shared.actions import Status
from shared.clients.machine_learning.models import Model
from shared.errors import PermanentError, TemporaryError
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import End, Job, Pending

if TYPE_CHECKING:
    from shared.clients.machine_learning.batch import BatchDeployment
    from shared.clients.machine_learning.online import OnlineDeployment

ENDED_BADLY = frozenset({"Failed", "Canceled"})
DELETE_IT = ("see the studio", "delete it, then replay the event")
"""What helps where something failed: what to look at, and what to do then."""
REMEDIES = {
    "quota": "ask for more quota, or take fewer or other machines",
    "image build": "see the build log of its environment in the studio, and give one that builds",
    "imagebuild": "see the build log of its environment in the studio, and give one that builds",
    "crashed": "see what its log says; a model logged with MLflow 3 needs environment, code and scoring_script",
}
"""Words of why something failed to what helps: the same again would fail again."""
REGISTRY = re.compile(
    r"(?:azureml:/|/subscriptions/.+)/registries/(?P<registry>[^/]+)/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)",
    re.IGNORECASE,
)
REGISTRY_WITHIN = timedelta(minutes=5)
"""How long it is tried to list the registries: a role may not have arrived yet."""
CREATED_TAG = "reactor-model-created"
"""The deployment's tag that says when the version was made that it holds: it may be deleted while it serves."""
UNREAD = "the registry's model was not read again: its ARM id is not known"


class Wanted(Protocol):
    """The parameters that say which model is deployed."""

    model: str
    version: str
    model_id: str


# -- the model --------------------------------------------------------------------------------------------------------


def named(params: Wanted) -> tuple[str, str]:
    """Give the name and the version of the model that is deployed."""
    if not params.model_id:
        return params.model, params.version
    *_, name, _versions, version = params.model_id.split("/")
    return name, version


def read_model(params: Wanted, workspace: str, job: Job) -> tuple[Model | None, End | str]:
    """Read a model again, and give it with what there is to say of it: an event tells what was.

    None where it is one of a registry that is not to be found; PermanentError where it is gone or archived.
    """
    models = job.clients.machine_learning.models
    if not params.model_id:
        model = _usable(models.read(workspace, *named(params)), params)
        return model, _outdated(model, job)
    whole = arm_id(params.model_id, workspace, job)
    return (_usable(models.by_id(whole), params), "") if whole else (None, UNREAD)


def look_again(params: Wanted, job: Job) -> tuple[Mapping[str, Any], End | str]:
    """Read the model once more, after a wait: what the later stages need of it, and what there is to say of it."""
    if not (whole := job.result.get("model_at")):
        return {}, ""
    model = _usable(job.clients.machine_learning.models.by_id(whole), params)
    return read_of(model), "" if params.model_id else _outdated(model, job)


def found(params: Wanted, model: Model | None) -> dict[str, Any]:
    """Give what the later stages need to know of what is deployed."""
    model_id = deployable(params.model_id or (model.id if model else ""))
    return {**read_of(model), "model_id": model_id, "deployment": deployment_name(*named(params), model_id)}


def read_of(model: Model | None) -> dict[str, Any]:
    """Give what may have changed when a model is read once more."""
    if model is None:
        return {"model_at": "", "tags": {}, "created": ""}
    created = model.created_at.isoformat() if model.created_at else ""
    return {"model_at": model.id, "tags": dict(model.tags), "created": created}


def created_tag(job: Job) -> dict[str, str]:
    """Write down at a deployment when the model was made that it holds."""
    return {CREATED_TAG: job.result["created"]} if job.result.get("created") else {}


def arm_id(model_id: str, workspace: str, job: Job, near: str = "") -> str:
    """Give a model's ARM id, by which it can be read; "" where it is of a registry that is not to be found.

    `azureml://registries/…` is looked for where `near`, the ARM id of another model, is, then in the workspace's
    subscription.
    """
    wanted, other = REGISTRY.fullmatch(model_id), REGISTRY.fullmatch(near)
    if wanted is None or model_id.startswith("/"):
        return model_id
    if other and near.startswith("/") and other["registry"].lower() == wanted["registry"].lower():
        registry = near[: other.start("name") - len("/models/")]
    else:
        registry = _registry(wanted["registry"], workspace, job)
    return f"{registry}/models/{wanted['name']}/versions/{wanted['version']}" if registry else ""


def _registry(name: str, workspace: str, job: Job) -> str:
    try:
        return job.clients.machine_learning.models.registry(workspace, name)
    except PermanentError:
        return ""
    except TemporaryError:
        if job.now < job.began + REGISTRY_WITHIN:
            raise
        return ""


def _usable(model: Model | None, params: Wanted) -> Model:
    name = tidy(":".join(named(params)))
    if model is None:
        raise PermanentError(f"model {name} is not there any more", remedy="register it anew")
    if model.archived:
        raise PermanentError(f"model {name} is archived", remedy="restore it, then replay")
    return model


def _outdated(model: Model, job: Job) -> End | str:
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


# -- names ------------------------------------------------------------------------------------------------------------


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


# -- newer and older --------------------------------------------------------------------------------------------------


def is_newer(live: "OnlineDeployment | BatchDeployment", found: Mapping[str, Any], job: Job) -> bool:
    """Tell whether what is live holds a newer version of our model, by when the versions were made.

    `found` is what is known of ours. PermanentError where nobody can tell: an older one never replaces a newer one.
    """
    ours = found.get("model_id", "")
    if not ours or is_same(live.model_id, ours) or _without_version(live.model_id) != _without_version(ours):
        return False
    if not found["created"]:
        raise PermanentError(
            f"{live.name} is live with another version, and nobody can tell which is newer: {UNREAD}",
            remedy="give model_id as the ARM id of the registry's model, or let the app list the registries "
            "of the workspace's subscription, then replay the event",
        )
    made = datetime.fromisoformat(found["created"])
    theirs = _age(live, found, job)
    if theirs is not None:
        return theirs > made
    if live.created_at is not None and live.created_at <= made:
        return False  # a deployment is never older than what it holds
    raise PermanentError(
        f"{live.name} is live with another version, and nobody can tell which is newer: that version is gone",
        remedy=f"write into its tag {CREATED_TAG} when that was registered, or take its traffic, then replay the event",
    )


def overtaken(live: "OnlineDeployment | BatchDeployment", endpoint: str, job: Job) -> str:
    """Say that something else is live by now than what a gate of this action compared with; "" where it is not."""
    for told in job.steps.values():
        if not isinstance(told, Mapping) or str(told.get("compared_at")).lower() != endpoint.lower():
            continue
        seen = told.get("compared_with") or ""
        if not is_same(live.model_id, seen) and not is_same(live.model_id, job.result.get("model_id", "")):
            return f"{live.name} is live by now, with which no gate has compared it: replay the event"
    return ""


def _age(live: "OnlineDeployment | BatchDeployment", found: Mapping[str, Any], job: Job) -> datetime | None:
    """Say when the version was made that is live; None where nobody knows any more."""
    try:
        told = datetime.fromisoformat(live.tags.get(CREATED_TAG) or "")
    except ValueError:
        told = None
    if told and told.tzinfo:
        return told
    whole = arm_id(live.model_id, job.result["workspace"], job, near=found.get("model_at", ""))
    model = job.clients.machine_learning.models.by_id(whole) if whole else None
    return model.created_at if model else None


def _without_version(model_id: str) -> str:
    return deployable(model_id).lower().rpartition("/versions/")[0]


# -- how a resource is doing ------------------------------------------------------------------------------------------


def ready(what: str, state: str, job: Job, wake_on: str = "", *, remedy: tuple[str, str] = DELETE_IT) -> Pending | None:
    """Return None for what is ready, Pending for what is not yet; PermanentError where it never will be.

    `job.memory["operation"]` is the URL of the operation, where the stage has one: it says why something failed.
    """
    if state == "Succeeded":
        return None
    if state in ENDED_BADLY:
        operation = job.memory.get("operation", "")
        why = job.clients.machine_learning.arm.operation_error(operation) if operation else ""
        look, then = remedy
        helps = next((known for words, known in REMEDIES.items() if words in why.lower()), look)
        raise PermanentError(
            f"{what} is {state}" + (f": {why}" if why else ""), remedy=f"{helps}, {then}" if then else helps
        )
    return Pending(note=f"{what} is {state}", wake_on=wake_on)


def not_visible(what: str) -> NoReturn:
    """Ask for what was made a moment ago once more: it is not seen everywhere yet."""
    raise TemporaryError(f"{what} cannot be seen yet")


def wake_token(workspace: str, endpoint: str) -> str:
    """Name what an event says when something was deployed to an endpoint."""
    return f"deployed:{workspace.lower()}/{endpoint.lower()}"


_ML = "Microsoft.MachineLearningServices"
REGISTRY_READS = (
    Permission(
        "registry",
        (f"{_ML}/registries/assets/read",),
        "to read a registry's model, and the one of it that is live",
        given="model_id",
        optional=True,
    ),
    Permission(
        "subscription",
        (f"{_ML}/registries/read",),
        "to find the registry that `azureml://registries/…` names",
        given="model_id",
        optional=True,
    ),
)
"""What models of registries need beside what those of workspaces need."""
