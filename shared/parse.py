"""From the wire to an `Event`: the only module that knows the payloads.

Three doors bring three shapes: Event Grid's events (its own schema or CloudEvents 1.0, about Azure Machine Learning),
Custom Vision's queue messages, and the reactor's own events as they were stored.
What is none of these raises `MalformedError`, which names the field; nothing else is ever raised.
A type that nobody knows is an event without kinds: it is recorded, and no rule can hear it.

This runs once for every event, so the usual spelling of a message is read as it lies there, without a copy.

Azure Machine Learning: https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning
Custom Vision: https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote

from shared.errors import MalformedError
from shared.events import OWN_TYPE, Event

DEEPEST = 64
"""Levels of nesting that are read; far more than any service sends, far less than Python's recursion limit."""

Fields = dict[str, Any]


# -- text: bytes to JSON ----------------------------------------------------------------------------------------------


def _not_json_number(text: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python's reader takes and JSON does not have."""
    raise MalformedError(f"not JSON: {text} is not a number that JSON has")


def _finite(text: str) -> float:
    """Read a fraction, and refuse one too large to be written again."""
    number = float(text)
    return number if isfinite(number) else _not_json_number(text)


JSON = json.JSONDecoder(parse_constant=_not_json_number, parse_float=_finite)
OPENING = ("{", "[")
BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _message(body: str | bytes) -> Any:
    """Read a body that is JSON, or base64 of JSON, whatever a queue or a trigger put around it."""
    text = _decoded(body)
    if not text.startswith(OPENING):
        text = _decoded(_from_base64(text))
    try:
        message = JSON.decode(text)
    except RecursionError:
        raise MalformedError(f"nested deeper than {DEEPEST} levels") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error}") from None
    except ValueError:
        raise MalformedError("not JSON that can be kept: a number has thousands of digits") from None
    if text.count("{") + text.count("[") > DEEPEST:
        _refuse_deep(message)
    if "\\" in text and SURROGATE.search(text):
        _refuse_lone_surrogates(json.dumps(message, ensure_ascii=False))
    return message


def _decoded(body: str | bytes) -> str:
    """Decode a body and take off the byte order mark and the white space around it."""
    if isinstance(body, bytes):
        try:
            body = body.decode()
        except UnicodeDecodeError as error:
            raise MalformedError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    elif not body.isascii():
        _refuse_lone_surrogates(body)
    return body.strip().removeprefix("\ufeff").strip()


def _from_base64(text: str) -> bytes:
    """Undo the base64 that queue clients wrap a message in."""
    if not text:
        raise MalformedError("empty")
    try:
        decoded = b64decode("".join(text.split()), validate=True)
    except ValueError:
        decoded = b""
    if not decoded.lstrip(BEFORE_JSON).startswith((b"{", b"[")):
        raise MalformedError("neither JSON nor base64 of JSON")
    return decoded


def _refuse_deep(message: Any) -> None:
    """Walk down level by level, without recursion."""
    level = [message]
    for _ in range(DEEPEST):
        values = [value for node in level for value in (node.values() if type(node) is dict else node)]
        level = [value for value in values if type(value) is dict or type(value) is list]
        if not level:
            return
    raise MalformedError(f"nested deeper than {DEEPEST} levels")


def _refuse_lone_surrogates(text: str) -> None:
    """Half a character can be neither stored nor sent on."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MalformedError("not Unicode: half of a surrogate pair") from None


# -- fields: names, and values of the right type ----------------------------------------------------------------------


class Spelling(NamedTuple):
    """The platform's names as rules know them; on the wire they are met in other casings too."""

    right: frozenset[str]
    by_lower: Mapping[str, str]


def _spelling(*names: str, also: tuple[str, ...] = ()) -> Spelling:
    """Make the table for names; those in `also` are known, and nobody reads them."""
    return Spelling(frozenset(names + also), {name.lower(): name for name in names})


