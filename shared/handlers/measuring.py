"""Where a model's metric is: in its properties, in its tags, or in the run of the job that trained it."""

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.clients.machine_learning.models import Model
from shared.errors import DeniedError, PermanentError, TemporaryError
from shared.handlers.bars import Measured
from shared.handlers.machine_learning import rollout
from shared.permissions import Permission
from shared.redaction import tidy
from shared.stages import Job

if TYPE_CHECKING:
    from shared.clients.machine_learning.batch import BatchDeployment
    from shared.clients.machine_learning.online import OnlineDeployment

ROLE_WITHIN = timedelta(minutes=5)
"""How long it is tried to read the metrics of a job: a role may not have arrived yet."""


def look(model: Model, metric: str, workspace: str, job: Job) -> Measured:
    """Look for a metric of a model; the first place that has it counts, be it a number there or not."""
    places: tuple[tuple[str, Mapping[str, str | None]], ...] = (("properties", model.properties), ("tags", model.tags))
    for place, told in places:
        if metric in told:
            value = read_number(told[metric])
            said = f"in its {place}" if value is not None else f"in its {place} is no number: {_quoted(told[metric])}"
            return Measured(value, said)
    return _of_training(model, metric, workspace, job)


def _of_training(model: Model, metric: str, workspace: str, job: Job) -> Measured:
    tried = "it is not in its properties, not in its tags"
    if not model.job:
        return Measured(None, f"{tried}, and no job is known that trained it")
    if not model.id.lower().startswith(f"{workspace.lower()}/"):
        return Measured(None, f"{tried}, and the job that trained it is not in this workspace")
    try:
        metrics = job.clients.machine_learning.runs.metrics(workspace, model.job)
    except (PermanentError, DeniedError) as problem:
        if isinstance(problem, DeniedError) and job.now < job.began + ROLE_WITHIN:
            raise
        return Measured(None, f"{tried}, and its training job {model.job} cannot be read: {problem.reason}")
    value = metrics.get(metric)
    if value is None:
        return Measured(None, f"{tried}, and not among the metrics of its training job {model.job}")
    return Measured(value, f"by its training job {model.job}")


def read_number(text: str | None) -> float | None:
    """Read a number that somebody wrote into a tag; None for anything else, infinity and NaN too.

    >>> read_number(" 0.93 "), read_number("nan"), read_number("93 %"), read_number("1_000")
    (0.93, None, None, None)
    """
    try:
        value = float(text or "") if "_" not in (text or "") else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def live_model_id(workspace: str, endpoint: str, job: Job) -> str | None:
    """Name the model that an endpoint serves: where most of the traffic goes, or the default; None where nothing is."""
    client = job.clients.machine_learning
    online = client.online.endpoint(workspace, endpoint)
    if online is not None:
        name = rollout.most(online.traffic)
        return _seen(client.online.deployment(workspace, endpoint, name), name) if name else None
    batch = client.batch.endpoint(workspace, endpoint)
    if batch is None or not batch.default:
        return None
    return _seen(client.batch.deployment(workspace, endpoint, batch.default), batch.default)


def _seen(found: "OnlineDeployment | BatchDeployment | None", name: str) -> str:
    if found is None:
        raise TemporaryError(f"the deployment {name}, which is live, cannot be seen")
    return found.model_id


def _quoted(text: str | None) -> str:
    return f'"{tidy(text or "")[:40]}"'


_ML = "Microsoft.MachineLearningServices/workspaces"
READS = (
    Permission(
        "workspace",
        (f"{_ML}/read", f"{_ML}/experiments/read", f"{_ML}/experiments/runs/read"),
        "to read the metrics of the job that trained a model",
        given="metric",
        optional=True,
    ),
    Permission(
        "workspace",
        (
            f"{_ML}/onlineEndpoints/read",
            f"{_ML}/onlineEndpoints/deployments/read",
            f"{_ML}/batchEndpoints/read",
            f"{_ML}/batchEndpoints/deployments/read",
        ),
        "to see which model is live",
        given="metric",
        optional=True,
    ),
)
"""What looking for a metric, and for the model that is live, needs."""
