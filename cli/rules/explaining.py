"""`reactor rules explain`: which rules answer an event, what they do, and why the others do not."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.documents import print_json, read
from cli.errors import UsageError
from cli.tables import BOLD, DIM, GREEN, RED, Paint, brief, clean, count, painter

if TYPE_CHECKING:
    from shared.events import Event
    from shared.policy import Limit
    from shared.rules import Declared, Explanation, Rule, RuleExplanation


Json = dict[str, Any]


def explain(options: Namespace) -> int:
    """Print what the rules make of an event, or of each event of an array; 1 where a step cannot be done as written."""
    from cli.event_files import read_events
    from shared.handlers import ACTIONS
    from shared.rules import RulesError, load

    try:
        written = load(read(options.rules), ACTIONS, str(options.rules))
    except RulesError as error:
        print(error, file=sys.stderr)
        return 1
    rules = written.bind(os.environ)
    _, unset = written.declared.bind(os.environ)
    if not rules.rules:
        print(f"{options.rules} has no rules: nothing answers; --rules names another file", file=sys.stderr)
    found = read_events(read(options.event), str(options.event))
    if found == []:
        raise UsageError(f"{options.event} holds no event: the list is empty")
    explained = [rules.explain(event) for event in (found if isinstance(found, list) else [found])]
    answers = [answer(one, rules.declared, unset) for one in explained]
    if options.json:
        print_json(answers if isinstance(found, list) else answers[0])
    else:
        for warning in rules.warnings[len(written.warnings) :]:
            print(warning.show(str(options.rules)), file=sys.stderr)
        doubts = sum(warning.level == "warning" for warning in written.warnings)
        if doubts:
            print(f"{options.rules}: {count(doubts, 'warning')}, see reactor rules check", file=sys.stderr)
        for one in explained:
            print("\n".join(lines(one, painter(), rules.declared, unset)))
    return 1 if any(_cannot_be_done(rule) for one in answers for rule in one["rules"]) else 0


def _cannot_be_done(rule: Json) -> bool:
    return any("error" in step for step in (*rule.get("steps", ()), *rule.get("on_failure", ())))


# -- as data ----------------------------------------------------------------------------------------------------------


def answer(explanation: Explanation, declared: Declared | None, unset: Mapping[str, list[str]]) -> Json:
    """Give an explanation as plain data: what else a rule says is there where it says something."""
    found = explanation.json()
    if explanation.refused and unset:
        found["unset"] = dict(unset)
    for told, explained in zip(found["rules"], explanation.rules, strict=True):
        if explained.because is None:
            told.update(_more(explained.rule, explanation.event))
            for step in (*told["steps"], *told.get("on_failure", ())) if declared else ():
                step.update(_routed(step, declared, explanation.event))
    return found


def _more(rule: Rule, event: Event) -> Json:
    """Give what a rule says beside its steps."""
    from shared.policy import show_duration
    from shared.rules.explanation import preview

    more: Json = {}
    if rule.mode != "live":
        more["mode"] = rule.mode
    if rule.limit:
        more["limit"] = limit_words(rule.limit) | _per(rule.limit.per, event)
    if rule.cancel_on:
        more["cancel_on"] = {"on": list(rule.cancel_on.on)} | _per(rule.cancel_on.per, event)
    if rule.expect:
        expect = {"kind": rule.expect.kind, "within": show_duration(rule.expect.within)}
        more["expect"] = expect | _per(rule.expect.per, event)
    if rule.on_failure:
        more["on_failure"] = preview(rule.on_failure, event)
    return more


def limit_words(limit: Limit) -> dict[str, str]:
    """Write a limit as rules do, but for its `per`."""
    from shared.policy import PERIODS, show_duration

    names = {period: name for name, period in PERIODS.items()}
    words: dict[str, str] = {}
    for name in ("cooldown", "debounce", "digest"):
        if duration := getattr(limit, name):
            words[name] = show_duration(duration)
    if limit.at_most:
        words["at_most"] = f"{limit.at_most.count} per {names[limit.at_most.within]}"
    if limit.threshold:
        words["threshold"] = f"{limit.threshold.count} within {show_duration(limit.threshold.within)}"
    if limit.concurrency:
        words["concurrency"] = limit.concurrency
    return words


def _per(paths: Iterable[str], event: Event) -> Json:
    """Give the values that an event has under paths; null where there is none."""
    from shared.events import without_url_queries
    from shared.rules.paths import MISSING, canonical, parse_path, reader

    values: Json = {}
    for path in paths:
        keys = parse_path(path)
        value = reader(canonical(keys))(event) if keys else MISSING
        values[path] = None if value is MISSING else without_url_queries(value)
    return {"per": values} if values else {}


def _routed(step: Json, declared: Declared | None, event: Event) -> Json:
    """Give the channels that a step's routes lead to, for this event."""
    from shared.handlers import ACTIONS
    from shared.rules.declared import Route
    from shared.rules.parameters import parameters
    from shared.rules.templates import context

    target = ACTIONS.get(step["action"])
    names = parameters(target).names if target else {}
    routes: Json = {}
    for parameter, section in names.items():
        name = step["params"].get(parameter)
        channel = declared.channels.get(name) if declared and section == "channels" and isinstance(name, str) else None
        if isinstance(channel, Route):
            routes[parameter] = channel.picks(context(event))
    return {"routes": routes} if routes else {}


