"""The bench measures what it says: its arithmetic, its bars, and that everybody does the same job. Nothing is timed."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from bench import backtesting, peers, samples, starting
from bench.__main__ import PARTS
from bench.measure import Spread, Work, best, ratio, reading, rounds
from bench.peers import PEERS, terms
from bench.storing import NOBODYS, body, price
from bench.table import BARS, Bar, Report, microseconds, number
from bench.tape import rename
from cli.event_files import stream
from cli.rules.backtest import play
from cli.rules.comparison import Comparison
from shared import parse
from shared.handlers import ACTIONS
from shared.rules import load


def ticking(*seconds: float) -> Callable[[], float]:
    """Make a clock that tells these times, one after another."""
    times = iter(seconds)
    return lambda: next(times)


# -- arithmetic -------------------------------------------------------------------------------------------------------


def test_a_ratio_is_taken_within_each_round() -> None:
    """A round in which everything was ten times slower changes nothing."""
    times = {"ours": [1.0, 10.0, 3.0], "theirs": [2.0, 20.0, 2.0]}
    assert ratio(times, "ours", "theirs") == Spread(0.5, 0.5, 1.0)


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    """One number alone has no spread; one outlier does not move the middle."""
    assert Spread.of([4.0]) == Spread(4.0, 4.0, 4.0)
    assert Spread.of([1, 2, 3, 4, 100]) == Spread(3, 2, 4)


def test_a_ratio_of_unequal_rounds_is_refused() -> None:
    """Rounds that do not belong together are not compared."""
    with pytest.raises(ValueError, match="zip"):
        ratio({"ours": [1.0], "theirs": [1.0, 2.0]}, "ours", "theirs")


def test_a_reading_is_the_time_of_one_call() -> None:
    """Four calls in two seconds are half a second each."""
    assert reading(Work(lambda: None, calls=4), ticking(10.0, 12.0)) == 0.5


def test_rounds_take_turns_and_leave_the_warm_up_out() -> None:
    """Everything is done once a round, in the same order, and the first round does not count."""
    done: list[str] = []
    works = {name: Work(lambda name=name: done.append(name)) for name in ("a", "b")}  # type: ignore[misc]
    times = rounds(works, 2, clock=ticking(0, 9, 0, 9, 0, 1, 0, 2, 0, 3, 0, 4), warm_up=1)
    assert done == ["a", "b"] * 3
    assert times == {"a": [1, 3], "b": [2, 4]}


def test_the_best_peer_is_the_one_with_the_smallest_middle() -> None:
    """A single lucky round does not make a peer the best."""
    assert best({"a": [1, 9, 9], "b": [5, 5, 5]}, ["a", "b"]) == "b"


@pytest.mark.parametrize(
    ("way", "measured", "holds"),
    [("at most", 2.0, True), ("at most", 2.01, False), ("at least", 2.0, True), ("at least", 1.99, False)],
)
def test_a_bar_holds_up_to_itself(way: str, measured: float, holds: bool) -> None:  # noqa: FBT001 # a table of cases
    """The bar itself is good enough, and what is beyond it is not."""
    assert Bar("x", "y", "at most" if way == "at most" else "at least", 2.0).holds(measured) is holds


@pytest.mark.parametrize(("value", "text"), [(0.954, "0.95"), (12.34, "12.3"), (1386.2, "1386")])
def test_numbers_have_three_digits(value: float, text: str) -> None:
    """A ratio is not told more exactly than it is known."""
    assert number(value) == text


def test_times_are_told_in_the_unit_that_fits() -> None:
    """Microseconds for a match, milliseconds for a start."""
    assert (microseconds(22e-6), microseconds(1.12)) == ("22 µs", "1,120 ms")


# -- the table --------------------------------------------------------------------------------------------------------


def test_every_bar_is_there() -> None:
    """The table has the bars that the project promises, and no part is left out."""
    promised = {
        "import": "≤ 1.3×",
        "match": "≤ 6×",
        "match-peers": "≥ 30×",
        "match-1000": "≤ 1.5×",
        "match-unindexable": "≥ 3×",
        "events": "≥ 0.8×",
        "check": "≤ 5×",
        "upload": "≥ 0.8×",
        "backtest": "≤ 3×",
        "backup": "≤ 32 MiB",
        "dataset": "≤ 32 MiB",
    }
    assert {name: bar.show() for name, bar in BARS.items()} == promised
    assert list(PARTS) == ["start", "match", "check", "backtest", "store", "upload", "keep"]


def test_a_missed_bar_is_said() -> None:
    """The verdict stands in its row and in the JSON; information without a bar is never missed."""
    report = Report(machine="here")
    report.bar("check", Spread(4.0, 3.0, 6.0), "a file")
    report.bar("events", Spread(0.79, 0.7, 0.9))
    report.information("other", Spread(1000.0, 900.0, 1100.0))
    report.bar("backup", Spread(32.1, 32.1, 32.1))
    report.fact("storage transactions", "2")
    assert [row.bar and row.bar.name for row in report.missed] == ["events", "backup"]
    shown = " ".join(report.show().split())
    assert "≤ 5× 4.00× 3.00 to 6.00 met a file" in shown
    assert "≥ 0.8× 0.79× 0.70 to 0.90 missed" in shown
    assert "≤ 32 MiB 32.1 MiB 32.1 to 32.1 missed" in shown
    plain = json.loads(json.dumps(report.json()))
    assert plain["met"] is False
    assert [row["verdict"] for row in plain["rows"]] == ["met", "missed", "", "missed"]


def test_a_price_is_that_of_a_million() -> None:
    """Every service has its own, and the count stands beside it."""
    assert price(Counter(table=10, queue=3)) == "13 (3 queue + 10 table); $1.56 a million"


# -- the same job for everybody ---------------------------------------------------------------------------------------


def test_the_sample_rules_are_in_order_and_heard() -> None:
    """Every file that is measured loads without a warning, and the typical event has its rule among any number."""
    typical = parse.event_grid(samples.events()[samples.TYPICAL])
    for count in (100, 500, 1000):
        rules = load(samples.write(samples.mixed(count)), ACTIONS, "bench")
        assert (rules.warnings, len(rules.rules)) == ((), count)
        assert [rule.name for rule in rules.match(typical)] == ["rule-6"]


def test_nothing_indexable_is_really_not() -> None:
    """Of the rules that no index can help with, every one is tested for the typical event."""
    rules = load(samples.write(samples.unindexable(100)), ACTIONS, "bench")
    typical = parse.event_grid(samples.events()[samples.TYPICAL])
    assert rules.match(typical) == ()
    (index,) = rules._indexes.values()
    assert len(index.candidates(typical)) == 100


def test_the_sample_events_are_of_the_usual_size() -> None:
    """Half a kilobyte to two, compact, and each is read."""
    for text in samples.events().values():
        assert 500 < len(text) < 2048
        assert parse.event_grid(text).kinds


def test_every_peer_has_every_condition_of_the_samples() -> None:
    """The words that a rule may use on the wire are in each peer's table; by hand only the order differs."""
    for rule in (*samples.mixed(100), *samples.unindexable(100)):
        written = terms(rule)
        for table in (peers.C7N, peers.JSON_LOGIC, peers.RULE_ENGINE, peers.CEL):
            assert {operator for _, operator, _ in written} <= set(table)
        by_hand = terms(rule, by_hand=True)
        assert sorted(map(repr, by_hand)) == sorted(map(repr, written))
        assert by_hand[0] == written[0]
    assert list(PEERS) == ["c7n", "json-logic", "rule-engine", "cel-python"]


