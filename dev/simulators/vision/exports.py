"""Exports of Custom Vision: asked for, made after a while, written, announced.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration (blob name, message).
A second identical export is refused.
"""

import io
import random
import threading
import zipfile
from collections.abc import Mapping
from typing import Any

from dev.simulators.later import Later
from dev.simulators.storage import Storage
from dev.simulators.vision.projects import EXPORT, Projects, refuse
from dev.simulators.wire import Answer, Request


class Exports:
    """The exports of every iteration."""

    def __init__(
        self, projects: Projects, storage: Storage, own: Storage, settings: Mapping[str, Any], lock: threading.RLock
    ) -> None:
        self._projects = projects
        self._storage = storage
        self._own = own
        self._settings = settings
        self._lock = lock
        self._later = Later()

    def list(self, request: Request) -> Answer:
        """GetExports: each that is Done with a fresh SAS, which does not last."""
        iteration = self._projects.iteration_of(request)
        hidden = request.lag() > 0
        return Answer(body=[] if hidden else [self._shown(iteration, export) for export in iteration["exports"]])

    def start(self, request: Request) -> Answer:
        """ExportIteration: refused where the same export is there or on its way."""
        iteration = self._projects.iteration_of(request)
        platform, flavor = request.query.get("platform"), request.query.get("flavor")
        if not platform:
            raise refuse(400, "BadRequestRequiredParamIsNull", "The required parameter 'platform' is null.")
        if not iteration["exportable"] or platform.lower() not in {one.lower() for one in iteration["exportableTo"]}:
            raise refuse(400, "BadRequestExportValidationFailed", f"Iteration cannot be exported to {platform}.")
        for before in iteration["exports"]:
            if not same(before, platform, flavor) or before["status"] == "Failed":
                continue
            if not before["newerVersionAvailable"]:
                message = f"{iteration['id']} is already queued for export"
                raise refuse(400, "BadRequestExportAlreadyInProgress", message)
        iteration["exports"] = [one for one in iteration["exports"] if not same(one, platform, flavor)]
        export = {**EXPORT, "platform": platform, "flavor": flavor, "status": "Exporting"}
        iteration["exports"].append(export)
        self._later.do(self._settings["export_seconds"], lambda: self._finish(iteration, export))
        return Answer(body=self._shown(iteration, export))

    def write_done(self, project: Mapping[str, Any]) -> None:
        """Write what a seeded project says is Done."""
        for iteration in project["iterations"].values():
            for export in iteration["exports"]:
                if export["status"] == "Done":
                    self._write(project, iteration, export)

    def forget(self) -> None:
        """Make none of those under way."""
        self._later.forget()

    def _finish(self, iteration: dict[str, Any], export: dict[str, Any]) -> None:
        with self._lock:
            project = self._projects.find(iteration["projectId"])
            content = {"projectId": project["id"], "iterationId": iteration["id"], "exportStatus": "ExportFailed"}
            if self._settings["export_outcome"] == "Done":
                uri = self._write(project, iteration, export)
                content |= {"exportStatus": "ExportCompleted", "modelUri": uri}
            export["status"] = self._settings["export_outcome"]
            self._projects.notify(project, "Export", content)

    def _write(self, project: Mapping[str, Any], iteration: Mapping[str, Any], export: Mapping[str, Any]) -> str:
        """Write an export where the service keeps it and where the user wants it; the URI that is announced."""
        content = model(iteration["id"], export["platform"], int(export.get("bytes", self._settings["export_bytes"])))
        container, name = own_blob(project["id"], iteration["id"], export)
        self._own.create_container(container)
        self._own.write(container, name, content)
        if not (uri := project["settings"]["exportModelContainerUri"]):
            return self._own.signed(container, name, seconds=self._settings["sas_seconds"])
        theirs = self._storage.container_of(uri)
        assert theirs is not None, f"{uri} is no container of the app's storage account"
        blob = str(self._settings["blob_name"]).format(
            projectId=project["id"], iterationId=iteration["id"], platformType=export["platform"]
        )
        return self._storage.write(theirs, blob, content)

    def _shown(self, iteration: Mapping[str, Any], export: Mapping[str, Any]) -> dict[str, Any]:
        container, name = own_blob(iteration["projectId"], iteration["id"], export)
        seconds = self._settings["sas_seconds"]
        return {
            "platform": export["platform"],
            "status": export["status"],
            "downloadUri": self._own.signed(container, name, seconds=seconds) if export["status"] == "Done" else None,
            "flavor": export["flavor"],
            "newerVersionAvailable": export["newerVersionAvailable"],
        }


def same(export: Mapping[str, Any], platform: str, flavor: str | None) -> bool:
    """Whether an export is of this platform and flavour, compared ignoring case."""
    return (export["platform"].lower(), (export["flavor"] or "").lower()) == (platform.lower(), (flavor or "").lower())


def own_blob(project: str, iteration: str, export: Mapping[str, Any]) -> tuple[str, str]:
    """Container and name of an export in the service's own account."""
    flavor = f".{export['flavor']}" if export["flavor"] else ""
    return f"m-{project.replace('-', '')}", f"{iteration.replace('-', '')}.{export['platform']}{flavor}.zip"


def model(iteration: str, platform: str, size: int) -> bytes:
    """Give a real zip of about so many bytes, the same for the same export."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("labels.txt"), "apple\nbanana\n")
        content = random.Random(f"{iteration}{platform}").randbytes(max(size, 1))
        archive.writestr(zipfile.ZipInfo(f"model.{platform.lower()}"), content)
    return held.getvalue()