# -- for people -------------------------------------------------------------------------------------------------------


def lines(
    explanation: Explanation,
    paint: Paint,
    declared: Declared | None = None,
    unset: Mapping[str, list[str]] | None = None,
) -> Iterator[str]:
    """Write an explanation: the event, then each rule in the order of the file."""
    event = explanation.event
    kinds = ", ".join(sorted(event.kinds)) or f"no kind that a rule can hear ({event.type})"
    yield paint(BOLD, clean(f"{kinds}  {event.subject}"))
    if explanation.refused:
        yield paint(RED, explanation.refused)
        for name, settings in (unset or {}).items():
            yield f"  unless it is {name}, which is not listened to: the setting {', '.join(settings)} is not set"
    yield f"from {clean(event.source)}"
    yield ""
    told = answer(explanation, declared, unset or {})["rules"]
    width = max((len(explained.rule.name) for explained in explanation.rules), default=0)
    for explained, rule in zip(explanation.rules, told, strict=True):
        yield from _rule(explained, rule, width, paint)
    yield ""


def _rule(explained: RuleExplanation, told: Json, width: int, paint: Paint) -> Iterator[str]:
    name = explained.rule.name.ljust(width)
    if explained.because is not None:
        yield paint(DIM, clean(f"  no   {name}  {explained.because.show()}"))
        return
    notes = ["dry run: nothing is touched"] if explained.rule.mode == "dry_run" else []
    if _cannot_be_done(told):
        notes.append(paint(RED, "it cannot be done as written"))
    yield f"  {paint(GREEN, 'yes')}  {name}{f'  ({"; ".join(notes)})' if notes else ''}".rstrip()
    limit, cancel_on, expect = (told.get(key, {}) for key in ("limit", "cancel_on", "expect"))
    if limit:
        yield f"         limit: {', '.join([f'{n} {v}' for n, v in limit.items() if n != 'per'])}{_each(limit)}"
    if cancel_on:
        yield f"         called off by {' or '.join(cancel_on['on'])}{_each(cancel_on)}"
    if expect:
        yield f"         expects {expect['kind']} within {expect['within']}{_each(expect)}"
    yield from steps(told["steps"], paint, " " * 9)
    if told.get("on_failure"):
        yield " " * 9 + "on failure"
        yield from steps(told["on_failure"], paint, " " * 11)


def _each(part: Json) -> str:
    values = [f"{path} ({'none' if value is None else brief(value)})" for path, value in part.get("per", {}).items()]
    return f", per {' and '.join(values)}" if values else ""


def steps(of: list[Json], paint: Paint, indent: str) -> Iterator[str]:
    """Write steps with their parameters, one on a line."""
    for step in of:
        yield indent + (step["action"] if step["id"] == step["action"] else f"{step['action']} ({step['id']})")
        width = max(map(len, step["params"]), default=0)
        for name, value in step["params"].items():
            text = value if isinstance(value, str) else brief(value)
            target = step.get("routes", {}).get(name, "")
            leads = "" if target == "" else f"  (leads to {target})" if target else "  (leads nowhere for this event)"
            yield f"{indent}  {name.ljust(width)}  {_lines_of(text, len(indent) + width + 4)}{leads}"
        if "error" in step:
            yield paint(RED, f"{indent}  cannot be done: {clean(step['error'])}")


def _lines_of(text: str, column: int) -> str:
    """Write a text; what follows its first line begins in the same column."""
    first, *rest = map(clean, text.split("\n"))
    return "\n".join([first, *(f"{' ' * column}{line}" if line else "" for line in rest)])
