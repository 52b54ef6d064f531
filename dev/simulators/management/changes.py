"""What batch and online endpoints have in common: resources that change by the clock, and who may change them when.

One `Changes` holds the endpoints and deployments of both kinds, since they share their names: `<name>.<region>` is one
host. A provider (endpoints.py for batch, online.py for online) has the routes and the shapes, and uses it so:

    ("GET", ENDPOINT, changes.get), ("GET", ENDPOINT + "/deployments", changes.listed), ("DELETE", …, changes.delete)

    def _put(self, request):
        body = checked(request, SHAPE)                    # the body; refused by its shape, or by the name in the path
        changes.refuse_taken(request.path)                # an endpoint: somebody else has the name in the region
        changes.refuse_full(request.path)                 # a deployment: the endpoint has its twenty
        changes.refuse_while_changing(request.path, "create")
        return changes.put(request, body, {**DEFAULTS, **body["properties"]}, identity=…)

`put` keeps what it is given under the path, begins the operation (so `provisioning` seeds decide what comes of it) and
answers as a PUT is answered; `patch` merges into what is there and answers 202 with a Location; `now` is a resource as
it is at this moment, None where it is gone; `existing` is the same, or the 404. A provider that has more to say on the
way out (stale traffic, say) changes what `now` gives.

https://learn.microsoft.com/rest/api/azureml/batch-endpoints
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#azure-machine-learning-online-endpoints-and-batch-endpoints
Not settled there, and decided here: a write while the endpoint or one of its deployments is changing is a 400 that
names the state, a write to the very thing that is changing a 409; PATCH replaces all tags where it has any.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.bodies import Shape, check, invalid
from dev.simulators.management.operations import Operation, Operations
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.wire import Answer, Request, listed_until, moment

NAME = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
ENDPOINT = re.compile(r"(.*?/(?:batch|online)Endpoints/[^/]+)", re.IGNORECASE)
MOST_DEPLOYMENTS = 20


class Changes:
    """The endpoints and deployments of every workspace, and who has which name in which region."""

    def __init__(self, resources: Resources, operations: Operations, settings: Mapping[str, float]) -> None:
        self._resources = resources
        """Models, computes and workspaces; what changes by itself is kept apart."""
        self._operations = operations
        self._settings = settings
        self._own = Resources()
        self._doing: dict[str, Operation] = {}
        self._taken: set[tuple[str, str]] = set()

    # -- what is there ------------------------------------------------------------------------------------------------

    def now(self, arm_id: str) -> Resource | None:
        """Give a resource as it is at this moment: changing, settled, or gone."""
        kept = self._own.find(arm_id)
        if kept is None:
            return None
        doing = self._doing[kept["id"].lower()]
        if doing.state == "Deleting" and doing.over:
            self._own.remove(arm_id)
            return None
        return {**kept, "properties": {**kept["properties"], "provisioningState": doing.provisioning}}

    def existing(self, arm_id: str) -> Resource:
        """Give a resource as it is; the 404 where it, its endpoint or its workspace is not there."""
        self.workspace(arm_id)
        endpoint = endpoint_of(arm_id)
        for one, kind in ((endpoint, "Endpoint"), (arm_id, "Deployment")):
            if self.now(one) is None:
                raise arm.refuse(404, "ResourceNotFound", f"{kind} '{arm.name_of(one)}' was not found.")
        found = self.now(arm_id)
        assert found is not None
        return found

    def under(self, collection: str) -> list[Resource]:
        """Give those of a collection such as "<endpoint>/deployments", as they are."""
        return [shown for one in self._own.children(collection) if (shown := self.now(one["id"]))]

    def workspace(self, arm_id: str) -> Resource:
        """Give the workspace that an id is in, or the 404."""
        return self._resources.get(arm.parent_of(arm_id, "workspaces"), arm.missing)

    def region(self, arm_id: str) -> str:
        """Give the region of the workspace that an id is in."""
        return str(self.workspace(arm_id)["location"])

    # -- answers ------------------------------------------------------------------------------------------------------

    def get(self, request: Request) -> Answer:
        """Answer a GET of one."""
        return Answer(body=self.existing(request.path))

    def listed(self, request: Request) -> Answer:
        """Answer a GET of endpoints, or of an endpoint's deployments, in pages."""
        self.workspace(request.path)
        if ENDPOINT.match(request.path):
            self.existing(endpoint_of(request.path))
        until = listed_until(request)
        there = [one for one in self.under(request.path) if moment(one["systemData"]["createdAt"]) <= until]
        return page(request, there, int(self._settings["page_size"]))

    def put(self, request: Request, body: Resource, properties: Resource, **top: Any) -> Answer:
        """Keep what was put, begin to provision it, and answer as a PUT is answered."""
        path = request.path.rstrip("/")
        before, region = self.now(path), self.region(path)
        if body["location"].replace(" ", "").lower() != region.lower():
            raise arm.refuse(
                400, "BadRequest", f"Location '{body['location']}' is not that of the workspace: '{region}'."
            )
        operation = self._begin(path, "Updating" if before else "Creating")
        bag = {**(properties.get("properties") or {})}
        bag["AzureAsyncOperationUri"] = self._operations.status_url(operation, request)
        kept = self._own.put(
            before["id"] if before else path,
            {**properties, "properties": bag},
            location=body["location"],
            tags=body.get("tags") or {},
            **top,
        )
        headers = self._operations.put_headers(operation, request)
        return Answer(200 if before else 201, self.now(kept["id"]), headers)

    def patch(self, request: Request, properties: Mapping[str, Any], **top: Any) -> Answer:
        """Put `properties` and `top` (tags, sku) over what is there, and answer as a PATCH is answered."""
        before = self.existing(request.path)
        operation = self._begin(before["id"], "Updating")
        kept = {**before["properties"], **properties}
        kept.pop("provisioningState")
        others = {name: before[name] for name in before if name in {"location", "tags", "identity", "sku", "kind"}}
        self._own.put(before["id"], kept, **{**others, **top})
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def delete(self, request: Request) -> Answer:
        """Begin to delete one and all that is under it."""
        self.workspace(request.path)
        if self.now(request.path) is None:
            return Answer(204)
        self.refuse_while_changing(request.path, "delete")
        operation = self._begin(request.path.rstrip("/"), "Deleting")
        return Answer(202, headers=self._operations.delete_headers(operation, request))

    def _begin(self, arm_id: str, state: str) -> Operation:
        operation = self._operations.begin(arm_id, state, self.region(arm_id))
        self._doing[arm_id.lower()] = operation
        return operation

    # -- refusals -----------------------------------------------------------------------------------------------------

    def refuse_while_changing(self, arm_id: str, verb: str) -> None:
        """Refuse a write while the endpoint or one of its deployments is changing."""
        endpoint, asked = endpoint_of(arm_id), arm_id.lower().rstrip("/")
        around = [endpoint, *(one["id"] for one in self._own.children(endpoint + "/deployments"))]
        for one in around:
            if self.now(one) is None or (doing := self._doing[one.lower()]).over:
                continue
            if one.lower() == asked:
                raise arm.refuse(
                    409, "Conflict", "Conflict of operation, another operation on same entity is already running."
                )
            raise arm.refuse(
                400,
                "BadRequest",
                f"Cannot {verb} a deployment in endpoint {arm.name_of(endpoint)} because it is in {doing.state} "
                "provisioning state.",
            )

    def refuse_taken(self, arm_id: str) -> None:
        """Refuse to make an endpoint whose name somebody has in the region: we of either kind, or a stranger."""
        if self.now(arm_id) is not None:
            return
        region, name = self.region(arm_id), arm.name_of(arm_id).lower()
        ours = {
            (self.region(one["id"]), one["name"].lower())
            for one in self.state()
            if "/deployments/" not in one["id"].lower()
        }
        if (region, name) in self._taken | ours:
            raise arm.refuse(
                400,
                "BadRequest",
                "There is already an endpoint with this name, Endpoint name needs to be unique within a region",
            )

    def refuse_full(self, arm_id: str) -> None:
        """Refuse to make one deployment more than an endpoint can have."""
        endpoint = endpoint_of(arm_id)
        if self.now(arm_id) is None and len(self.under(endpoint + "/deployments")) >= MOST_DEPLOYMENTS:
            raise arm.refuse(
                400,
                "BadRequest",
                f"The endpoint {arm.name_of(endpoint)} has the maximum number of deployments ({MOST_DEPLOYMENTS}).",
            )

    # -- controls -----------------------------------------------------------------------------------------------------

    def there(self, given: Mapping[str, Any], arm_id: str, properties: Resource, **top: Any) -> None:
        """Put a resource there as if it always had been."""
        self._operations.plan([{"name": f"^{re.escape(arm.name_of(arm_id))}$", "outcome": "Succeeded", "seconds": 0}])
        request = Request(
            method="PUT", url=arm_id, path=arm_id, query={"api-version": "2024-10-01"}, headers={"host": "seed"}
        )
        self.put(request, {"location": self.region(arm_id), "tags": given.get("tags", {})}, properties, **top)
        if at := given.get("createdAt"):
            self.existing(arm_id)["systemData"]["createdAt"] = at

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Names that others have."""
        return {"taken": lambda given: self._taken.update((one["region"], one["name"].lower()) for one in given)}

    def state(self) -> list[Resource]:
        """Every endpoint and deployment as a GET would answer it."""
        return [shown for one in self._own.state().values() if (shown := self.now(one["id"]))]

    def clear(self) -> None:
        """Nothing is left."""
        self._own.clear()
        self._doing.clear()
        self._taken.clear()

    def remove(self, arm_id: str) -> None:
        """Forget an endpoint or deployment at once, as when somebody deletes it under our feet."""
        self._own.remove(arm_id)


def endpoint_of(arm_id: str) -> str:
    """Give the part of an id down to the endpoint, batch or online."""
    found = ENDPOINT.match(arm_id)
    if found is None:
        raise ValueError(f"'{arm_id}' is under no endpoint")
    return found[1]


def page(request: Request, there: list[Resource], size: int) -> Answer:
    """Answer with a page of what is there, and the link to the next one."""
    skip = int(request.query.get("$skip", "0"))
    body: dict[str, Any] = {"value": there[skip : skip + size], "nextLink": None}
    if len(there) > skip + size:
        version = request.query["api-version"]
        body["nextLink"] = f"{request.base}{request.path}?api-version={version}&$skip={skip + size}"
    return Answer(body=body)


def checked(request: Request, shape: Shape) -> Resource:
    """Give the body of a PUT or PATCH, refused where its shape or the name in the path is wrong."""
    name = arm.name_of(request.path)
    if not (3 <= len(name) <= 32 and NAME.fullmatch(name)):
        raise arm.refuse(
            400,
            "BadArgument",
            f"'{name}' is no name: 3 to 32 letters, digits and single dashes, a letter first.",
        )
    try:
        body = request.json()
    except ValueError as problem:
        raise invalid(f"The request body is no JSON: {problem}") from problem
    check(body, shape)
    assert isinstance(body, dict)
    return body
