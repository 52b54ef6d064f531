"""The domains of Custom Vision: what kind of model comes of a project, and where it can be exported to.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/select-domain
Not settled there, and decided here: logos and products on shelves have no advanced training, and VAIDK takes no model
of one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dev.simulators.vision.refusals import guid, refuse
from dev.simulators.wire import Answer, Request

CLASSIFICATION, DETECTION = "Classification", "ObjectDetection"
PLATFORMS = ("CoreML", "TensorFlow", "DockerFile", "ONNX", "VAIDK", "OpenVino")
NO_VAIDK = tuple(platform for platform in PLATFORMS if platform != "VAIDK")
FLAVORS: Mapping[str, tuple[str, ...]] = {
    "CoreML": ("", "CoreMLFloat16"),
    "TensorFlow": (
        *("", "TensorFlowNormal", "TensorFlowLite", "TensorFlowSavedModel", "TensorFlowLiteFloat16", "TensorFlowJs"),
    ),
    "DockerFile": ("Linux", "Windows", "ARM"),
    "ONNX": ("", "ONNX10", "ONNX12", "OnnxFloat16"),
    "VAIDK": ("",),
    "OpenVino": ("", "NoPostProcess"),
}
"""What each platform comes in; "" is none."""


@dataclass(frozen=True)
class Domain:
    """One of them."""

    id: str
    name: str
    type: str
    platforms: tuple[str, ...] = ()
    advanced: bool = True
    """Whether a training may be given a budget."""

    def shown(self, version: str, retired: object) -> dict[str, Any]:
        """Give it on the wire of a version."""
        enabled = not isinstance(retired, list) or self.id not in retired
        found = {"id": self.id, "name": self.name, "type": self.type, "exportable": bool(self.platforms)}
        found |= {"enabled": enabled}
        if version.lower() == "v3.4-preview":
            size = 4 if self.platforms else 0
            information = {"estimatedModelSizeInMegabytes": size, "description": self.name} if size else None
            found |= {"exportablePlatforms": [*self.platforms], "modelInformation": information}
        return found


COMPACT = "0732100f-1a38-4e49-a514-c9b44c697ab5"
DOMAINS = {
    domain.id: domain
    for domain in (
        Domain("ee85a74c-405e-4adc-bb47-ffa8ca0c9f31", "General", CLASSIFICATION),
        Domain("a8e3c40f-fb4a-466f-832a-5e457ae4a344", "General [A1]", CLASSIFICATION),
        Domain("2e37d7fb-3a54-486a-b4d6-cfc369af0018", "General [A2]", CLASSIFICATION),
        Domain("c151d5b5-dd07-472a-acc8-15d29dea8518", "Food", CLASSIFICATION),
        Domain("ca455789-012d-4b50-9fec-5bb63841c793", "Landmarks", CLASSIFICATION),
        Domain("b30a91ae-e3c1-4f73-a81e-c270bff27c39", "Retail", CLASSIFICATION),
        Domain(COMPACT, "General (compact)", CLASSIFICATION, PLATFORMS),
        Domain("a1db07ca-a19a-4830-bae8-e004a42dc863", "General (compact) [S1]", CLASSIFICATION, NO_VAIDK),
        Domain("da2e3a8a-40a5-4171-82f4-58522f70fbc1", "General", DETECTION),
        Domain("9c616dff-2e7d-ea11-af59-1866da359ce6", "General [A1]", DETECTION),
        Domain("1d8ffafe-ec40-4fb2-8f90-72b3b6cecea4", "Logo", DETECTION, advanced=False),
        Domain("3780a898-81c3-4516-81ae-3a139614e1f3", "Products on Shelves", DETECTION, advanced=False),
        Domain("a27d5ca5-bb19-49d8-a70a-fec086c47f5b", "General (compact)", DETECTION, NO_VAIDK),
        Domain("7ec2ac80-887b-48a6-8df9-8b1357765430", "General (compact) [S1]", DETECTION, NO_VAIDK),
    )
}
DEFAULT = "ee85a74c-405e-4adc-bb47-ffa8ca0c9f31"
"""What a project is created with that does not say."""


class Domains:
    """GetDomains and GetDomain."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def list(self, request: Request) -> Answer:
        """GetDomains."""
        retired, version = self._settings["retired_domains"], request.parts["version"]
        return Answer(body=[domain.shown(version, retired) for domain in DOMAINS.values()])

    def get(self, request: Request) -> Answer:
        """GetDomain."""
        domain = DOMAINS.get(guid(request.parts["domain"]))
        if domain is None:
            raise refuse(404, "NotFoundDomain", f"Domain not found. Domain Id: {request.parts['domain']}")
        return Answer(body=domain.shown(request.parts["version"], self._settings["retired_domains"]))
