"""What the rules of a case expect: which event should follow, by when, and the ExpectationMissed where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from cli.rules.rehearsal import Answer, Moment, Rehearsal
from shared.correlation import expect_key, followed

if TYPE_CHECKING:
    from shared.events import Event
    from shared.rules import Rule


class _Expected(NamedTuple):
    """An event that should follow another one."""

    until: datetime
    token: str
    rule: Rule
    moment: Moment


class Missed(NamedTuple):
    """What did not follow in time, and what the rules make of that."""

    rule: Rule
    event: Event
    answers: tuple[Answer, ...]


@dataclass(slots=True)
class Expecting:
    """The expectations of a rehearsal's rules while events go by."""

    rehearsal: Rehearsal
    _waiting: list[_Expected] = field(default_factory=list)

    def begin(self, answers: Iterable[Answer]) -> None:
        """Wait for what should follow the events of answers; a limit has no say in it."""
        for answer in answers:
            rule, moment = answer.rule, answer.moment
            if rule.expect and answer.verdict != "repeated":
                until = moment.at + rule.expect.within
                self._waiting.append(_Expected(until, expect_key(rule, moment.event), rule, moment))

    def hear(self, event: Event) -> None:
        """Wait no longer for what an event was expected for."""
        if self._waiting:
            rules = [one.rule for one in self._waiting]
            tokens = {one.token for one in followed(rules, event) if one.what == "expect"}
            self._waiting = [one for one in self._waiting if one.token not in tokens]

    def pass_time(self, now: datetime, *, is_over: bool) -> Iterator[Missed]:
        """Give what did not follow by now, in the order of time; `is_over`: not even at this very moment."""
        while due := [one for one in self._waiting if one.until < now or (is_over and one.until == now)]:
            first = min(due, key=lambda one: one.until)
            self._waiting.remove(first)
            yield self._missed(first)

    def _missed(self, expected: _Expected) -> Missed:
        """Have the rules answer as the app announces it."""
        event = announced(expected.rule, expected.moment, self.rehearsal.rules.hash, expected.until)
        answers = [*self.rehearsal.pass_time(expected.until), *self.rehearsal.hear(event)]
        self.hear(event)
        moment = Moment(event, expected.until, event.key)
        own = self.rehearsal.answer(moment, self.rehearsal.rules.match(event))
        self.begin(own)
        return Missed(expected.rule, event, (*answers, *own))


def announced(rule: Rule, moment: Moment, rules_hash: str, at: datetime) -> Event:
    """Make the event that tells of it."""
    from shared.actions import Status
    from shared.outcomes import outcome
    from shared.plans import expected
    from shared.settle import end

    assert rule.expect is not None
    action = expected(moment.event, moment.key or moment.event.key, rule, rules_hash, moment.at)
    event = outcome(end(action, Status.EXPIRED, f"no {rule.expect.kind} followed in time", at))
    assert event is not None
    return event