def _spelled(fields: Fields, spelling: Spelling) -> Fields:
    """Give the platform's names their one spelling; the same dict where they have it.

    Where a name comes in two casings, the right one wins, and among wrong ones the first in the alphabet.
    """
    if fields.keys() <= spelling.right:
        return fields
    renamed: Fields = {}
    for name in sorted(fields):
        right = spelling.by_lower.get(name.lower(), name)
        if right == name or (right not in fields and right not in renamed):
            renamed[right] = fields[name]
    return renamed


JSON_TYPES = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
NUMBERS = (int, float)


def _refuse(value: Any, wanted: str, field: str) -> NoReturn:
    raise MalformedError(f"{JSON_TYPES[type(value)]} where {wanted} is expected", field=field)


def _object(value: Any, field: str) -> Fields:
    """Take an object as it is; one that is missing or null is empty."""
    if type(value) is dict:
        return value
    return {} if value is None else _refuse(value, "an object", field)


def _text(fields: Fields, name: str, under: str = "data.") -> str | None:
    """Take a text that may be missing."""
    value = fields.get(name)
    if value is None or type(value) is str:
        return value
    return _refuse(value, "text", under + name)


def _needed(fields: Fields, name: str, under: str = "data.") -> str:
    """Take a text that must be there."""
    value = fields.get(name)
    if type(value) is str and value and not value.isspace():
        return value
    if value is None or type(value) is str:
        raise MalformedError("missing" if value is None else "empty", field=under + name)
    return _refuse(value, "text", under + name)


def _time(fields: Fields, name: str) -> datetime | None:
    """Read a time: any number of fractional digits (the platform writes seven), any offset, UTC where it has none."""
    value = _text(fields, name, under="")
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value.strip().upper())
        if time.tzinfo is UTC:
            return time
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedError("not an ISO 8601 time", field=name) from None


# -- Event Grid -------------------------------------------------------------------------------------------------------

ENVELOPE = _spelling(
    *("id", "subject", "data", "dataVersion", "metadataVersion"),
    *("topic", "eventType", "eventTime"),
    *("specversion", "source", "type", "time"),
    also=(
        *("datacontenttype", "dataschema", "traceparent", "tracestate"),
        *("deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome", "publishTime", "lastDeliveryAttemptTime"),
        *("deadletterreason", "deliveryattempts", "lastdeliveryoutcome", "publishtime", "lastdeliveryattempttime"),
    ),
)

DATA = _spelling(
    *("modelName", "modelVersion", "modelTags", "modelProperties"),
    *("serviceName", "serviceComputeType", "modelIds", "serviceTags", "serviceProperties"),
    *("experimentId", "experimentName", "runId", "runType", "runTags", "runProperties", "runStatus", "createdBy"),
    *("dataDriftId", "dataDriftName", "baseDatasetId", "targetDatasetId", "driftCoefficient", "startTime", "endTime"),
)
"""The names inside `data`; what is inside the dictionaries of tags and properties is the user's own."""


class Reading(NamedTuple):
    """What a type's `data` means: the fields of `Event` that are derived."""

    kinds: frozenset[str]
    facts: dict[str, Fields]
    once: dict[str, str]


def event_grid(body: str | bytes) -> Event:
    """Read an event in Event Grid's schema or CloudEvents 1.0: an object, or an array of exactly one."""
    message = _message(body)
    if type(message) is list:
        if len(message) != 1:
            raise MalformedError(f"an array of {len(message)} events, where exactly one is expected")
        message = message[0]
    if type(message) is not dict:
        _refuse(message, "an event", "")
    envelope = _spelled(message, ENVELOPE)
    source_name, type_name, time_name = _envelope_names(envelope)
    source = _needed(envelope, source_name, under="")
    type_ = _needed(envelope, type_name, under="")
    subject = _text(envelope, "subject", under="") or ""
    data = _object(envelope.get("data"), "data")
    known = TYPES.get(type_) or TYPES.get(type_.lower())
    if known:
        type_, read = known
        data = _spelled(data, DATA)
        reading = read(source, subject, data)
    else:
        reading = UNKNOWN
    return Event(
        door="event_grid",
        type=type_,
        kinds=reading.kinds,
        id=_needed(envelope, "id", under=""),
        source=source,
        subject=subject,
        time=_time(envelope, time_name),
        data=data,
        facts=reading.facts,
        payload=message,
        once=reading.once,
    )


