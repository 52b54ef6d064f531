"""What every part of Azure Machine Learning behind Resource Manager shares: URLs, shapes, and how an operation went.

`workspace` is always the workspace's ARM id. After a PUT the resource itself is polled, never the operation's own URL:
that one is at subscription scope, where the app's identity usually may not look.
https://learn.microsoft.com/rest/api/azureml/
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared import answers
from shared.clients.rest import Answer, Rest
from shared.errors import PermanentError, ReactorError
from shared.redaction import tidy

ARM_ID = re.compile(r"/subscriptions(?:/(?!\.\.?(?:/|\Z))(?:[^/\\?#%]|%(?!2[EF]|5C)[\dA-F]{2})+)+", re.IGNORECASE)
"""No part leads elsewhere, be it written out or with "%2e", which a client reads as a dot."""


class Read(BaseModel):
    """A part of what the service answers: camelCase on the wire, what is not known is ignored."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, protected_namespaces=())


class SystemData(Read):
    """Who made a resource, and when."""

    created_at: datetime | None = None
    created_by: str | None = None
    last_modified_at: datetime | None = None


class Resource[P](Read):
    """A resource with properties of its own."""

    id: str
    name: str = ""
    properties: P
    tags: dict[str, str | None] | None = None
    location: str | None = None
    system_data: SystemData = Field(default_factory=SystemData)

    @property
    def called(self) -> str:
        """Its name, which its id ends with where it is not told."""
        return self.name or self.id.rpartition("/")[2]


class Arm:
    """Requests to Machine Learning behind Resource Manager."""

    def __init__(self, endpoint: str, rest: Rest, api_version: str) -> None:
        self.endpoint = endpoint
        self.rest = rest
        self.api_version = api_version

    def url(self, resource: str, path: str = "", **query: str) -> str:
        """Write the URL of a resource, whose names in `path` are segments already."""
        return f"{self.endpoint}{resource}{path}?{urlencode({'api-version': self.api_version, **query})}"

    def by_id(self, arm_id: str, what: str) -> str:
        """Write the URL of a resource by its whole id; PermanentError where that is none."""
        if not ARM_ID.fullmatch(arm_id):
            raise PermanentError(f"{tidy(arm_id)} is no {what}'s ARM id", remedy="correct it, or see the studio")
        return self.url(arm_id)

    def put(self, url: str, body: Mapping[str, Any], *, awaited: bool = False) -> str:
        """Create or replace a resource, and return the URL of the operation, for `operation_error`; "" for none.

        `awaited`: its parent may have been made a moment ago, so a 404 is a TemporaryError.
        """
        answer: Answer = self.rest.send("PUT", url, body=body, effect="same", awaited=awaited)
        return answer.headers.get("azure-asyncoperation", "")

    def operation_error(self, url: str) -> str:
        """Say why an operation failed, as far as we may look; "" where we may not, or it does not say."""
        if not url.startswith(f"{self.endpoint}/"):
            return ""
        try:
            answer = self.rest.get(url)
        except ReactorError:
            return ""
        return answers.complaint(answer.body.decode("utf-8", "replace")).text if b'"error"' in answer.body else ""


def asset_id(workspace: str, kind: str, given: str) -> str:
    """Make the ARM id of an asset or a compute: from a full id as it is, from "name" or "name:version" in `workspace`.

    Registry assets (azureml://registries/…) stay as they are.
    """
    if given.startswith(("/subscriptions/", "azureml://")):
        return given
    name, _, version = given.removeprefix("azureml:").partition(":")
    return f"{workspace}/{kind}/{name}" + (f"/versions/{version}" if version else "")


def given(**members: Any) -> dict[str, Any]:
    """Keep the members of a body that say something: what is left out is as the service has it."""
    return {name: value for name, value in members.items() if value not in (None, "", {})}


def duration(value: timedelta | None) -> str | None:
    """Write a duration as ISO 8601 does, in seconds.

    >>> duration(timedelta(days=30)), duration(timedelta(milliseconds=1500)), duration(timedelta())
    ('PT2592000S', 'PT1.5S', 'PT0S')
    """
    return None if value is None else f"PT{value.total_seconds():.3f}".rstrip("0").rstrip(".") + "S"


def studio_link(workspace: str, path: str) -> str:
    """Link to a page of the studio."""
    return f"https://ml.azure.com/{path}?wsid={quote(workspace)}"
