"""Custom Vision: training v3.3 and v3.4-preview, prediction v3.1.

https://learn.microsoft.com/rest/api/customvision/ and
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
Everything is real that can be: images are blobs behind short-lived SAS; models learn the mean colours of what they are
shown (models.py), and their performance is measured; exports are zips in the service's own account, copied as
`{projectId} - {iterationId}.{platformType}` into the project's container where it has one; then the message is on its
queue. What the service's pages do not settle is said at the top of each module, and is a setting where it matters.
There are two of them, `vision` and `vision_replica`, each with its prediction resource at the same address.

`POST /_seed` takes any of:

    {"projects": [{"id": "<guid>", "name": "fruit", "drModeEnabled": false,
        "settings": {"notificationQueueUri": "…", "domainId": "<guid>", "classificationType": "Multilabel"},
        "tags": ["apple", {"name": "pear", "type": "Regular", "id": "<guid>"}],
        "images": {"count": 10000, "tags": ["apple", "pear"], "untagged": 100, "size": [32, 32]},
        "iterations": [
        {"id": "<guid>", "name": "Iteration 1", "status": "Completed", "exportableTo": ["ONNX"], "performance": {},
         "publishName": "live", "originalPublishResourceId": "/subscriptions/…",
         "exports": [{"platform": "ONNX", "flavor": null, "status": "Done", "bytes": 2048}]}]}],
     "keys": ["another-training-key"], "prediction_keys": ["another-prediction-key"], "revoked_keys": ["…"],
     "settings": {…}}

A seeded project's URIs are not tested as a PATCH's are. A seeded export that is Done has its blobs, and sent nothing.
`images` may be a list too: {"name", "tags": [names], "regions": [{"tag", "left", "top", "width", "height"}], "colour":
[r, g, b], "content": base64, "id", "size", "metadata"}. Generated images have the colour of their tag, and in a
project that detects, one region; their contents are made when they are looked at. A seeded iteration was trained with
what is seeded of the project (and to train that again is needed all the same); its `performance` goes before what is
measured (tags in it are found by name).

The settings, and what they are at first:

    tier ("S0")                   or "F0": the limits of projects, images, tags and rates
    rate_limited (false)          429 where the tier's rate is exceeded
    training_seconds (0.5)        training_outcome ("Completed" or "Failed"), training_error (its trainingErrorDetails)
    performance (null)            what trainings to come are said to reach, instead of what is measured
    predictions (null)            what is answered to any image: [{"tagName": "apple", "probability": 0.9}]
    publish_delay_seconds (0)     until a published name answers
    prediction_resources ([])     ARM ids that may be published to, [] for any; the first is the one at this address
    export_seconds (0.5)          export_bytes (2048), export_outcome ("Done" or "Failed")
    import_seconds (0.5)          import_outcome ("Succeeded" or "Failed"), lose_images (0), token_seconds (a day)
    sas_seconds (300)             how long a URL of an image or an export lasts
    artifacts (false)             images and exports have paths for GetArtifact, as in a virtual network; no blob is
                                  written for an image
    image_status ({})             {"regular expression of names": "ErrorUnknown"}; a list of statuses is used up, one
                                  for each time that the image comes, and is followed by OK
    status_code_of_partial (207)  or 200, as older servers answered a batch of which not all was taken
    unique_names (true)           whether two projects may not have one name
    retired_domains ([])          ids of domains that are not trained any more
    roles_missing ([])            "queue", "container": where the resource's identity has no role
    multi_service (false)         whether the resource is one for several services, which connects to no storage
    test_blob_seconds (0)         how long the blob stays that tests a container; below 0 there is none
    message_encoding ("plain")    or "base64"
    blob_name                     "{projectId} - {iterationId}.{platformType}"; {flavor} would be ".Flavor" or ""
    notify (true)                 whether messages are sent

`GET /_state` shows each project as GetProject does, with `tags`, `images` (300 at most), `image_count`, `tagged_count`,
`region_count`, `iterations` by id (as GetIteration, with `exports`, the seeded `performance`, and how many `images` it
was trained with) and how many `predictions` are stored; and `sent`, the messages.
`POST /_notify` {"type": "Training", "Content": {…}} puts any message on the queue of `Content.projectId`'s project.
The keys that are good at first are `KEY` and `PREDICTION_KEY`, at both resources.
"""

