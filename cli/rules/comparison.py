"""Two rules files over the same events: what each does, and where they differ. Nothing is touched, nothing is read.

What both do about an event is forgotten at once; only differences that a later event may still settle are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cli.event_files import Recorded
from cli.rules.rehearsal import Answer, Moment, Order, Rehearsal
from shared.rules import Rule, Rules

FAMILIES: Mapping[str, str] = {
    "run": "runs",
    "invoke": "runs",
    "train": "runs",
    "register": "models",
    "export": "models",
    "deploy": "deployments",
    "retire": "deployments",
    "publish": "deployments",
    "replicate": "deployments",
    "restore": "deployments",
    "backup": "backups",
    "alert": "alerts",
    "forward": "alerts",
    "approval": "approvals",
    "prune": "other",
    "gate": "",
}
"""First word of a step's action to what it counts as; "" for what only decides."""
COUNTED = ("runs", "models", "deployments", "backups", "alerts", "approvals", "other")
EXAMPLES = 3
"""Events that are named for each rule and each way."""
MOST_KEPT = 50
"""Differences of one rule that are kept with their event."""
OLD, NEW = 0, 1


class Example(NamedTuple):
    """An event about which the files differ."""

    place: str
    subject: str
    at: str
    because: str
    """What is against it in the other file."""


@dataclass(slots=True)
class Tally:
    """What one rule does, before and after."""

    name: str
    rules: tuple[Rule | None, Rule | None]
    matched: list[int] = field(default_factory=lambda: [0, 0])
    acts: list[int] = field(default_factory=lambda: [0, 0])
    """Of those, how many go through its limit and touch something."""
    dry_runs: list[int] = field(default_factory=lambda: [0, 0])
    limited: list[int] = field(default_factory=lambda: [0, 0])
    both: int = 0
    only: list[int] = field(default_factory=lambda: [0, 0])
    """By file: what it alone does."""
    examples: tuple[list[Example], list[Example]] = field(default_factory=lambda: ([], []))
    now: dict[str, tuple[int, Answer]] = field(default_factory=dict)
    """What only one file has done about the event at hand."""
    later: dict[str, tuple[int, Answer | None]] = field(default_factory=dict)
    """What only one file has done so far, and the other may still do."""
    reasons: dict[tuple[int, str], str] = field(default_factory=dict)
    """Why a file's limit keeps back what the other may do."""

    @property
    def note(self) -> str:
        """Say how the rule itself changed."""
        old, new = self.rules
        if old is None or new is None:
            return "new" if old is None else "removed"
        changes = [f"{old.mode} → {new.mode}"] if old.mode != new.mode else []
        changes += ["limit changed"] if old.limit != new.limit else []
        changes += ["steps changed"] if (old.do, old.on_failure) != (new.do, new.on_failure) else []
        return ", ".join(changes)

    @property
    def waits(self) -> bool:
        """Whether its limit lets it act only later, in one of the files."""
        return any(rule and rule.limit and (rule.limit.debounce or rule.limit.digest) for rule in self.rules)

    @property
    def differs(self) -> bool:
        """Whether anything that it does is different."""
        return any(self.only) or self.matched[OLD] != self.matched[NEW] or self.steps(OLD) != self.steps(NEW)

    def steps(self, side: int) -> Counter[str]:
        """Count its steps by family, where every one succeeds."""
        rule = self.rules[side]
        counts: Counter[str] = Counter()
        for step in rule.do if rule else ():
            family = FAMILIES.get(step.action.partition(".")[0], "other")
            if family:
                counts[family] += self.acts[side]
        return counts

    def act(self, side: int, answer: Answer) -> None:
        """Count what it does, and hold it against what the other file does."""
        self.acts[side] += 1
        is_late = self.waits or answer.identity != answer.moment.key
        open_: dict[str, Any] = self.later if is_late else self.now
        other = open_.get(answer.identity)
        if other is not None and other[0] != side:
            del open_[answer.identity]
            self.both += 1
        else:
            open_[answer.identity] = (side, answer if not is_late or len(open_) < MOST_KEPT else None)


