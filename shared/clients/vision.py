"""Custom Vision's training API, by key or by token.

Its own SDK is retired and speaks neither Entra nor storage integration.
https://learn.microsoft.com/rest/api/customvision/
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.clients.rest import Answer, Rest, Said, segment

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

API_VERSION = "v3.3"
SCOPE = "https://cognitiveservices.azure.com/.default"


@dataclass(frozen=True, slots=True)
class Resource:
    """A training resource: its endpoint, and its key or "" for the app's identity (custom subdomain needed)."""

    endpoint: str
    key: str = ""

    def __repr__(self) -> str:
        return f"Resource({self.endpoint})"


class Export(BaseModel):
    """An exported model: a platform and maybe a flavor of it."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    platform: Said = Field(min_length=1)
    flavor: Said | None = None
    status: Said
    """"Exporting", "Failed" or "Done"."""
    download_uri: str | None = None
    """A SAS, so a secret; None until `status` is "Done". A fresh one comes with every look."""

    def __repr__(self) -> str:
        return f"Export({self.platform}, {self.flavor}, {self.status})"


class Vision:
    """What backups need to read."""

    def __init__(self, credential: "Callable[[], TokenCredential]") -> None:
        self._credential = credential

    def exports(self, resource: Resource, project: str, iteration: str) -> list[Export]:
        """List the exports of an iteration, whatever came of them; there is only ever one page.

        https://learn.microsoft.com/rest/api/customvision/iterations/get-exports
        """
        path = f"projects/{segment(project)}/iterations/{segment(iteration)}/export"
        return self._get(resource, path).read(list[Export])

    def _get(self, resource: Resource, path: str) -> Answer:
        url = f"{resource.endpoint.rstrip('/')}/customvision/{API_VERSION}/training/{path}"
        if resource.key:
            return self._with_key.get(url, headers={"Training-Key": resource.key})
        return self._with_token.get(url)

    @cached_property
    def _with_key(self) -> Rest:
        return Rest("Custom Vision")

    @cached_property
    def _with_token(self) -> Rest:
        return Rest("Custom Vision", self._credential, SCOPE)
