"""What a file can say and hardly means: warnings about its declarations and its rules. Only what is certain is said."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from shared.actions import Step
from shared.policy import Limit, Rate, show_duration
from shared.rules import endless, templates, wanted
from shared.rules.addresses import is_url
from shared.rules.contradictions import contradiction, is_certain
from shared.rules.document import PLAIN, WORDS
from shared.rules.kinds import KINDS
from shared.rules.problems import did_you_mean
from shared.rules.reading import Entries, Reading
from shared.rules.rule import Rule

# -- declarations -----------------------------------------------------------------------------------------------------

ALMOST_SETTING = re.compile(r"\$(?P<a>[A-Za-z_]\w*)\Z|\$\((?P<b>[A-Za-z_]\w*)\)\Z|%(?P<c>[A-Za-z_]\w*)%\Z")
"""How a setting is written in a shell, in a pipeline and in Windows."""
URLS = frozenset({"url", "endpoint", "container"})
SECRETS = frozenset({"key", "password", "secret"})
SECRET_HEADER = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)
SIGNED_URL = re.compile(r"[?&](?:sig|code|key|token|api[_-]?key)=[^&]|//hooks\.slack\.com/services/", re.IGNORECASE)
USE_SETTING = 'keep it in a setting, as "${NAME}"'


def doubt_declarations(reading: Reading, section: str, node: Node) -> None:
    """Point out values that are nearly settings, addresses that are none, and secrets that anyone can read."""
    for path, place in _scalars(node, ()):
        text, name = place.value, path[-1] if path else ""
        is_open = templates.is_open(text)
        if is_open or (place.tag == PLAIN and text in WORDS):
            continue
        if found := ALMOST_SETTING.match(text):
            meant = "NAME" if name in SECRETS else found[found.lastgroup or 0]
            reading.warn(place, f'{section}.{".".join(path)} is no setting (did you mean "${{{meant}}}"?)')
        elif "headers" in path[1:-1]:
            if SECRET_HEADER.search(name):
                reading.warn(place, f"the header {name} is written in plain text: {USE_SETTING}")
        elif len(path) > 1 and name in URLS and not is_url(text) and not text.lower().startswith("http:"):
            reading.warn(place, f"{section}.{'.'.join(path)} is no URL: it should begin with https:// and a host")
        elif len(path) > 1 and name in URLS and SIGNED_URL.search(text):
            reading.warn(place, f"{section}.{'.'.join(path)} holds a secret in plain text: {USE_SETTING}")
        elif len(path) > 1 and name in SECRETS:
            wrong = "" if section != "channels" or name != "secret" or _is_base64(text) else NOT_SIGNABLE
            reading.warn(place, f"{section}.{'.'.join(path)} is written in plain text: {USE_SETTING}{wrong}")


NOT_SIGNABLE = '; and it is not base64, so nothing can be signed with it: "whsec_" and 24 to 64 random bytes in base64'


def _scalars(node: Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ScalarNode]]:
    """Give every text under a node by the keys that lead there."""
    if isinstance(node, ScalarNode):
        yield path, node
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from _scalars(item, path)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode):
                yield from _scalars(value, (*path, key.value))


def _is_base64(secret: str) -> bool:
    try:
        return bool(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        return False


# -- rules ------------------------------------------------------------------------------------------------------------

SPENDS = ("run.", "deploy.", "train.", "score.", "invoke.", "publish.", "replicate.language", "restore.language")
"""How the steps begin that make a service work, and its owner pay."""
TRAINS = frozenset({"replicate.language", "restore.language"})
"""Steps whose names do not say that they train."""
ONCE: Mapping[str, frozenset[str]] = dict.fromkeys(("RunFailed", "RunCanceled"), frozenset({"run.id", "data.runId"}))
"""Kinds that each rule answers once for a run, however often the service says so."""
ONE_EVENT = "id"


@dataclass(frozen=True, slots=True)
class Written:
    """A rule and where the file has it."""

    rule: Rule
    node: Node
    keys: Entries

    def at(self, key: str) -> Node:
        """Give the place of one of its keys, or of the rule where it has none."""
        return self.keys[key][0] if key in self.keys else self.node


def doubt_rules(reading: Reading, written: Sequence[Written]) -> None:
    """Point out what the rules of a file can hardly mean, each by itself and beside the others."""
    for one in written:
        if "on" not in one.keys or not one.rule.kinds:
            continue
        _spends_freely(reading, one)
        _trains_unseen(reading, one)
        if costs := wanted.doubt(one.rule):
            reading.warn(one.at("on"), costs)
        for never_ends in endless.doubts(one.rule, [each.rule for each in written]):
            reading.warn(one.at("do"), never_ends)
        _never_matches(reading, one)
        _does_nothing(reading, one)
        if one.rule.limit and one.rule.do:
            _limits_nothing(reading, one, one.rule.limit)
    _name_no_rule(reading, written)
    _hear_themselves(reading, written)
    _hear_each_other(reading, written)
    if all(problem.level != "error" for problem in reading.problems):  # what cannot be read looks the same
        _do_the_same(reading, written)


def _spends_freely(reading: Reading, one: Written) -> None:
    rule = one.rule
    if "from" in one.keys or "where" in one.keys:
        return
    spending = [step.action for step in (*rule.do, *rule.on_failure) if step.action.startswith(SPENDS)]
    if spending:
        kinds = " and ".join(sorted(rule.kinds))
        own = all(KINDS[kind].family == "own" for kind in rule.kinds)
        say = "say in `where` which are meant" if own else "say in `from` or `where` which are meant"
        reading.warn(
            one.at("on"),
            f"every {kinds} sets off {', '.join(dict.fromkeys(spending))}, which costs or changes what is live: {say}",
        )


def _trains_unseen(reading: Reading, one: Written) -> None:
    """Say of a step that it trains, where its name does not; a warning until a limit says how often."""
    for key in ("do", "on_failure"):
        node = one.keys[key][1] if key in one.keys else None
        for item in node.value if isinstance(node, SequenceNode) else ():
            place = item.value[0][0] if isinstance(item, MappingNode) and item.value else item
            if isinstance(place, ScalarNode) and place.value in TRAINS:
                costs = f"{place.value} trains the project in its other region, and training is billed"
                if one.rule.limit:
                    reading.note(place, costs)
                else:
                    reading.warn(place, f"{costs}: say in `limit` how often at most, such as at_most: 2 per day")


def _never_matches(reading: Reading, one: Written) -> None:
    found = contradiction(one.rule)
    if found:
        reading.warn(one.at("where"), f"this rule can never match: {found}")


def _does_nothing(reading: Reading, one: Written) -> None:
    """Point out a key without anything to do, and an event that starts what it calls off."""
    for key in ("limit", "cancel_on") if "do" not in one.keys else ():
        if key in one.keys:
            reading.warn(one.at(key), f"{key} is about the steps of `do`, and this rule has none")
    both = one.rule.kinds & set(one.rule.cancel_on.on if one.rule.cancel_on else ())
    if both:
        reading.warn(
            one.at("cancel_on"),
            f"{' and '.join(sorted(both))} sets this rule off and calls it off: "
            "to act on the newest event, say limit: {concurrency: replace}",
        )


# -- limits -----------------------------------------------------------------------------------------------------------


def _limits_nothing(reading: Reading, one: Written, limit: Limit) -> None:
    for message in doubts_of_limit(limit, one.rule.kinds):
        reading.warn(one.at("limit"), message)


def doubts_of_limit(limit: Limit, kinds: frozenset[str]) -> Iterator[str]:
    """Say what of a limit can never be reached, or keeps the rule from ever acting."""
    alone = ONCE.get(next(iter(kinds)), frozenset()) if len(kinds) == 1 else frozenset()
    once = [path for path in limit.per if path == ONE_EVENT or path in alone]
    if once:
        if limit.threshold:
            yield f"the rule never acts: each {once[0]} comes once, and threshold waits for {limit.threshold.count}"
        names = [name for name in ("cooldown", "debounce", "digest", "concurrency") if getattr(limit, name)]
        if names:
            yield f"{' and '.join(names)} can never be reached: each {once[0]} comes once, and is limited by itself"
        return
    quiet, gathered = limit.debounce, limit.digest
    if quiet and gathered:
        if gathered <= quiet:
            yield (
                f"a digest of {show_duration(gathered)} never gathers a second event: "
                f"before it, debounce lets one through only after {show_duration(quiet)}"
            )
        else:
            yield "debounce lets only the newest of a burst through, so the digest leaves out the others"
    apart = max(filter(None, (quiet, gathered)), default=None)
    if apart and limit.cooldown and limit.cooldown <= apart:
        name = "debounce" if apart == quiet else "digest"
        yield (
            f"a cooldown of {show_duration(limit.cooldown)} can never be reached: "
            f"{name} keeps the actions {show_duration(apart)} apart already"
        )
    if apart and limit.threshold and _most(apart, limit.threshold.within) < limit.threshold.count:
        name = "debounce" if apart == quiet else "digest"
        yield (
            f"the rule never acts: {name} lets one event through in {show_duration(apart)}, "
            f"and threshold waits for {_show(limit.threshold)}"
        )
    apart = max(filter(None, (quiet, gathered, limit.cooldown)), default=None)
    if apart and limit.at_most and not limit.per and _most(apart, limit.at_most.within) <= limit.at_most.count:
        yield f"at_most can never be reached: the rule acts at most once in {show_duration(apart)} already"


def _most(apart: timedelta, within: timedelta) -> int:
    """Count what fits into a time when it comes at least so far apart."""
    return math.ceil(within / apart)


def _show(rate: Rate) -> str:
    return f"{rate.count} within {show_duration(rate.within)}"


# -- rules beside each other ------------------------------------------------------------------------------------------


def _ends(rule: Rule) -> set[str]:
    """List the outcomes that a rule's actions come to when nothing is out of order."""
    steps: tuple[Step, ...] = (*rule.do, *rule.on_failure)
    actions = {step.action for step in steps}
    ends = {"ActionSucceeded"} if rule.do else set()
    if any(action.startswith(SPENDS) for action in actions):
        ends.add("ActionFailed")
    if rule.limit or "gate" in actions:
        ends.add("ActionSkipped")
    if rule.cancel_on or (rule.limit and rule.limit.concurrency == "replace"):
        ends.add("ActionCanceled")
    if "approval" in actions:
        ends |= {"ApprovalRequested", "ApprovalGranted", "ApprovalRejected", "ApprovalExpired"}
    if rule.expect:
        ends.add("ExpectationMissed")
    return ends


