"""Exports of Custom Vision: asked for, made after a while, written, announced.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration (blob name, message).
A second identical export is refused. Not settled there, and decided here: a container is named `DockerFile` with a
flavour, every other platform may come without one; a flavour that no client is known to ask for is refused.
"""

import io
import random
import zipfile
from typing import Any

from dev.simulators.vision.domains import FLAVORS
from dev.simulators.vision.refusals import refuse, required
from dev.simulators.vision.resource import Iteration, Project, Resource, hexed
from dev.simulators.vision.training import COMPLETED, TRAINING
from dev.simulators.wire import Answer, Request

EXPORT = {"platform": "ONNX", "flavor": None, "status": "Done", "newerVersionAvailable": False}


class Exports:
    """The exports of every iteration."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def list(self, request: Request) -> Answer:
        """GetExports: each that is Done with a fresh SAS, which does not last."""
        project, iteration = self._resource.iteration(request)
        hidden = request.lag() > 0
        return Answer(body=[] if hidden else [self._shown(project, iteration, export) for export in iteration.exports])

    def start(self, request: Request) -> Answer:
        """ExportIteration: refused where the same export is there or on its way."""
        project, iteration = self._resource.iteration(request)
        required(request.query, "platform")
        platform, flavor = self._checked(iteration, request.query["platform"], request.query.get("flavor") or None)
        for before in iteration.exports:
            if same(before, platform, flavor) and before["status"] != "Failed" and not before["newerVersionAvailable"]:
                message = f"{iteration.id} is already queued for export"
                raise refuse(400, "BadRequestExportAlreadyInProgress", message)
        iteration.exports = [one for one in iteration.exports if not same(one, platform, flavor)]
        export = {**EXPORT, "platform": platform, "flavor": flavor, "status": "Exporting"}
        iteration.exports.append(export)
        seconds = self._resource.settings["export_seconds"]
        self._resource.later.do(seconds, lambda: self._finish(project, iteration, export))
        return Answer(body=self._shown(project, iteration, export))

    def write_done(self, project: Project) -> None:
        """Write what a seeded project says is Done."""
        for iteration in project.iterations.values():
            for export in iteration.exports:
                if export["status"] == "Done":
                    self._write(project, iteration, export)

    def artifact(self, project: Project, path: str) -> bytes | None:
        """Give the bytes of an export whose URI is a path."""
        for iteration in project.iterations.values():
            for export in iteration.exports:
                if export["status"] == "Done" and path == f"exports/{own_blob(project.id, iteration.id, export)[1]}":
                    return self._model(iteration, export)
        return None

    def _checked(self, iteration: Iteration, platform: str, flavor: str | None) -> tuple[str, str | None]:
        """Refuse what cannot be exported; the platform in its own spelling."""
        if iteration.wire["status"] == TRAINING:
            raise refuse(400, "BadRequestExportWhileTraining", "The iteration is being trained.")
        if iteration.wire["status"] != COMPLETED:
            raise refuse(400, "BadRequestIterationIsNotTrained", "The iteration is not trained.")
        spelled = {one.lower(): one for one in iteration.wire["exportableTo"]}
        if not iteration.wire["exportable"] or platform.lower() not in spelled:
            raise refuse(400, "BadRequestExportValidationFailed", f"Iteration cannot be exported to {platform}.")
        platform = spelled[platform.lower()]
        if platform == "VAIDK" and iteration.wire["trainingType"] == "Advanced":
            message = f"{platform} is not supported for advanced training."
            raise refuse(400, "BadRequestExportPlatformNotSupportedForAdvancedTraining", message)
        known = {one.lower() for one in FLAVORS.get(platform, ())}
        if known and (flavor or "").lower() not in known:
            message = f"{platform} has no flavor '{flavor or ''}'."
            raise refuse(400, "BadRequestExportValidationFailed", message)
        return platform, flavor

    def _finish(self, project: Project, iteration: Iteration, export: dict[str, Any]) -> None:
        with self._resource.lock:
            if project.id not in self._resource.projects or iteration.id not in project.iterations:
                return
            content = {"projectId": project.id, "iterationId": iteration.id, "exportStatus": "ExportFailed"}
            outcome = self._resource.settings["export_outcome"]
            if outcome == "Done":
                uri = self._write(project, iteration, export)
                content |= {"exportStatus": "ExportCompleted", "modelUri": uri}
            export["status"] = outcome
            self._resource.notify(project, "Export", content)

    def _model(self, iteration: Iteration, export: dict[str, Any]) -> bytes:
        size = int(export.get("bytes", self._resource.settings["export_bytes"]))
        return model(iteration.id, export["platform"], size)

    def _write(self, project: Project, iteration: Iteration, export: dict[str, Any]) -> str:
        """Write an export where the service keeps it and where the user wants it; the URI that is announced."""
        content = self._model(iteration, export)
        container, name = own_blob(project.id, iteration.id, export)
        own, storage, settings = self._resource.own, self._resource.storage, self._resource.settings
        own.create_container(container)
        own.write(container, name, content)
        if not (uri := project.settings["exportModelContainerUri"]):
            return own.signed(container, name, seconds=settings["sas_seconds"])
        theirs = storage.container_of(uri)
        assert theirs is not None, f"{uri} is no container of the app's storage account"
        dotted = f".{export['flavor']}" if export["flavor"] else ""
        blob = str(settings["blob_name"]).format(
            projectId=project.id, iterationId=iteration.id, platformType=export["platform"], flavor=dotted
        )
        return storage.write(theirs, blob, content)

    def _shown(self, project: Project, iteration: Iteration, export: dict[str, Any]) -> dict[str, Any]:
        container, name = own_blob(project.id, iteration.id, export)
        settings, uri = self._resource.settings, None
        if export["status"] == "Done":
            signed = self._resource.own.signed(container, name, seconds=settings["sas_seconds"])
            uri = f"exports/{name}" if settings["artifacts"] else signed
        return {
            "platform": export["platform"],
            "status": export["status"],
            "downloadUri": uri,
            "flavor": export["flavor"],
            "newerVersionAvailable": export["newerVersionAvailable"],
        }


def same(export: dict[str, Any], platform: str, flavor: str | None) -> bool:
    """Whether an export is of this platform and flavour, compared ignoring case."""
    return (export["platform"].lower(), (export["flavor"] or "").lower()) == (platform.lower(), (flavor or "").lower())


def own_blob(project: str, iteration: str, export: dict[str, Any]) -> tuple[str, str]:
    """Container and name of an export in the service's own account."""
    flavor = f".{export['flavor']}" if export["flavor"] else ""
    return f"m-{hexed(project)}", f"{hexed(iteration)}.{export['platform']}{flavor}.zip"


def model(iteration: str, platform: str, size: int) -> bytes:
    """Give a real zip of about so many bytes, the same for the same export."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("labels.txt"), "apple\nbanana\n")
        content = random.Random(f"{iteration}{platform}").randbytes(max(size, 1))
        archive.writestr(zipfile.ZipInfo(f"model.{platform.lower()}"), content)
    return held.getvalue()
