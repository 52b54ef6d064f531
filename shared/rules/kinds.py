"""The kinds of events that a rule can listen to, where each comes from, and the fields that it has.

Facts: the five Azure Machine Learning types, https://learn.microsoft.com/azure/event-grid/event-schema-machine-learning,
Custom Vision's notifications, https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration,
and what the reactor derives or announces itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Family = Literal["workspaces", "vision", "language", "own"]

ENVELOPE = ("id", "source", "subject", "type", "time", "kinds")
RUN_DATA = "experimentId experimentName runId runType runTags runProperties createdBy"
RUN_FACTS = "id status experiment type is_root root_id"
DRIFT_FACTS = "monitor signal coefficient features generation"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: the section of a rules file that declares its sources, and its fields by namespace."""

    family: Family
    fields: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, path: tuple[str, ...]) -> bool:
        """Tell whether an event of this kind can have a field there; of our own events anything may be asked."""
        root, *rest = path
        if root in ENVELOPE:
            return not rest
        if self.family == "own":
            return root in NAMESPACES
        if root == "workspace":
            return self.family == "workspaces" and (not rest or rest[0] in WORKSPACE)
        return root in self.fields and (not rest or rest[0] in self.fields[root])


def _kind(family: Family, **fields: str) -> Kind:
    return Kind(family, {namespace: frozenset(names.split()) for namespace, names in fields.items()})


WORKSPACE = frozenset({"id", "name", "resource_group", "subscription"})
MODEL_DATA = "modelName modelVersion modelTags modelProperties"
MODEL_FACTS = "name version id tags properties"
RUN = _kind("workspaces", data=f"{RUN_DATA} runStatus", run=RUN_FACTS)
COMPLETED = _kind("workspaces", data=RUN_DATA, run=RUN_FACTS)
STATUS = _kind("workspaces", data=f"{RUN_DATA} runStatus", run=RUN_FACTS, drift=DRIFT_FACTS)
DATASET_DRIFT = "dataDriftId dataDriftName runId baseDatasetId targetDatasetId driftCoefficient startTime endTime"
VISION_FACTS = "project iteration platform flavor status"
REPLICA_FACTS = "name project primary secondary reason reasons details lag_seconds since follow"
EXPIRY_FACTS = "name project resource what item expires days_left"
OWN = _kind("own")

KINDS: dict[str, Kind] = {
    "ModelRegistered": _kind("workspaces", data=MODEL_DATA, model=MODEL_FACTS),
    "ModelTagged": _kind("workspaces", data=MODEL_DATA, model=MODEL_FACTS, tagging="set removed before"),
    "ModelDeployed": _kind(
        "workspaces",
        data="serviceName serviceComputeType modelIds serviceTags serviceProperties",
        deployment="service compute_type models tags properties",
    ),
    "RunCompleted": COMPLETED,
    "RunStatusChanged": STATUS,
    "RunFailed": RUN,
    "RunCanceled": RUN,
    "DatasetDriftDetected": _kind("workspaces", data=DATASET_DRIFT, run=RUN_FACTS, drift=DRIFT_FACTS),
    "DriftDetected": _kind(
        "workspaces", data=f"{DATASET_DRIFT} {RUN_DATA} runStatus", run=RUN_FACTS, drift=DRIFT_FACTS
    ),
    "DriftRecovered": STATUS,
    "ConnectionTested": _kind("vision", data="projectId", vision=VISION_FACTS),
    "TrainingCompleted": _kind("vision", data="projectId iterationId trainingStatus", vision=VISION_FACTS),
    "TrainingFailed": _kind("vision", data="projectId iterationId trainingStatus", vision=VISION_FACTS),
    "ExportCompleted": _kind("vision", data="projectId iterationId exportStatus modelUri", vision=VISION_FACTS),
    "ExportFailed": _kind("vision", data="projectId iterationId exportStatus modelUri", vision=VISION_FACTS),
    "NotificationMissed": _kind(
        "vision", data="projectId iterationId trainingStatus exportStatus", vision=VISION_FACTS
    ),
    "ReplicaOutdated": _kind("language", replica=REPLICA_FACTS),
    "DeploymentNearExpiry": _kind("language", expiry=EXPIRY_FACTS),
    "ExpectationMissed": OWN,
    "ActionSucceeded": OWN,
    "ActionFailed": OWN,
    "ActionSkipped": OWN,
    "ActionCanceled": OWN,
    "ApprovalRequested": OWN,
    "ApprovalGranted": OWN,
    "ApprovalRejected": OWN,
    "ApprovalExpired": OWN,
}

NAMESPACES = frozenset(
    {"data", "model", "tagging", "deployment", "run", "drift", "vision", "replica", "action", "failure", "workspace"}
    | {"approval", "expectation", "expiry"}
)
SPELLINGS: dict[str, dict[str, str]] = {
    namespace: {name.lower(): name for kind in KINDS.values() for name in kind.fields.get(namespace, ())}
    for namespace in NAMESPACES
}
"""Namespace to lower case to the one spelling of the platform's fields; the user's own keys are not here."""
