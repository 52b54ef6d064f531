"""What each notification means: the corpus in tests/events, loaded by name, and everything that is refused."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from shared import parse
from shared.errors import MalformedError
from shared.events import Event, announce
from shared.parse.machine_learning import BREACH_TAG, READERS
from shared.parse.waking import WAKES

EVENTS = Path(__file__).parent.parent / "events"
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod"
    "/providers/Microsoft.MachineLearningServices/workspaces/fraud"
)
PROJECT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ITERATION = "8d8ac610-566d-4ef0-9c22-186b2a5ed793"


def body(name: str) -> str:
    """Return a notification of the corpus as text."""
    return (EVENTS / f"{name}.json").read_text(encoding="utf-8")


def door_of(name: str) -> str:
    """Return the parser that reads a notification of the corpus."""
    return {"vision": "vision_notification", "action": "own"}.get(name.partition("_")[0], "event_grid")


def event(name: str) -> Event:
    """Return a notification of the corpus as an event."""
    return parse.PARSERS[door_of(name)](body(name))


def changed(name: str, **fields: Any) -> str:
    """Return a notification of the corpus with fields of its `data` set, or removed where they are `...`."""
    message = json.loads(body(name))
    envelope = message[0] if isinstance(message, list) else message
    inner = envelope["Content" if "Content" in envelope else "data"]
    for field, value in fields.items():
        if value is ...:
            inner.pop(field, None)
        else:
            inner[field] = value
    return json.dumps(message)


def enveloped(name: str, **fields: Any) -> str:
    """Return a notification of the corpus with fields of its envelope set, or removed where they are `...`."""
    message = json.loads(body(name))
    envelope = message[0] if isinstance(message, list) else message
    envelope.update(fields)
    return json.dumps({field: value for field, value in envelope.items() if value is not ...})


def refused(text: str | bytes, door: str = "event_grid") -> MalformedError:
    """Return the error with which a body is refused."""
    with pytest.raises(MalformedError) as caught:
        parse.PARSERS[door](text)
    return caught.value


# -- kinds ------------------------------------------------------------------------------------------------------------

KINDS = {
    "model_registered": {"ModelRegistered"},
    "model_registered_cloud": {"ModelRegistered"},
    "model_registered_pascal_number": {"ModelRegistered"},
    "model_registered_lower": {"ModelRegistered"},
    "model_registered_untagged": {"ModelRegistered"},
    "dead_lettered": {"ModelRegistered"},
    "dead_lettered_cloud": {"ModelRegistered"},
    "model_deployed": {"ModelDeployed"},
    "model_deployed_cloud": {"ModelDeployed"},
    "model_deployed_pascal": {"ModelDeployed"},
    "run_completed": {"RunCompleted"},
    "run_completed_cloud": {"RunCompleted"},
    "run_completed_mixed": {"RunCompleted"},
    "run_failed": {"RunStatusChanged", "RunFailed"},
    "run_failed_cloud": {"RunStatusChanged", "RunFailed"},
    "run_failed_lower_status": {"RunStatusChanged", "RunFailed"},
    "run_failed_pascal": {"RunStatusChanged", "RunFailed"},
    "run_step_failed": {"RunStatusChanged", "RunFailed"},
    "run_canceled": {"RunStatusChanged", "RunCanceled"},
    "run_running": {"RunStatusChanged"},
    "run_not_responding": {"RunStatusChanged"},
    "dataset_drift": {"DatasetDriftDetected", "DriftDetected"},
    "dataset_drift_cloud": {"DatasetDriftDetected", "DriftDetected"},
    "dataset_drift_pascal": {"DatasetDriftDetected", "DriftDetected"},
    "dataset_drift_plural_subject": {"DatasetDriftDetected", "DriftDetected"},
    "monitor_breach": {"RunStatusChanged", "DriftDetected"},
    "monitor_breach_cloud": {"RunStatusChanged", "DriftDetected"},
    "monitor_breach_pascal": {"RunStatusChanged", "DriftDetected"},
    "monitor_breach_other_casing": {"RunStatusChanged", "DriftDetected"},
    "monitor_breach_step": {"RunStatusChanged", "DriftDetected"},
    "monitor_recovery": {"RunStatusChanged", "DriftRecovered"},
    "monitor_finalizing": {"RunStatusChanged"},
    "unknown_type": set(),
    "vision_connection_test": {"ConnectionTested"},
    "vision_training_completed": {"TrainingCompleted"},
    "vision_training_failed": {"TrainingFailed"},
    "vision_export_completed": {"ExportCompleted"},
    "vision_export_completed_sas": {"ExportCompleted"},
    "vision_export_failed": {"ExportFailed"},
    "vision_lower": {"ExportCompleted"},
    "vision_unknown_type": set(),
    "action_failed": {"ActionFailed"},
}


def test_the_whole_corpus_is_spoken_for() -> None:
    """Every notification in the folder has its kinds stated here."""
    assert {path.stem for path in EVENTS.glob("*.json")} == KINDS.keys()


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name: str) -> None:
    """A notification has the service's own name and what people mean by it."""
    assert event(name).kinds == KINDS[name]