def test_each_stored_event_is_a_new_one() -> None:
    """Neither the event nor its run was told of before, so each makes an action of its own."""
    first, second, other = (parse.event_grid(text) for text in (body(), body(), body(NOBODYS)))
    assert first.key != second.key
    assert first.once != second.once
    assert other.facts["run"]["experiment"] == NOBODYS


def test_recorded_calls_are_played_under_other_keys() -> None:
    """Keys are replaced wherever they stand, and everything else stays."""
    recorded = ({"PartitionKey": "aa", "body": '{"action":"aa"}', "n": 1, "bytes": b"aa"}, timedelta(1))
    assert rename(recorded, {"aa": "bb"}) == (
        {"PartitionKey": "bb", "body": '{"action":"bb"}', "n": 1, "bytes": b"aa"},
        timedelta(1),
    )


def test_a_backtest_counts_what_matching_finds(tmp_path: Path) -> None:
    """Both sides of its bar do the same job: each match of an event is counted, and the two files differ."""
    text = samples.write(samples.mixed(100))
    old, new = (load(one, ACTIONS, "bench") for one in (text, backtesting.changed(text)))
    assert [rule.limit for rule in old.rules if rule.limit] == []
    assert [rule.limit for rule in new.rules if rule.limit]
    texts = backtesting.bodies(60)
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(texts), "utf-8")
    comparison = Comparison(old, new)
    assert play(comparison, stream(file)) == []
    counted = sum(sum(tally.matched) for tally in comparison.tallies.values())
    assert counted == backtesting.matched(old, new, texts) > 0
    assert comparison.differs


# -- what an import loads ---------------------------------------------------------------------------------------------


def test_importing_the_app_loads_no_sdk() -> None:
    """Importing and indexing `function_app` loads no client of Azure, no HTTP and no templates."""
    _, modules = starting.run(starting.OURS)
    assert {"function_app", "shared.wiring", "azure.functions"} <= set(modules)
    assert starting.unwanted(modules) == []
    assert starting.unwanted(["jinja2.runtime", "requests", "azure.core"]) == ["requests", "jinja2"]
