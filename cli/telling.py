"""Tells people of one event or one action: what is known of it, what was done step by step, and why not something else.

What is told is the JSON of `api/events/{key}` and `api/actions/{key}` (shared/history/views.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli.listing import subject_of
from cli.tables import (
    BOLD,
    COLOURS,
    DIM,
    LONGEST_VALUE,
    Paint,
    as_json,
    brief,
    clean,
    count,
    measure,
    moment,
    pad,
    read_time,
    short_key,
    shorten,
    zone,
)
from shared.handlers import ACTIONS
from shared.rules.parameters import parameters

PLAIN_KEY = re.compile(r"[\w-]+\Z")
"""A key that a path needs no brackets for."""
URL = re.compile(r"https?://\S{1,2000}\Z")
"""What somebody copies, all or nothing."""
MOST_LISTED = 20
"""Elements of a list that have a line each."""
SHORT_HASH = 12
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Teller:
    """Writes lines; `paint` colours them, and times are in UTC unless `local`."""

    paint: Paint
    local: bool = False

    # -- an event -----------------------------------------------------------------------------------------------------

    def event(self, event: Json) -> Iterator[str]:
        """Tell all of an event."""
        kinds = " ".join(event["kinds"]) or event["type"] or "no event"
        yield self.paint(BOLD, clean(f"{kinds}  {subject_of(event)}".rstrip()))
        yield from self._pairs(
            {
                "key": event["key"],
                "from": " ".join(filter(None, [", ".join(event["source_names"]), event["source"]])),
                "happened": moment(event["time"], local=self.local),
                "received": moment(event["received"], local=self.local),
                "status": event["status"],
                "because": event["reason"],
                "judged by": f"rules {event['rules_hash'][:SHORT_HASH]}" if event["rules_hash"] else "",
                "led here by": count(event["depth"], "action") if event["depth"] else "",
            }
        )
        facts = dict(_flat(event["facts"]))
        if facts:
            yield ""
            yield self.paint(BOLD, "What rules can read of it, beside data")
            yield from self._pairs(facts)
        if event["actions"]:
            yield ""
            yield self.paint(BOLD, "Rules that answered")
            for action in event["actions"]:
                yield from self.action(action, told_in=event["key"])
        yield from self._explanation(event["explanation"], event["status"])

    def _explanation(self, explanation: Json, status: str) -> Iterator[str]:
        silent = [verdict for verdict in explanation["verdicts"] if not verdict["answered"]]
        if not silent:
            if explanation["note"] and status != "parked":
                yield f"\n{explanation['note']}"
            return
        yield ""
        yield self.paint(BOLD, "Rules that did not")
        if explanation["note"]:
            yield f"  {explanation['note']}"
        elsewhere = [verdict for verdict in silent if _listens_elsewhere(verdict)]
        told = [verdict for verdict in silent if not _listens_elsewhere(verdict)]
        width = max((measure(verdict["rule"]) for verdict in told), default=0)
        for verdict in told:
            yield self.paint(DIM, f"  {pad(verdict['rule'], width)}  {_against(verdict, explanation['rules'], status)}")
        if elsewhere:
            names = ", ".join(verdict["rule"] for verdict in elsewhere)
            listens = "listens" if len(elsewhere) == 1 else "listen"
            yield self.paint(DIM, f"  {count(len(elsewhere), 'rule')} {listens} to other kinds: {_cut(names)}")

    # -- an action ----------------------------------------------------------------------------------------------------

    def action(self, action: Json, *, told_in: str = "") -> Iterator[str]:
        """Tell of an action: alone with everything, or below the event whose key is `told_in`."""
        words = [action["rule"], self._status(action["status"])]
        if action["mode"] == "dry_run":
            words.append("dry run: nothing is touched")
        if told_in:
            words.append(short_key(action["key"]))
            yield f"  {'  '.join(words)}"
        else:
            yield self.paint(BOLD, "  ".join([words[0], *words[2:]]))
        yield from self._facts_of(action, told_in)
        if not told_in:
            yield ""
        yield from self._steps(action["steps"], alone=not told_in)

    def _facts_of(self, action: Json, told_in: str) -> Iterator[str]:
        """Tell what is known of an action beside its steps; below its event, only what is special."""
        replay, decision, canceled, failure, expect = (
            action[name] or {} for name in ("replay", "decision", "canceled", "failure", "expect")
        )
        facts = {
            "because": "" if _is_said(action) else action["reason"],
            "error": action["error"],
            "expects": f"{expect['kind']} within {_span(expect['within'])}" if expect else "",
            "replay of": f"{short_key(replay['of'])} {self._by(replay)}".strip() if replay else "",
            decision.get("verdict", ""): self._by(decision) if decision and not told_in else "",
            "canceled": self._by(canceled) if canceled else "",
            "what helps": failure.get("remedy", ""),
        }
        elsewhere = action["event"] if action["event"] != told_in else ""
        if told_in:
            facts["answered"] = f"already, for event {short_key(elsewhere)}" if elsewhere else ""
        else:
            event = f"{' '.join(action['kinds'])}  {subject_of(action)}  (event {short_key(action['event'])})"
            facts = {
                "key": action["key"],
                "status": action["status"],
                "answers": event,
                "from": " ".join(filter(None, [", ".join(action["source_names"]), action["source"]])),
                "made": moment(action["created"], local=self.local),
                "ended": moment(action["ended"], local=self.local),
                "next look": moment(action["due"], local=self.local) if action["status"] == "open" else "",
                **facts,
                "tells of": count(len(action["digest"]), "event") if action["digest"] else "",
                "replayed": f"by {short_key(action['replayed_as'])}" if action["replayed_as"] else "",
                "rules": action["rules_hash"][:SHORT_HASH],
            }
        yield from self._pairs(facts, indent="    " if told_in else "  ")

    def _steps(self, steps: Sequence[Json], *, alone: bool) -> Iterator[str]:
        times = [read_time(step["began"], local=self.local) for step in steps]
        titles = [step["id"] if step["id"] == step["action"] else f"{step['id']} ({step['action']})" for step in steps]
        width = max(map(measure, titles), default=0)
        part = "do"
        for step, title, time in zip(steps, titles, times, strict=True):
            if step["part"] != part:
                part = step["part"]
                yield self.paint(DIM, "    on failure")
            began = f"{time:%H:%M:%S}" if time else " " * 8
            words = step["trouble"] or step["note"]
            if not words and step["state"] == "under way" and step["stage"]:
                words = f"stage {step['stage']}"
            state = self._status(step["state"])
            yield f"    {began}  {pad(title, width)}  {state}{': ' if words else ''}{clean(words)}"
            if alone:
                yield from self._pairs(dict(_flat(step["params"] or {})), " " * 16)
                given, others = _given(step)
                yield from self._pairs({f"→ {name}": value for name, value in given.items()}, " " * 16)
                if others:
                    yield self.paint(DIM, f"{' ' * 16}and {count(others, 'value')} of its own, with --json")
        if alone and any(times):
            last = next(time for time in times if time)
            yield self.paint(DIM, f"    times are {zone(last)}, of when a step's last stage began")

    def _by(self, what: Json) -> str:
        by = what["by"]
        name = (by["name"] or by["id"]) if isinstance(by, Mapping) else by
        why = f": {what['reason']}" if what["reason"] else ""
        return f"by {name}, {moment(what['at'], local=self.local)}{why}"

    def _status(self, status: str) -> str:
        colour = COLOURS.get(status)
        return self.paint(colour, status) if colour else status

    def _pairs(self, pairs: Mapping[str, str], indent: str = "  ") -> Iterator[str]:
        """Write names and values, those that are empty left out."""
        shown = {clean(name): clean(value) for name, value in pairs.items() if value}
        width = max(map(measure, shown), default=0)
        for name, value in shown.items():
            yield f"{indent}{pad(name, width)}  {self._status(value) if name == 'status' else value}"


def _is_said(action: Json) -> bool:
    """Tell whether one of the steps says already why the action stands or ended as it does."""
    return any(action["reason"] in (step["note"], step["trouble"]) for step in action["steps"])


def _against(verdict: Json, rules: str, status: str) -> str:
    """Write the first condition that did not hold, and what was found instead."""
    because = verdict["because"]
    if because is None:
        if rules == "now":
            return "it would answer, by today's rules"
        return "nothing is against it" if status == "planned" else "it would have answered, had the event been planned"
    return clean(_reason(because))


def _reason(because: Json) -> str:
    """Write a condition and what was found instead: `run.status StringIn ["Failed"]: it is "Completed"`."""
    condition = f"{because['path']} {because['operator']} {brief(because['wanted'])}"
    if because["reasons"]:
        return f"{condition}: none of them holds ({'; '.join(map(_reason, because['reasons']))})"
    if because["found"] is None:
        return f"{condition}: {because['note'] or 'it is missing'}"
    verb = "it holds with" if because["operator"] == "not" else "it is"
    note = f" ({because['note']})" if because["note"] else ""
    return f"{condition}: {verb} {brief(because['found'])}{note}"


def _listens_elsewhere(verdict: Json) -> bool:
    return bool(verdict["because"] and verdict["because"]["path"] == "on")


def _span(text: str) -> str:
    """Write an ISO 8601 duration as rules do: PT24H is 24h."""
    return text.replace("P", "").replace("T", "").lower()


def _given(step: Json) -> tuple[dict[str, str], int]:
    """Give what a step found out for those after it, and count what else it kept for itself.

    Of one that has not succeeded all is given: that it was half done is all that there is to see.
    """
    found = dict(_flat(step["result"]))
    target = ACTIONS.get(step["action"])
    offered = parameters(target).results if target and step["state"] == "succeeded" else None
    if offered is None:
        return found, 0
    given = {
        path: value
        for path, value in found.items()
        if any(path == name or path.startswith((f"{name}.", f"{name}[")) for name in offered)
    }
    return given, len(found) - len(given)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every field under its path, each value on one line; of a list that is too long for it, each element."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            inner = f".{key}" if PLAIN_KEY.match(key) else f"['{key}']"
            yield from _flat(item, f"{name}{inner}" if name else key)
    elif isinstance(value, list) and len(value) <= MOST_LISTED and measure(as_json(value)) > LONGEST_VALUE:
        for position, item in enumerate(value):
            yield from _flat(item, f"{name}[{position}]")
    elif name and value not in (None, "", {}, []):
        yield name, _cut(value if isinstance(value, str) else as_json(value))


def _cut(text: str) -> str:
    """Keep a value on a line; of what is copied from there, a URL, nothing is taken."""
    return text if URL.match(text) else shorten(text, LONGEST_VALUE)
