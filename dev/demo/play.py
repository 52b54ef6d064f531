"""Plays the stories, kills the host in the middle of them, and says whether everything came out as it must."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cli.rules import explaining
from cli.tables import leave
from dev.azurite import program
from dev.demo import costs, drill, effects, report
from dev.demo.language_stories import CHAPTER as LANGUAGE
from dev.demo.ledger import Entry
from dev.demo.stage import RULES, TROUBLES, Stage, stage
from dev.demo.stories import STORIES
from dev.demo.story import Changed, Published, Story, find, is_over, outcome
from dev.process import ChildError
from shared import parse
from shared.handlers import ACTIONS
from shared.rules import Explanation, load

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / ".stack"
KILL_AT, KILL_UNTOLD_AT = 3.0, 6.0
"""The second where nobody tells anything, and the schedule has to find it first."""
LOOK_ALL_THE_TIME = "*/2 * * * * *"
"""The schedule then: there is nothing else to see."""
DEAD_SECONDS = 1.0
PATIENCE = 90.0
LOOK = 0.25
RULES_FILE = RULES.relative_to(REPOSITORY)
UNEXPLAINED = ("untagged", "deploy-production")
"""A story, and the rule that did not answer it."""


def main() -> int:
    """Run the demo; 0 where every outcome is the expected one."""
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description="Shows ML Reactor on this machine.")
    chapters = list(dict.fromkeys(told.chapter for told in STORIES if told.chapter))
    names = [*chapters, *(told.name for told in STORIES if not told.follows)]
    about = f"one chapter or one story only: {', '.join(names)}"
    parser.add_argument("--chapter", choices=names, metavar="NAME", help=about)
    parser.add_argument(
        "--kill-at",
        type=float,
        metavar="SECONDS",
        help=f"when the host is killed; default: {KILL_AT:g}, and {KILL_UNTOLD_AT:g} for chapter {LANGUAGE}",
    )
    options = parser.parse_args()
    chosen = [told for told in STORIES if options.chapter in (None, told.name, told.chapter, told.follows)]
    is_told = any(not isinstance(story.told, Changed) for story in chosen)
    kill_at = (KILL_AT if is_told else KILL_UNTOLD_AT) if options.kill_at is None else options.kill_at
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        program()
        introduce(chosen, kill_at, is_told=is_told)
        began = time.monotonic()
        with stage(FOLDER, schedule="" if is_told else LOOK_ALL_THE_TIME) as on, patience():
            on.prepare(chosen)
            report.say(f"Azurite, the simulators and the host run after {time.monotonic() - began:.0f} s.")
            return Demo(on, chosen, kill_at, is_told=is_told).run()
    except ChildError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


@contextmanager
def patience() -> Iterator[None]:
    """Once what is inside has ended, one Ctrl-C is enough: another does not keep the stack from stopping."""
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def introduce(chosen: Sequence[Story], kill_at: float, *, is_told: bool) -> None:
    """Say in three lines what is going to happen."""
    who = f"{len(chosen)} stories are told at once" if len(chosen) > 1 else "One story is told"
    who += " by Event Grid and Custom Vision, and answered by"
    print(report.paint(report.BOLD, "ML Reactor, on real queues, tables and blobs; the Azure services are simulated."))
    report.say(
        f"{who if is_told else 'Nobody tells the story: the schedule notices it. It is answered by'} {RULES_FILE}."
    )
    again = " everything is told again," * is_told
    report.say(f"After {kill_at:g} s the host is killed (SIGKILL),{again} another host starts.")
    report.say("Then every record and every effect is compared with what must be.")
    report.say("The stack and its first host log to .stack/stack.log, the second host to .stack/host-2.log.")


class Demo:
    """One run of it."""

    def __init__(self, on: Stage, chosen: Sequence[Story], kill_at: float, *, is_told: bool) -> None:
        self.stage = on
        self.stories = chosen
        self.kill_at = kill_at
        self.is_told = is_told
        self.shown: set[str] = set()
        self.said: set[str] = set()
        self.began, self.told_at = time.monotonic(), datetime.now(UTC)

    def run(self) -> int:
        """Tell, kill, tell again, wait, judge."""
        storage_log = Path(self.stage.facts["storage_log"])
        counted_from = costs.size(storage_log)
        report.heading("What happens")
        self.began, self.told_at = time.monotonic(), datetime.now(UTC)
        self.stage.tell(self.stories)
        self.watch(self.kill_at)
        self.crash()
        self.watch(PATIENCE)
        paid = costs.count(storage_log, counted_from)
        self.explain()
        return self.judge(paid, self.drill())

    @property
    def now(self) -> float:
        """Seconds since the stories began."""
        return time.monotonic() - self.began

    def watch(self, until: float) -> None:
        """Print each story when it is over, until all are and nothing is left to do, or until a moment."""
        while self.now < until:
            entries = self.stage.ledger.news()
            for story in self.stories:
                if not self.is_told:
                    self.follow(story, entries)
                if story.name not in self.shown and is_over(story, entries):
                    self.show(story, entries)
            if len(self.shown) == len(self.stories) and self.stage.idle():
                return
            time.sleep(LOOK)

    def follow(self, story: Story, entries: Sequence[Entry]) -> None:
        """Print how far a replication is."""
        for entry in find(story, entries):
            notes = [state.note for action in entry.actions for state in action.progress[:1]]
            for name, words in (
                ("noticed", json.loads(entry.event.payload)["facts"]["replica"]["details"]),
                *(("", note) for note in notes),
            ):
                if words and words not in self.said:
                    self.said.add(words)
                    report.moment(self.now, name, [words])

    def show(self, story: Story, entries: Sequence[Entry]) -> None:
        """Print one story's line."""
        self.shown.add(story.name)
        entry = find(story, entries)[0]
        good = outcome(story, entries) == story.outcome
        report.moment(self.now, story.name, report.told(story, entry, entries, self.told_at), good=good)

    def crash(self) -> None:
        """Kill the host, tell everything again to nobody, and start another host."""
        self.stage.kill_host()
        left = len(self.stories) - len(self.shown)
        of = f"of {len(self.stories)} stories, {left} are not over"
        if not self.is_told:
            of = "the replication is under way" if self.said else "nothing was noticed yet"
        report.moment(self.now, "SIGKILL", [f"the host is dead; {of}"])
        if self.is_told:
            self.stage.tell_again(self.stories)
            report.moment(self.now, "again", ["everything is told a second time, while nobody listens"])
        time.sleep(DEAD_SECONDS)
        self.stage.start_host()
        report.moment(
            self.now, "restart", ["another host runs; only what the first had in hand waits, for its 10 s lease"]
        )

    def explain(self) -> None:
        """Say why a rule did not match, as `reactor rules explain` does."""
        name, rule = UNEXPLAINED
        told = next((story.told for story in self.stories if story.name == name), None)
        if not isinstance(told, Published):
            return
        report.heading(f"Why did {rule} do nothing about credit:3? (reactor rules explain)")
        rules = load(RULES.read_text("utf-8"), ACTIONS, RULES.name).bind(self.stage.facts["settings"])
        explanation = rules.explain(parse.event_grid(json.dumps(told.event)))
        one = Explanation(explanation.event, tuple(each for each in explanation.rules if each.rule.name == rule))
        for line in explaining.lines(one, leave):
            if rule in line:
                report.say(line.strip())

    def drill(self) -> list[str]:
        """Cut the primary of a Language project off while somebody asks it; give what came out wrong."""
        if not any(isinstance(story.told, Changed) for story in self.stories):
            return []
        report.heading("What if the primary's region were gone? (reactor language drill)")
        began, wrong = time.monotonic(), []
        for asked in drill.drill(self.stage, lambda text: report.moment(time.monotonic() - began, "", [text])):
            found = asked.answered
            said = f"{found.prediction.intent}, in {asked.ms} ms" if found else asked.problem
            parts = [
                f'"{asked.text}"',
                *([f"the primary failed {len(found.tried)} times"] if found and found.tried else []),
                said,
            ]
            report.moment(time.monotonic() - began, found.by if found else "nobody", parts, good=asked.is_right)
            if not asked.is_right:
                wrong.append(f'drill: "{asked.text}" must be {asked.intent}, answered by the {asked.by}; it is {said}')
        return wrong

    def judge(self, paid: costs.Costs, drilled: Sequence[str]) -> int:
        """Compare everything with what must be, and say so; give the exit code."""
        entries = self.stage.ledger.entries()
        found = [outcome(story, entries) for story in self.stories]
        report.heading("What came of it")
        report.table(self.stories, found)
        wrong = [
            line for story, came in zip(self.stories, found, strict=True) for line in report.difference(story, came)
        ]
        wrong += report.trouble(entries)
        wrong += [f"not closed: {row.what} {row.key}" for row in self.stage.ledger.open()]
        wrong += self.judge_effects()
        wrong += drilled
        self.bill(paid)
        report.heading("Every outcome is the expected one." if not wrong else "Not every outcome is the expected one:")
        for line in wrong:
            report.say(line)
        return 1 if wrong else 0

    def judge_effects(self) -> list[str]:
        """Say what was lost and doubled; give what is wrong about it."""
        must = effects.expected(self.stories)
        done = effects.done(self.stage.simulators, self.stage.storage, "backups")
        lost, doubled = effects.differences(must, done)
        again = sorted(set((done - must).elements()) - set(doubled))
        missed = self.stage.simulators.management.get("/_faults")
        troubles = [trouble for trouble in TROUBLES if trouble.story in {story.name for story in self.stories}]

        report.heading("What was lost and doubled")
        what = f"The host was killed{' and all was told twice' * self.is_told}"
        report.say(f"{what}; {report.count(must.total(), 'effect')} had to be there once.")
        known = self.stage.logged("outcome=duplicate")
        if self.is_told:
            what = report.count(known, "event")
            report.say(f"Of what was told again, {what} had come before: outcome=duplicate in the logs.")
        for trouble in troubles:
            report.say(f"On the way {trouble.says}.")
        report.say(f"lost:    {'; '.join(lost) or 'nothing'}")
        report.say(f"doubled: {'; '.join(doubled) or 'nothing'}")
        for effect in again:
            report.say(f"said twice, as chat is at least once: {effect}")
        return [
            *(f"lost: {effect}" for effect in lost),
            *(f"doubled: {effect}" for effect in doubled),
            *(f"never met: {fault['kind']} of {fault['method']} {fault['path']}" for fault in missed),
        ]

    def bill(self, paid: costs.Costs) -> None:
        """Say what a thousand such events cost."""
        count = len(self.stories)
        parts = ", ".join(f"{number} {service}" for service, number in paid.transactions.most_common())
        report.heading("What a thousand such events cost in storage transactions")
        report.say(
            f"The storage account counted {paid.total} ({parts}) for {report.count(count, 'event')}, "
            f"{'told twice, ' * self.is_told}with a crash: "
            f"{paid.total / count:.0f} an event, {paid.total / count * 1000:,.0f} a thousand."
        )
        report.say(f"That is ${paid.dollars / count * 1000:.3f}, assuming {costs.ASSUMED}.")
        report.say(f"Looking at empty queues costs by the hour and is left out ({paid.polls} looks here).")