@pytest.mark.parametrize("name", KINDS)
def test_payload_is_the_message(name: str) -> None:
    """The payload is the one message as it was on the wire, and its door reads it into the same event again."""
    wire = json.loads(body(name))
    read = event(name)
    assert read.payload == (wire[0] if isinstance(wire, list) else wire)
    assert parse.PARSERS[read.door](json.dumps(read.payload)) == read


@pytest.mark.parametrize("name", KINDS)
def test_bytes_and_base64_are_the_same_event(name: str) -> None:
    """A body may come as text, bytes, base64, wrapped base64, with a byte order mark or white space around it."""
    read = parse.PARSERS[door_of(name)]
    text = body(name)
    encoded = base64.b64encode(text.encode())
    assert (
        read(text)
        == read(text.encode())
        == read(f"\ufeff\r\n {text}\n")
        == read(b"\xef\xbb\xbf" + text.encode())
        == read(encoded)
        == read(encoded.decode() + "\n")
        == read(base64.encodebytes(b"\xef\xbb\xbf" + text.encode()))
    )


def test_wrapped_base64_with_a_byte_order_mark() -> None:
    """The base64 text of an export, as some queue clients send it, is the export."""
    wrapped = (EVENTS / "vision_export_completed_base64.txt").read_bytes()
    assert parse.vision_notification(wrapped) == event("vision_export_completed")


# -- envelopes and casings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["model_registered", "model_deployed", "run_completed", "run_failed", "dataset_drift", "monitor_breach"]
)
def test_both_envelopes_are_the_same_event(name: str) -> None:
    """Event Grid's schema and CloudEvents give one event with one key; only the payload shows which it was."""
    grid, cloud = event(name), event(f"{name}_cloud")
    assert replace(cloud, payload=grid.payload) == grid
    assert cloud.key == grid.key


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("model_registered", "model_registered_pascal_number"),
        ("model_registered", "model_registered_lower"),
        ("model_deployed", "model_deployed_pascal"),
        ("run_failed", "run_failed_pascal"),
        ("dataset_drift", "dataset_drift_pascal"),
        ("monitor_breach", "monitor_breach_pascal"),
    ],
)
def test_casings_mean_the_same(name: str, other: str) -> None:
    """The platform's names are read in any casing and given in one."""
    one, two = event(name), event(other)
    assert two.data.keys() == one.data.keys()
    assert two.facts == one.facts
    assert two.once == one.once


def test_user_keys_keep_their_casing() -> None:
    """What the user named stays as the user wrote it, dots and capitals included."""
    assert event("model_registered_lower").data["modelTags"] == {"stage": "production", "team.owner": "risk"}
    assert event("run_failed_pascal").data["runTags"] == {"azureml.Team": "risk"}
    text = changed("model_registered", modelTags={"ModelName": "a", "modelname": "b"})
    assert parse.event_grid(text).data["modelTags"] == {"ModelName": "a", "modelname": "b"}


def test_a_name_in_two_casings() -> None:
    """The right spelling wins whatever the order; among wrong ones the first in the alphabet does."""
    for message in ({"modelName": "right", "ModelName": "wrong"}, {"ModelName": "wrong", "modelName": "right"}):
        text = enveloped("model_registered", data=message | {"modelVersion": "1"})
        assert parse.event_grid(text).data == {"modelName": "right", "modelVersion": "1"}
    for message in ({"modelname": "b", "ModelName": "a"}, {"ModelName": "a", "modelname": "b"}):
        text = enveloped("model_registered", data=message | {"modelVersion": "1"})
        assert parse.event_grid(text).data == {"modelName": "a", "modelVersion": "1"}


