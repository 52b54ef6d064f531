"""What a rules file would have done about events, in their order and by their own times. Nothing is touched.

Every action is taken to succeed at once, every approval to be granted and every gate to be passed: so an action never
stands in the way of the next one, and what its outcome would bring is not played.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Literal, NamedTuple

from cli.event_files import Recorded
from shared.correlation import budget, cancel_key, followed, once, scope
from shared.events import Event, canonical, digest
from shared.limits import Asking, decide, decide_budget
from shared.policy import Told
from shared.rules import Rule, Rules
from shared.slots import Slots, release

DEEPEST = 5
"""Outcomes that lead to an event before no rule answers it any more; a test holds it to the planner's."""
REPEAT_WINDOW = timedelta(minutes=10)
"""Equal content without an id is the same event for so long; a test holds it to the planner's."""
TIME_LIKE = re.compile(r'"\d{4}-[\dW].{4}T')
ACTION_KEY = re.compile(r"action [0-9a-f]{32}")

Verdict = Literal["acts", "waits", "skipped", "repeated"]
"""acts: it does its steps, if only as a dry run. waits: its limit will say later. skipped: its limit keeps it from
acting. repeated: it has answered this already, told by another event."""


class Moment(NamedTuple):
    """An event at its place in the order of things."""

    event: Event
    at: datetime
    key: str
    """The same for an event that comes again; "" where nobody asks, for derived kinds say themselves what they are."""
    place: str = ""
    """Where it was read from, for people."""


class Answer(NamedTuple):
    """What one rule makes of one event that it matches."""

    rule: Rule
    moment: Moment
    verdict: Verdict
    identity: str
    """What it answers once: the event's key, or what a derived kind tells of."""
    reason: str = ""
    told: tuple[Told, ...] = ()
    """The events that are answered together, where the rule has a digest."""

    @property
    def action(self) -> str:
        """The key that its action would have."""
        return digest("action", self.identity, self.rule.name)


class _Waiting(NamedTuple):
    """An action that its limit makes wait; they are ordered by when they look again."""

    until: datetime
    number: int
    answer: Answer
    slots_of: str


@dataclass(slots=True)
class Rehearsal:
    """A rules file while events go by; its limits and the clock are its own."""

    rules: Rules
    _answered: set[int] = field(default_factory=set)
    _slots: dict[str, Slots] = field(default_factory=dict)
    """By what a limit is decided by: see `correlation`."""
    _waiting: list[_Waiting] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)
    _stoppable: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        self._stoppable = tuple(rule for rule in self.rules.rules if rule.cancel_on and rule.limit)

    @property
    def is_waiting(self) -> bool:
        """Whether any action waits for its limit."""
        return bool(self._waiting)

    def answer(self, moment: Moment, matched: Iterable[Rule]) -> list[Answer]:
        """Say what each rule that matches makes of an event; `pass_time` to its moment comes before."""
        if moment.event.depth >= DEEPEST:
            return []
        return [self._answer(moment, rule) for rule in matched]

    def pass_time(self, now: datetime) -> Iterator[Answer]:
        """Give what had to wait and is decided by now, in the order of time."""
        while self._waiting and self._waiting[0].until <= now:
            waiting = heapq.heappop(self._waiting)
            answer = self._decide(waiting.answer, waiting.slots_of, waiting.until)
            if answer.verdict != "waits":
                yield answer

    def hear(self, event: Event) -> Iterator[Answer]:
        """Give what waits and is called off by an event, whether or not a rule answers it."""
        if not (self._waiting and self._stoppable and self.rules.declares(event)):
            return
        tokens = {one.token for one in followed(self._stoppable, event) if one.what == "cancel"}
        if not tokens:
            return
        off = [one for one in self._waiting if cancel_key(one.answer.rule, one.answer.moment.event) in tokens]
        for waiting in off:
            self._waiting.remove(waiting)
            slots = self._slots[waiting.slots_of]
            self._slots[waiting.slots_of] = _over(slots, waiting.answer.action, gives_back=True)
            yield waiting.answer._replace(verdict="skipped", reason=f"called off by {event.subject}")
        heapq.heapify(self._waiting)

    def finish(self) -> Iterator[Answer]:
        """Give what still waits after the last event, once its time has come."""
        while self._waiting:
            yield from self.pass_time(self._waiting[0].until)

    def _answer(self, moment: Moment, rule: Rule) -> Answer:
        identity, is_once = identify(moment, rule)
        answer = Answer(rule, moment, "acts", identity)
        if is_once:
            answered = hash((identity, rule.name))
            if answered in self._answered:
                return answer._replace(verdict="repeated", reason="it has answered this already")
            self._answered.add(answered)
        return answer if rule.limit is None else self._decide(answer, scope(rule, moment.event), moment.at)

    def _decide(self, answer: Answer, slots_of: str, now: datetime) -> Answer:
        """Ask the rule's limit, and remember what it says."""
        rule, moment = answer.rule, answer.moment
        assert rule.limit is not None
        key, event = answer.action, moment.event
        kind = next(iter(sorted(rule.kinds & event.kinds)), event.type)
        told = Told(key=moment.key, kind=kind, subject=event.subject, source=event.source, time=event.time)
        asking = Asking(key=key, holder=key, at=moment.at, event=told)
        admission = decide(rule.limit, self._slots.get(slots_of, Slots()), asking, now, lambda _key, _since: True)
        slots = admission.slots
        if admission.verdict == "wait" and admission.until is not None:
            self._slots[slots_of] = slots
            heapq.heappush(self._waiting, _Waiting(admission.until, next(self._numbers), answer, slots_of))
            return answer._replace(verdict="waits", reason=admission.reason)
        if admission.verdict == "skip":
            self._slots[slots_of] = slots
            return answer._replace(verdict="skipped", reason=_readable(admission.reason))
        if rule.limit.at_most is not None:
            purse = budget(rule.name, rule.mode)
            spent = decide_budget(rule.limit.at_most, self._slots.get(purse, Slots()), asking, now)
            self._slots[purse] = spent.slots
            if spent.verdict != "go":
                self._slots[slots_of] = _over(slots, key, gives_back=True)
                return answer._replace(verdict="skipped", reason=spent.reason)
        self._slots[slots_of] = _over(slots, key, gives_back=False)
        return answer._replace(told=admission.digest.events) if admission.digest else answer


