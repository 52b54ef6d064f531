"""The data of a sample of each kind of event, as it comes over the wire; `samples` makes messages of them.

Field names, subjects and envelopes are those of the services' own documentation:
https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning and
https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Fields = dict[str, Any]

AZURE_ML = "Microsoft.MachineLearningServices."
WORKSPACE = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod"
    "/providers/Microsoft.MachineLearningServices/workspaces/fraud"
)
PROJECT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ITERATION = "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
ID = "7b0f6a0e-2c35-4f0a-9a55-0d9c0b6d5a11"
TIME = datetime(2026, 3, 2, 8, 15, 4, 118402, UTC)
"""What the catalogue shows in place of what is fresh in a message that is sent."""
EXPERIMENT = "5f0c2d3e-9a41-4c6e-8f57-2b8d1c3e4f50"
EXPORTED = "https://exports.blob.core.windows.net/models/{projectId}%20-%20{iterationId}.ONNX"
"""The URL of an exported model, in the container that the project was told to write to."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One kind's message: how it comes, what is in it, and what of that is new each time."""

    door: Literal["event_grid", "vision_notification", "own"]
    type: str
    data: Fields = field(default_factory=dict)
    subject: str = ""
    """Its parts in braces are fields of the data."""
    facts: Fields = field(default_factory=dict)
    """Of our own events only: what they tell, as far as it does not follow from the data."""
    source: str = ""
    """Of those of our own events that come from something declared and have no data."""
    fresh: str = ""
    """The field that is new each time, where a second message would otherwise count as the same event."""


# -- Azure Machine Learning -------------------------------------------------------------------------------------------

RUN = {
    "experimentId": EXPERIMENT,
    "experimentName": "fraud-train",
    "runId": "keen_owl_x1",
    "runType": "azureml.PipelineRun",
    "runTags": {"team": "risk"},
    "runProperties": {"azureml.runsource": "azureml.PipelineRun", "azureml.pipelineComponent": "pipelinerun"},
    "createdBy": "Ada Lovelace",
}
ROW = '{{"group":"{0}","metric_value":{1},"metric_name":"normalized_wasserstein_distance","threshold_value":0.1}}'
BREACH = (
    "The signal 'credit_data_drift' has failed due to one or more features violating metric thresholds.\n"
    "The feature names and their corresponding computed metric values violating the threshold are \n"
    f"['{ROW.format('BILL_AMT1', 0.42)}', '{ROW.format('LIMIT_BAL', 0.17)}']\n"
)
MONITOR = RUN | {
    "experimentName": "credit-monitoring",
    "runId": "calm_fox_7",
    "runTags": {"azureml_modelmonitor_threshold_breached": BREACH},
}
MODEL = {
    "modelName": "fraud-gbm",
    "modelVersion": "12",
    "modelTags": {"stage": "production", "team.owner": "risk"},
    "modelProperties": {"auc": "0.941"},
}
TAGGED_BEFORE = {"stage": "candidate", "team.owner": "risk"}
DEPLOYED = {
    "serviceName": "fraud",
    "serviceComputeType": "AKS",
    "modelIds": "fraud-gbm:12,credit:3",
    "serviceTags": {"team": "risk"},
    "serviceProperties": {},
}
DATASET_DRIFT = {
    "dataDriftId": "4e694bf5-712e-4e40-b06a-d2a2755212d4",
    "dataDriftName": "credit",
    "runId": "credit_1550564444_fbbcdc0f",
    "baseDatasetId": "3c56d136-0f64-4657-a0e8-5162089a88a3",
    "targetDatasetId": "d7e74d2e-c972-4266-b5fb-6c9c182d2a74",
    "driftCoefficient": 0.8350346,
    "startTime": "2026-02-24T00:00:00+00:00",
    "endTime": "2026-03-02T00:00:00+00:00",
}


def _run(type: str, data: Fields) -> Sample:
    return Sample("event_grid", AZURE_ML + type, data, "experiments/{experimentId}/runs/{runId}", fresh="runId")


def _status(status: str, run: Fields = RUN) -> Sample:
    return _run("RunStatusChanged", run | {"runStatus": status})


# -- Custom Vision ----------------------------------------------------------------------------------------------------

IDS = {"projectId": PROJECT, "iterationId": ITERATION}


def _vision(type: str, data: Fields) -> Sample:
    return Sample("vision_notification", type, data, fresh="iterationId" if "iterationId" in data else "")


# -- our own ----------------------------------------------------------------------------------------------------------

ACTION = {
    "key": "cd7c0bf243a53b71581fe3b2f9afb2c6",
    "rule": "retrain-on-drift",
    "status": "succeeded",
    "reason": "",
    "event": "d3b34929404642673d796b61b6efa2b6",
    "kinds": ["DriftDetected", "RunStatusChanged"],
    "source": WORKSPACE,
    "subject": f"experiments/{EXPERIMENT}/runs/calm_fox_7",
    "steps": {"retrain": {"run_id": "5f0c2d3e-0001", "status": "Succeeded"}},
}
LEAD = "ada@example.com"
DECIDED = "2026-03-02T09:02:11.530000+00:00"
APPROVAL = {
    "step": "approval",
    "by": ["ml-leads@example.com"],
    "within": "24h",
    "decided_by": None,
    "decided_at": None,
    "reason": "",
    "expires": "2026-03-03T08:15:04.118402+00:00",
}


