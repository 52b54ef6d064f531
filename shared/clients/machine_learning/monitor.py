"""How the deployments of an online endpoint do, as Azure Monitor counts it.

Reading it needs Microsoft.Insights/metrics/read on the endpoint, which no role of Machine Learning's own has:
Monitoring Reader on the workspace does.
https://learn.microsoft.com/rest/api/monitor/metrics/list
https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-machinelearningservices-workspaces-onlineendpoints-metrics
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import Field

from shared.clients.machine_learning.resources import Arm, Read

REQUESTS, LATENCY = "RequestsPerMinute", "RequestLatency_P95"
FAILED = re.compile(r"408|424|5\d\d")
"""Status codes of a deployment's own failures: it was too slow, its model failed, or it did not answer."""
GRAIN = timedelta(minutes=1)
"""What Monitor counts by: a shorter time holds nothing."""
MOST_SERIES = "100"
"""Series of one answer; there is one for each status code."""


class _Name(Read):
    value: str = ""


class _Dimension(Read):
    name: _Name
    value: str = ""


class _Point(Read):
    average: float | None = None


class _Series(Read):
    metadatavalues: list[_Dimension] = Field(default_factory=list)
    data: list[_Point] = Field(default_factory=list)

    def dimension(self, name: str) -> str:
        """Give the value of a dimension; "" where the series has none of that name."""
        return next((one.value for one in self.metadatavalues if one.name.value.lower() == name.lower()), "")

    def points(self) -> Iterator[float]:
        """Give what was measured; a minute without anything has no point."""
        return (point.average for point in self.data if point.average is not None)


class _Metric(Read):
    timeseries: list[_Series] = Field(default_factory=list)


class _Metrics(Read):
    value: list[_Metric] = Field(default_factory=list)

    def series(self) -> Iterator[_Series]:
        """Give all series of all metrics."""
        return (series for metric in self.value for series in metric.timeseries)


@dataclass(frozen=True, slots=True)
class Health:
    """How a deployment did during some minutes."""

    requests: int
    failures: int
    """Those among them that were answered 408, 424 or 5xx: the deployment's own failures."""
    latency_p95_ms: float | None
    """The mean of each minute's 95th percentile; None where nothing was measured."""

    @property
    def failed(self) -> float:
        """The share of the requests that failed, 0 to 1."""
        return self.failures / self.requests if self.requests else 0.0


class Monitor:
    """Reads metrics. `arm` speaks Azure Monitor's api-version."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def health(self, endpoint_id: str, deployment: str, since: datetime, until: datetime) -> Health | None:
        """Read how a deployment did; None where Monitor has nothing (yet): it is some minutes behind.

        Whole minutes are counted, so the first one may hold requests from before `since`.
        """
        begin, end = since.astimezone(UTC), max(until, since + GRAIN).astimezone(UTC)
        span = "/".join(one.strftime("%Y-%m-%dT%H:%M:%SZ") for one in (begin, end))
        ours = f"deployment eq '{deployment.replace("'", "''")}'"
        counted = [
            (series.dimension("statusCode"), sum(points))
            for series in self._read(endpoint_id, REQUESTS, span, f"{ours} and statusCode eq '*'").series()
            if (points := list(series.points()))
        ]
        if not counted:
            return None
        took = [ms for one in self._read(endpoint_id, LATENCY, span, ours).series() for ms in one.points() if ms > 0]
        return Health(
            requests=round(sum(count for _, count in counted)),
            failures=round(sum(count for status, count in counted if FAILED.fullmatch(status))),
            latency_p95_ms=sum(took) / len(took) if took else None,
        )

    def _read(self, endpoint_id: str, metric: str, span: str, dimensions: str) -> _Metrics:
        query = {
            "metricnames": metric,
            "timespan": span,
            "interval": "PT1M",
            "aggregation": "Average",
            "$filter": dimensions,
            "top": MOST_SERIES,
        }
        # The path is added to an id that is known to be one.
        self._arm.by_id(endpoint_id, "endpoint")
        return self._arm.rest.get(self._arm.url(endpoint_id, "/providers/Microsoft.Insights/metrics", **query)).read(
            _Metrics
        )