def _envelope_names(envelope: Fields) -> tuple[str, str, str]:
    """Tell the envelope by what only it has; return its names for source, type and time."""
    if "specversion" in envelope:
        if not _needed(envelope, "specversion", under="").startswith("1."):
            raise MalformedError("not CloudEvents 1.0", field="specversion")
        return "source", "type", "time"
    if "eventType" in envelope:
        return "topic", "eventType", "eventTime"
    raise MalformedError("neither an Event Grid event (no eventType) nor a CloudEvent (no specversion)")


# -- Azure Machine Learning: runs, and what a run's tags tell about drift ---------------------------------------------

STATUSES = {
    status.lower(): status
    for status in (
        *("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Running", "Finalizing"),
        *("CancelRequested", "Completed", "Failed", "Canceled", "NotResponding", "Paused", "Unknown"),
    )
} | {"cancelled": "Canceled"}
"""Azure Machine Learning's job statuses: events have been seen with "failed" as well as "Failed"."""

WORTH_A_LOOK = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
"""A job with one of these may be over. NotResponding may recover, so it is worth a look and is not a failure."""

BREACH_TAG = "azureml_modelmonitor_threshold_breached"
"""The tag that Model Monitor puts on its run: there is no event of its own.

https://learn.microsoft.com/azure/machine-learning/how-to-monitor-model-performance
"""

RUN_COMPLETED = frozenset({"RunCompleted"})
RUN_STATUS_CHANGED = frozenset({"RunStatusChanged"})

RUN_MEANS = {"Failed": "RunFailed", "Canceled": "RunCanceled"}
"""What people mean by a run's status."""
MONITOR_MEANS = {"Failed": "DriftDetected", "Completed": "DriftRecovered", "Canceled": "RunCanceled"}
"""The same for a monitor's run, whose failure is the breach it found, and never a failed run."""
WITH_DERIVED = {kind: RUN_STATUS_CHANGED | {kind} for kind in (*RUN_MEANS.values(), *MONITOR_MEANS.values())}


def _run_completed(_source: str, _subject: str, data: Fields) -> Reading:
    return Reading(RUN_COMPLETED, {"run": _run(data, "Completed")}, {})


def _run_status_changed(source: str, _subject: str, data: Fields) -> Reading:
    wire_status = _needed(data, "runStatus")
    status = STATUSES.get(wire_status.lower(), wire_status)
    run = _run(data, status)
    breach = _breach(data)
    kind = (RUN_MEANS if breach is None else MONITOR_MEANS).get(status)
    if kind is None:
        return Reading(RUN_STATUS_CHANGED, {"run": run}, {})
    if breach is None or kind == "RunCanceled":
        return Reading(WITH_DERIVED[kind], {"run": run}, {kind: f"{kind} {source.lower()}/runs/{run['id']}"})
    drift = _monitor_drift(breach)
    # The tag stays on the run and may be on its children: one breach of one signal is one drift.
    identity = f"{kind} {source.lower()}/runs/{run['root_id'] or run['id']}/signals/{drift['signal'] or ''}"
    return Reading(WITH_DERIVED[kind], {"run": run, "drift": drift}, {kind: identity})


def _run(data: Fields, status: str | None) -> Fields:
    """Say which run it is. Only a pipeline's steps name their pipeline, so root and rank may be unknown."""
    id = _needed(data, "runId")
    properties = _object(data.get("runProperties"), "data.runProperties")
    root = properties.get("azureml.rootpipelinerunid") or properties.get("azureml.pipelinerunid")
    if type(root) is not str:
        root = None
    return {
        "id": id,
        "status": status,
        "experiment": _text(data, "experimentName"),
        "type": _text(data, "runType"),
        "is_root": None if root is None else root == id,
        "root_id": root,
    }


