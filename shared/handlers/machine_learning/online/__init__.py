"""Deploy a registered model behind a managed online endpoint, safely: what serves goes on serving until it is replaced.

The model is read again, and compared with what is live; under a lock, so that two actions never write to one endpoint
at a time. The deployment is made without traffic and tried out; then the traffic moves to it step by step, each step
watched, and maybe approved. Whatever goes wrong on the way, the traffic is put back.
https://learn.microsoft.com/azure/machine-learning/how-to-safely-rollout-online-endpoints
"""

from collections.abc import Mapping
from datetime import timedelta

from shared.handlers.machine_learning import serving
from shared.handlers.machine_learning.online import asking, making, shifting, undoing, watching
from shared.handlers.machine_learning.online.params import OnlineEndpoint
from shared.permissions import CHANNELS, Permission
from shared.policy import read_duration
from shared.stages import Stage

__all__ = ["PERMISSIONS", "RESULTS", "STAGES", "OnlineEndpoint"]

WAITS_FOR_LOCK = timedelta(days=7)
A_DAY = timedelta(days=1)
_ML = "Microsoft.MachineLearningServices"
_WS = f"{_ML}/workspaces"


def _while_watched(params: OnlineEndpoint) -> timedelta:
    """Say how long a step may be watched: its wait, and a day for the requests that must have been seen."""
    return read_duration(params.wait) + A_DAY


RESULTS = {
    OnlineEndpoint: (
        *("live", "deployment", "endpoint", "scoring_uri", "previous", "traffic", "model_id", "workspace", "location"),
        *("tags", "created", "seen", "approved_by", "approved_at", "links.studio"),
    )
}
STAGES = {
    OnlineEndpoint: (
        Stage[OnlineEndpoint]("model", start=making.read_model, effect="reads"),
        Stage[OnlineEndpoint](
            "lock",
            start=making.take_lock,
            watch=making.take_lock,
            effect="reads",
            within=lambda _: WAITS_FOR_LOCK,
        ),
        Stage[OnlineEndpoint]("newer", start=making.look_for_newer, watch=making.look_for_newer, effect="reads"),
        Stage[OnlineEndpoint]("quota", start=making.check_quota, effect="reads"),
        Stage[OnlineEndpoint](
            "endpoint",
            find=making.find_endpoint,
            start=making.start_endpoint,
            watch=making.watch_endpoint,
            effect="prepares",
        ),
        Stage[OnlineEndpoint](
            "deployment", find=making.find_deployment, start=making.start_deployment, watch=making.watch_deployment
        ),
        Stage[OnlineEndpoint]("smoke", start=watching.send_sample, watch=watching.send_sample, effect="reads"),
        Stage[OnlineEndpoint]("plan", start=shifting.make_plan, watch=shifting.make_plan, effect="reads"),
        Stage[OnlineEndpoint](
            "shift", find=shifting.find_shift, start=shifting.start_shift, watch=shifting.watch_shift
        ),
        Stage[OnlineEndpoint](
            "bake", start=watching.watch_step, watch=watching.watch_step, effect="reads", within=_while_watched
        ),
        Stage[OnlineEndpoint](
            "ask", find=asking.find, start=asking.ask, watch=asking.watch, named_by="nobody", effect="tells"
        ),
        Stage[OnlineEndpoint]("wait", start=asking.wait, watch=asking.wait, effect="reads"),
        Stage[OnlineEndpoint]("finish", start=shifting.finish, effect="reads"),
        Stage[OnlineEndpoint]("rollback", start=undoing.undo, watch=undoing.undo, effect="undoes"),
    )
}
PERMISSIONS: Mapping[type, tuple[Permission, ...]] = {
    OnlineEndpoint: (
        Permission(
            scope="workspace",
            actions=(f"{_WS}/read", f"{_WS}/models/versions/read"),
            why="to read the model again, and the models that are live",
        ),
        *serving.REGISTRY_READS,
        Permission(
            scope="workspace",
            actions=(
                *(f"{_WS}/onlineEndpoints/{verb}" for verb in ("read", "write")),
                *(f"{_WS}/onlineEndpoints/deployments/{verb}" for verb in ("read", "write", "delete")),
            ),
            why="to make the endpoint and the deployment, to move the traffic, and to delete what failed",
        ),
        Permission(
            scope="workspace",
            actions=(
                f"{_WS}/onlineEndpoints/score/action",
                f"{_WS}/onlineEndpoints/listKeys/action",
                f"{_WS}/onlineEndpoints/token/action",
            ),
            why="to have the deployment answer the sample; keys and tokens where the endpoint asks for them",
        ),
        Permission(
            scope="workspace",
            actions=(f"{_WS}/onlineEndpoints/deployments/getLogs/action",),
            why="to say why a deployment failed",
            optional=True,
        ),
        Permission(
            scope="workspace",
            actions=("Microsoft.Insights/metrics/read",),
            why="to see how the deployment does with its share of the traffic",
            optional=True,
        ),
        Permission(
            scope="subscription",
            actions=(
                f"{_ML}/locations/usages/read",
                f"{_ML}/locations/vmsizes/read",
                f"{_ML}/locations/mfeOperationsStatus/read",
            ),
            why="to compare the cores that are needed with what the region has left, and to say why something failed",
            optional=True,
        ),
        *CHANNELS.values(),
    )
}