import copy
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.storage import Storage
from dev.simulators.tokens import COGNITIVE, Tokens
from dev.simulators.vision import copies
from dev.simulators.vision.copies import Copies
from dev.simulators.vision.domains import Domains
from dev.simulators.vision.exports import Exports
from dev.simulators.vision.images import Listing
from dev.simulators.vision.iterations import Iterations
from dev.simulators.vision.predictions import Predictions
from dev.simulators.vision.projects import Projects
from dev.simulators.vision.rates import Rates
from dev.simulators.vision.refusals import gateway
from dev.simulators.vision.regions import Labels
from dev.simulators.vision.resource import Resource
from dev.simulators.vision.seeds import seeded, state_of
from dev.simulators.vision.settings import SETTINGS
from dev.simulators.vision.tags import Tags
from dev.simulators.vision.training import Trainings
from dev.simulators.vision.uploads import Uploads
from dev.simulators.wire import Answer, Request, Route

KEY = "simulated-training-key"
PREDICTION_KEY = "simulated-prediction-key"
BASE = "/customvision/{version}/training"
PREDICTION = "/customvision/{version}/prediction"
VERSIONS = {"training": ("v3.3", "v3.4-preview"), "prediction": ("v3.0", "v3.1")}
SEEDS = {"projects", "keys", "prediction_keys", "revoked_keys", "settings"}


