"""Exported models.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/export-programmatically
"""

from pydantic import Field

from shared.clients.rest import Said
from shared.clients.vision.service import Read


class Export(Read):
    """An exported model: a platform and maybe a flavor of it."""

    platform: Said = Field(min_length=1)
    flavor: Said | None = None
    status: Said
    """"Exporting", "Failed" or "Done"."""
    download_uri: str | None = Field(default=None, repr=False)
    """A SAS, so a secret; None until `status` is "Done". A fresh one comes with every look."""
    newer_version_available: bool | None = None
    """Whether the platform changed since, so that exporting it again is possible and gives something newer."""

    def __repr__(self) -> str:
        return f"Export({self.platform}, {self.flavor}, {self.status})"

    def is_of(self, platform: str, flavor: str | None) -> bool:
        """Tell whether it is of a platform and flavor, in whatever case they are written."""
        return (self.platform.lower(), (self.flavor or "").lower()) == (platform.lower(), (flavor or "").lower())
