"""Datastores, and the storage behind them: every workspace has `workspaceblobstore` in the services' own account.

The emulator's account is told as `{"protocol": "http", "endpoint": "127.0.0.1:<port>"}`; in Azure it is
`https://<account>.blob.<endpoint>`.
https://learn.microsoft.com/rest/api/azureml/datastores
https://learn.microsoft.com/rest/api/azureml/code-versions/create-or-get-start-pending-upload
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from dev.simulators.management import arm
from dev.simulators.management.arm import WORKSPACE
from dev.simulators.management.asset_bodies import PENDING_UPLOAD, SECRETS, body_of
from dev.simulators.management.resources import Resource, Resources
from dev.simulators.storage import Storage
from dev.simulators.wire import Answer, Request, Route, instant, now

DATASTORE = WORKSPACE + "/datastores/{datastore}"
DEFAULT = "workspaceblobstore"
SAS_SECONDS = 3600.0
EXPIRABLE_SINCE = "2024"
"""From which api-versions on a secret can expire. Nothing says so; azure-ai-ml asks by one of that year."""


class Datastores:
    """The datastores of every workspace: the default one, and those that are seeded."""

    def __init__(self, resources: Resources, storage: Storage | None) -> None:
        self._resources = resources
        self._storage = storage

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [
            ("GET", WORKSPACE + "/datastores", self._list),
            ("GET", DATASTORE, lambda request: Answer(body=self.existing(request.path))),
            ("POST", DATASTORE + "/listSecrets", self._secrets),
        ]

    def seed(self, given: Mapping[str, Any]) -> None:
        """Make a datastore, or change one: its members go over those of the default one."""
        workspace = arm.parent_of(given["id"], "workspaces")
        properties = {name: value for name, value in given.items() if name != "id"}
        base = {**self._default(workspace)["properties"], "isDefault": arm.name_of(given["id"]).lower() == DEFAULT}
        self._resources.put(given["id"], {**base, **properties})

    def pending_upload(self, request: Request) -> Answer:
        """Answer startPendingUpload: a new container, and a SAS to fill it."""
        asked = body_of(request, PENDING_UPLOAD)
        storage = self._require_storage()
        container = str(uuid.uuid4())
        storage.create_container(container)
        uri = f"{storage.url}/{container}"
        sas = storage.container_sas(container, seconds=SAS_SECONDS)
        group = request.path.split("/providers/")[0]
        return Answer(
            body={
                "pendingUploadId": asked.get("pendingUploadId") or str(uuid.uuid4()),
                "pendingUploadType": asked.get("pendingUploadType") or "TemporaryBlobReference",
                "blobReferenceForConsumption": {
                    "blobUri": uri,
                    "storageAccountArmId": f"{group}/providers/Microsoft.Storage/storageAccounts/{storage.account}",
                    "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{sas}"},
                },
            }
        )

    def _list(self, request: Request) -> Answer:
        workspace = self._workspace(request.path)
        seeded = self._resources.children(workspace + "/datastores")
        there = [
            *([] if any(one["name"].lower() == DEFAULT for one in seeded) else [self._default(workspace)]),
            *seeded,
        ]
        if wanted := request.query.get("isDefault", "").lower():
            there = [one for one in there if one["properties"]["isDefault"] is (wanted == "true")]
        return Answer(body={"value": there, "nextLink": None})

    def existing(self, arm_id: str) -> Resource:
        """Give a datastore, or the 404."""
        workspace = self._workspace(arm_id)
        found = self._resources.find(arm_id)
        if found is None and arm.name_of(arm_id).lower() == DEFAULT:
            found = self._default(workspace)
        if found is None:
            raise arm.refuse(404, "UserError", f"Could not find datastore: {arm.name_of(arm_id)}")
        return found

    def _secrets(self, request: Request) -> Answer:
        asked = body_of(request, SECRETS)
        properties = self.existing(request.path.removesuffix("/").rsplit("/", 1)[0])["properties"]
        kind = properties["credentials"]["credentialsType"]
        if kind == "None":
            return Answer(body={"secretsType": "None"})
        storage = self._require_storage()
        if kind == "Sas" or (asked.get("expirableSecret") and request.query["api-version"] >= EXPIRABLE_SINCE):
            sas = storage.container_sas(properties["containerName"], seconds=SAS_SECONDS)
            return Answer(body={"secretsType": "Sas", "sasToken": sas})
        return Answer(body={"secretsType": "AccountKey", "key": storage.key})

    def _default(self, workspace: str) -> Resource:
        """Give `workspaceblobstore` as a GET answers it; its container is made where it is not there yet."""
        resource = self._resources.get(workspace, arm.missing)
        subscription, group = workspace.split("/")[2], workspace.split("/")[4]
        container = f"azureml-blobstore-{resource['properties']['workspaceId']}"
        account, protocol, endpoint = "fraudstorage", "https", "core.windows.net"
        if self._storage:
            self._storage.create_container(container)
            account, at = self._storage.account, urlsplit(self._storage.url)
            protocol, endpoint = at.scheme, at.netloc
        created = resource["systemData"]["createdAt"]
        return {
            "id": f"{workspace}/datastores/{DEFAULT}",
            "name": DEFAULT,
            "type": "Microsoft.MachineLearningServices/workspaces/datastores",
            "properties": {
                "description": None,
                "tags": None,
                "properties": None,
                "isDefault": True,
                "credentials": {"credentialsType": "AccountKey"},
                "datastoreType": "AzureBlob",
                "accountName": account,
                "containerName": container,
                "endpoint": endpoint,
                "protocol": protocol,
                "resourceGroup": group,
                "subscriptionId": subscription,
                "serviceDataAccessAuthIdentity": "None",
            },
            "systemData": {"createdAt": created, "createdBy": "Service Principal", "lastModifiedAt": instant(now())},
        }

    def _workspace(self, arm_id: str) -> str:
        return str(self._resources.get(arm.parent_of(arm_id, "workspaces"), arm.missing)["id"])

    def _require_storage(self) -> Storage:
        if self._storage is None:
            raise arm.refuse(400, "UserError", "There is no storage behind this simulator.")
        return self._storage