class Vision:
    """One training resource, and its prediction resource."""

    def __init__(
        self, tokens: Tokens, storage: Storage, own: Storage, exported: copies.Tokens, name: str = "vision"
    ) -> None:
        self.name = name
        self.lock = threading.RLock()
        self._tokens = tokens
        self._keys = first_keys()
        self._resource = Resource(storage, own, self.lock)
        self._rates = Rates()
        self._exports, self._uploads = Exports(self._resource), Uploads(self._resource)
        self._iterations, self._copies = Iterations(self._resource), Copies(self._resource, exported)

    def routes(self) -> Sequence[Route]:
        """Give the operations, and the control that sends a message."""
        domains, projects = Domains(self._resource.settings), Projects(self._resource)
        project = BASE + "/projects/{project}"
        iteration, tag = project + "/iterations/{iteration}", project + "/tags/{tag}"
        tags = Tags(self._resource)
        return [
            ("GET", BASE + "/domains", domains.list),
            ("GET", BASE + "/domains/{domain}", domains.get),
            ("POST", BASE + "/projects/import", self._copies.start),
            ("GET", BASE + "/projects", projects.list),
            ("POST", BASE + "/projects", projects.create),
            ("GET", project, projects.get),
            ("PATCH", project, projects.update),
            ("DELETE", project, projects.delete),
            ("GET", project + "/export", self._copies.export),
            ("GET", project + "/tags", tags.list),
            ("POST", project + "/tags", tags.create),
            ("GET", tag, tags.get),
            ("PATCH", tag, tags.update),
            ("DELETE", tag, tags.delete),
            ("POST", project + "/train", Trainings(self._resource).start),
            ("GET", project + "/iterations", self._iterations.list),
            ("GET", iteration, self._iterations.get),
            ("PATCH", iteration, self._iterations.rename),
            ("DELETE", iteration, self._iterations.delete),
            ("GET", iteration + "/performance", self._iterations.performance),
            ("GET", iteration + "/performance/images", self._iterations.image_performances),
            ("GET", iteration + "/performance/images/count", self._iterations.count_image_performances),
            ("POST", iteration + "/publish", self._iterations.publish),
            ("DELETE", iteration + "/publish", self._iterations.unpublish),
            ("GET", iteration + "/export", self._exports.list),
            ("POST", iteration + "/export", self._exports.start),
            *self._image_routes(project),
            *self._prediction_routes(project),
            ("POST", "/_notify", self._notify),
        ]

    def _image_routes(self, project: str) -> Sequence[Route]:
        listing, labels, images = Listing(self._resource), Labels(self._resource), project + "/images"
        return [
            ("GET", project + "/artifacts", self._artifact),
            ("GET", images, listing.list),
            ("POST", images, self._uploads.from_data),
            ("DELETE", images, listing.delete),
            ("POST", images + "/files", self._uploads.from_files),
            ("POST", images + "/urls", self._uploads.from_urls),
            ("POST", images + "/predictions", self._uploads.from_predictions),
            ("GET", images + "/id", listing.by_ids),
            ("GET", images + "/count", listing.count),
            ("GET", images + "/tagged", listing.tagged),
            ("GET", images + "/tagged/count", listing.count_tagged),
            ("GET", images + "/untagged", listing.untagged),
            ("GET", images + "/untagged/count", listing.count_untagged),
            ("POST", images + "/metadata", listing.describe),
            ("POST", images + "/tags", labels.tag),
            ("DELETE", images + "/tags", labels.untag),
            ("POST", images + "/regions", labels.draw),
            ("DELETE", images + "/regions", labels.erase),
        ]

    def _prediction_routes(self, project: str) -> Sequence[Route]:
        predictions = Predictions(self._resource)
        published = PREDICTION + "/{project}/{kind}/iterations/{name}"
        return [
            ("POST", project + "/quicktest/image", predictions.quick_image),
            ("POST", project + "/quicktest/url", predictions.quick_url),
            ("POST", project + "/predictions/query", predictions.query),
            ("DELETE", project + "/predictions", predictions.delete),
            ("POST", published + "/image", predictions.image),
            ("POST", published + "/image/nostore", predictions.image),
            ("POST", published + "/url", predictions.url),
            ("POST", published + "/url/nostore", predictions.url),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """No key and no token for Cognitive Services, or another version, or too often: no further."""
        found = re.match(r"/customvision/([^/]+)/(training|prediction)/", request.path, re.IGNORECASE)
        api = found[2].lower() if found else "training"
        key = request.headers.get(f"{api}-key")
        if key is not None and key not in self._keys[api]:
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
        if found is None or found[1].lower() not in VERSIONS[api]:
            return gateway(404, "Resource not found")
        if request.method == "POST" and "content-length" not in request.headers:
            return Answer(411, LENGTH_REQUIRED, {"Content-Type": "text/html; charset=us-ascii"})
        settings = self._resource.settings
        if settings["rate_limited"] and self._rates.exceeded(request, settings["tier"]):
            return self.throttled(request, None)
        return None

    def error(self, status: int, code: str, message: str) -> Answer:
        """Give the service's own flat error."""
        return Answer(status, {"code": code, "message": message})

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Give the gateway's 429: when to come back stands in its text."""
        operation = OPERATIONS.get((request.method, request.path.rstrip("/").rsplit("/", 1)[-1]), "GetProject")
        api, version = ("Prediction", "3.1") if "/prediction/" in request.path.lower() else ("Training", "3.3")
        return gateway(
            429,
            f"Requests to the {operation} Operation under Custom_Vision_{api}_{version} have exceeded rate limit of "
            f"your current Custom_Vision.{api} {self._resource.settings['tier']} pricing tier. Please retry after "
            f"{after or 1:.0f} second. Please contact Azure support service if you would like to further increase the "
            "default rate limit.",
        )

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this package."""
        if unknown := set(given) - SEEDS:
            raise ValueError(f"{sorted(unknown)}: none of {sorted(SEEDS)}")
        settings = given.get("settings", {})
        if unknown := set(settings) - set(SETTINGS):
            raise ValueError(f"settings {sorted(unknown)}: none of {sorted(SETTINGS)}")
        self._resource.settings.update(settings)
        self._keys["training"].update(given.get("keys", ()))
        self._keys["prediction"].update(given.get("prediction_keys", ()))
        for keys in self._keys.values():
            keys.difference_update(given.get("revoked_keys", ()))
        for one in given.get("projects", ()):
            project = seeded(one)
            self._resource.projects[project.id] = project
            self._exports.write_done(project)

    def state(self) -> Any:
        """Give the projects with all they hold, and the messages."""
        projects = [copy.deepcopy(state_of(project)) for project in self._resource.projects.values()]
        return {"projects": projects, "sent": [*self._resource.sent]}

    def reset(self) -> None:
        """No project is left; blobs and messages stay where they are."""
        self._resource.clear()
        self._copies.forget()
        self._iterations.forget()
        self._uploads.forget()
        self._rates.forget()
        self._keys = first_keys()

    def _artifact(self, request: Request) -> Answer:
        """GetArtifact: of an export, or else of an image."""
        project, path = self._resource.project(request), request.query.get("path", "")
        content = self._exports.artifact(project, path) if self._resource.settings["artifacts"] else None
        return Answer(body=content) if content is not None else Listing(self._resource).artifact(request)

    def _notify(self, request: Request) -> Answer:
        message = request.json()
        project = self._resource.find(message["Content"]["projectId"])
        self._resource.notify(project, message["type"], message["Content"])
        return Answer(202)


def first_keys() -> dict[str, set[str]]:
    """Give the keys that are good at first."""
    return {"training": {KEY}, "prediction": {PREDICTION_KEY}}


OPERATIONS = {
    ("GET", "export"): "GetExports",
    ("POST", "export"): "ExportIteration",
    ("GET", "iterations"): "GetIterations",
    ("POST", "train"): "TrainProject",
    ("POST", "images"): "CreateImagesFromData",
    ("POST", "files"): "CreateImagesFromFiles",
    ("POST", "nostore"): "ClassifyImageWithNoStore",
    ("POST", "image"): "ClassifyImage",
}
LENGTH_REQUIRED = (
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n<HTML><HEAD><TITLE>'
    "Length Required</TITLE></HEAD>\r\n<BODY><h2>Length Required</h2>\r\n<hr><p>HTTP Error 411. The request must be "
    "chunked or have a content length.</p>\r\n</BODY></HTML>\r\n"
)
