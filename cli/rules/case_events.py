"""The events of a case: given as they come over the wire, as a file, or in the short form that starts from a sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cli import samples
from cli.event_files import read_event
from cli.rules.case_files import Case, CaseError, Turn
from shared.errors import MalformedError
from shared.events import Event
from shared.parse.wire import read_message
from shared.rules import Problem, Rules, templates
from shared.rules.declared import Declared
from shared.rules.kinds import KINDS
from shared.rules.problems import did_you_mean


def event_of(case: Case, turn: Turn, rules: Rules, number: int, at: datetime) -> Event:
    """Read a turn's event as its door would; CaseError says what keeps it from being one."""
    value = turn.event
    where = ""
    try:
        if isinstance(value, str):
            where = f"{value}: "
            value = read_message((case.path.parent / value).read_bytes())
        if isinstance(value, dict) and "kind" in value and not isinstance(turn.event, str):
            value = _sample_of(turn, rules, number, at)
        if isinstance(value, list):
            if len(value) != 1:
                raise _wrong(turn, f"{where}there are {len(value)} events; a case has one, or a list under `events`")
            value = value[0]
        return read_event(json.loads(json.dumps(value)))
    except OSError as error:
        raise _wrong(
            turn, f"cannot read {value}: {error.strerror}; event files are found from the case's folder"
        ) from error
    except MalformedError as error:
        raise _wrong(turn, f"{where}no event: {error}") from error


def _wrong(turn: Turn, message: str) -> CaseError:
    return CaseError([Problem(turn.event_line, 1, message)])


def _sample_of(turn: Turn, rules: Rules, number: int, at: datetime) -> Any:
    """Make the sample of a kind with what the case says of it; each of several is a new event."""
    given = turn.event
    kind = given["kind"]
    source = _source(turn, rules.declared, KINDS[kind].family, given.get("from"))
    message = samples.message(kind, source, source)
    if number:
        message.id = f"{samples.ID[:-4]}{number:04x}"
        fresh = message.sample.fresh
        if fresh:
            message.data[fresh] = message.id if fresh == "iterationId" else f"{message.data[fresh]}_{number}"
    message.time = at
    message.data |= given.get("data", {})
    message.subject = given.get("subject", "")
    message.id = given.get("id", message.id)
    if "time" in given:
        message.time = datetime.fromisoformat(given["time"])
    value = message.wire()
    if message.sample.source:
        value["facts"] = dict(_declared_as(value["facts"], rules.declared, source))
    if message.sample.door == "own":
        value["facts"] = {**value["facts"]}
        for name, facts in given.get("facts", {}).items():
            value["facts"][name] = {**value["facts"].get(name, {}), **facts} if isinstance(facts, dict) else facts
    return value


def _declared_as(facts: dict[str, Any], declared: Declared, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Have the facts of a sample tell of the declared project that the event comes from."""
    found = next(((name, one.project) for name, one in declared.language.items() if one.source == source), None)
    for space, told in facts.items():
        yield space, told | (dict(zip(("name", "project"), found, strict=True)) if found else {})


def _source(turn: Turn, declared: Declared, family: str, name: str | None) -> str:
    """Find where the event comes from: the source that is named, or the only one of its family."""
    if family == "own":
        return ""
    known = samples.sources_of(declared, family)
    if name is None and len(known) != 1:
        raise _wrong(turn, f"say which source it is from: {', '.join(known) or f'nothing is declared under {family}'}")
    name = name if name is not None else next(iter(known))
    if name not in known:
        raise _wrong(turn, f'unknown source "{name}"{did_you_mean(name, known)}')
    unset = templates.setting_names(known[name])
    if unset:
        raise _wrong(turn, f"{name} is known only by the setting {', '.join(unset)}: give it under settings")
    return known[name]
