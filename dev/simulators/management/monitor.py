"""Azure Monitor: the metrics of online endpoints, fed by what is scored and by what is seeded.

https://learn.microsoft.com/rest/api/monitor/metrics/list
https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-machinelearningservices-workspaces-onlineendpoints-metrics
Not settled there, and decided here: a minute in which nothing was asked has no value; with a filter on dimensions there
is a series for each combination of their values that was met, and none where nothing was.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dev.simulators.management.assets import each
from dev.simulators.management.changes import Changes
from dev.simulators.management.online_keys import ENDPOINT
from dev.simulators.wire import Answer, RefusedError, Request, Route, listed_until, moment, now

MINUTE = timedelta(minutes=1)
GRAINS = {"PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440}
CLAUSE = re.compile(r"(?:(?:and|or)\s+)?(\w+)\s+(eq|ne)\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
DIMENSIONS = ("deployment", "statusCode", "statusCodeClass", "modelStatusCode")
MOST_POINTS = 1440


@dataclass(frozen=True)
class Seen:
    """Requests of one kind that a deployment answered in one minute."""

    minute: datetime
    deployment: str
    status: int
    count: float
    milliseconds: float

    def dimension(self, name: str) -> str:
        """Give a dimension's value, as Monitor writes it."""
        told = {"deployment": self.deployment, "statuscodeclass": f"{self.status // 100}xx"}
        return told.get(name.lower(), str(self.status))


def total(seen: Sequence[Seen]) -> float:
    """Count requests."""
    return sum(one.count for one in seen)


def mean(seen: Sequence[Seen]) -> float:
    """Give the mean latency."""
    return sum(one.milliseconds * one.count for one in seen) / total(seen)


def percentile(share: float) -> Callable[[Sequence[Seen]], float]:
    """Make the function that gives a percentile of the latency."""

    def found(seen: Sequence[Seen]) -> float:
        left = math.ceil(total(seen) * share)
        ordered = sorted(seen, key=lambda one: one.milliseconds)
        for one in ordered:
            left -= math.ceil(one.count)
            if left <= 0:
                return one.milliseconds
        return ordered[-1].milliseconds

    return found


@dataclass(frozen=True)
class Metric:
    """One metric: what it is measured in, what it may be split by, and how a minute's value is made."""

    shown: str
    unit: str
    dimensions: Sequence[str]
    value: Callable[[Sequence[Seen]], float]


METRICS: Mapping[str, Metric] = {
    "RequestsPerMinute": Metric("Requests Per Minute", "Count", DIMENSIONS, total),
    "RequestLatency": Metric("Request Latency", "MilliSeconds", DIMENSIONS[:1], mean),
    **{
        f"RequestLatency_P{share}": Metric(
            f"Request Latency P{share}", "MilliSeconds", DIMENSIONS[:1], percentile(share / 100)
        )
        for share in (50, 90, 95, 99)
    },
}


class Monitor:
    """What was counted, by endpoint."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._counted: dict[str, list[Seen]] = defaultdict(list)
        self._always: list[Mapping[str, Any]] = []

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [("GET", ENDPOINT + "/providers/Microsoft.Insights/metrics", self._list)]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded."""
        return {"traffic_seen": each(self._seed)}

    def clear(self) -> None:
        """Forget what was counted."""
        self._counted.clear()
        self._always.clear()

    def count(self, endpoint_id: str, deployment: str, status: int, milliseconds: float) -> None:
        """Count one request, now."""
        self._counted[endpoint_id.lower()].append(Seen(minute_of(now()), deployment.lower(), status, 1, milliseconds))

    def _seed(self, given: Mapping[str, Any]) -> None:
        if "at" in given:
            minute = minute_of(moment(given["at"]))
            self._counted[given["endpoint"].lower()].extend(seeded(given, given["deployment"].lower(), minute))
        else:
            re.compile(given["deployment"])
            self._always.append(given)

    def _list(self, request: Request) -> Answer:
        endpoint = self._changes.existing(request.path.split("/providers/Microsoft.Insights")[0])
        begin, end = span(request.query.get("timespan", ""))
        grain = GRAINS.get(request.query.get("interval", "PT1M"), 0)
        if not grain or (end - begin) / MINUTE / grain > MOST_POINTS:
            raise bad(f"Detected invalid time grain input: {request.query.get('interval')}.")
        minutes = [begin + n * MINUTE for n in range(math.ceil((end - begin) / MINUTE))]
        until = minute_of(listed_until(request))
        seen = [one for one in self._seen(endpoint, minutes) if one.minute <= until and one.minute in minutes]
        wanted = [name.strip() for name in request.query.get("metricnames", "").split(",") if name.strip()]
        return Answer(
            body={
                "cost": len(minutes),
                "timespan": f"{stamp(begin)}/{stamp(end)}",
                "interval": request.query.get("interval", "PT1M"),
                "value": [self._metric(endpoint, name, seen, minutes[::grain], request) for name in wanted],
                "namespace": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
                "resourceregion": self._changes.region(endpoint["id"]),
            }
        )

    def _seen(self, endpoint: Mapping[str, Any], minutes: Iterable[datetime]) -> Iterator[Seen]:
        """Give what was counted, and what is seeded to be seen in every minute of a deployment that has traffic."""
        arm_id = endpoint["id"].lower()
        yield from self._counted[arm_id]
        for one in self._always:
            if one.get("endpoint", arm_id).lower() != arm_id:
                continue
            for name in endpoint["properties"]["traffic"]:
                if re.search(one["deployment"], name, re.IGNORECASE):
                    for minute in minutes:
                        yield from seeded(one, name, minute)

    def _metric(
        self, endpoint: Mapping[str, Any], name: str, seen: Sequence[Seen], starts: Sequence[datetime], request: Request
    ) -> dict[str, Any]:
        metric = METRICS.get(name)
        if metric is None:
            raise bad(
                "Failed to find metric configuration for provider: Microsoft.MachineLearningServices, resource Type: "
                f"workspaces/onlineEndpoints, metric: {name}, Valid metrics: {','.join(METRICS)}"
            )
        clauses = dimensions(request.query.get("$filter", ""), metric)
        split: dict[tuple[str, ...], list[Seen]] = defaultdict(list)
        for one in seen:
            if all(fits(one.dimension(dimension), clauses[dimension]) for dimension in clauses):
                split[tuple(one.dimension(dimension) for dimension in clauses)].append(one)
        if not clauses:
            split.setdefault((), [])
        most = int(request.query.get("top", "10"))
        return {
            "id": f"{endpoint['id']}/providers/Microsoft.Insights/metrics/{name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": name, "localizedValue": metric.shown},
            "unit": metric.unit,
            "timeseries": [
                {
                    "metadatavalues": [
                        {"name": {"value": dimension.lower(), "localizedValue": dimension.lower()}, "value": value}
                        for dimension, value in zip(clauses, values, strict=True)
                    ],
                    "data": points(metric, found, starts, request),
                }
                for values, found in sorted(split.items())[:most]
            ],
            "errorCode": "Success",
        }