def test_usual_spelling_is_not_copied() -> None:
    """Where nothing is to be renamed, `data` is the payload's own."""
    read = event("run_failed")
    assert read.data is read.payload["data"]


def test_unknown_fields_are_kept() -> None:
    """A field that the service adds tomorrow is there for rules today, in its own spelling."""
    read = parse.event_grid(changed("model_registered", NewField={"A": 1}))
    assert read.data["NewField"] == {"A": 1}
    assert read.facts == event("model_registered").facts


def test_envelope_names_ignore_case() -> None:
    """An envelope in capitals is an envelope."""
    for name in ("model_registered", "model_registered_cloud"):
        message = json.loads(body(name))
        envelope = message[0] if isinstance(message, list) else message
        text = json.dumps({field.upper(): value for field, value in envelope.items()})
        assert replace(parse.event_grid(text), payload={}) == replace(event(name), payload={})


def test_type_ignores_case() -> None:
    """A type in another casing is that type, and is called by its right name."""
    text = enveloped("model_registered", eventType="microsoft.machinelearningservices.MODELREGISTERED")
    assert parse.event_grid(text).type == "Microsoft.MachineLearningServices.ModelRegistered"
    assert parse.event_grid(text).key == event("model_registered").key


def test_a_name_written_twice() -> None:
    """Where JSON repeats a name, the last one counts, as it does for everybody."""
    text = body("model_registered").replace('"modelVersion"', '"modelVersion": "11", "modelVersion"')
    assert parse.event_grid(text) == event("model_registered")


def test_dead_letter_properties_do_not_count() -> None:
    """A dead-lettered event that is replayed is the event it was."""
    assert event("dead_lettered").key == event("model_registered").key
    assert event("dead_lettered_cloud").key == event("model_registered_cloud").key


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-02T08:15:04.1184021Z", datetime(2026, 3, 2, 8, 15, 4, 118402, UTC)),
        ("2026-03-02T08:15:04.1184021+00:00", datetime(2026, 3, 2, 8, 15, 4, 118402, UTC)),
        ("2026-03-02T17:15:04+09:00", datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC)),
        ("2026-03-02t08:15:04z", datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC)),
        ("2026-03-02T08:15:04", datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC)),
        ("", None),
        (None, None),
        (..., None),
    ],
)
def test_times(text: Any, time: datetime | None) -> None:
    """Any fraction and any offset are read as UTC, and a missing time is unknown."""
    assert parse.event_grid(enveloped("run_failed", eventTime=text)).time == time


# -- facts ------------------------------------------------------------------------------------------------------------


def test_model_facts() -> None:
    """A registered model has a name, a version as text, an ARM id and its tags."""
    assert event("model_registered_pascal_number").facts == {
        "model": {
            "name": "fraud-gbm",
            "version": "12",
            "id": f"{WORKSPACE}/models/fraud-gbm/versions/12",
            "tags": {"stage": "production", "team.owner": "risk"},
            "properties": {"auc": "0.941"},
        }
    }
    assert event("model_registered_untagged").facts["model"]["tags"] == {}


def test_deployment_facts() -> None:
    """A deployment names its models, divided at the commas and at the last colon."""
    assert event("model_deployed").facts == {
        "deployment": {
            "service": "fraud-aks",
            "compute_type": "AKS",
            "models": [{"name": "fraud-gbm", "version": "12"}, {"name": "credit", "version": "3"}],
            "tags": {"Team": "risk"},
            "properties": {},
        }
    }


@pytest.mark.parametrize(
    ("ids", "models"),
    [
        ("azureml:fraud:12", [{"name": "azureml:fraud", "version": "12"}]),
        ("fraud", [{"name": "fraud", "version": None}]),
        (" , ,", []),
        ("", []),
        (None, []),
    ],
)
def test_model_ids(ids: str | None, models: list[dict[str, str | None]]) -> None:
    """A list of models may be odd, empty or missing."""
    assert parse.event_grid(changed("model_deployed", modelIds=ids)).facts["deployment"]["models"] == models


def test_run_facts() -> None:
    """A run has its canonical status; where it is not a pipeline's step nothing tells its root."""
    run = {
        "id": "keen_owl_x1",
        "status": "Failed",
        "experiment": "fraud-train",
        "type": "azureml.PipelineRun",
        "is_root": None,
        "root_id": None,
    }
    assert event("run_failed").facts == {"run": run}
    assert event("run_failed_lower_status").facts == {"run": run}
    assert event("run_failed_lower_status").data["runStatus"] == "failed"
    assert event("run_completed_mixed").facts == {"run": run | {"status": "Completed", "type": None}}


