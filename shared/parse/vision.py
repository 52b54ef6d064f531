"""Custom Vision's queue messages: ConnectionTest, Training and Export.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

import uuid
from urllib.parse import unquote

from shared import endings
from shared.errors import MalformedError
from shared.events import Event
from shared.parse.wire import (
    Fields,
    make_spelling,
    read_message,
    refuse,
    respelled,
    take_needed,
    take_object,
    take_text,
)

NOTIFICATION = make_spelling("version", "type", "Content")
CONTENT = make_spelling("projectId", "iterationId", "trainingStatus", "exportStatus", "modelUri")

VISION_TYPES = {type_.lower(): type_ for type_ in ("ConnectionTest", "Training", "Export")}
VISION_KINDS = {
    kind.lower(): kind for kind in ("TrainingCompleted", "TrainingFailed", "ExportCompleted", "ExportFailed")
}
VISION_STATUS = {"Training": "trainingStatus", "Export": "exportStatus"}

PLATFORMS = {
    platform.lower(): platform for platform in ("CoreML", "TensorFlow", "DockerFile", "ONNX", "VAIDK", "OpenVino")
}
HEX = frozenset("0123456789abcdefABCDEF")


def vision_notification(body: str | bytes) -> Event:
    """Read Custom Vision's queue message; it has no id and no time, and its type alone says what happened to what."""
    message = read_message(body)
    if type(message) is not dict:
        refuse(message, "a notification", "")
    envelope = respelled(message, NOTIFICATION)
    if (take_text(envelope, "version", under="") or "1.0").partition(".")[0] != "1":
        raise MalformedError("not version 1.0", field="version")
    wire_type = take_needed(envelope, "type", under="")
    type_ = VISION_TYPES.get(wire_type.lower(), wire_type)
    if "Content" not in envelope:
        raise MalformedError("missing", field="Content")
    content = respelled(take_object(envelope["Content"], "Content"), CONTENT)
    project = _guid(content, "projectId")
    status = take_needed(content, VISION_STATUS[type_], under="Content.") if type_ in VISION_STATUS else None
    iteration = _guid(content, "iterationId") if status or content.get("iterationId") is not None else None
    platform, flavor = _exported(take_text(content, "modelUri", under="Content.") or "")
    return Event(
        door="vision_notification",
        type=f"CustomVision.{type_}",
        kinds=_vision_kinds(type_, status),
        id="",
        source=f"customvision/{project}",
        subject=f"projects/{project}/iterations/{iteration}" if iteration else f"projects/{project}",
        time=None,
        data=content,
        facts={
            "vision": {
                "project": project,
                "iteration": iteration,
                "platform": platform,
                "flavor": flavor,
                "status": status and VISION_KINDS.get(status.lower(), status),
            }
        },
        payload=message,
        once=_once(type_, status, project, iteration),
        repeatable=True,
    )


def _once(type_: str, status: str | None, project: str, iteration: str | None) -> dict[str, str]:
    """Say what a rule answers once: a training, which ends once; an iteration may be exported again."""
    kinds = _vision_kinds(type_, status) if type_ == "Training" and iteration else frozenset[str]()
    return dict.fromkeys(kinds, endings.answered_once(project, iteration or ""))


def _guid(content: Fields, name: str) -> str:
    """Take an id that may stand in a path, in one spelling: lower case, and a GUID with its dashes."""
    id = take_needed(content, name, under="Content.")
    if not id.isascii() or not id.replace("-", "").isalnum():
        raise MalformedError("not an id", field=f"Content.{name}")
    try:
        return str(uuid.UUID(id))
    except ValueError:
        return id.lower()


def _vision_kinds(type_: str, status: str | None) -> frozenset[str]:
    if type_ == "ConnectionTest":
        return frozenset({"ConnectionTested"})
    kind = VISION_KINDS.get(status.lower()) if status else None
    return frozenset({kind}) if kind and kind.startswith(type_) else frozenset()


def _exported(uri: str) -> tuple[str | None, str | None]:
    """Read platform and flavor off the blob's name; None where it does not tell, and GetExports has to.

    A backup is named "{project} - {iteration}.{platform}", the service's own blobs leave the project out.
    Whether flavor and ".zip" follow is documented nowhere, so both may.
    """
    blob = uri.partition("?")[0].rpartition("/")[2].replace("%20", " ")
    ids, _, kind = unquote(blob).partition(".")
    digits = ids.replace("-", "").replace(" ", "")
    platform, _, flavor = kind.removesuffix(".zip").partition(".")
    plain = kind.isascii() and platform.isalpha() and platform != "zip"
    if not plain or len(digits) not in {32, 64} or not HEX.issuperset(digits):
        return None, None
    return PLATFORMS.get(platform.lower(), platform), flavor if flavor.replace("_", "").isalnum() else None
