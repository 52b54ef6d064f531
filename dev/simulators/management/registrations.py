"""Registered versions of models, code, environments, data and components.

A version keeps what it was made with; tags, description, stage and archiving may change by another PUT, and
properties may only be added. There is no PATCH.
https://learn.microsoft.com/rest/api/azureml/model-versions
Not settled there, and decided here: a version that is put as it is answers 200; one with other content answers 400;
tags that are not put again are gone; a model of an output needs its job to be there.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlencode

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.asset_bodies import CONTAINER, KINDS, Registered, body_of, text_of
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, RefusedError, Request, Route, instant, listed_until, moment, now

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
OF_JOB = re.compile(r"azureml://jobs/([^/]+)/outputs/")
FREE = ("description", "stage", "isArchived", "tags", "properties")
"""Members that a PUT of the same version changes, or adds to."""
VIEWS: Mapping[str, Callable[[bool], bool]] = {
    "activeonly": lambda archived: not archived,
    "archivedonly": lambda archived: archived,
    "all": lambda _archived: True,
}


class Registrations:
    """Every version, kept among all other resources."""

    def __init__(
        self,
        resources: Resources,
        settings: Mapping[str, float],
        pending_upload: Callable[[Request], Answer],
        has_job: Callable[[str], bool],
    ) -> None:
        self._resources = resources
        self._settings = settings
        self._pending_upload = pending_upload
        self._has_job = has_job

    def routes(self) -> Sequence[Route]:
        """Give what can be asked and done, for each kind."""
        return [route for kind in KINDS for route in self._routes_of(kind)]

    def _routes_of(self, kind: str) -> Sequence[Route]:
        container = f"{WORKSPACE}/{kind}/{{name}}"
        one = container + "/versions/{version}"
        return [
            ("GET", f"{WORKSPACE}/{kind}", lambda request: self._containers(request, kind)),
            ("GET", container, lambda request: Answer(body=self._container(request.path, kind))),
            ("PUT", container, lambda request: self._put_container(request, kind)),
            ("DELETE", container, self._delete),
            ("GET", container + "/versions", self._versions),
            ("GET", one, lambda request: self._version(request, kind)),
            ("PUT", one, lambda request: self._put(request, kind)),
            ("DELETE", one, self._delete),
            ("POST", one + "/startPendingUpload", self._start_upload),
        ]

    # -- versions -----------------------------------------------------------------------------------------------------

    def _version(self, request: Request, kind: str) -> Answer:
        self._workspace(request)
        return Answer(body=self._resources.get(request.path, lambda path: no_version(path, kind)))

    def _put(self, request: Request, kind: str) -> Answer:
        self._workspace(request)
        registered, path = KINDS[kind], request.path.rstrip("/")
        given = body_of(request, registered.shape)["properties"]
        given = {**given, "properties": text_of(given.get("properties") or {})}
        for name in (request.parts["name"], request.parts["version"]):
            if not NAME.fullmatch(name):
                raise arm.refuse(400, "ValidationError", f"The name '{name}' of the {registered.label} is invalid.")
        if kind == "environments" and not (given.get("image") or given.get("build")):
            raise arm.refuse(400, "ValidationError", "One of image and build is required.")
        before = self._resources.find(path)
        if before:
            refuse_other(before, given, registered)
        elif (job := OF_JOB.match(given.get("modelUri") or "")) and not self._is_job(request, job[1]):
            raise arm.refuse(400, "UserError", f"Job '{job[1]}', whose output this is, was not found.")
        kept = self.register(before["id"] if before else path, kind, given)
        return Answer(200 if before else 201, kept)

    def _is_job(self, request: Request, name: str) -> bool:
        return self._has_job(f"{arm.parent_of(request.path, 'workspaces')}/jobs/{unquote(name)}")

    def register(self, arm_id: str, kind: str, given: Mapping[str, Any], *, created: str = "") -> Resource:
        """Keep a version, new or as it is put again; what it was made with stays as it was."""
        before = self._resources.find(arm_id)
        properties: Resource = {
            "description": None,
            "tags": {},
            "properties": {},
            "isArchived": False,
            "isAnonymous": False,
            **KINDS[kind].defaults,
            **({} if before is None else before["properties"]),
        }
        fresh = {name: value for name, value in given.items() if value is not None}
        if before is not None:
            fresh = {"tags": {}} | {name: value for name, value in fresh.items() if name in FREE}
        bag = {**properties["properties"], **fresh.pop("properties", {})}
        properties |= {**fresh, "properties": bag, "provisioningState": "Succeeded"}
        kept = self._resources.put(arm_id, properties, created=created)
        if before is not None:
            changed = {"lastModifiedAt": instant(now()), "lastModifiedBy": "seed", "lastModifiedByType": "User"}
            kept["systemData"] = {**kept["systemData"], **changed}
        return kept

    def _versions(self, request: Request) -> Answer:
        self._workspace(request)
        query, until = request.query, listed_until(request)
        keeps = VIEWS.get(query.get("listViewType", "ActiveOnly").lower())
        if keeps is None:
            raise arm.refuse(400, "ValidationError", f"'{query['listViewType']}' is no listViewType.")
        there = [
            one
            for one in self._resources.children(request.path)
            if moment(one["systemData"]["createdAt"]) <= until
            and keeps(one["properties"]["isArchived"])
            and fits(one["properties"]["tags"], query.get("tags") or query.get("$tags", ""))
            and fits(one["properties"]["properties"], query.get("properties", ""))
            and query.get("version", one["name"]) == one["name"]
            and query.get("hash", "") in {"", one["properties"]["properties"].get("hash_sha256")}
        ]
        ascending = query.get("$orderBy", "").lower().endswith(" asc")
        there.sort(key=lambda one: moment(one["systemData"]["createdAt"]), reverse=not ascending)
        if "$top" in query:
            return Answer(body={"value": there[: int(query["$top"])], "nextLink": None})
        return self._page(request, there)

    def _page(self, request: Request, there: list[Resource]) -> Answer:
        skip, size = int(request.query.get("$skip", "0")), int(self._settings["page_size"])
        link = None
        if len(there) > skip + size:
            link = f"{request.base}{request.path}?{urlencode({**request.query, '$skip': str(skip + size)})}"
        return Answer(body={"value": there[skip : skip + size], "nextLink": link})

    def _delete(self, request: Request) -> Answer:
        self._workspace(request)
        if not self._resources.find(request.path) and not self._resources.below(request.path):
            return Answer(204)
        self._resources.remove(request.path)
        return Answer(200)

    def _start_upload(self, request: Request) -> Answer:
        self._workspace(request)
        return self._pending_upload(request)

    # -- containers ---------------------------------------------------------------------------------------------------

    def _containers(self, request: Request, kind: str) -> Answer:
        workspace = self._workspace(request)["id"]
        keeps = VIEWS[request.query.get("listViewType", "ActiveOnly").lower()]
        prefix = f"{workspace}/{kind}"
        names = dict.fromkeys(one["id"][len(prefix) + 1 :].split("/")[0] for one in self._resources.below(prefix))
        there = [self._container(f"{prefix}/{name}", kind) for name in names]
        return self._page(request, [one for one in there if keeps(one["properties"]["isArchived"])])

    def _container(self, arm_id: str, kind: str) -> Resource:
        """Give what is known of all versions of a name."""
        self._resources.get(arm.parent_of(arm_id, "workspaces"), arm.missing)
        arm_id = arm_id.rstrip("/")
        kept = self._resources.find(arm_id)
        versions = self._resources.children(arm_id + "/versions")
        if kept is None and not versions:
            raise no_version(arm_id, kind)
        latest = max(versions, key=lambda one: moment(one["systemData"]["createdAt"]), default=None)
        numbers = [int(one["name"]) for one in versions if one["name"].isdigit()]
        properties = {
            "description": None,
            "tags": {},
            "properties": {},
            "isArchived": False,
            **(kept["properties"] if kept else {}),
            "latestVersion": latest["name"] if latest else None,
            "nextVersion": str(max(numbers, default=0) + 1),
            "provisioningState": "Succeeded",
        }
        if kind == "data" and latest:
            properties["dataType"] = latest["properties"]["dataType"]
        base = kept or {"id": arm_id, "name": arm.name_of(arm_id), "type": arm.type_of(arm_id)}
        return {**base, "properties": properties, "systemData": (latest or kept or {}).get("systemData")}

    def _put_container(self, request: Request, kind: str) -> Answer:
        self._workspace(request)
        given = body_of(request, CONTAINER)["properties"]
        before = self._resources.find(request.path)
        kept = {name: value for name, value in given.items() if name not in {"latestVersion", "nextVersion"}}
        self._resources.put(request.path.rstrip("/"), kept)
        return Answer(200 if before else 201, self._container(request.path, kind))

    def _workspace(self, request: Request) -> Resource:
        return self._resources.get(arm.parent_of(request.path, "workspaces"), arm.missing)


def refuse_other(before: Resource, given: Mapping[str, Any], registered: Registered) -> None:
    """Refuse another content under a version that is there, and a property with another value."""
    was = before["properties"]
    for member in registered.fixed:
        if given.get(member) is None or given[member] == was.get(member):
            continue
        if member == registered.path:
            raise arm.refuse(400, "UserError", "Asset paths cannot be updated.")
        raise arm.refuse(400, "UserError", cannot(member, before, registered))
    for name, value in given["properties"].items():
        if was["properties"].get(name, value) != value:
            raise arm.refuse(400, "UserError", cannot(f"properties.{name}", before, registered))


def cannot(member: str, before: Resource, registered: Registered) -> str:
    """Say that a member of a version stays what it is."""
    return (
        f"{registered.label} {':'.join(names(before['id']))} already exists, and its {member} cannot be replaced "
        "without increasing the version."
    )


def fits(there: Mapping[str, Any], wanted: str) -> bool:
    """Whether tags or properties have all of "tag1,tag2=value2"."""
    pairs = [pair.partition("=") for pair in wanted.split(",") if pair]
    return all(name in there and (not equals or there[name] == value) for name, equals, value in pairs)


def names(arm_id: str) -> tuple[str, ...]:
    """Give the name in an id, and the version where it has one."""
    *_, name, between, last = arm_id.rstrip("/").split("/")
    return (name, last) if between.lower() == "versions" else (last,)


def no_version(path: str, kind: str) -> RefusedError:
    """Give the 404 of a version, or a name, that is not or no longer registered."""
    label = KINDS[kind].label
    told = " with version ".join(names(path))
    return arm.refuse(404, f"{label}NotFound" if kind == "models" else "NotFound", f"{label} {told} is not found.")