@pytest.mark.parametrize(
    ("properties", "root", "is_root"),
    [
        ({"azureml.rootpipelinerunid": "top", "azureml.pipelinerunid": "middle"}, "top", False),
        ({"azureml.pipelinerunid": "top"}, "top", False),
        ({"azureml.rootpipelinerunid": "keen_owl_x1"}, "keen_owl_x1", True),
        ({"azureml.rootpipelinerunid": 7}, None, None),
        ({}, None, None),
        (None, None, None),
    ],
)
def test_root_of_a_run(properties: Any, root: str | None, *, is_root: bool | None) -> None:
    """A step names its pipeline among its properties; without that, root and rank are unknown."""
    run = parse.event_grid(changed("run_failed", runProperties=properties)).facts["run"]
    assert (run["root_id"], run["is_root"]) == (root, is_root)


def test_an_unknown_status_is_a_status() -> None:
    """A status that is new is passed on as it came, and means nothing in particular."""
    read = parse.event_grid(changed("run_failed", runStatus="Hibernating"))
    assert read.facts["run"]["status"] == "Hibernating"
    assert read.kinds == {"RunStatusChanged"}


def test_drift_facts_of_the_first_generation() -> None:
    """A dataset monitor's drift has a coefficient, and a signal named as Model Monitor would name it."""
    drift = {
        "monitor": "credit",
        "signal": "credit_data_drift",
        "coefficient": 0.8350346,
        "features": [],
        "generation": 1,
    }
    assert event("dataset_drift").facts["drift"] == drift
    assert event("dataset_drift").facts["run"]["id"] == "credit_1550564444_fbbcdc0f"


@pytest.mark.parametrize("subject", ["datadrift/d/run/r", "datadrifts/d/runs/r", "DataDrift/d/Runs/r"])
def test_drift_subjects(subject: str) -> None:
    """The ids of a drift are read off either subject where `data` has none."""
    message = json.loads(changed("dataset_drift", dataDriftId=..., dataDriftName=..., runId=...))[0]
    read = parse.event_grid(json.dumps(message | {"subject": subject}))
    assert read.facts["drift"]["monitor"] == "d"
    assert read.facts["run"]["id"] == "r"


def test_plural_subject_is_the_same_drift() -> None:
    """A drift told once in each spelling of the subject is acted on once."""
    assert event("dataset_drift_plural_subject").once == event("dataset_drift").once


def test_drift_facts_of_the_second_generation() -> None:
    """Model Monitor's tag tells the signal, the monitor and the features over their threshold."""
    for name in ("monitor_breach", "monitor_breach_other_casing", "monitor_recovery"):
        assert event(name).facts["drift"] == {
            "monitor": "credit",
            "signal": "credit_data_drift",
            "coefficient": None,
            "features": ["BILL_AMT1", "LIMIT_BAL"],
            "generation": 2,
        }


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("monitor_")])
def test_a_breach_is_never_a_failed_run(name: str) -> None:
    """A monitor's run that failed is drift, and nobody is told that a run failed."""
    assert "RunFailed" not in event(name).kinds


@pytest.mark.parametrize(
    ("status", "derived"),
    [
        ("Failed", {"DriftDetected"}),
        ("COMPLETED", {"DriftRecovered"}),
        ("Canceled", {"RunCanceled"}),
        ("Running", set()),
    ],
)
def test_a_monitor_s_status(status: str, derived: set[str]) -> None:
    """Failed is drift, Completed its recovery, and any other status of a monitor's run is neither."""
    read = parse.event_grid(changed("monitor_breach", runStatus=status))
    assert read.kinds == {"RunStatusChanged"} | derived


@pytest.mark.parametrize("text", ["", "  ", None])
def test_a_tag_taken_back(text: str | None) -> None:
    """Tags cannot be removed: a blank one is none, and the run has simply failed."""
    read = parse.event_grid(changed("monitor_breach", runTags={BREACH_TAG: text}))
    assert read.kinds == {"RunStatusChanged", "RunFailed"}


