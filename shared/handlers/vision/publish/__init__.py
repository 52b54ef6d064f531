"""Publish an iteration of Custom Vision under a name, safely: what is published goes on until the new one has passed.

The iteration is tried out before anybody is sent to it; then it takes the name, under a lock, and only from an older
one; then the prediction resource is asked. Where that does not answer as it should, the name is given back.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/use-prediction-api
"""

from datetime import timedelta

from shared.handlers.vision.publish import showing, taking
from shared.handlers.vision.publish.params import Vision
from shared.permissions import Permission
from shared.stages import Stage

__all__ = ["PERMISSIONS", "RESULTS", "STAGES", "Vision"]

WAITS_FOR_LOCK = timedelta(days=7)
SLACK = timedelta(minutes=2)
"""How much longer than it may take the prediction resource is heard, so that the failure says what was wrong."""
_CV = "Microsoft.CognitiveServices/accounts/CustomVision"
PERMISSIONS = {
    Vision: (
        Permission(
            "vision",
            (
                f"{_CV}/projects/iterations/read",
                f"{_CV}/projects/iterations/publish/action",
                f"{_CV}/projects/iterations/publish/delete",
            ),
            "to publish the iteration, and to take that back, without a key",
            is_data=True,
        ),
        Permission(
            "vision",
            (
                f"{_CV}/projects/tags/read",
                f"{_CV}/projects/images/*/read",
                f"{_CV}/projects/artifacts/read",
                f"{_CV}/projects/quicktest/image/action",
                f"{_CV}/projects/quicktest/url/action",
            ),
            "to try the iteration out with images of the project or a sample, without a key",
            is_data=True,
        ),
        Permission(
            "vision_prediction",
            tuple(
                f"{_CV}/{kind}/iterations/{how}/nostore/action"
                for kind in ("classify", "detect")
                for how in ("image", "url")
            ),
            "to see that it answers, without a key, where its endpoint is declared",
            is_data=True,
        ),
    )
}
RESULTS = {Vision: ("name", "iteration", "previous", "resource", "project", "tag", "probability", "asked")}
STAGES = {
    Vision: (
        Stage[Vision]("check", start=taking.check, watch=taking.check, effect="reads", within=lambda _: WAITS_FOR_LOCK),
        Stage[Vision]("test", start=showing.try_out, watch=showing.try_out, effect="reads"),
        Stage[Vision]("claim", start=taking.claim, effect="reads"),
        Stage[Vision]("publish", find=taking.find, start=taking.start, watch=taking.watch),
        Stage[Vision](
            "smoke", start=showing.ask, watch=showing.ask, effect="reads", within=lambda params: params.within + SLACK
        ),
        Stage[Vision]("undo", start=taking.undo, watch=taking.undo, effect="undoes"),
    )
}
