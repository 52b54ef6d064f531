"""What can happen.

An `Event` is what `parse` made of a message on the wire, or what the reactor itself announces.
It is pure data: nothing here reads a clock, the environment or the network.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

URL_QUERY = re.compile(r"""(://(?:[^\s"'<>?#:]|:(?!//))*)\?[^\s"'<>#]*""")
"""The query of a URL; it never looks past the next "://", so a long text is read once and not once per start."""

OWN_SOURCE = "reactor"
"""The `source` of events that the reactor announces itself."""
LINEAGE = ("runTags", "modelTags", "modelProperties")
"""Where in `data` it stands what we wrote about a job or a model that we made."""
MAKER_TAG, DEPTH_TAG = "reactor-rule", "reactor-depth"
"""There: the rule that made it, and how many actions led to that one."""
OWN_TYPE = "Reactor."
"""What the `type` of such an event begins with; the kind follows."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, in one shape whatever the envelope was."""

    door: str
    """The name in `parse.PARSERS` that reads `payload` again: "event_grid", "vision_notification", "own"."""
    type: str
    """The service's own name, such as "Microsoft.MachineLearningServices.RunStatusChanged"."""
    kinds: frozenset[str]
    """The names a rule can listen to: the service's short name and the derived ones. Empty for an unknown type."""
    id: str
    source: str
    """The workspace's ARM id in the wire's casing; "customvision/<project id>"; "reactor" for our own."""
    subject: str
    time: datetime | None
    """When it happened, aware, UTC; None where the wire does not say."""
    data: Mapping[str, Any]
    """The wire's `data` (Custom Vision: `Content`), platform keys in canonical spelling, the user's own untouched."""
    facts: Mapping[str, Mapping[str, Any]]
    """Derived namespaces beside `data`: model, run, drift, vision, replica, action, failure."""
    payload: Mapping[str, Any]
    """The message as parsed from the wire, envelope and all; it may hold a SAS, so it is stored only redacted."""
    once: Mapping[str, str] = field(default_factory=dict)
    """Derived kinds that are acted on once per identity of their own: kind to that identity, kind included."""
    repeatable: bool = False
    """The wire carries no id: equal content is the same event only for `REPEAT_WINDOW`."""
    depth: int = 0
    """How many actions led here: 0 for the wire, one more for each outcome on the way."""

    @cached_property
    def key(self) -> str:
        """The hex key of this event: the same for a duplicate, a replay, and either envelope.

        Ids are known to be reused, so type, subject and data count too; URL queries (a fresh SAS) do not, nor does the
        spelling of a time: the Functions host's Event Grid endpoint rewrites times, its queues do not.
        """
        data = with_times_in_one_spelling(without_url_queries(self.data))
        return digest(self.source.lower(), self.type.lower(), self.id, self.subject, canonical(data))


def announce(
    kind: str,
    *,
    id: str,
    time: datetime,
    subject: str = "",
    source: str = OWN_SOURCE,
    data: Mapping[str, Any] | None = None,
    facts: Mapping[str, Mapping[str, Any]] | None = None,
    once: Mapping[str, str] | None = None,
    depth: int = 0,
    also: Iterable[str] = (),
) -> Event:
    """Make an event of our own, such as "ActionFailed"; `parse.own` reads its payload into an equal one.

    `also` are the kinds that it is besides. `id` says which announcement this is (a hash of the action's key and its
    outcome), `time` is aware, and what is in `data` and `facts` is JSON.
    """
    time = time.astimezone(UTC)
    payload: dict[str, Any] = {
        "type": f"{OWN_TYPE}{kind}",
        "id": id,
        "source": source,
        "subject": subject,
        "time": time.isoformat(),
        "data": dict(data or {}),
        "facts": {name: dict(values) for name, values in (facts or {}).items()},
        "once": dict(once or {}),
        "depth": depth,
    }
    if also:
        payload["also"] = sorted(also)
    return Event(
        door="own",
        type=payload["type"],
        kinds=frozenset({kind, *also}),
        id=id,
        source=source,
        subject=subject,
        time=time,
        data=payload["data"],
        facts=payload["facts"],
        payload=payload,
        once=payload["once"],
        depth=depth,
    )


def lineage(data: Mapping[str, Any], name: str) -> str:
    """Read what we wrote about a job or a model that we made, "" where we did not."""
    for where in LINEAGE:
        told = data.get(where)
        if type(told) is dict and name in told:
            return str(told[name])
    return ""


def digest(*parts: str) -> str:
    """Hash parts into 32 hex digits, fit for a table key, a blob name and a job name."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def canonical(value: Any) -> str:
    """Write a JSON value in one spelling: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def without_url_queries(value: Any) -> Any:
    """Copy a JSON value with the query of every URL in its strings removed: a SAS is a secret."""
    if isinstance(value, str):
        return URL_QUERY.sub(r"\1", value) if "?" in value else value
    if isinstance(value, Mapping):
        return {name: without_url_queries(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_url_queries(item) for item in value]
    return value


def with_times_in_one_spelling(value: Any) -> Any:
    """Copy a JSON value with every ISO 8601 time in its strings in UTC and without trailing zeros."""
    if isinstance(value, str):
        return _one_spelling(value) if len(value) >= 19 and value[10] == "T" and value[4] == "-" else value
    if isinstance(value, Mapping):
        return {name: with_times_in_one_spelling(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_times_in_one_spelling(item) for item in value]
    return value


def _one_spelling(text: str) -> str:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (time.astimezone(UTC) if time.tzinfo else time).isoformat()
