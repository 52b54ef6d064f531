"""Projects, and what is in them: exported and imported whole.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/projects
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from shared.clients.language.jobs import KEPT_DAYS, read_job, unfinished
from shared.clients.language.resource import Resource
from shared.clients.language.service import OWNER, READER, Instant, Read, Service, Text
from shared.errors import PermanentError, TemporaryError

UTF16 = "Utf16CodeUnit"
"""How positions in an export are counted: the only way that both versions know."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project as it is."""

    name: str
    """Its case matters."""
    kind: str
    """"Conversation", "Orchestration" or another."""
    language: str
    """The language that it is written in, such as "en-us" or "ko"."""
    multilingual: bool
    description: str
    created: datetime | None
    modified: datetime | None
    trained: datetime | None
    """When it was trained last, None for never."""
    deployed: datetime | None


class _Project(Read):
    project_name: str = Field(min_length=1)
    project_kind: Text = ""
    language: Text = ""
    multilingual: bool | None = None
    description: Text = ""
    created_date_time: Instant = None
    last_modified_date_time: Instant = None
    last_trained_date_time: Instant = None
    last_deployed_date_time: Instant = None

    def told(self) -> Project:
        return Project(
            name=self.project_name,
            kind=self.project_kind,
            language=self.language,
            multilingual=bool(self.multilingual),
            description=self.description,
            created=self.created_date_time,
            modified=self.last_modified_date_time,
            trained=self.last_trained_date_time,
            deployed=self.last_deployed_date_time,
        )


class Projects:
    """The projects of resources."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self, at: Resource, name: str) -> Project | None:
        """Read a project; None where the resource has none of exactly that name: `near` may tell why.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/get-project/get-project
        """
        answer = self._service.there(at, name)
        return answer.read(_Project).told() if answer is not None else None

    def near(self, at: Resource, name: str) -> str:
        """Give the name of a project that differs from this one in case only; "" where there is none."""
        return self._service.near(at, name)

    def export(self, at: Resource, name: str, *, model: str = "") -> str:
        """Start to export a project as it is worked on, or as it was when a model was trained; give the job's URL.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/export/export
        """
        query = {"stringIndexType": UTF16, "trainedModelLabel": model}
        return self._service.start(at, "POST", name, ":export", query=query, role=READER)

    def exported(self, at: Resource, job: str) -> bytes:
        """Read what an export brought, by the URL of its job; an export that runs still is a TemporaryError."""
        found = read_job(self._service, at, job)
        if found is None:
            raise PermanentError(
                f"the export is gone from {at.host}: exports are kept for {KEPT_DAYS} days", remedy="export again"
            )
        if not found.is_over:
            raise TemporaryError(f"the export is not over yet: it is {found.status}")
        if not found.result_url:
            raise unfinished(found, "the export")
        answer = self._service.found(at, at.own(found.result_url, "an export"))
        if answer is None:
            raise PermanentError(f"what was exported is gone from {at.host}", remedy="export again")
        _metadata(answer.body, TemporaryError(f"Language at {at.host} gave an export that is no project"))
        return answer.body

    def import_(self, at: Resource, name: str, content: bytes) -> str:
        """Start to import a project from an export, in place of the one of that name; give the job's URL.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/import/import
        """
        metadata = _metadata(
            content, PermanentError("what is to be imported is no export of a project", remedy="take another backup")
        )
        if (inner := metadata.get("projectName")) != name:
            raise PermanentError(
                f'the export is of the project "{inner}" and cannot be imported as "{name}"',
                remedy="give the project the very name of the one that was exported, in upper and lower case as there",
            )
        return self._service.start(at, "POST", name, ":import", body=content)

    def delete(self, at: Resource, name: str) -> str:
        """Start to delete a project with all that is in it; give the job's URL, "" where it is gone already.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/delete-project/delete-project
        """
        return self._service.away(at, name, role=OWNER)

    def list(self, at: Resource) -> list[Project]:
        """List the projects of a resource.

        https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/list-projects/list-projects
        """
        return [one.told() for one in self._service.pages(at, None, "", _Project)]


def _metadata(content: bytes, problem: PermanentError | TemporaryError) -> dict[str, Any]:
    """Read what an export says of its project; the problem where it is none."""
    try:
        metadata = json.loads(content)["metadata"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise problem from None
    if not isinstance(metadata, dict):
        raise problem
    return metadata
