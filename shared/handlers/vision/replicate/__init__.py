"""Replicate: copy a Custom Vision project to a second training resource, and put its storage and published names there.

The token that an export of a project gives is a secret and lasts a day: it is made and used in one look, and never
kept. An import says nothing of why it failed, so that what came of it is counted.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/copy-move-projects
"""

from shared.handlers.vision.replicate import copying, standing_by
from shared.handlers.vision.replicate.copies import COUNTED
from shared.handlers.vision.replicate.params import Vision
from shared.permissions import Permission
from shared.stages import Stage

__all__ = ["PERMISSIONS", "RESULTS", "STAGES", "Vision"]

_CV = "Microsoft.CognitiveServices/accounts/CustomVision/projects"
PERMISSIONS = {
    Vision: (
        Permission(
            "vision",
            (f"{_CV}/read", f"{_CV}/iterations/read", f"{_CV}/export/read"),
            "to export the project, without a key",
            is_data=True,
        ),
        Permission(
            "vision_replica",
            (
                *(f"{_CV}/{what}" for what in ("read", "write", "delete", "import/action", "export/read")),
                *(f"{_CV}/{what}" for what in ("iterations/read", "images/*/read", "tags/read")),
                *(f"{_CV}/iterations/publish/{what}" for what in ("action", "delete")),
            ),
            "to make, compare, connect, publish and prune copies, without a key",
            is_data=True,
        ),
    )
}
RESULTS = {Vision: ("project", "copy", "name", *COUNTED, "published", "pruned", "links.studio")}
STAGES = {
    Vision: (
        Stage[Vision](
            "check", start=copying.check, watch=copying.check, effect="reads", within=lambda params: params.within
        ),
        Stage[Vision]("copy", find=copying.find, start=copying.start, named_by="service"),
        Stage[Vision](
            "import", start=copying.watch, watch=copying.watch, effect="reads", within=lambda params: params.within
        ),
        Stage[Vision]("again", start=copying.remove),
        Stage[Vision]("compare", start=copying.compare, watch=copying.compare, effect="reads"),
        Stage[Vision]("mark", start=standing_by.mark),
        Stage[Vision]("connect", start=standing_by.connect),
        Stage[Vision]("publish", start=standing_by.publish, watch=standing_by.publish),
        Stage[Vision]("prune", start=standing_by.prune, watch=standing_by.prune),
        Stage[Vision]("undo", start=copying.undo, watch=copying.undo, effect="undoes"),
    )
}