@dataclass(slots=True)
class Comparison:
    """The two files while events go by."""

    old: Rules
    new: Rules
    events: int = 0
    order: Order = field(default_factory=Order)
    tallies: dict[str, Tally] = field(default_factory=dict)
    _sides: tuple[Rehearsal, Rehearsal] = field(init=False)

    def __post_init__(self) -> None:
        self._sides = (Rehearsal(self.old), Rehearsal(self.new))
        old, new = ({rule.name: rule for rule in rules.rules} for rules in (self.old, self.new))
        self.tallies = {name: Tally(name, (old.get(name), new.get(name))) for name in (new | old)}

    def add(self, recorded: Recorded) -> None:
        """Take the next event."""
        self.events += 1
        event = recorded.event
        at = self.order.see(recorded.at)
        matched = self.old.match(event), self.new.match(event)
        for side, rehearsal in enumerate(self._sides):
            if rehearsal.is_waiting:
                self._count(side, rehearsal.pass_time(at))
                self._count(side, rehearsal.hear(event))
        if not (matched[OLD] or matched[NEW]):
            return
        moment = self.order.place(recorded, at, (*matched[OLD], *matched[NEW]))
        if moment is not None:
            self._answer(moment, matched)

    def _answer(self, moment: Moment, matched: tuple[tuple[Rule, ...], tuple[Rule, ...]]) -> None:
        """Have both files answer an event that one of them matches."""
        touched: dict[str, Tally] = {}
        is_new = False
        for side, rehearsal in enumerate(self._sides):
            answers = rehearsal.answer(moment, matched[side])
            self._count(side, answers)
            for answer in answers:
                tally = touched[answer.rule.name] = self.tallies[answer.rule.name]
                if answer.verdict != "repeated":
                    tally.matched[side] += 1
                    is_new = True
        self.order.repeated += bool(touched) and not is_new
        for tally in touched.values():
            for side, answer in tally.now.values():
                self._differ(tally, side, answer)
            tally.now.clear()
            if not tally.later:
                tally.reasons.clear()

    def finish(self) -> None:
        """Let the time pass that rules still wait for, and settle what is left."""
        for side, rehearsal in enumerate(self._sides):
            self._count(side, rehearsal.finish())
        for tally in self.tallies.values():
            for open_ in (tally.now, tally.later):
                for side, answer in open_.values():
                    self._differ(tally, side, answer)
                open_.clear()

    def _count(self, side: int, answers: Iterable[Answer]) -> None:
        for answer in answers:
            tally = self.tallies[answer.rule.name]
            if answer.verdict == "skipped":
                tally.limited[side] += 1
                if len(tally.reasons) < MOST_KEPT:
                    tally.reasons[side, answer.identity] = answer.reason
            elif answer.verdict == "acts" and answer.rule.mode == "dry_run":
                tally.dry_runs[side] += 1
            elif answer.verdict == "acts":
                tally.act(side, answer)

    def _differ(self, tally: Tally, side: int, answer: Answer | None) -> None:
        tally.only[side] += 1
        if answer is None or len(tally.examples[side]) >= EXAMPLES:
            return
        moment = answer.moment
        time = moment.at.isoformat(timespec="seconds").replace("+00:00", "Z")
        why = tally.reasons.get((1 - side, answer.identity)) or self._against(1 - side, tally, answer)
        tally.examples[side].append(Example(moment.place, moment.event.subject, time, why))

    def _against(self, side: int, tally: Tally, answer: Answer) -> str:
        rule = tally.rules[side]
        if rule is None:
            return "there is no such rule"
        explanation = (self.old, self.new)[side].explain(answer.moment.event)
        reason = next((one.because for one in explanation.rules if one.rule is rule), None)
        if reason is not None:
            return reason.show()
        return "dry run: nothing is touched" if rule.mode == "dry_run" else "it answers another event instead"

    # -- what came of it ----------------------------------------------------------------------------------------------

    @property
    def differs(self) -> bool:
        """Whether the files do anything differently."""
        return any(tally.differs for tally in self.tallies.values())

    def totals(self, side: int) -> Counter[str]:
        """Count all steps by family."""
        return sum((tally.steps(side) for tally in self.tallies.values()), Counter())

    def json(self) -> dict[str, Any]:
        """Give it as plain data."""
        totals = [self.totals(side) for side in (OLD, NEW)]
        return {
            "events": self.events,
            "repeated": self.order.repeated,
            "out_of_order": self.order.late,
            "first": self.order.first.isoformat() if self.order.first else None,
            "last": self.order.clock.isoformat() if self.order.clock else None,
            "differs": self.differs,
            "totals": {
                name: {"from": old[name], "to": new[name], "difference": new[name] - old[name]}
                for old, new in [totals]
                for name in COUNTED
            },
            "rules": [_plain(tally) for tally in self.tallies.values()],
        }


def _plain(tally: Tally) -> dict[str, Any]:
    pairs = {"matched": tally.matched, "acts": tally.acts, "dry_runs": tally.dry_runs, "limited": tally.limited}
    return {
        "name": tally.name,
        "change": tally.note,
        **{name: {"from": pair[OLD], "to": pair[NEW]} for name, pair in pairs.items()},
        "both": tally.both,
        "newly": tally.only[NEW],
        "no_longer": tally.only[OLD],
        "steps": {"from": dict(tally.steps(OLD)), "to": dict(tally.steps(NEW))},
        "examples": {
            "newly": [one._asdict() for one in tally.examples[NEW]],
            "no_longer": [one._asdict() for one in tally.examples[OLD]],
        },
    }