@pytest.mark.parametrize(
    ("text", "monitor", "signal", "features"),
    [
        ("The signal 'a_b_prediction_drift' has failed due to one", "a_b", "a_b_prediction_drift", []),
        ("credit_Data_Quality has failed due to", "credit", "credit_Data_Quality", []),
        ('the signal "churn_custom" has failed', "churn", "churn_custom", []),
        ("The signal 'it's_data_drift' has failed", "it's", "it's_data_drift", []),
        ("The signal 'data_drift' has failed", "data_drift", "data_drift", []),
        ("The signal 'churn' has failed", "churn", "churn", []),
        ("The signal '_data_drift' has failed", "_data_drift", "_data_drift", []),
        ("The signal '' has failed", None, None, []),
        ("something new", None, None, []),
        ('x has failed [\'{"group":"a"}\', \'{"group":"b"}\', \'{"group":"a"}\']', "x", "x", ["a", "b"]),
        ('x has failed [\'{"group":"a"}\', \'{"group":"b","metr', "x", "x", ["a"]),
        (r"""x has failed ['{"group":"men\'s"}']""", "x", "x", ["men's"]),
        ('x has failed [\'{"group":7}\', \'{"group":"b","metric_value":"NaN"}\']', "x", "x", ["b"]),
        ('x has failed {"group":' + "[" * 9999 + "}", "x", "x", []),
    ],
)
def test_tag_texts(text: str, monitor: str | None, signal: str | None, features: list[str]) -> None:
    """The tag is read as far as it can be; what it does not tell is unknown, and it is drift all the same."""
    read = parse.event_grid(changed("monitor_breach", runTags={BREACH_TAG: text}))
    assert "DriftDetected" in read.kinds
    drift = read.facts["drift"]
    assert (drift["monitor"], drift["signal"], drift["features"]) == (monitor, signal, features)


def test_vision_facts() -> None:
    """A notification tells project and iteration; platform and flavor are read off the blob's name."""
    assert event("vision_export_completed").facts["vision"] == {
        "project": PROJECT,
        "iteration": ITERATION,
        "platform": "ONNX",
        "flavor": None,
        "status": "ExportCompleted",
    }
    with_sas = event("vision_export_completed_sas").facts["vision"]
    assert (with_sas["platform"], with_sas["flavor"]) == ("TensorFlow", "TensorFlowLite")
    assert event("vision_lower").facts == event("vision_export_completed").facts
    assert event("vision_lower").data.keys() == event("vision_export_completed").data.keys()


def test_vision_identity() -> None:
    """A notification has no id and no time: it may come again, from the project, about the iteration."""
    read = event("vision_training_completed")
    assert (read.id, read.time, read.repeatable) == ("", None, True)
    assert read.source == f"customvision/{PROJECT}"
    assert read.type == "CustomVision.Training"
    assert read.subject == f"projects/{PROJECT}/iterations/{ITERATION}"
    assert event("vision_connection_test").subject == f"projects/{PROJECT}"


@pytest.mark.parametrize(
    ("blob", "platform", "flavor"),
    [
        (f"{PROJECT}%20-%20{ITERATION}.CoreML", "CoreML", None),
        (f"{PROJECT} - {ITERATION}.tensorflow.TensorFlowLite.zip", "TensorFlow", "TensorFlowLite"),
        (f"{PROJECT.replace('-', '')}%20%2D%20{ITERATION.replace('-', '')}.ONNX.zip", "ONNX", None),
        (f"{ITERATION}.NewPlatform", "NewPlatform", None),
        (f"{ITERATION}.ONNX.Float_16.zip", "ONNX", "Float_16"),
        (f"{ITERATION}.ONNX...", "ONNX", None),
        (f"{ITERATION}.한글", None, None),
        (f"{ITERATION}.zip", None, None),
        (f"{ITERATION}", None, None),
        ("model.onnx", None, None),
        ("%ff%fe", None, None),
        ("", None, None),
    ],
)
def test_blob_names(blob: str, platform: str | None, flavor: str | None) -> None:
    """The name of an exported blob tells its platform, or nothing does."""
    text = changed("vision_export_completed", modelUri=f"https://a.blob.core.windows.net/models/{blob}?sig=x.ONNX")
    vision = parse.vision_notification(text).facts["vision"]
    assert (vision["platform"], vision["flavor"]) == (platform, flavor)


def test_an_export_without_a_uri() -> None:
    """A notification that leaves out where the model is still says that the export is ready."""
    read = parse.vision_notification(changed("vision_export_completed", modelUri=...))
    assert read.kinds == {"ExportCompleted"}