def _over(slots: Slots, key: str, *, gives_back: bool) -> Slots:
    """End an action: there are no replays here."""
    return release(slots, key, key, gives_back=gives_back, succeeded=not gives_back)


def identify(moment: Moment, rule: Rule) -> tuple[str, bool]:
    """Tell what a rule answers, and whether other events may tell the same: a derived kind is answered once."""
    identity = once(rule, moment.event)
    return (identity, True) if identity else (moment.key, False)


def _readable(reason: str) -> str:
    return ACTION_KEY.sub("an earlier action", reason)


@dataclass(slots=True)
class Order:
    """The order of events: gives each its moment, and knows those that come again."""

    clock: datetime | None = None
    first: datetime | None = None
    late: int = 0
    """Events that stand after a later one."""
    repeated: int = 0
    _seen: set[int] = field(default_factory=set)
    _occurrences: dict[str, datetime] = field(default_factory=dict)

    def see(self, at: datetime | None) -> datetime:
        """Move the clock on; an event without a time comes right after the one before it."""
        if at is None:
            at = self.clock or datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        elif self.clock is not None and at < self.clock:
            self.late += 1
            at = self.clock
        if self.first is None:
            self.first = at
        self.clock = at
        return at

    def place(self, recorded: Recorded, at: datetime, matched: Iterable[Rule]) -> Moment | None:
        """Give an event its moment; None for one that came before."""
        event, key = recorded.event, recorded.key
        if not key and event.repeatable:
            content = event.key
            first = self._occurrences.get(content)
            if first is not None and at - first < REPEAT_WINDOW:
                self.repeated += 1
                return None
            self._occurrences[content] = at
            return Moment(event, at, digest(content, at.isoformat()), recorded.place)
        if not key and event.once and all(once(rule, event) and not rule.limit for rule in matched):
            return Moment(event, at, "", recorded.place)
        key = key or key_of(event)
        short = hash(key)
        if short in self._seen:
            self.repeated += 1
            return None
        self._seen.add(short)
        return Moment(event, at, key, recorded.place)


def key_of(event: Event) -> str:
    """Give an event's key: without looking at every value of its data where no URL and no time is among them."""
    data = canonical(event.data)
    if "?" in data or TIME_LIKE.search(data):
        return event.key
    return digest(event.source.lower(), event.type.lower(), event.id, event.subject, data)
