"""What Custom Vision says of an image that is sent to it, in our words, and what helps.

https://learn.microsoft.com/rest/api/customvision/images/create-images-from-files
"""

from __future__ import annotations

from collections.abc import Mapping

AGAIN = "give the same command again"
TAKEN, DUPLICATE, UNTOLD = "OK", "OKDuplicate", "ErrorUnknown"
TRANSIENT = frozenset({"ErrorSource", "ErrorStorage", UNTOLD})
FULL = "ErrorLimitExceed"
CHANGED = "changed"
"""What we say ourselves of a file that is not what was looked at any more."""
REMEDIES: Mapping[str, tuple[str, str]] = {
    "ErrorImageFormat": ("the service cannot read it", "save it anew as jpg, png, bmp or gif, or take it out"),
    "ErrorImageSize": ("it is too large: 6 MB is the most", "scale it down"),
    "ErrorImageDimensions": ("its sides do not suit", "scale or cut it: at most 10,240 pixels a side, and 25:1"),
    "ErrorTagLimitExceed": ("it has too many tags", "leave it in fewer folders"),
    "ErrorRegionLimitExceed": ("it has too many regions: 300 are the most", "take some out"),
    "ErrorNegativeAndRegularTagOnSameImage": (
        "it has a negative tag and another one",
        "leave it in one of the folders only",
    ),
    "ErrorInvalidTag": ("its tag is not there any more", AGAIN),
    FULL: (
        "the project is full: 5,000 images with F0, 100,000 with S0",
        "delete images, or move the resource to S0; then give the same command again",
    ),
    CHANGED: ("the file was changed or taken away while it was uploaded", AGAIN),
    DUPLICATE: ("the project has it, and does not show how it is labelled", AGAIN),
    **dict.fromkeys(TRANSIENT, ("the service could not take it, however often it was asked", AGAIN)),
}


def of_status(status: str) -> tuple[str, str]:
    """Say why an image was not taken, and what helps."""
    return REMEDIES.get(status, (f"the service says {status}", AGAIN))