@pytest.mark.parametrize("status", ["TrainingPaused", "ExportCompleted"])
def test_a_vision_status_of_another_kind(status: str) -> None:
    """A training that tells something new is recorded, and no rule can hear it."""
    assert parse.vision_notification(changed("vision_training_completed", trainingStatus=status)).kinds == frozenset()


# -- identity ---------------------------------------------------------------------------------------------------------


def test_keys_are_distinct() -> None:
    """Ids are known to be reused: another subject, type or data is another event."""
    keys = {
        event("run_failed").key,
        event("run_canceled").key,
        event("run_failed_lower_status").key,
        parse.event_grid(enveloped("run_failed", subject="experiments/other/runs/keen_owl_x1")).key,
        parse.event_grid(enveloped("run_failed", id="other")).key,
    }
    assert len(keys) == 5


def test_a_fresh_sas_is_no_new_event() -> None:
    """The query of a URL is a secret that changes: it does not count."""
    uri = event("vision_export_completed_sas").data["modelUri"]
    fresh = changed("vision_export_completed_sas", modelUri=uri.replace("sig=c2VjcmV0", "sig=bmV3"))
    assert parse.vision_notification(fresh).key == event("vision_export_completed_sas").key


def test_one_breach_is_one_drift() -> None:
    """The tag stays on the run and comes on its steps: root run and signal say which drift it is."""
    drift = event("monitor_breach").once
    identity = f"{WORKSPACE.lower()}/runs/calm_fox_7/signals/credit_data_drift"
    assert drift == {"DriftDetected": f"DriftDetected {identity}"}
    assert event("monitor_breach_step").once == drift
    assert event("monitor_recovery").once == {"DriftRecovered": f"DriftRecovered {identity}"}
    assert event("monitor_finalizing").once == {}


def test_other_derived_kinds_stay_on_their_run() -> None:
    """A failed run fails once, and a dataset monitor's run drifts once."""
    assert event("run_failed").once == {"RunFailed": f"RunFailed {WORKSPACE.lower()}/runs/keen_owl_x1"}
    assert event("run_canceled").once == {"RunCanceled": f"RunCanceled {WORKSPACE.lower()}/runs/keen_owl_x1"}
    assert event("dataset_drift").once.keys() == {"DriftDetected"}
    assert event("run_completed").once == {}


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("run_completed", [f"run:{WORKSPACE.lower()}/keen_owl_x1"]),
        ("run_failed", [f"run:{WORKSPACE.lower()}/keen_owl_x1"]),
        ("run_canceled", [f"run:{WORKSPACE.lower()}/keen_owl_x1"]),
        ("run_not_responding", [f"run:{WORKSPACE.lower()}/keen_owl_x1"]),
        ("monitor_breach", [f"run:{WORKSPACE.lower()}/calm_fox_7"]),
        ("run_running", []),
        ("model_deployed", [f"deployed:{WORKSPACE.lower()}/fraud-aks"]),
        ("model_registered", []),
        ("dataset_drift", []),
        ("unknown_type", []),
        ("vision_training_completed", [f"training:{PROJECT}/{ITERATION}"]),
        ("vision_training_failed", [f"training:{PROJECT}/{ITERATION}"]),
        ("vision_export_completed", [f"export:{PROJECT}/{ITERATION}"]),
        ("vision_connection_test", []),
        ("vision_unknown_type", []),
        ("action_failed", []),
    ],
)
def test_wake_tokens(name: str, tokens: list[str]) -> None:
    """An event that tells the end of a remote job wakes the action that waits for it."""
    assert parse.wake_tokens(event(name)) == tuple(tokens)


def test_wake_tokens_are_for_their_own_door() -> None:
    """A name taken by another service's event wakes nobody."""
    for type in WAKES.keys() - READERS.keys():
        assert parse.wake_tokens(parse.event_grid(enveloped("run_failed", eventType=type))) == ()


# -- our own ----------------------------------------------------------------------------------------------------------


def test_announced_events_come_back() -> None:
    """An event of ours is read from its payload as it was announced, key and all."""
    announced = announce(
        "ActionFailed",
        id="0f3c",
        time=datetime(2026, 3, 2, 17, 20, 11, 402133, timezone(timedelta(hours=9))),
        subject="rules/retrain",
        data={"note": "é"},
        facts={"action": {"key": "7f3a"}, "failure": {"step": "retrain", "reason": "no"}},
        once={"ActionFailed": "7f3a"},
        depth=3,
    )
    read = parse.own(json.dumps(announced.payload))
    assert read == announced
    assert read.key == announced.key
    assert read.kinds == {"ActionFailed"}
    assert read.source == "reactor"
    assert announce("ActionFailed", id="0f3d", time=datetime.now(UTC)).key != announced.key