def seeded(given: Mapping[str, Any], deployment: str, minute: datetime) -> Iterator[Seen]:
    """Give the requests of one minute that a seed tells of: those that failed, and the others."""
    failures, ms = given.get("failures", 0), given.get("latency_ms", 50.0)
    if failures:
        yield Seen(minute, deployment, given.get("status", 500), failures, ms)
    if others := given["requests"] - failures:
        yield Seen(minute, deployment, 200, others, ms)


def points(metric: Metric, seen: Sequence[Seen], starts: Sequence[datetime], request: Request) -> list[dict[str, Any]]:
    """Give a series: an average of the minutes of each grain that have a value."""
    minutes: dict[datetime, list[Seen]] = defaultdict(list)
    for one in seen:
        minutes[one.minute].append(one)
    grain = GRAINS[request.query.get("interval", "PT1M")]
    asked = [name.strip().lower() for name in request.query.get("aggregation", "Average").split(",")]
    data = []
    for start in starts:
        within = [found for n in range(grain) if (found := minutes.get(start + n * MINUTE))]
        values = [metric.value(found) for found in within]
        told = {"average": sum(values) / len(values), "maximum": max(values), "minimum": min(values)} if values else {}
        data.append({"timeStamp": stamp(start), **{name: told[name] for name in asked if name in told}})
    return data


def dimensions(text: str, metric: Metric) -> dict[str, list[tuple[str, str]]]:
    """Read a filter: by dimension the values that it has to be, or must not be."""
    clauses: dict[str, list[tuple[str, str]]] = defaultdict(list)
    at = 0
    while at < len(text) and (found := CLAUSE.match(text, at)):
        name = next((one for one in metric.dimensions if one.lower() == found[1].lower()), "")
        if not name:
            raise bad(f"Metric: {metric.shown} does not support requested dimension combination: {found[1].lower()}.")
        clauses[name].append((found[2].lower(), found[3].replace("''", "'")))
        at = found.end()
    if at < len(text):
        raise bad(f"Invalid filter expression: {text}.")
    return clauses


def fits(value: str, clauses: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a dimension's value is one that a filter lets through."""
    wanted = [text.lower() for word, text in clauses if word == "eq"]
    unwanted = [text.lower() for word, text in clauses if word == "ne"]
    return value.lower() not in unwanted and (not wanted or "*" in wanted or value.lower() in wanted)


def span(text: str) -> tuple[datetime, datetime]:
    """Read a timespan, its beginning down to the minute; the last hour where there is none."""
    if not text:
        return minute_of(now()) - 60 * MINUTE, now()
    try:
        begin, end = (moment(one) for one in text.split("/"))
    except ValueError as problem:
        raise bad(f"Invalid timespan: {text}.") from problem
    if end <= begin:
        raise bad(f"Invalid timespan, the end is not after the start: {text}.")
    return minute_of(begin), end


def minute_of(at: datetime) -> datetime:
    """Give the minute that an instant is in."""
    return at.replace(second=0, microsecond=0)


def stamp(at: datetime) -> str:
    """Write an instant as Monitor does."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def bad(message: str) -> RefusedError:
    """Give Monitor's refusal, which is flat."""
    return RefusedError(Answer(400, {"code": "BadRequest", "message": message}))
