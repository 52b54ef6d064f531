"""What a rules file makes of a case, against what the case wants of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cli.event_files import Recorded
from cli.rules.case_events import event_of
from cli.rules.case_files import Case, CaseError, Turn, Wanted, WantedStep
from cli.rules.expecting import Expecting, Missed
from cli.rules.performing import done, performed
from cli.rules.rehearsal import Answer, Order, Rehearsal
from shared.policy import show_duration
from shared.rules import Explanation, Problem, Reason, Rules
from shared.rules.kinds import KINDS
from shared.rules.paths import canonical, parse_path
from shared.rules.problems import did_you_mean

START = datetime(2026, 3, 2, 8, 15, 4, tzinfo=UTC)
"""When a case begins that does not say it."""
NOTHING = object()
PLAYED = "ExpectationMissed"
"""The one kind of our own that a case brings about."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the case wants it."""

    line: int
    rule: str
    message: str
    path: str = ""
    """Of a parameter that differs."""
    expected: Any = NOTHING
    got: Any = NOTHING

    def json(self) -> dict[str, Any]:
        """Give it as plain data."""
        values = {"expected": self.expected, "got": self.got}
        return {"line": self.line, "rule": self.rule, "message": self.message, "path": self.path} | {
            name: value for name, value in values.items() if value is not NOTHING
        }


@dataclass(slots=True)
class Verdict:
    """What came of a case."""

    case: Case
    differences: list[Difference] = field(default_factory=list)
    explained: list[tuple[int, Explanation]] = field(default_factory=list)
    """The turn's line, and what every rule made of its event, for those who want to read it."""
    done: list[tuple[int, str, list[dict[str, Any]]]] = field(default_factory=list)
    """What was done: the turn's line, the rule, its steps."""


def judge(case: Case, rules: Rules) -> Verdict:
    """Play a case; CaseError where its events are none."""
    bound = rules.bind(case.settings)
    rehearsal = Rehearsal(bound)
    return _Play(case, bound, Verdict(case), rehearsal, Expecting(rehearsal), Order()).play()


@dataclass(slots=True)
class _Play:
    case: Case
    rules: Rules
    verdict: Verdict
    rehearsal: Rehearsal
    expecting: Expecting
    order: Order

    def play(self) -> Verdict:
        """Go through the turns, one after another."""
        self._check_names()
        for number, turn in enumerate(self.case.turns):
            at = turn.at or (self.order.clock or START)
            if turn.after is not None:
                at += turn.after
            if self.order.clock is not None and at < self.order.clock:
                raise CaseError([Problem(turn.line, 1, "events must stand in the order of their time")])
            self._turn(turn, number, at)
        return self.verdict

    def _check_names(self) -> None:
        known = [rule.name for rule in self.rules.rules]
        problems = [
            Problem(wanted.line, 1, f'the rules file has no rule "{wanted.rule}"{did_you_mean(wanted.rule, known)}')
            for turn in self.case.turns
            for wanted in turn.wanted
            if wanted.rule not in known
        ]
        if problems:
            raise CaseError(problems)

    def _turn(self, turn: Turn, number: int, at: datetime) -> None:
        at = self.order.see(at)
        missed = list(self.expecting.pass_time(at, is_over=turn.event is None))
        answers = [answer for one in missed for answer in one.answers]
        answers += self.rehearsal.pass_time(at)
        explanation: Explanation | None = None
        if turn.event is not None:
            event = event_of(self.case, turn, self.rules, number, at)
            explanation = self.rules.explain(event)
            self.verdict.explained.append((turn.line, explanation))
            matched = self.rules.match(event)
            moment = self.order.place(Recorded(event, at, "", f"line {turn.event_line}"), at, matched)
            if moment is None:
                self._note(turn.event_line, "", "this event came before: it changes nothing; give it another id")
                return
            answers += self.rehearsal.hear(event)
            self.expecting.hear(event)
            own = self.rehearsal.answer(moment, matched)
            self.expecting.begin(own)
            late = list(self.expecting.pass_time(at, is_over=True))
            missed += late
            answers += [*own, *(answer for one in late for answer in one.answers)]
        by_rule: dict[str, list[Answer]] = {}
        for answer in answers:
            by_rule.setdefault(answer.rule.name, []).append(answer)
        wanted = {one.rule: one for one in turn.wanted}
        self._compare_missed(turn, missed)
        for one in turn.wanted:
            if not one.missed:
                self._compare(turn, one, by_rule.get(one.rule, []), explanation)
        for name, given in by_rule.items():
            acting = [answer for answer in given if answer.verdict == "acts"]
            for answer in acting:
                self.verdict.done.append((turn.line, name, [*performed(answer, turn)]))
            if acting and name not in wanted and not self.case.others_allowed:
                self._note(turn.expect_line, name, f"it answers{_with(acting[0])}, and the case does not expect it")

    def _compare_missed(self, turn: Turn, missed: list[Missed]) -> None:
        """Compare whose expectations came to nothing; a rule of which the case says something else is let be."""
        rules = {one.rule.name: one.rule.expect for one in missed}
        named = {one.rule for one in turn.wanted}
        for wanted in turn.wanted:
            if wanted.missed and wanted.rule not in rules:
                self._note(wanted.line, wanted.rule, "what it expects must be missed, and is not")
        for name, expect in rules.items():
            if name not in named and expect and not self.case.others_allowed:
                what = f"no {expect.kind} followed within {show_duration(expect.within)}"
                self._note(turn.expect_line, name, f"{what}, and the case does not expect that: write {name}: missed")

    def _note(self, line: int, rule: str, message: str) -> None:
        self.verdict.differences.append(Difference(line, rule, message))

    def _compare(self, turn: Turn, wanted: Wanted, answers: list[Answer], explanation: Explanation | None) -> None:
        acting = [answer for answer in answers if answer.verdict == "acts"]
        if not wanted.answers:
            if acting:
                self._note(wanted.line, wanted.rule, f"it must not answer, and answers{_with(acting[0])}")
            elif wanted.because:
                self._compare_reason(wanted, answers, _against(explanation, wanted.rule))
        elif not acting:
            self._note(
                wanted.line, wanted.rule, f"it must answer, and does not: {self._why(wanted, answers, explanation)}"
            )
        else:
            found = [list(self._steps(turn, wanted, answer)) for answer in acting]
            fewest: list[Difference] = min(found, key=len)
            self.verdict.differences += fewest

    def _why(self, wanted: Wanted, answers: list[Answer], explanation: Explanation | None) -> str:
        """Say what is against a rule: its limit, its conditions, or a source that a setting hides."""
        if answers:
            return answers[-1].reason
        reason = _against(explanation, wanted.rule)
        if unplayed := self._unplayed(wanted.rule, reason, explanation):
            return unplayed
        if reason is None:
            return "nothing is due now" if explanation is None else "its action waits or was called off"
        unset = [problem.message for problem in self.rules.warnings if "is not set" in problem.message]
        hint = f" ({'; '.join(unset)}: give it under settings)" if unset else ""
        return reason.show() + hint

    def _unplayed(self, name: str, reason: Reason | None, explanation: Explanation | None) -> str:
        """Say so where a rule waits for what a case does not bring about by itself."""
        kinds = next((rule.kinds for rule in self.rules.rules if rule.name == name), frozenset())
        own = sorted(kind for kind in kinds if KINDS[kind].family == "own" and kind != PLAYED)
        is_elsewhere = explanation is None or (reason is not None and reason.path == "on")
        if not own or len(own) < len(kinds) or not is_elsewhere:
            return ""
        return f"nothing is due now; a case plays no outcomes: give the {own[0]} as an event of its own"

    def _compare_reason(self, wanted: Wanted, answers: list[Answer], reason: Reason | None) -> None:
        found = "limit" if answers else reason.path if reason else ""
        if _same_path(found, wanted.because):
            return
        why = answers[-1].reason if answers else reason.show() if reason else "nothing happened"
        self.verdict.differences.append(
            Difference(
                wanted.line, wanted.rule, f"it does not answer for another reason: {why}", "", wanted.because, found
            )
        )

    # -- steps --------------------------------------------------------------------------------------------------------

    def _steps(self, turn: Turn, wanted: Wanted, answer: Answer) -> Iterator[Difference]:
        do, on_failure = done(answer, turn)
        if wanted.do is not None:
            yield from _compare_steps(wanted, wanted.do, do)
        if wanted.on_failure is not None:
            if turn.failure is None:
                yield Difference(wanted.line, wanted.rule, "on_failure is expected: say under failure which step fails")
            else:
                yield from _compare_steps(wanted, wanted.on_failure, on_failure)
        for shown in (*do, *on_failure):
            if "error" in shown:
                yield Difference(wanted.line, wanted.rule, f"{_title(shown)} cannot be done: {shown['error']}")


