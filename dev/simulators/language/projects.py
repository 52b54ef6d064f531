"""Projects: looked at, listed, made and changed, deleted, exported and imported.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring/export and …/import
Not settled there, and decided here: an export is of the moment when it was asked for, and an import happens at the end
of its job; an import replaces the working copy, and leaves models and deployments as they are; deleting a project ends
its deployments at the end of the job.
"""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dev.simulators.language.assets import CONVERSATION, UNITS, exported, imported, turned, wrong_metadata
from dev.simulators.language.refusals import body, invalid, name_of, refuse
from dev.simulators.language.resource import Copied, Project, Resource
from dev.simulators.language.settings import Limits
from dev.simulators.language.texts import UTF16
from dev.simulators.wire import Answer, Request, listed_until

MEMBERS = frozenset({
    "projectName", "projectKind", "language", "multilingual", "description", "settings", "storageInputContainerName",
})  # fmt: skip
SETTLED = frozenset({"projectName", "projectKind", "language"})
"""What does not change once a project is there."""
MERGE = "application/merge-patch+json"


class Projects:
    """The projects of a resource."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def list(self, request: Request) -> Answer:
        """ListProjects."""
        until = listed_until(request)
        there = [one.shown() for one in self._resource.projects.values() if one.created <= until]
        return self._resource.listing(request, there)

    def get(self, request: Request) -> Answer:
        """GetProject."""
        return Answer(body=self._resource.project(request).shown())

    def create(self, request: Request) -> Answer:
        """CreateProject: makes one, or changes what may be changed of one."""
        name = name_of(request.parts["project"], "projectName")
        if not request.headers.get("content-type", "").lower().startswith(MERGE):
            raise refuse(415, "InvalidRequest", f"The content type must be {MERGE}.")
        given = {member: value for member, value in body(request).items() if member in MEMBERS}
        kept = self._resource.projects.get(name)
        metadata = {**(kept.metadata if kept else {"multilingual": False}), **given}
        wrong = wrong_metadata(name, metadata)
        if kept:
            changed = [one for one in SETTLED if kept.metadata.get(one) != metadata.get(one)]
            wrong += [(one, f"'{one}' of a project cannot be changed.") for one in changed]
        if wrong:
            raise invalid([(target.removeprefix("metadata."), said) for target, said in wrong])
        at = self._resource.clock()
        if kept:
            kept.metadata, kept.modified = metadata, at
            return Answer(body=kept.shown())
        self._check_room()
        made = Project(metadata, turned({"projectKind": CONVERSATION}, UTF16), at, at)
        self._resource.projects[name] = made
        return Answer(201, made.shown())

    def delete(self, request: Request) -> Answer:
        """DeleteProject."""
        project = self._resource.project(request)

        def act(_at: datetime) -> None:
            self._resource.projects.pop(project.name, None)

        job = self._resource.start("delete_project", project.name, "/projects/global/deletion-jobs", act)
        return self._resource.accepted(request, job)

    def export(self, request: Request) -> Answer:
        """Export: the working copy, or the snapshot of a trained model."""
        project, query = self._resource.project(request), request.query
        version, unit = query["api-version"], query.get("stringIndexType", "")
        if unit not in UNITS[version]:
            raise invalid([("stringIndexType", f"'{unit}' is none of {', '.join(UNITS[version])}.")])
        if query.get("format", CONVERSATION) != CONVERSATION:
            raise invalid([("format", f"'{query['format']}' is not simulated: {CONVERSATION} is.")])
        copied = self._copied(project, query.get("trainedModelLabel") or "")
        path = f"/projects/{project.name}/export/jobs"
        job = self._resource.start("export", project.name, path, lambda _at: None, details={"resultUrl": "/result"})
        job.result = exported(*copied, version, unit, shuffled=bool(self._resource.settings["shuffled"]))
        return self._resource.accepted(request, job)

    def result(self, request: Request) -> Answer:
        """Give what an export exported, as long as its job is there."""
        job = self._resource.job(request)
        if job.status not in {"succeeded", "partiallyCompleted"}:
            raise refuse(404, "NotFound", "The export has no result.", target="jobId")
        return Answer(body=job.result)

    def import_(self, request: Request) -> Answer:
        """Import: makes a project, or replaces what it is made of."""
        name = name_of(request.parts["project"], "projectName")
        metadata, assets = imported(name, request.query["api-version"], body(request))
        if name not in self._resource.projects:
            self._check_room()

        def act(at: datetime) -> None:
            kept = self._resource.projects.setdefault(name, Project(metadata, assets, at, at))
            kept.metadata, kept.assets, kept.modified = metadata, assets, at

        job = self._resource.start("import", name, f"/projects/{name}/import/jobs", act)
        return self._resource.accepted(request, job)

    def load_snapshot(self, request: Request) -> Answer:
        """LoadSnapshot: the working copy is again what a model was trained with."""
        project = self._resource.project(request)
        model = project.model(request.parts["label"])
        metadata, assets = copy.deepcopy(self._copied(project, model.label))

        def act(at: datetime) -> None:
            project.metadata, project.assets, project.modified = metadata, assets, at

        path = f"/projects/{project.name}/models/{model.label}/load-snapshot/jobs"
        return self._resource.accepted(request, self._resource.start("load_snapshot", project.name, path, act))

    def _copied(self, project: Project, label: str) -> Copied:
        if not label:
            return project.copied()
        if (snapshot := project.model(label).snapshot) is None:
            message = f"The trained model '{label}' has no snapshot."
            raise refuse(400, "InvalidRequest", message, target="trainedModelLabel")
        return snapshot

    def _check_room(self) -> None:
        if len(self._resource.projects) >= Limits.PROJECTS:
            message = f"Project limit reached: a resource has at most {Limits.PROJECTS} projects."
            raise refuse(400, "QuotaExceeded", message)


def languages(found: Mapping[str, str]) -> list[dict[str, str]]:
    """Give languages as they are listed."""
    return [{"languageName": name, "languageCode": code} for code, name in found.items()]


PREBUILT: list[dict[str, Any]] = [
    {"category": "General.Event", "description": "Events", "examples": "birthday"},
    {"category": "Quantity.Number", "description": "Numbers", "examples": "9, nine"},
    {"category": "DateTime", "description": "Dates and times", "examples": "June 4th, noon"},
]
