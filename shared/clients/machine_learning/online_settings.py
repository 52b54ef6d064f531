"""What a managed online deployment is made of, and how that is written.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.clients.machine_learning.resources import duration, given


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How the service finds out whether a container lives, or is ready. What is None is left to the service."""

    initial_delay: timedelta | None = None
    period: timedelta | None = None
    timeout: timedelta | None = None
    failure_threshold: int | None = None
    success_threshold: int | None = None

    def body(self) -> dict[str, Any]:
        """Write it."""
        return given(
            initialDelay=duration(self.initial_delay),
            period=duration(self.period),
            timeout=duration(self.timeout),
            failureThreshold=self.failure_threshold,
            successThreshold=self.success_threshold,
        )


NO_PROBE = Probe()


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineSettings:
    """What a new online deployment is made of. What is empty is left to the service.

    An MLflow model needs no environment and no code: the service makes both. Any other model needs an environment.
    """

    model_id: str
    """An ARM id, or azureml://registries/<registry>/models/<name>/versions/<version>."""
    instance_type: str
    instance_count: int = 1
    environment_id: str = ""
    code_id: str = ""
    scoring_script: str = ""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    request_timeout: timedelta | None = None
    """How long one scoring request may take, at most 180 s."""
    max_concurrent: int | None = None
    """Requests that one instance works on at the same time."""
    liveness: Probe = NO_PROBE
    readiness: Probe = NO_PROBE
    app_insights: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)

    def body(self, location: str) -> dict[str, Any]:
        """Write it. `model` is plain text here, unlike in a batch deployment."""
        code = {"codeId": self.code_id, "scoringScript": self.scoring_script} if self.code_id else None
        requests = given(
            requestTimeout=duration(self.request_timeout), maxConcurrentRequestsPerInstance=self.max_concurrent
        )
        properties = given(
            endpointComputeType="Managed",
            instanceType=self.instance_type,
            model=self.model_id,
            environmentId=self.environment_id,
            codeConfiguration=code,
            environmentVariables=dict(self.environment_variables),
            requestSettings=requests,
            livenessProbe=self.liveness.body(),
            readinessProbe=self.readiness.body(),
        )
        return {
            "location": location,
            "tags": dict(self.tags),
            "sku": {"name": "Default", "capacity": self.instance_count},
            "properties": properties | {"appInsightsEnabled": self.app_insights},
        }
