"""What each kind of event tells, and each of its fields, in words: for the event catalogue and for editors.

The text is Markdown. `shared.rules.kinds` has the names; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

AML, VISION, OURS = "Azure Machine Learning", "Custom Vision", "the reactor"
LINK = re.compile(r"\[(?P<words>[^\]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class About:
    """What is said of one kind."""

    by: str
    """Who announces it."""
    when: str
    derived_from: str = ""
    notes: tuple[str, ...] = ()


class Field(NamedTuple):
    """What is said of one field."""

    type: str
    what: str


def plain(markdown: str) -> str:
    """Make a sentence of a phrase, without links and ticks, for where those are not shown as such."""
    text = LINK.sub(r"\g<words>", markdown).replace("`", "")
    first = text[:1] if markdown.startswith("`") else text[:1].upper()
    return f"{first}{text[1:]}{'' if text.endswith(('.', '…')) else '.'}"


SEVERAL = "A run's events come several times; each rule answers this kind once for a run."
ONCE_A_SIGNAL = "Each rule answers it once for a workspace, root run and signal, since the tag stays on the run."
NO_TIME = "It has no id and no time: equal content within ten minutes is a duplicate, later it is a new event."
MODEL_TAGS = "Tags and properties that are set later raise no event: `ModelTagged` finds the tags."

KINDS: Mapping[str, About] = {
    "ModelRegistered": About(AML, "a model or a new version of one was registered", notes=(MODEL_TAGS,)),
    "ModelTagged": About(
        OURS,
        "a tag of a registered model was set, changed or taken away, and it has tags",
        notes=(
            "No service announces it: the schedule looks at the models that some rule listens for, every five minutes.",
            "A look costs one request for each model: name those that are meant in `where`, by `model.name`.",
            "`tagging.set.stage` holds only where that very tag was set or changed; `model.tags.stage` wherever it is.",
            "The first look at a model only remembers its tags; so does a look at a new version that came with them.",
            "Looked at are the newest 50 versions of a model, and 200 models of a workspace.",
        ),
    ),
    "ModelDeployed": About(
        AML,
        "a deployment of one or more models finished successfully",
        notes=(
            "There is no event for a deployment that failed.",
            "Whether it is raised for today's (v2) endpoints is [not known](limits.md#azure-machine-learning).",
        ),
    ),
    "RunCompleted": About(
        AML,
        "a run finished successfully",
        notes=("`RunStatusChanged` with status Completed tells of the same run; hear one of the two.",),
    ),
    "RunStatusChanged": About(
        AML,
        "a run changed its status, whatever to",
        notes=(
            "One run sends several of them: filter on `run.status`, or listen to a derived kind.",
            "It tells no error text, no metrics and no times.",
        ),
    ),
    "RunFailed": About(
        AML,
        "a run failed",
        "`RunStatusChanged` with status Failed, unless a Model Monitor's tag makes it `DriftDetected`",
        (SEVERAL, "Each failed step of a pipeline is a run of its own beside the pipeline."),
    ),
    "RunCanceled": About(AML, "a run was canceled", "`RunStatusChanged` with status Canceled", (SEVERAL,)),
    "DatasetDriftDetected": About(
        AML,
        "a dataset monitor (v1) found drift",
        notes=("Dataset monitors are retired; the event is still understood.", "It is `DriftDetected` as well."),
    ),
    "DriftDetected": About(
        AML,
        "data has drifted, as either generation of monitors tells it",
        "`DatasetDriftDetected`; or `RunStatusChanged` with status Failed and the tag"
        " `azureml_modelmonitor_threshold_breached`, by which a Model Monitor's breach arrives",
        (
            "A breach is never `RunFailed`, although its run has failed: otherwise each drift would alert twice.",
            ONCE_A_SIGNAL,
            "The sample is a Model Monitor's; a dataset monitor's is under `DatasetDriftDetected`.",
        ),
    ),
    "DriftRecovered": About(
        AML,
        "a Model Monitor found that a signal is within its thresholds again",
        "`RunStatusChanged` with status Completed and the tag `azureml_modelmonitor_threshold_breached`",
        (ONCE_A_SIGNAL, "It is [not verified](limits.md#azure-machine-learning) that such runs complete."),
    ),
    "ConnectionTested": About(VISION, "a project was connected to the queue, or its connection changed"),
    "TrainingCompleted": About(
        VISION, "a training finished", notes=(NO_TIME, "Nothing is exported by it: an export is asked for.")
    ),
    "TrainingFailed": About(VISION, "a training failed", notes=(NO_TIME, "It says no reason.")),
    "ExportCompleted": About(
        VISION,
        "an export of a trained iteration is there",
        notes=(
            NO_TIME,
            "`modelUri` is never followed; its query, which may be a SAS, is taken off before anything is kept.",
        ),
    ),
    "ExportFailed": About(VISION, "an export failed", notes=(NO_TIME, "It says no reason, and has no `modelUri`.")),
    "NotificationMissed": About(
        OURS,
        "a training or an export of Custom Vision has ended for a while, and no notification came; it is"
        " `TrainingCompleted`, `TrainingFailed`, `ExportCompleted` or `ExportFailed` as well, so rules for those answer"
        " it too, unless nobody could look at the project for more than a day",
    ),
    "ReplicaOutdated": About(
        OURS,
        "the second region of a declared Language project is not what it should be: it lacks what the primary has, was"
        " edited by hand, or serves another model than was replicated",
        notes=(
            "No service announces it: the schedule compares both regions as often as the project's `check` says.",
            "It does so for the projects that some rule hears of, or replicates with `replicate.language`.",
            "Times alone mislead, for an import counts as a change: what the regions hold is exported, and compared.",
            "An export is started in one run of the schedule and read in a later one.",
            "A state is told once, and again each day while it stands; nothing is told while it is being replicated.",
            "While a region cannot be read it counts as it was compared last: what differed stands, and the lag grows.",
        ),
    ),
    "DeploymentNearExpiry": About(
        OURS,
        "a deployment of a declared Language project, or the model that it serves, will expire soon, in either region",
        notes=(
            "No service announces it: the schedule looks at both regions as often as the project's `check` says.",
            "An expired deployment answers no more; a model that is trained anew has another date.",
            "It is told again with each week that goes by, and where the date changes.",
        ),
    ),
    "ExpectationMissed": About(
        OURS, "the event that a rule's [`expect`](rules.md#expect) waits for did not come in time"
    ),
    "ActionSucceeded": About(OURS, "every step of an action succeeded"),
    "ActionFailed": About(OURS, "a step of an action failed for good, or a message could not be read at all"),
    "ActionSkipped": About(
        OURS, "an action was not done: a [limit](rules.md#limits-limit) or a [gate](rules.md#gate) stopped it"
    ),
    "ActionCanceled": About(
        OURS, "an action was called off by a person, by [`cancel_on`](rules.md#cancel_on) or by a newer one"
    ),
    "ApprovalRequested": About(OURS, "an action waits for a person"),
    "ApprovalGranted": About(OURS, "a person approved, and the action goes on"),
    "ApprovalRejected": About(OURS, "a person rejected, and the action has ended"),
    "ApprovalExpired": About(OURS, "nobody decided in time, and the action has ended"),
}

TAGS = "keys and values are the user's own; values are texts"
FIELDS: Mapping[str, Field] = {
    "id": Field("text", "the id that the service gave it; of Custom Vision an empty text"),
    "source": Field(
        "text", "the workspace's ARM id, `customvision/<project>`, `language/<primary>/<project>`, or `reactor`"
    ),
    "subject": Field("text", "what it is about"),
    "type": Field("text", "the service's own name of the event"),
    "time": Field("text", "when it happened, in UTC; missing where the wire has none"),
    "kinds": Field("list of texts", "the kinds that a rule can hear it by"),
    "data.modelName": Field("text", "the model's name"),
    "data.modelVersion": Field("text", "its version; some senders write a number"),
    "data.modelTags": Field("object", f"its tags when it was registered, or as `ModelTagged` found them: {TAGS}"),
    "data.modelProperties": Field("object", f"its properties: {TAGS}"),
    "data.serviceName": Field("text", "the endpoint"),
    "data.serviceComputeType": Field("text", "what it runs on"),
    "data.modelIds": Field("text", "`name:version` of each model, with commas between"),
    "data.serviceTags": Field("object", f"its tags: {TAGS}"),
    "data.serviceProperties": Field("object", f"its properties: {TAGS}"),
    "data.experimentId": Field("text", "the experiment's GUID, not its name"),
    "data.experimentName": Field("text", "the experiment's name"),
    "data.runId": Field("text", "the run's id, also its name in the studio"),
    "data.runType": Field("text or null", "such as `azureml.PipelineRun` or `automl`"),
    "data.runTags": Field("object", f"the run's tags: {TAGS}"),
    "data.runProperties": Field("object", "the run's properties; values are texts, often JSON in a text"),
    "data.createdBy": Field("text", "who started the run; not documented, so it may be missing"),
    "data.runStatus": Field("text", "the status in the service's own casing; `run.status` has one spelling"),
    "data.dataDriftId": Field("text", "the monitor's id"),
    "data.dataDriftName": Field("text", "the monitor's name"),
    "data.baseDatasetId": Field("text", "the dataset that is compared with"),
    "data.targetDatasetId": Field("text", "the dataset that is watched"),
    "data.driftCoefficient": Field("number", "how far the data has drifted"),
    "data.startTime": Field("text or null", "when the compared data begins"),
    "data.endTime": Field("text or null", "when it ends"),
    "data.projectId": Field("text", "the project, as the service spells it"),
    "data.iterationId": Field("text", "the iteration, as the service spells it"),
    "data.trainingStatus": Field("text", "`TrainingCompleted` or `TrainingFailed`"),
    "data.exportStatus": Field("text", "`ExportCompleted` or `ExportFailed`"),
    "data.modelUri": Field("text", "where the exported model is"),
    "workspace.id": Field("text", "the workspace's ARM id, as the event spells it"),
    "workspace.name": Field("text", "the workspace's name"),
    "workspace.resource_group": Field("text", "its resource group"),
    "workspace.subscription": Field("text", "its subscription"),
    "model.name": Field("text", "the model's name"),
    "model.version": Field("text", "its version, always a text"),
    "model.id": Field("text", "the ARM id of the version"),
    "model.tags": Field("object", f"its tags when it was registered, or as `ModelTagged` found them: {TAGS}"),
    "model.properties": Field("object", f"its properties: {TAGS}"),
    "tagging.set": Field("object", f"the tags that were set or changed, with their new values: {TAGS}"),
    "tagging.removed": Field("object", f"the tags that were taken away, with the values they had: {TAGS}"),
    "tagging.before": Field("object", f"all tags it had when it was looked at before: {TAGS}"),
    "deployment.service": Field("text", "the endpoint"),
    "deployment.compute_type": Field("text or null", "what it runs on"),
    "deployment.models": Field("list of objects", "`name` and `version` of each model"),
    "deployment.tags": Field("object", f"its tags: {TAGS}"),
    "deployment.properties": Field("object", f"its properties: {TAGS}"),
    "run.id": Field("text", "the run's id"),
    "run.status": Field("text or null", "the status in one spelling: Failed, Canceled, NotResponding, …"),
    "run.experiment": Field("text or null", "the experiment's name"),
    "run.type": Field("text or null", "such as `azureml.PipelineRun`"),
    "run.is_root": Field("true, false or null", "whether it is a pipeline itself and not a step; null: unknown"),
    "run.root_id": Field("text or null", "the pipeline that a step belongs to"),
    "drift.monitor": Field("text or null", "the monitor's name"),
    "drift.signal": Field("text or null", "`<monitor>_<signal>`, of a dataset monitor `<monitor>_data_drift`"),
    "drift.coefficient": Field("number or null", "how far the data has drifted; generation 1 only"),
    "drift.features": Field("list of texts", "the features over their threshold; generation 2 only"),
    "drift.generation": Field("number", "1 for a dataset monitor, 2 for a Model Monitor"),
    "vision.project": Field("text", "the project's id, in lower case"),
    "vision.iteration": Field("text or null", "the iteration's id, in lower case"),
    "vision.platform": Field("text or null", "what was exported to, where the blob's name tells"),
    "vision.flavor": Field("text or null", "its flavor, where the blob's name tells"),
    "vision.status": Field("text or null", "what became of it"),
    "replica.name": Field("text", "what the rules file calls the project"),
    "replica.project": Field("text", "the project's own name"),
    "replica.primary": Field("text", "the host of the primary"),
    "replica.secondary": Field("text", "the host of the secondary"),
    "replica.reason": Field(
        "text",
        "what matters most: `missing` (the secondary has no such project), `never_replicated`, `changed` (the primary"
        " has other content), `edited` (the secondary was edited by hand), `deployments` (the secondary serves another"
        " model than was replicated, lacks a deployment, or lets one expire), `config` (the rules file asks for another"
        " training) or `unreadable` (a region could not be compared for a day, or the primary has no such project)",
    ),
    "replica.reasons": Field("list of texts", "all of them, what matters most first"),
    "replica.details": Field("text", "all that differs, in words"),
    "replica.lag_seconds": Field(
        "number",
        "the recovery point: how long the primary has had something that the secondary has not (`missing`,"
        " `never_replicated`, `changed`); 0 where only other things differ",
    ),
    "replica.since": Field("text", "since when there is the oldest difference of all, in UTC"),
    "replica.follow": Field("text", "`deployed` or `working_copy`, as declared"),
    "expiry.name": Field("text", "what the rules file calls the project"),
    "expiry.project": Field("text", "the project's own name"),
    "expiry.resource": Field("text", "`primary` or `secondary`"),
    "expiry.what": Field("text", "`deployment` or `model`"),
    "expiry.item": Field("text", "the deployment's name, or the model's label"),
    "expiry.expires": Field("text", "when it expires, in UTC"),
    "expiry.days_left": Field("number", "whole days until then; less than 0 once it has expired"),
    "action.key": Field("text", "the action's key"),
    "action.rule": Field("text", "its rule's name"),
    "action.status": Field("text", "`open`, `succeeded`, `failed`, `skipped`, `canceled`, `rejected` or `expired`"),
    "action.reason": Field("text", "why it ended as it did"),
    "action.event": Field("text", "the key of the event that it answers"),
    "action.kinds": Field("list of texts", "the kinds of that event"),
    "action.source": Field("text", "its source"),
    "action.subject": Field("text", "its subject"),
    "action.steps": Field("object", "the results of its steps, by id"),
    "failure.step": Field("text", "the id of the step that failed"),
    "failure.reason": Field("text", "why"),
    "failure.remedy": Field("text", "what to do about it, where that is known"),
    "approval.step": Field("text", "the id of the step that asks"),
    "approval.by": Field("list of texts", "who may decide"),
    "approval.within": Field("text", "how long they have"),
    "approval.decided_by": Field("text or null", "who did"),
    "approval.reason": Field("text", "why, as they said; or why nobody did"),
    "approval.expires": Field("text", "until when it can be decided"),
    "approval.decided_at": Field("text or null", "when they did"),
    "expectation.rule": Field("text", "the rule that expects"),
    "expectation.kind": Field("text", "the kind of event that did not come"),
    "expectation.within": Field("text", "how long it was waited for"),
    "expectation.event": Field("text", "the key of the event that it should have followed"),
    "expectation.subject": Field("text", "that event's subject"),
    "expectation.source": Field("text", "that event's source"),
}
"""Every field that a rule can read, by its path."""

NAMESPACES: Mapping[str, tuple[str, str]] = {
    "data": ("all but our own", "what the service sent, in its own words"),
    "workspace": (AML, "the source, taken apart"),
    "model": ("`ModelRegistered`, `ModelTagged`", "the version is always a text"),
    "tagging": ("`ModelTagged`", "what became of the tags"),
    "deployment": ("`ModelDeployed`", "`.models` is a list of `name` and `version`"),
    "run": ("runs and drift", "null where the event does not say"),
    "drift": ("drift", "generation 1 has a coefficient, generation 2 a list of features"),
    "vision": (VISION, "ids in lower case"),
    "replica": ("`ReplicaOutdated`", "what is declared, and in what its two regions differ"),
    "expiry": ("`DeploymentNearExpiry`", "what expires, where, and when"),
    "action": ("our own", "the action that ended, or waits"),
    "failure": ("`ActionFailed`, and every `on_failure`", "why"),
    "approval": ("`ApprovalRequested`, `ApprovalGranted`, `ApprovalRejected`, `ApprovalExpired`", "who was asked"),
    "expectation": ("`ExpectationMissed`", "what did not come"),
}
"""Of which kinds the fields of a namespace are, and what is to be known of all of them."""