def _own(kind: str, facts: Fields, subject: str = f"actions/{ACTION['key']}") -> Sample:
    return Sample("own", kind, subject=subject, facts=facts)


MAIL = "language/mail-we.cognitiveservices.azure.com/EmailApp"


def _ended(status: str, reason: str = "", **facts: Fields) -> Sample:
    steps = ACTION["steps"] if status == "succeeded" else {}
    action = ACTION | {"status": status, "reason": reason, "steps": steps}
    return _own(f"Action{status.title()}", {"action": action, **facts})


def _approval(kind: str, status: str = "open", ended: str = "", **said: str) -> Sample:
    action = ACTION | {"status": status, "reason": ended, "steps": {"approval": {"expires": APPROVAL["expires"]}}}
    return _own(kind, {"action": action, "approval": APPROVAL | {"reason": ended} | said})


SAMPLES: Mapping[str, Sample] = {
    "ModelRegistered": Sample("event_grid", f"{AZURE_ML}ModelRegistered", MODEL, "models/{modelName}:{modelVersion}"),
    "ModelTagged": Sample(
        "own", "ModelTagged", MODEL, "models/{modelName}:{modelVersion}", facts={"tagging": {"before": TAGGED_BEFORE}}
    ),
    "ModelDeployed": Sample("event_grid", f"{AZURE_ML}ModelDeployed", DEPLOYED, "endpoints/{serviceName}"),
    "RunCompleted": _run("RunCompleted", RUN),
    "RunStatusChanged": _status("Running"),
    "RunFailed": _status("Failed"),
    "RunCanceled": _status("Canceled"),
    "DatasetDriftDetected": Sample(
        "event_grid",
        f"{AZURE_ML}DatasetDriftDetected",
        DATASET_DRIFT,
        "datadrift/{dataDriftId}/run/{runId}",
        fresh="runId",
    ),
    "DriftDetected": _status("Failed", MONITOR),
    "DriftRecovered": _status("Completed", MONITOR),
    "ConnectionTested": _vision("ConnectionTest", {"projectId": PROJECT}),
    "TrainingCompleted": _vision("Training", IDS | {"trainingStatus": "TrainingCompleted"}),
    "TrainingFailed": _vision("Training", IDS | {"trainingStatus": "TrainingFailed"}),
    "ExportCompleted": _vision("Export", IDS | {"exportStatus": "ExportCompleted", "modelUri": EXPORTED}),
    "ExportFailed": _vision("Export", IDS | {"exportStatus": "ExportFailed"}),
    "NotificationMissed": Sample(
        "own", "NotificationMissed", IDS | {"exportStatus": "ExportCompleted"}, facts={"vision": {"platform": "ONNX"}}
    ),
    "ReplicaOutdated": Sample(
        "own",
        "ReplicaOutdated",
        source=MAIL,
        subject="projects/EmailApp",
        facts={
            "replica": {
                "name": "mail-bot",
                "project": "EmailApp",
                "primary": "mail-we.cognitiveservices.azure.com",
                "secondary": "mail-ne.cognitiveservices.azure.com",
                "reason": "changed",
                "reasons": ["changed"],
                "details": "the primary serves v4, which was not replicated",
                "lag_seconds": 5_410,
                "since": "2026-03-02T06:44:53+00:00",
                "follow": "deployed",
            }
        },
    ),
    "DeploymentNearExpiry": Sample(
        "own",
        "DeploymentNearExpiry",
        source=MAIL,
        subject="projects/EmailApp/deployments/production",
        facts={
            "expiry": {
                "name": "mail-bot",
                "project": "EmailApp",
                "resource": "secondary",
                "what": "deployment",
                "item": "production",
                "expires": "2026-04-27T00:00:00+00:00",
                "days_left": 55,
            }
        },
    ),
    "ActionSucceeded": _ended("succeeded"),
    "ActionFailed": _ended(
        "failed",
        "pipeline retrain has no parameter signal",
        failure={
            "step": "retrain",
            "reason": "pipeline retrain has no parameter signal",
            "remedy": "declare it in the pipeline and publish it, or correct the rule",
        },
    ),
    "ActionSkipped": _ended("skipped", f"cooldown of 24h since action {ACTION['key']} at 2026-03-01T21:10:00Z"),
    "ActionCanceled": _ended("canceled", "called off by event 63510556b4ba5fbf1055e276902b02ce"),
    "ApprovalRequested": _approval("ApprovalRequested"),
    "ApprovalGranted": _approval("ApprovalGranted", decided_by=LEAD, decided_at=DECIDED, reason="the drift is real"),
    "ApprovalRejected": _approval(
        "ApprovalRejected",
        "rejected",
        f"rejected by {LEAD}: it is a holiday",
        decided_by=LEAD,
        decided_at=DECIDED,
        reason="it is a holiday",
    ),
    "ApprovalExpired": _approval("ApprovalExpired", "expired", "nobody decided within 24h"),
    "ExpectationMissed": _own(
        "ExpectationMissed",
        {
            "action": ACTION | {"rule": "expect-an-export", "status": "expired", "steps": {}},
            "expectation": {
                "rule": "expect-an-export",
                "kind": "ExportCompleted",
                "within": "2h",
                "event": ACTION["event"],
                "subject": f"projects/{PROJECT}/iterations/{ITERATION}",
                "source": f"customvision/{PROJECT}",
            },
        },
    ),
}
"""Every kind that this version can hear or announces."""
