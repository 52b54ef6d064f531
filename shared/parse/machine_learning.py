"""Events about Azure Machine Learning, in Event Grid's schema or CloudEvents 1.0.

https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning
"""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from shared.errors import MalformedError
from shared.events import DEPTH_TAG, Event, lineage
from shared.parse.wire import (
    NUMBERS,
    Fields,
    make_spelling,
    read_message,
    refuse,
    respelled,
    take_needed,
    take_object,
    take_text,
    take_time,
)

# -- Event Grid -------------------------------------------------------------------------------------------------------

ENVELOPE = make_spelling(
    *("id", "subject", "data", "dataVersion", "metadataVersion"),
    *("topic", "eventType", "eventTime"),
    *("specversion", "source", "type", "time"),
    also=(
        *("datacontenttype", "dataschema", "traceparent", "tracestate"),
        *("deadLetterReason", "deliveryAttempts", "lastDeliveryOutcome", "publishTime", "lastDeliveryAttemptTime"),
        *("deadletterreason", "deliveryattempts", "lastdeliveryoutcome", "publishtime", "lastdeliveryattempttime"),
    ),
)

DATA = make_spelling(
    *("modelName", "modelVersion", "modelTags", "modelProperties"),
    *("serviceName", "serviceComputeType", "modelIds", "serviceTags", "serviceProperties"),
    *("experimentId", "experimentName", "runId", "runType", "runTags", "runProperties", "runStatus", "createdBy"),
    *("dataDriftId", "dataDriftName", "baseDatasetId", "targetDatasetId", "driftCoefficient", "startTime", "endTime"),
)
"""The names inside `data`; what is inside the dictionaries of tags and properties is the user's own."""


LONGEST_DEPTH = 4
"""Digits: who writes more into a tag of ours means something else."""


class Reading(NamedTuple):
    """What a type's `data` means: the fields of `Event` that are derived."""

    kinds: frozenset[str]
    facts: dict[str, Fields]
    once: dict[str, str]


def event_grid(body: str | bytes) -> Event:
    """Read an event in Event Grid's schema or CloudEvents 1.0: an object, or an array of exactly one."""
    message = read_message(body)
    if type(message) is list:
        if len(message) != 1:
            raise MalformedError(f"an array of {len(message)} events, where exactly one is expected")
        message = message[0]
    if type(message) is not dict:
        refuse(message, "an event", "")
    envelope = respelled(message, ENVELOPE)
    source_name, type_name, time_name = _envelope_names(envelope)
    source = take_needed(envelope, source_name, under="")
    type_ = take_needed(envelope, type_name, under="")
    subject = take_text(envelope, "subject", under="") or ""
    data = take_object(envelope.get("data"), "data")
    known = TYPES.get(type_) or TYPES.get(type_.lower())
    if known:
        type_, read = known
        data = respelled(data, DATA)
        reading = read(source, subject, data)
    else:
        reading = UNKNOWN
    return Event(
        door="event_grid",
        type=type_,
        kinds=reading.kinds,
        id=take_needed(envelope, "id", under=""),
        source=source,
        subject=subject,
        time=take_time(envelope, time_name),
        data=data,
        facts=reading.facts,
        payload=message,
        once=reading.once,
        depth=_depth(data),
    )


def _depth(data: Fields) -> int:
    """Say how many actions led here: a job or model that we made carries how many had led to its making."""
    told = lineage(data, DEPTH_TAG)
    return int(told) + 1 if told.isdecimal() and len(told) < LONGEST_DEPTH else 0


def _envelope_names(envelope: Fields) -> tuple[str, str, str]:
    """Tell the envelope by what only it has; return its names for source, type and time."""
    if "specversion" in envelope:
        if not take_needed(envelope, "specversion", under="").startswith("1."):
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
    wire_status = take_needed(data, "runStatus")
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
    id = take_needed(data, "runId")
    properties = take_object(data.get("runProperties"), "data.runProperties")
    root = properties.get("azureml.rootpipelinerunid") or properties.get("azureml.pipelinerunid")
    if type(root) is not str:
        root = None
    return {
        "id": id,
        "status": status,
        "experiment": take_text(data, "experimentName"),
        "type": take_text(data, "runType"),
        "is_root": None if root is None else root == id,
        "root_id": root,
    }


def _breach(data: Fields) -> str | None:
    """Return Model Monitor's text where the run carries its tag, in any casing; a blank one was taken back."""
    tags = take_object(data.get("runTags"), "data.runTags")
    if BREACH_TAG in tags:
        text = tags[BREACH_TAG]
    else:
        text = next((tags[name] for name in tags if len(name) == len(BREACH_TAG) and name.lower() == BREACH_TAG), None)
    if text is None or type(text) is str:
        return text if text and not text.isspace() else None
    return refuse(text, "text", f"data.runTags.{BREACH_TAG}")


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
    name = take_needed(data, "modelName")
    version = _version(data.get("modelVersion"))
    model = {
        "name": name,
        "version": version,
        "id": f"{source}/models/{name}/versions/{version}",
        "tags": take_object(data.get("modelTags"), "data.modelTags"),
        "properties": take_object(data.get("modelProperties"), "data.modelProperties"),
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
    return refuse(value, "a version", "data.modelVersion")


def _model_deployed(_source: str, _subject: str, data: Fields) -> Reading:
    deployment = {
        "service": take_needed(data, "serviceName"),
        "compute_type": take_text(data, "serviceComputeType"),
        "models": _models(take_text(data, "modelIds") or ""),
        "tags": take_object(data.get("serviceTags"), "data.serviceTags"),
        "properties": take_object(data.get("serviceProperties"), "data.serviceProperties"),
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
    id = take_text(data, "dataDriftId") or (named[1] if named else None)
    monitor = take_text(data, "dataDriftName") or id or take_needed(data, "dataDriftName")
    run_id = named[2] if named and data.get("runId") is None else take_needed(data, "runId")
    coefficient = data.get("driftCoefficient")
    if coefficient is not None and type(coefficient) not in NUMBERS:
        refuse(coefficient, "a number", "data.driftCoefficient")
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