def _breach(data: Fields) -> str | None:
    """Return Model Monitor's text where the run carries its tag, in any casing; a blank one was taken back."""
    tags = _object(data.get("runTags"), "data.runTags")
    if BREACH_TAG in tags:
        text = tags[BREACH_TAG]
    else:
        text = next((tags[name] for name in tags if len(name) == len(BREACH_TAG) and name.lower() == BREACH_TAG), None)
    if text is None or type(text) is str:
        return text if text and not text.isspace() else None
    return _refuse(text, "text", f"data.runTags.{BREACH_TAG}")


BREACH_ROW = re.compile(r"\{[^{}]*\}")

SIGNALS = (
    *("data_drift", "prediction_drift", "feature_attribution_drift", "data_quality", "model_performance"),
    *("generation_safety_quality", "generation_token_statistics"),
)
"""Model Monitor's own kinds of signal; the docs advise to name a signal <monitor>_<signal>."""
SIGNAL_ENDINGS = tuple(f"_{signal}" for signal in SIGNALS)


def _monitor_drift(breach: str) -> Fields:
    """Read what the tag tells: the signal, and below it a dump of rows, one a feature. None where it does not."""
    signal = _signal(breach)
    return {
        "monitor": _monitor_of(signal) if signal else None,
        "signal": signal,
        "coefficient": None,
        "features": _breached_features(breach),
        "generation": 2,
    }


def _signal(breach: str) -> str | None:
    """Take the name out of "The signal 'credit_data_drift' has failed due to one or more features violating …"."""
    head, failed, _ = breach[:512].partition(" has failed")
    if not failed:
        return None
    for quote in "'", '"':
        _, opened, rest = head.partition(quote)
        name, closed, _ = rest.rpartition(quote)
        if opened and closed:
            return name.strip() or None
    return next(reversed(head.split()), None)


def _monitor_of(signal: str) -> str:
    """Take the monitor off a signal's name; a name that cannot be divided stands for both."""
    lower = signal.lower()
    if lower in SIGNALS:
        return signal
    ending = next((ending for ending in SIGNAL_ENDINGS if lower.endswith(ending)), None)
    monitor = signal.rpartition("_")[0] if ending is None else signal[: -len(ending)]
    return monitor or signal


def _breached_features(breach: str) -> list[str]:
    """List the features whose metric is over its threshold; all of those listed where the rows do not say.

    The rows are JSON objects inside a printed Python list, all metrics of the signal among them.
    """
    rows = _rows(breach)
    over = [row for row in rows if _is_over(row.get("metric_value"), row.get("threshold_value"))]
    return list(dict.fromkeys(row["group"] for row in over or rows))


def _rows(breach: str) -> list[Fields]:
    """Read the rows as one array where the list is whole, else each row that is."""
    text = breach.replace("\\\\", "\\").replace("\\'", "'") if "\\" in breach else breach
    printed = text[text.find("['") + 2 : text.rfind("']")].replace("', '", ",")
    whole = _json_or_none(f"[{printed}]")
    rows = whole if type(whole) is list else map(_json_or_none, BREACH_ROW.findall(text))
    return [row for row in rows if type(row) is dict and type(row.get("group")) is str]