NAMES_OF_RULES = frozenset({("action", "rule"), ("expectation", "rule")})


def _name_no_rule(reading: Reading, written: Sequence[Written]) -> None:
    """Point out a condition on a rule's name that no rule of the file has."""
    names = [one.rule.name for one in written if one.rule.name]
    known = {name.lower() for name in names}
    for one in written:
        if "where" not in one.keys or all(KINDS[kind].family != "own" for kind in one.rule.kinds):
            continue
        asked = [each for clause in one.rule.where for each in clause.conditions() if each.keys in NAMES_OF_RULES]
        for condition in asked:
            for name in condition.wanted if condition.operator in {"StringIn", "StringNotIn"} else ():
                if name.lower() not in known and not templates.is_open(name):
                    places = (place for _, place in _scalars(one.keys["where"][1], ()) if place.value == name)
                    meant = did_you_mean(name, names)
                    reading.warn(next(places, one.node), f'no rule of this file is called "{name}"{meant}')


def _hear_themselves(reading: Reading, written: Sequence[Written]) -> None:
    """Point out a rule for outcomes of any rule: it never hears of its own."""
    for one in written:
        own = sorted(one.rule.kinds & _ends(one.rule))
        if own and "where" not in one.keys:
            reading.warn(
                one.at("on"),
                f"its own actions end as {' and '.join(own)} too, and a rule never answers its own: say whose are "
                f"meant, or where: {{action.rule: {{StringNotIn: [{one.rule.name}]}}}}",
            )


