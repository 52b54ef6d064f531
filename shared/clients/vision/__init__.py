"""Custom Vision: one small client for each kind of thing it has.

The first argument of each call says where: a `Resource`, for training or for prediction. Ids are GUIDs with dashes and
in lower case.
https://learn.microsoft.com/rest/api/customvision/
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from shared.clients.vision.blobs import Blobs
from shared.clients.vision.exports import Export
from shared.clients.vision.guesses import Box, Guess
from shared.clients.vision.images import Image, Images, NewImage, Region, Tagged, Uploaded
from shared.clients.vision.iterations import Iteration, Iterations, Refusal, Training
from shared.clients.vision.performance import Performance, TagPerformance
from shared.clients.vision.predictions import Predictions
from shared.clients.vision.projects import Domain, Exported, NewProject, Project, Projects
from shared.clients.vision.resource import Resource
from shared.clients.vision.service import Service
from shared.clients.vision.tags import Tag, Tags

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.settings import Settings

__all__ = [
    "Box",
    "Domain",
    "Export",
    "Exported",
    "Guess",
    "Image",
    "Iteration",
    "NewImage",
    "NewProject",
    "Performance",
    "Project",
    "Refusal",
    "Region",
    "Resource",
    "Tag",
    "TagPerformance",
    "Tagged",
    "Training",
    "Uploaded",
    "Vision",
]


class Vision:
    """All of it, each part made when first used."""

    def __init__(self, settings: "Settings", credential: "Callable[[], TokenCredential]") -> None:
        self._settings = settings
        self._service = Service(settings, credential)

    @cached_property
    def projects(self) -> Projects:
        """Projects and domains."""
        return Projects(self._service)

    @cached_property
    def tags(self) -> Tags:
        """Tags."""
        return Tags(self._service)

    @cached_property
    def images(self) -> Images:
        """Images with their tags and regions."""
        return Images(self._service, Blobs(self._settings))

    @cached_property
    def iterations(self) -> Iterations:
        """Iterations: their training, performance, publishing and exports."""
        return Iterations(self._service)

    @cached_property
    def predictions(self) -> Predictions:
        """What published iterations answer."""
        return Predictions(self._service)