def _json_or_none(text: str) -> Any:
    """Read a piece of the tag; it is cut off or printed by another version at times, and the signal is what counts."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_over(value: Any, threshold: Any) -> bool:
    return type(value) in NUMBERS and type(threshold) in NUMBERS and value > threshold


# -- Azure Machine Learning: models, and drift of the first generation ------------------------------------------------

MODEL_REGISTERED = frozenset({"ModelRegistered"})
MODEL_DEPLOYED = frozenset({"ModelDeployed"})
DATASET_DRIFT_DETECTED = frozenset({"DatasetDriftDetected", "DriftDetected"})

DRIFT_SUBJECT = re.compile(r"datadrifts?/([^/]+)/runs?/([^/]+)", re.IGNORECASE)


def _model_registered(source: str, _subject: str, data: Fields) -> Reading:
    name = _needed(data, "modelName")
    version = _version(data.get("modelVersion"))
    model = {
        "name": name,
        "version": version,
        "id": f"{source}/models/{name}/versions/{version}",
        "tags": _object(data.get("modelTags"), "data.modelTags"),
        "properties": _object(data.get("modelProperties"), "data.modelProperties"),
    }
    return Reading(MODEL_REGISTERED, {"model": model}, {})


def _version(value: Any) -> str:
    """Take a version as the text it is; the docs' samples write it as a whole number."""
    if type(value) is str and value and not value.isspace():
        return value
    if type(value) is int:
        return str(value)
    if value is None or value == "":
        raise MalformedError("missing", field="data.modelVersion")
    return _refuse(value, "a version", "data.modelVersion")


def _model_deployed(_source: str, _subject: str, data: Fields) -> Reading:
    deployment = {
        "service": _needed(data, "serviceName"),
        "compute_type": _text(data, "serviceComputeType"),
        "models": _models(_text(data, "modelIds") or ""),
        "tags": _object(data.get("serviceTags"), "data.serviceTags"),
        "properties": _object(data.get("serviceProperties"), "data.serviceProperties"),
    }
    return Reading(MODEL_DEPLOYED, {"deployment": deployment}, {})


def _models(ids: str) -> list[Fields]:
    """Divide "fraud:12,credit:3" into names and versions."""
    divided = [id.strip().rpartition(":") for id in ids.split(",") if id.strip()]
    return [
        {"name": name, "version": rest} if colon else {"name": rest, "version": None} for name, colon, rest in divided
    ]


def _dataset_drift_detected(source: str, subject: str, data: Fields) -> Reading:
    """Read a dataset monitor's event; its ids are in the subject as well, which is met in two spellings."""
    named = DRIFT_SUBJECT.fullmatch(subject)
    id = _text(data, "dataDriftId") or (named[1] if named else None)
    monitor = _text(data, "dataDriftName") or id or _needed(data, "dataDriftName")
    run_id = named[2] if named and data.get("runId") is None else _needed(data, "runId")
    coefficient = data.get("driftCoefficient")
    if coefficient is not None and type(coefficient) not in NUMBERS:
        _refuse(coefficient, "a number", "data.driftCoefficient")
    return Reading(
        DATASET_DRIFT_DETECTED,
        {
            "run": {
                "id": run_id,
                "status": None,
                "experiment": None,
                "type": None,
                "is_root": None,
                "root_id": None,
            },
            "drift": {
                "monitor": monitor,
                # It has no name on the wire: called as Model Monitor's would be, one rule hears both generations.
                "signal": f"{monitor}_data_drift",
                "coefficient": coefficient,
                "features": [],
                "generation": 1,
            },
        },
        {"DriftDetected": f"DriftDetected {source.lower()}/datadrift/{id or monitor}/runs/{run_id}"},
    )


UNKNOWN = Reading(frozenset(), {}, {})

AZURE_ML = "Microsoft.MachineLearningServices."
READERS: dict[str, Callable[[str, str, Fields], Reading]] = {
    f"{AZURE_ML}RunCompleted": _run_completed,
    f"{AZURE_ML}RunStatusChanged": _run_status_changed,
    f"{AZURE_ML}ModelRegistered": _model_registered,
    f"{AZURE_ML}ModelDeployed": _model_deployed,
    f"{AZURE_ML}DatasetDriftDetected": _dataset_drift_detected,
}
TYPES = {spelling: (type_, read) for type_, read in READERS.items() for spelling in (type_, type_.lower())}

# -- Custom Vision ----------------------------------------------------------------------------------------------------

