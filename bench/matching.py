"""Parse + match against `json.loads`, against other rule engines, and against itself with ten times the rules."""

import json
from collections.abc import Callable

from bench import samples
from bench.measure import Spread, Times, Work, best, enough_calls, ratio, rounds
from bench.peers import PEERS, Match, terms
from bench.samples import SampleRule
from bench.table import Report, microseconds
from shared import parse
from shared.handlers import ACTIONS
from shared.rules import Rules, load

ROUNDS = 31
PEER_ROUNDS = 9
"""They are slow, and the distance to them is large."""


def measure(report: Report) -> None:
    """Measure every bar about matching, the typical event first."""
    mixed, odd = samples.mixed(100), samples.unindexable(100)
    bodies = samples.events()
    typical = bodies[samples.TYPICAL]
    hundred, thousand = ours(mixed), ours(samples.mixed(1000))

    times = timed({"json": json.loads, "100": hundred, "1000": thousand}, typical)
    took = microseconds(Spread.of(times["100"]).middle)
    report.bar("match", ratio(times, "100", "json"), f"{samples.TYPICAL}, {len(typical)} bytes: {took}")
    report.bar("match-1000", ratio(times, "1000", "100"), f"{samples.TYPICAL}")
    for what, body in bodies.items():
        if what != samples.TYPICAL:
            others = timed({"json": json.loads, "parse": parse.event_grid, "100": hundred}, body)
            took = microseconds(Spread.of(others["100"]).middle)
            report.information(
                f"parse + match, 100 rules / json.loads: {what}",
                ratio(others, "100", "json"),
                f"{len(body)} bytes: {took}",
            )

    against_peers(report, "match-peers", mixed, typical)
    against_peers(report, "match-unindexable", odd, typical)
    against_peers(report, "", mixed, typical, what="the same, the peers' conditions put in the fastest order by hand")
    for kind in ("a registered model", "a completed run"):
        against_peers(report, "", mixed, bodies[kind], what=f"the same rules, rate / best peer's: {kind}")


def ours(rules: list[SampleRule]) -> Match:
    """Load rules as the app does; return what the door does with a body before it stores anything."""
    loaded: Rules = load(samples.write(rules), ACTIONS, "bench").bind({})
    return lambda body: [rule.name for rule in loaded.match(parse.event_grid(body))]


def timed(calls: dict[str, Callable[[str], object]], body: str, count: int = ROUNDS) -> Times:
    """Time calls with one body, side by side."""

    def work(call: Callable[[str], object]) -> Work:
        def bound() -> object:
            return call(body)

        return Work(bound, enough_calls(bound))

    return rounds({name: work(call) for name, call in calls.items()}, count)


def against_peers(report: Report, bar: str, rules: list[SampleRule], body: str, what: str = "") -> None:
    """Measure our rate as a multiple of the best peer's; without a bar, `what` says what it is."""
    written = [(rule.name, terms(rule, by_hand="by hand" in what)) for rule in rules]
    calls: dict[str, Match] = {name: make(written) for name, make in PEERS.items()} | {"ours": ours(rules)}
    answers = {name: call(body) for name, call in calls.items()}
    if any(answer != answers["ours"] for answer in answers.values()):
        raise AssertionError(f"not the same job, for not the same rules match: {answers}")
    times = timed(dict(calls), body, PEER_ROUNDS)
    fastest = best(times, list(PEERS))
    each = ", ".join(f"{name} {ratio(times, name, 'ours').middle:,.0f}×" for name in PEERS)
    if bar:
        report.bar(bar, ratio(times, fastest, "ours"), each)
    else:
        report.information(what, ratio(times, fastest, "ours"), each)
