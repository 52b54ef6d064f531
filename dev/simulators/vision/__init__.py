"""Custom Vision training, v3.3 and v3.4-preview, as far as backups need it.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
Exports are real: a zip in the service's own account with a short-lived
SAS, and a copy `{projectId} - {iterationId}.{platformType}` in the project's container where it has one; then the
message on its queue. What is not settled there is a setting: the queue's encoding, the blob's name.

`POST /_seed` takes any of:

    {"projects": [{"id": "<guid>", "name": "fruit", "settings": {"notificationQueueUri": "…"}, "iterations": [
        {"id": "<guid>", "name": "Iteration 1", "status": "Completed", "exportableTo": ["ONNX"], "performance": {},
         "exports": [{"platform": "ONNX", "flavor": null, "status": "Done", "bytes": 2048}]}]}],
     "keys": ["another-training-key"],
     "settings": {"export_seconds": 0.5, "export_bytes": 2048, "export_outcome": "Done", "sas_seconds": 300,
                  "message_encoding": "plain", "blob_name": "{projectId} - {iterationId}.{platformType}",
                  "notify": true}}

A seeded project's URIs are not tested as a PATCH's are. A seeded export that is Done has its blobs, and sent nothing.
`POST /_notify` {"type": "Training", "Content": {…}} puts any message on the queue of `Content.projectId`'s project.
The key that is always good is `KEY`.
"""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.storage import Storage
from dev.simulators.tokens import COGNITIVE, Tokens
from dev.simulators.vision.exports import Exports
from dev.simulators.vision.projects import Projects
from dev.simulators.wire import Answer, Request, Route

KEY = "simulated-training-key"
BASE = "/customvision/{version}/training"
VERSIONS = ("v3.3", "v3.4-preview")
SETTINGS: Mapping[str, Any] = {
    "export_seconds": 0.5,
    "export_bytes": 2048,
    "export_outcome": "Done",
    "sas_seconds": 300,
    "message_encoding": "plain",
    "blob_name": "{projectId} - {iterationId}.{platformType}",
    "notify": True,
}


class Vision:
    """One training resource."""

    name = "vision"

    def __init__(self, tokens: Tokens, storage: Storage, own: Storage) -> None:
        self.lock = threading.RLock()
        self._tokens = tokens
        self._keys = {KEY}
        self._settings = dict(SETTINGS)
        self._projects = Projects(storage, self._settings)
        self._exports = Exports(self._projects, storage, own, self._settings, self.lock)

    def routes(self) -> Sequence[Route]:
        """Give the operations, and the control that sends a message."""
        project, iteration = BASE + "/projects/{project}", BASE + "/projects/{project}/iterations/{iteration}"
        return [
            ("GET", BASE + "/projects", self._projects.list),
            ("POST", BASE + "/projects", self._projects.create),
            ("GET", project, self._projects.get),
            ("PATCH", project, self._projects.update),
            ("DELETE", project, self._projects.delete),
            ("GET", project + "/iterations", self._projects.iterations),
            ("GET", iteration, self._projects.iteration),
            ("GET", iteration + "/performance", self._projects.performance),
            ("GET", iteration + "/export", self._exports.list),
            ("POST", iteration + "/export", self._exports.start),
            ("POST", "/_notify", self._notify),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """No key and no token for Cognitive Services, or another version: no further."""
        key = request.headers.get("training-key")
        if key is not None and key not in self._keys:
            return gateway(
                401,
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key "
                "for an active subscription and use a correct regional API endpoint for your resource.",
            )
        if key is None and self._tokens.problem(request.headers.get("authorization", ""), COGNITIVE):
            return gateway(
                401,
                "Unauthorized. Access token is missing, invalid, audience is incorrect "
                "(https://cognitiveservices.azure.com), or have expired.",
            )
        version = re.match(r"/customvision/([^/]+)/training/", request.path, re.IGNORECASE)
        if version is None or version[1].lower() not in VERSIONS:
            return gateway(404, "Resource not found")
        if request.method == "POST" and "content-length" not in request.headers:
            return Answer(411, LENGTH_REQUIRED, {"Content-Type": "text/html; charset=us-ascii"})
        return None

    def error(self, status: int, code: str, message: str) -> Answer:
        """Give the service's own flat error."""
        return Answer(status, {"code": code, "message": message})

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Give the gateway's 429: when to come back stands in its text."""
        operation = OPERATIONS.get((request.method, request.path.rstrip("/").rsplit("/", 1)[-1]), "GetProject")
        return gateway(
            429,
            f"Requests to the {operation} Operation under Custom_Vision_Training_3.3 have exceeded rate limit of your "
            f"current Custom_Vision.Training F0 pricing tier. Please retry after {after or 1:.0f} second. Please "
            "contact Azure support service if you would like to further increase the default rate limit.",
        )

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this package."""
        if unknown := set(given) - {"projects", "keys", "settings"}:
            raise ValueError(f"{sorted(unknown)}: none of projects, keys, settings")
        settings = given.get("settings", {})
        if unknown := set(settings) - set(SETTINGS):
            raise ValueError(f"settings {sorted(unknown)}: none of {sorted(SETTINGS)}")
        self._settings.update(settings)
        self._keys.update(given.get("keys", ()))
        for project in given.get("projects", ()):
            self._exports.write_done(self._projects.seed(project))

    def state(self) -> Any:
        """Give the projects with their iterations and exports."""
        return {"projects": self._projects.state(), "sent": self._projects.sent}

    def reset(self) -> None:
        """No project is left; blobs and messages stay where they are."""
        self._exports.forget()
        self._projects.clear()
        self._keys = {KEY}
        self._settings.update(SETTINGS)

    def _notify(self, request: Request) -> Answer:
        message = request.json()
        project = self._projects.find(message["Content"]["projectId"])
        self._projects.notify(project, message["type"], message["Content"])
        return Answer(202)


OPERATIONS = {
    ("GET", "export"): "GetExports",
    ("POST", "export"): "ExportIteration",
    ("GET", "iterations"): "GetIterations",
}
LENGTH_REQUIRED = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n<HTML><HEAD><TITLE>'
    "Length Required</TITLE></HEAD>\r\n<BODY><h2>Length Required</h2>\r\n<hr><p>HTTP Error 411. The request must be "
    "chunked or have a content length.</p>\r\n</BODY></HTML>\r\n"
)


def gateway(status: int, message: str) -> Answer:
    """Give an error of the gateway before the service: nested, with the number as its code."""
    return Answer(status, {"error": {"code": str(status), "message": message}})