NOTIFICATION = _spelling("version", "type", "Content")
CONTENT = _spelling("projectId", "iterationId", "trainingStatus", "exportStatus", "modelUri")

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
    message = _message(body)
    if type(message) is not dict:
        _refuse(message, "a notification", "")
    envelope = _spelled(message, NOTIFICATION)
    if (_text(envelope, "version", under="") or "1.0").partition(".")[0] != "1":
        raise MalformedError("not version 1.0", field="version")
    wire_type = _needed(envelope, "type", under="")
    type_ = VISION_TYPES.get(wire_type.lower(), wire_type)
    if "Content" not in envelope:
        raise MalformedError("missing", field="Content")
    content = _spelled(_object(envelope["Content"], "Content"), CONTENT)
    project = _guid(content, "projectId")
    status = _needed(content, VISION_STATUS[type_], under="Content.") if type_ in VISION_STATUS else None
    iteration = _guid(content, "iterationId") if status or content.get("iterationId") is not None else None
    platform, flavor = _exported(_text(content, "modelUri", under="Content.") or "")
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
        repeatable=True,
    )


def _guid(content: Fields, name: str) -> str:
    """Take an id that may stand in a path: lower case, and nothing in it but letters, digits and dashes."""
    id = _needed(content, name, under="Content.")
    if not id.isascii() or not id.replace("-", "").isalnum():
        raise MalformedError("not an id", field=f"Content.{name}")
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


# -- our own ----------------------------------------------------------------------------------------------------------


def own(body: str | bytes) -> Event:
    """Read an event that `events.announce` made, as its payload was stored: the same event again."""
    message = _message(body)
    if type(message) is not dict:
        _refuse(message, "an event", "")
    type_ = _needed(message, "type", under="")
    kind = type_.removeprefix(OWN_TYPE)
    if kind in {type_, ""}:
        raise MalformedError(f"not {OWN_TYPE} and a kind", field="type")
    return Event(
        door="own",
        type=type_,
        kinds=frozenset({kind}),
        id=_needed(message, "id", under=""),
        source=_needed(message, "source", under=""),
        subject=_text(message, "subject", under="") or "",
        time=_time(message, "time"),
        data=_object(message.get("data"), "data"),
        facts={name: _object(value, f"facts.{name}") for name, value in _object(message.get("facts"), "facts").items()},
        payload=message,
        once={name: _needed(message["once"], name, "once.") for name in _object(message.get("once"), "once")},
        depth=_depth(message.get("depth", 0)),
    )


def _depth(value: Any) -> int:
    return value if type(value) is int and value >= 0 else _refuse(value, "a count", "depth")


PARSERS: dict[str, Callable[[str | bytes], Event]] = {
    "event_grid": event_grid,
    "vision_notification": vision_notification,
    "own": own,
}
"""The readers by the name that `Event.door` keeps, so that a stored payload can be read again."""


# -- what an event tells those who wait -------------------------------------------------------------------------------


def wake_tokens(event: Event) -> tuple[str, ...]:
    """Name the remote jobs that this event says may be over; an action that waits for one looks again at once."""
    tell = WAKES.get(event.type)
    return tell(event) if tell and event.kinds else ()


def _run_token(event: Event) -> tuple[str, ...]:
    run = event.facts["run"]
    return (f"run:{event.source.lower()}/{run['id']}",) if run["status"] in WORTH_A_LOOK else ()


def _deployed_token(event: Event) -> tuple[str, ...]:
    return (f"deployed:{event.source.lower()}/{event.facts['deployment']['service']}",)


def _vision_token(event: Event) -> tuple[str, ...]:
    vision = event.facts["vision"]
    what = event.type.removeprefix("CustomVision.").lower()
    return (f"{what}:{vision['project']}/{vision['iteration']}",)


WAKES: dict[str, Callable[[Event], tuple[str, ...]]] = {
    f"{AZURE_ML}RunCompleted": _run_token,
    f"{AZURE_ML}RunStatusChanged": _run_token,
    f"{AZURE_ML}ModelDeployed": _deployed_token,
    "CustomVision.Training": _vision_token,
    "CustomVision.Export": _vision_token,
}