def test_the_least_announcement_comes_back() -> None:
    """An announcement needs a kind, an id and a time."""
    announced = announce("ReplicaOutdated", id="1", time=datetime(2026, 1, 1, tzinfo=UTC), source=WORKSPACE)
    assert parse.own(json.dumps(announced.payload)) == announced


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (b"", "empty"),
        ("hello there", "neither JSON nor base64 of JSON"),
        ("aGVsbG8=", "neither JSON nor base64"),
        (b"\xff\xfe{", "not UTF-8: invalid start byte at byte 0"),
        (base64.b64encode(b'{"a": "\xff"}'), "not UTF-8"),
        ("{", "not JSON"),
        ('{"id": "1"} {"id": "2"}', "not JSON"),
        ('{"a": NaN}', "not JSON: NaN"),
        ('{"a": -Infinity}', "not JSON: -Infinity"),
        ('{"a": 1e999}', "not JSON: 1e999"),
        ('{"a": ' + "9" * 5000 + "}", "thousands of digits"),
        ('{"a": "\\ud83d"}', "surrogate"),
        ('{"a": "\ud83d"}', "surrogate"),
        ("[" * 100_000, "nested deeper than 64"),
        ("[" * 65 + "]" * 65, "nested deeper than 64"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested deeper than 64"),
        ("[]", "an array of 0 events"),
        ("[{}, {}]", "an array of 2 events"),
        ("[1]", "a number where an event is expected"),
        ("{}", "neither an Event Grid event"),
        (body("vision_export_completed"), "neither an Event Grid event"),
        (body("action_failed"), "neither an Event Grid event"),
    ],
)
def test_what_is_no_event(text: str | bytes, reason: str) -> None:
    """A body that is no event is refused as a whole, with the reason."""
    error = refused(text)
    assert reason in error.reason
    assert error.field == ""


def test_depth_that_is_fine() -> None:
    """Many brackets are not many levels, and 64 levels are read."""
    wide: list[Any] = [{"a": [{}]}] * 100
    assert parse.event_grid(changed("unknown_type", wide=wide)).data["wide"] == wide
    deep: Any = "bottom"
    for _ in range(61):
        deep = [deep]
    text = json.dumps(json.loads(changed("unknown_type", deep=deep))[0])
    assert parse.event_grid(text).key