def _compare_steps(wanted: Wanted, expected: tuple[WantedStep, ...], got: list[dict[str, Any]]) -> Iterator[Difference]:
    names, found = [step.action for step in expected], [step["action"] for step in got]
    if names != found:
        yield Difference(wanted.line, wanted.rule, "its steps are others", "", names, found)
        return
    for step, shown in zip(expected, got, strict=True):
        if step.id is not None and step.id != shown["id"]:
            yield Difference(step.line, wanted.rule, f"{step.action} has another id", "id", step.id, shown["id"])
        if "error" in shown:
            continue
        for path, want, have in _differences(step.params, shown["params"], ()):
            message = f"{_title(shown)}: {path} differs"
            if have is NOTHING:
                message = f"{_title(shown)}: {path} is not given{did_you_mean(path, shown['params'])}"
            yield Difference(step.line, wanted.rule, message, path, want, have)


def _differences(want: Any, have: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Compare what is named: mappings by the keys that are wanted, lists item by item, everything else exactly."""
    if isinstance(want, dict) and isinstance(have, dict):
        for name, value in want.items():
            yield from _differences(value, have.get(name, NOTHING), (*path, str(name)))
    elif isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
        for position, (value, other) in enumerate(zip(want, have, strict=True)):
            yield from _differences(value, other, (*path, str(position)))
    elif want != have or isinstance(want, bool) != isinstance(have, bool):
        yield ".".join(path), want, have


def _title(shown: Mapping[str, Any]) -> str:
    return shown["action"] if shown["id"] == shown["action"] else f"{shown['action']} ({shown['id']})"


# -- reasons ----------------------------------------------------------------------------------------------------------


def _against(explanation: Explanation | None, name: str) -> Reason | None:
    if explanation is None:
        return None
    return next((one.because for one in explanation.rules if one.rule.name == name), None)


def _with(answer: Answer) -> str:
    """Say what an answer does: its steps, or what it expects."""
    rule = answer.rule
    does = [f"with {', '.join(step.action for step in rule.do)}"] if rule.do else []
    if rule.expect and not rule.do:
        does.append(f"by expecting {rule.expect.kind} within {show_duration(rule.expect.within)}")
    return f" {does[0]}" if does else ""


def _same_path(one: str, other: str) -> bool:
    keys, others = parse_path(one), parse_path(other)
    return one == other or (keys is not None and others is not None and canonical(keys) == canonical(others))