def _hear_each_other(reading: Reading, written: Sequence[Written]) -> None:
    """Point out two rules of which each answers what comes of the other."""
    hearing = [one for one in written if any(KINDS[kind].family == "own" for kind in one.rule.kinds)][:MOST_HEARING]
    for position, one in enumerate(hearing):
        for other in hearing[:position]:
            if _hears(one.rule, other.rule) and _hears(other.rule, one.rule):
                reading.warn(
                    one.at("on"),
                    f'this rule and "{other.rule.name}" on line {other.rule.line} answer each other\'s outcomes, until '
                    f"a chain of five ends it: leave one out by where: "
                    f"{{action.rule: {{StringNotIn: [{other.rule.name}]}}}}",
                )


MOST_HEARING = 50
"""Rules for outcomes that are compared with each other."""


def _hears(rule: Rule, other: Rule) -> bool:
    """Tell whether a rule is certain to answer another one's outcome, and not only its failures."""
    heard = rule.kinds & _ends(other) - {"ActionFailed"}
    return bool(heard) and "off" not in {rule.mode, other.mode} and is_certain(rule, other.name)


def _do_the_same(reading: Reading, written: Sequence[Written]) -> None:
    """Point out a rule that is another one under a second name."""
    seen: dict[str, Rule] = {}
    for one in written:
        rule = one.rule
        if rule.mode == "off" or not (rule.do or rule.expect):
            continue
        do, on_failure = ([(step.action, step.params) for step in steps] for steps in (rule.do, rule.on_failure))
        answers = (sorted(rule.kinds), sorted(rule.sources), rule.where, rule.mode, do, on_failure)
        same = seen.setdefault(repr((*answers, rule.limit, rule.cancel_on, rule.expect)), rule)
        if same is not rule:
            reading.warn(one.at("name"), f'this rule does the same as "{same.name}" on line {same.line}')