def test_whole_characters_are_fine() -> None:
    """Escaped Hangul and emoji are text like any other."""
    read = parse.event_grid(changed("model_registered", modelTags={"이름": "한국 😀"}))
    assert read.facts["model"]["tags"] == {"이름": "한국 😀"}


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("run_failed", {"id": 7}, "id"),
        ("run_failed", {"id": ...}, "id"),
        ("run_failed", {"id": " "}, "id"),
        ("run_failed", {"topic": ...}, "topic"),
        ("run_failed", {"topic": {}}, "topic"),
        ("run_failed", {"eventType": 1}, "eventType"),
        ("run_failed", {"eventType": None}, "eventType"),
        ("run_failed", {"subject": []}, "subject"),
        ("run_failed", {"eventTime": 1709367304}, "eventTime"),
        ("run_failed", {"eventTime": "yesterday"}, "eventTime"),
        ("run_failed", {"eventTime": "0001-01-01T00:00:00+14:00"}, "eventTime"),
        ("run_failed", {"data": "text"}, "data"),
        ("run_failed", {"data": []}, "data"),
        ("run_failed", {"data": None}, "data.runStatus"),
        ("unknown_type", {"data": 1.5}, "data"),
        ("run_failed_cloud", {"specversion": "2.0"}, "specversion"),
        ("run_failed_cloud", {"specversion": 1.0}, "specversion"),
        ("run_failed_cloud", {"source": ...}, "source"),
        ("run_failed_cloud", {"time": True}, "time"),
    ],
)
def test_envelope_fields_that_are_wrong(name: str, fields: dict[str, Any], field: str) -> None:
    """A field of the envelope that is missing or of the wrong type is named."""
    error = refused(enveloped(name, **fields))
    assert error.field == field
    assert str(error).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("run_failed", {"runId": 7}, "data.runId"),
        ("run_failed", {"runId": ...}, "data.runId"),
        ("run_failed", {"runStatus": ...}, "data.runStatus"),
        ("run_failed", {"runStatus": False}, "data.runStatus"),
        ("run_failed", {"experimentName": 1}, "data.experimentName"),
        ("run_failed", {"runType": {}}, "data.runType"),
        ("run_failed", {"runTags": "none"}, "data.runTags"),
        ("run_failed", {"runProperties": []}, "data.runProperties"),
        ("run_failed", {"runTags": {BREACH_TAG: 1}}, f"data.runTags.{BREACH_TAG}"),
        ("model_registered", {"modelName": 5}, "data.modelName"),
        ("model_registered", {"modelName": ""}, "data.modelName"),
        ("model_registered", {"modelVersion": 1.5}, "data.modelVersion"),
        ("model_registered", {"modelVersion": True}, "data.modelVersion"),
        ("model_registered", {"modelVersion": ...}, "data.modelVersion"),
        ("model_registered", {"modelVersion": " "}, "data.modelVersion"),
        ("model_registered", {"modelTags": ["a"]}, "data.modelTags"),
        ("model_deployed", {"serviceName": ...}, "data.serviceName"),
        ("model_deployed", {"modelIds": ["a:1"]}, "data.modelIds"),
        ("dataset_drift", {"driftCoefficient": "0.8"}, "data.driftCoefficient"),
        ("dataset_drift", {"runId": 3}, "data.runId"),
        ("dataset_drift", {"dataDriftId": 3}, "data.dataDriftId"),
    ],
)
def test_data_fields_that_are_wrong(name: str, fields: dict[str, Any], field: str) -> None:
    """A field of `data` that is missing or of the wrong type is named."""
    assert refused(changed(name, **fields)).field == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", ""),
        (body("run_failed_cloud"), "Content"),
        (enveloped("vision_export_completed", version="2.0"), "version"),
        (enveloped("vision_export_completed", version=1), "version"),
        (enveloped("vision_export_completed", type=...), "type"),
        (enveloped("vision_export_completed", Content=...), "Content"),
        (enveloped("vision_export_completed", Content="text"), "Content"),
        (changed("vision_export_completed", projectId=...), "Content.projectId"),
        (changed("vision_export_completed", projectId=1), "Content.projectId"),
        (changed("vision_export_completed", projectId="../other"), "Content.projectId"),
        (changed("vision_export_completed", iterationId="a/b"), "Content.iterationId"),
        (changed("vision_export_completed", iterationId=...), "Content.iterationId"),
        (changed("vision_export_completed", exportStatus=...), "Content.exportStatus"),
        (changed("vision_export_completed", modelUri={}), "Content.modelUri"),
        (changed("vision_training_completed", trainingStatus=1), "Content.trainingStatus"),
    ],
)
def test_notifications_that_are_wrong(text: str, field: str) -> None:
    """A notification that is none of Custom Vision's is refused, and the field is named."""
    assert refused(text, "vision_notification").field == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[]", ""),
        (body("run_failed_cloud"), "type"),
        (enveloped("action_failed", type="Reactor."), "type"),
        (enveloped("action_failed", id=...), "id"),
        (enveloped("action_failed", source=1), "source"),
        (enveloped("action_failed", time="now"), "time"),
        (enveloped("action_failed", facts={"action": 1}), "facts.action"),
        (enveloped("action_failed", once={"ActionFailed": 1}), "once.ActionFailed"),
        (enveloped("action_failed", depth=-1), "depth"),
        (enveloped("action_failed", depth=True), "depth"),
    ],
)
def test_own_events_that_are_wrong(text: str, field: str) -> None:
    """Nobody else's event is taken for one of ours."""
    assert refused(text, "own").field == field


@pytest.mark.parametrize("size", [60, 900])
def test_large_events_are_read(size: int) -> None:
    """A large event is read and keyed in no time, whatever its text is made of."""
    for piece in ("a.", "://", "https://a?b ", "\\", "'{", '"'):
        text = changed("run_failed", runProperties={"long": piece * (size * 1024 // len(piece))})
        assert parse.event_grid(text).key
        tag = {BREACH_TAG: piece * (size * 1024 // len(piece))}
        assert parse.event_grid(changed("run_failed", runTags=tag)).key
