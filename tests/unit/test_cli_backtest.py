"""`reactor rules backtest` counts what two rules files do about the same events, as matching and the limits say."""

import io
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import samples
from cli.event_files import LONGEST, Recorded, Unreadable, read_stream
from cli.main import main
from cli.rules import rehearsal
from cli.rules.backtest import play
from cli.rules.comparison import FAMILIES, NEW, OLD, Comparison
from cli.rules.rehearsal import key_of
from shared import planner, plans
from shared.events import canonical
from shared.handlers import ACTIONS
from shared.rules import Rules, load

BEGIN = datetime(2026, 2, 1, tzinfo=UTC)
HEAD = f"""version: 1
workspaces: {{fraud: {samples.WORKSPACE}}}
vision:
  fruit:
    project: {samples.PROJECT}
    training: {{endpoint: "https://fruit.cognitiveservices.azure.com", key: "${{VISION_KEY}}"}}
channels: {{oncall: {{kind: teams, url: "${{TEAMS_URL}}"}}}}
rules:
"""
DEPLOY = "do: [{deploy.batch_endpoint: {endpoint: fraud, compute: cpu}}, {alert: {channel: oncall, title: x}}]"
ALERT = "do: [{alert: {channel: oncall, title: x}}]"


def rules(*texts: str) -> str:
    """Write a rules file of these rules."""
    return HEAD + "".join(f"  - {{{text}}}\n" for text in texts)


def loaded(*texts: str) -> Rules:
    """Load a rules file of these rules."""
    return load(rules(*texts), ACTIONS, "rules.yaml")


def event(kind: str, number: int = 0, minutes: float | None = None, **data: Any) -> dict[str, Any]:
    """Make an event of a kind; the same number is the same event."""
    message = samples.message(kind)
    message.id, message.time = f"event-{number}", BEGIN + timedelta(minutes=number if minutes is None else minutes)
    if "runId" in message.data:
        message.data["runId"] = f"run_{number}"
    if "iterationId" in message.data:
        message.data["iterationId"] = f"iteration-{number}"
    message.data |= data
    wire = message.wire()
    one: dict[str, Any] = wire[0] if isinstance(wire, list) else wire
    return one


def compared(old: Rules, new: Rules, *events: dict[str, Any]) -> Comparison:
    """Play events through two files."""
    comparison = Comparison(old, new)
    lines = "\n".join(json.dumps(one) for one in events)
    assert play(comparison, read_stream(io.BytesIO(lines.encode()))) == []
    return comparison


def write(path: Path, text: str) -> str:
    """Write a file and give its name."""
    path.write_text(text, "utf-8")
    return str(path)


# -- reading ----------------------------------------------------------------------------------------------------------

DOORS = ["event_grid", "event_grid", "vision_notification", "own"]
EVENTS = [event("ModelRegistered", 1), event("RunFailed", 2), event("ExportCompleted", 3), event("ActionFailed", 4)]


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(json.dumps, EVENTS)),
        "\ufeff" + "\r\n\n".join(map(json.dumps, EVENTS)) + "\r\n",
        json.dumps(EVENTS),
        json.dumps(EVENTS, indent=4),
        f" {json.dumps(EVENTS[:1])}\n{json.dumps(EVENTS[1:])} ",
        "\n".join(json.dumps({"received": "2026-02-01T00:00:00Z", "payload": one}) for one in EVENTS),
        "\n".join(json.dumps({"key": "", "door": "", "payload": json.dumps(one)}) for one in EVENTS),
        "\n".join(
            json.dumps({"door": at, "n": {"a": "}"}, "payload": one, "z": 1})
            for at, one in zip(DOORS, EVENTS, strict=True)
        ),
        "\n".join(
            json.dumps({"door": at, "a": '"payload"', "payload": one}) for at, one in zip(DOORS, EVENTS, strict=True)
        ),
        "\n".join(json.dumps({"door": at, "payload": one}) for at, one in zip(DOORS, EVENTS, strict=True)),
        "\n".join(json.dumps({"event": one}, indent=1) for one in EVENTS),
    ],
)
@pytest.mark.parametrize("piece", [7, 256 * 1024])
def test_every_form_of_a_file_holds_the_same_events(text: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON Lines, arrays in one piece or several, records: the same events, wherever a piece of the file ends."""
    monkeypatch.setattr("cli.event_files.PIECE", piece)
    found = [one for one in read_stream(io.BytesIO(text.encode())) if isinstance(one, Recorded)]
    assert [sorted(one.event.kinds) for one in found] == [
        ["ModelRegistered"],
        ["RunFailed", "RunStatusChanged"],
        ["ExportCompleted"],
        ["ActionFailed"],
    ]


def test_what_is_no_event_is_told_with_its_line() -> None:
    """A bad line is passed over, named, and what follows it is read."""
    good = json.dumps(EVENTS[0])
    lines = [good, "{", '{"id": 1}', "7", "x" * (LONGEST + 9), good, '{"payload": 3}', "\x00\xff", good[:50]]
    found = list(read_stream(io.BytesIO("\n".join(lines).encode("latin-1"))))
    assert [one.place for one in found] == [f"line {number}" for number in range(1, 10)]
    assert [isinstance(one, Unreadable) for one in found] == [False, *[True] * 4, False, True, True, True]
    assert [one.reason[:20] for one in found if isinstance(one, Unreadable)][1:4] == [
        "neither an Event Gri",
        "an event is expected",
        "longer than 4 MiB",
    ]


@given(st.binary(max_size=300) | st.text(alphabet='[]{},:"\\ \n0aé', max_size=60).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_no_file_breaks_the_reader(body: bytes) -> None:
    """Whatever a file holds, it ends, and what it gives is an event or why it is none."""
    assert all(isinstance(one, Recorded | Unreadable) for one in read_stream(io.BytesIO(body)))


# -- counting ---------------------------------------------------------------------------------------------------------


def test_a_wider_filter_fires_newly_and_a_narrower_no_longer() -> None:
    """Each difference is counted by rule and way, with the event and what is against it in the other file."""
    production = "where: {model.tags.stage: {StringIn: [production]}}"
    old = loaded(f"name: a, on: ModelRegistered, {production}, {DEPLOY}", f"name: b, on: RunFailed, {ALERT}")
    new = loaded(
        f"name: a, on: ModelRegistered, {DEPLOY}",
        f"name: b, on: RunFailed, where: {{run.experiment: {{StringIn: [x]}}}}, {ALERT}",
        f"name: c, on: RunFailed, {ALERT}",
    )
    registered = [event("ModelRegistered", n, modelTags={"stage": s}) for n, s in enumerate(["production", "dev"])]
    comparison = compared(old, new, *registered, event("RunFailed", 2))
    a, b, c = (comparison.tallies[name] for name in "abc")
    assert (a.matched, a.acts, a.both, a.only) == ([1, 2], [1, 2], 1, [0, 1])
    assert (b.matched, b.acts, b.both, b.only) == ([1, 0], [1, 0], 0, [1, 0])
    assert (c.matched, c.note, c.only) == ([0, 1], "new", [0, 1])
    assert a.examples[NEW][0].because == 'model.tags.stage StringIn ["production"]: it is "dev"'
    assert a.examples[NEW][0].place == "line 2"
    assert c.examples[NEW][0].because == "there is no such rule"
    assert comparison.totals(OLD) == {"deployments": 1, "alerts": 2}
    assert comparison.totals(NEW) == {"deployments": 2, "alerts": 3}


def test_an_event_that_comes_again_counts_once() -> None:
    """The same event, and another event that tells the same of a run, are answered once; without an id, for a while."""
    file = loaded(
        *(f"name: {kind}, on: {kind}, {ALERT}" for kind in ("ModelRegistered", "RunFailed", "ExportCompleted"))
    )
    again = [event("ModelRegistered", 1), event("ModelRegistered", 1)]
    run = [event("RunFailed", 2), event("RunFailed", 3, runId="run_2")]
    record = [
        {"received": (BEGIN + timedelta(minutes=m)).isoformat(), "payload": event("ExportCompleted")}
        for m in (4, 5, 30)
    ]
    comparison = compared(file, file, *again, *run, *record)
    assert {name: tally.matched for name, tally in comparison.tallies.items()} == {
        "ModelRegistered": [1, 1],
        "RunFailed": [1, 1],
        "ExportCompleted": [2, 2],
    }
    assert comparison.order.repeated == 3
    assert not comparison.differs


def test_a_limit_is_applied_by_the_time_that_events_came() -> None:
    """A cooldown lets the first of each value through; what it keeps back no longer fires, with its words."""
    old = loaded(f"name: a, on: RunFailed, {ALERT}")
    new = loaded(f"name: a, on: RunFailed, limit: {{cooldown: 1h, per: run.experiment}}, {ALERT}")
    events = [event("RunFailed", n, n * 30, experimentName=f"e{n % 2}") for n in range(8)]
    tally = compared(old, new, *events).tallies["a"]
    assert (tally.matched, tally.acts, tally.limited, tally.both, tally.only) == ([8, 8], [8, 8], [0, 0], 8, [0, 0])
    events = [event("RunFailed", n, n * 10, experimentName=f"e{n % 2}") for n in range(8)]
    tally = compared(old, new, *events).tallies["a"]
    assert (tally.matched, tally.acts, tally.limited, tally.both, tally.only) == ([8, 8], [8, 4], [0, 4], 4, [4, 0])
    assert "cooldown of 1h since an earlier action" in tally.examples[OLD][0].because


@pytest.mark.parametrize(
    ("limit", "acts"),
    [
        ("at_most: 2 per hour", 2),
        ("threshold: 4 within 1h", 2),
        ("debounce: 5m", 1),
        ("debounce: 10s", 8),
        ("digest: 1h", 1),
        ("digest: 210s", 2),
        ("concurrency: skip", 8),
        ("concurrency: queue", 8),
        ("cooldown: 3m, at_most: 2 per hour", 2),
    ],
)
def test_each_limit_lets_through_what_it_says(limit: str, acts: int) -> None:
    """Eight failures, a minute apart, under each kind of limit."""
    old, new = (
        loaded(f"name: a, on: RunFailed, {ALERT}"),
        loaded(f"name: a, on: RunFailed, limit: {{{limit}}}, {ALERT}"),
    )
    tally = compared(old, new, *(event("RunFailed", n) for n in range(8))).tallies["a"]
    assert (tally.acts, tally.both, tally.only) == ([8, acts], acts, [8 - acts, 0])


def test_what_waits_can_be_called_off() -> None:
    """A recovery that comes before a digest is due leaves nothing to tell."""
    limited = "limit: {digest: 1h, per: drift.monitor}"
    old = loaded(f"name: a, on: DriftDetected, {limited}, {ALERT}")
    new = loaded(f"name: a, on: DriftDetected, {limited}, cancel_on: DriftRecovered, {ALERT}")
    tally = compared(old, new, event("DriftDetected", 1), event("DriftRecovered", 2)).tallies["a"]
    assert (tally.acts, tally.only) == ([1, 0], [1, 0])


def test_a_dry_run_does_nothing_yet() -> None:
    """Going live makes every match newly act, though nothing newly matches."""
    old, new = (loaded(f"name: a, on: RunFailed, mode: {mode}, {ALERT}") for mode in ("dry_run", "live"))
    comparison = compared(old, new, event("RunFailed", 1))
    tally = comparison.tallies["a"]
    assert (tally.matched, tally.acts, tally.dry_runs, tally.only) == ([1, 1], [0, 1], [1, 0], [0, 1])
    assert tally.note == "dry_run → live"
    assert tally.examples[NEW][0].because == "dry run: nothing is touched"


KINDS = ("ModelRegistered", "RunFailed", "RunCompleted", "DriftDetected", "ExportCompleted", "ActionFailed")
filters = st.sampled_from(
    [
        "",
        "where: {run.experiment: {StringBeginsWith: [a]}}, ",
        "where: {run.experiment: {StringIn: [b]}}, ",
        "where: {model.name: {StringIn: [a, b]}}, ",
        "where: {subject: {StringContains: [run]}}, ",
    ]
)
written = st.lists(st.tuples(st.sampled_from(KINDS), filters), min_size=1, max_size=5).map(
    lambda parts: loaded(*(f"name: r{n}, on: {kind}, {where}{ALERT}" for n, (kind, where) in enumerate(parts)))
)
NAMED = {"ModelRegistered": "modelName", "RunFailed": "experimentName", "RunCompleted": "experimentName"}
happened = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 6), st.sampled_from(["a", "b", "ab"])), max_size=20
).map(
    lambda parts: [
        event(kind, number, None, **({NAMED[kind]: name} if kind in NAMED else {})) for kind, number, name in parts
    ]
)


@given(written, written, happened)
@settings(max_examples=150, deadline=None)
def test_counting_is_what_matching_and_planning_say(old: Rules, new: Rules, events: list[dict[str, Any]]) -> None:
    """By rule and by file, a backtest counts the distinct actions that the planner would make of the same events."""
    comparison = compared(old, new, *events)
    read = [
        one for one in read_stream(io.BytesIO("\n".join(map(json.dumps, events)).encode())) if isinstance(one, Recorded)
    ]
    planned: list[dict[str, set[str]]] = [{}, {}]
    clock = datetime(1970, 1, 1, tzinfo=UTC)  # for what stands before the first event that says when it came
    first: dict[str, datetime] = {}
    for recorded in read:
        one = recorded.event
        clock = max(clock, recorded.at or clock)
        key = one.key
        if one.repeatable:
            first.setdefault(key, clock)
            if clock - first[key] >= planner.REPEAT_WINDOW:
                first[key] = clock
            key = f"{key} {first[key]}"
        for side, file in enumerate((old, new)):
            for rule in file.match(one):
                action = plans.planned(one, key, rule, file.hash, clock)
                planned[side].setdefault(rule.name, set()).add(action.key)
    for name, tally in comparison.tallies.items():
        before, after = (planned[side].get(name, set()) for side in (OLD, NEW))
        assert tally.matched == tally.acts == [len(before), len(after)]
        assert (tally.both, tally.only) == (len(before & after), [len(before - after), len(after - before)])


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.none()
            | st.integers()
            | st.text(max_size=8)
            | st.sampled_from(
                ["https://a/b?sig=1", "2026-02-28", "2026-03-02T08:15:04.1000Z", "2026-W10-1T08:15:04", "2026-03-02T8"]
            ),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        ),
        max_size=4,
    )
)
@settings(max_examples=400, deadline=None)
def test_the_quick_key_is_the_key(data: dict[str, Any]) -> None:
    """Whatever an event holds, leaving out what is not needed changes nothing of its key."""
    (recorded,) = read_stream(io.BytesIO(json.dumps(event("ModelRegistered", modelProperties=data)).encode()))
    assert isinstance(recorded, Recorded)
    assert key_of(recorded.event) == recorded.event.key
    assert canonical(recorded.event.data)


def test_the_rehearsal_follows_the_planner() -> None:
    """What it has to know of planning is the planner's own."""
    assert (rehearsal.DEEPEST, rehearsal.REPEAT_WINDOW) == (planner.DEEPEST, planner.REPEAT_WINDOW)


def test_every_action_is_of_a_family() -> None:
    """Each step that this version has is counted as something, or decides only."""
    assert {name.partition(".")[0] for name in ACTIONS} <= set(FAMILIES)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Give the arguments that compare two files over a file of events."""
    production = "where: {model.tags.stage: {StringIn: [production]}}, "
    old = write(tmp_path / "old.yaml", rules(f"name: deploy, on: ModelRegistered, {production}{DEPLOY}"))
    new = write(
        tmp_path / "new.yaml", rules(f"name: deploy, on: ModelRegistered, {DEPLOY}", f"name: b, on: RunFailed, {ALERT}")
    )
    events = [event("ModelRegistered", n, modelTags={"stage": "dev" if n % 3 else "production"}) for n in range(9)]
    lines = write(tmp_path / "events.jsonl", "\n".join(map(json.dumps, [*events, {"id": "x"}])))
    return ["rules", "backtest", "--from", old, "--to", new, "--events", lines]


def test_people_get_a_table_examples_and_totals(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The rules that something matches, three examples each way, the totals, and what was taken for granted."""
    assert main(files) == 0
    shown = capsys.readouterr()
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[0].startswith("9 events from ")
    assert any(
        line.startswith("1 event could not be read; first line 10: neither an Event Grid event") for line in lines
    )
    assert "deploy 3 → 9 3 → 9 3 +6" in lines
    assert "and 1 rule that no event matches in either file" in lines
    assert "+ 2026-02-01T00:01:00Z models/fraud-gbm:12 (line 2)" in lines
    assert 'before: model.tags.stage StringIn ["production"]: it is "dev"' in lines
    assert "+ and 3 more" in lines
    assert "deployments 3 9 +6" in lines
    assert lines[-2].startswith("Taken for granted: every action succeeds at once")
    assert shown.err == ""


def test_programs_get_everything(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, each rule has its counts both ways, and so have the totals."""
    assert main([*files, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["events"], document["unreadable"], document["differs"]) == (9, 1, True)
    assert document["totals"]["deployments"] == {"from": 3, "to": 9, "difference": 6}
    deploy = next(rule for rule in document["rules"] if rule["name"] == "deploy")
    assert deploy["matched"] == {"from": 3, "to": 9}
    assert (deploy["both"], deploy["newly"], deploy["no_longer"]) == (3, 6, 0)
    assert len(deploy["examples"]["newly"]) == 3


def test_a_change_can_fail_the_build(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With --fail-on-change a difference is 1, and the same file twice is 0."""
    assert main([*files, "--fail-on-change"]) == 1
    same = [*files[:4], "--to", files[3], *files[6:], "--fail-on-change"]
    assert main(same) == 0
    capsys.readouterr()


def test_what_cannot_be_compared_is_said(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rules file with errors is 1; no file, no event and no app are 2."""
    bad = write(tmp_path / "bad.yaml", "version: 1\n")
    assert main([*files[:4], "--to", bad, *files[6:]]) == 1
    assert main([*files[:7], str(tmp_path / "none.jsonl")]) == 2
    assert main([*files[:7], write(tmp_path / "empty.jsonl", "hello\n")]) == 2
    assert main([*files[:6], "--ready", str(tmp_path / "none.json")]) == 2
    said = capsys.readouterr().err
    assert '"rules" is missing' in said
    assert "cannot read" in said
    assert "there is no event in" in said


class Recording(BaseHTTPRequestHandler):
    """Lists events newest first, two a page, and with their payloads where that is asked for, as `api/events` does."""

    events: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        """Answer one request."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.asked.append(asked)
        names = ("key", "received", "kinds", "door", "payload")[: 5 if asked.get("payload") else 3]
        begin, (first, last) = int(asked.get("after", 0)), (asked["since"], asked.get("until", "3"))
        listed = [{name: one[name] for name in names} for one in reversed(self.events)]
        listed = [one for one in listed if first == "30d" or first <= one["received"] <= last]
        answer = {"events": listed[begin : begin + 2], "next": str(begin + 2) if begin + 2 < len(listed) else None}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def app() -> Iterator[str]:
    """Serve what an app would have recorded: three failures and a completed run."""
    Recording.asked.clear()
    Recording.events[:] = [
        {
            "key": f"{number:032x}",
            "received": (BEGIN + timedelta(minutes=number)).isoformat(),
            "kinds": [kind, "RunStatusChanged"],
            "door": "event_grid",
            "payload": event(kind, number),
        }
        for number, kind in enumerate(["RunFailed", "RunFailed", "RunCompleted", "RunFailed"])
    ]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recording)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_events_are_asked_of_the_app(files: list[str], app: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its recorded events are read page by page, in the order of time, and only those that a rule could hear."""
    assert main([*files[:6], "--since", "30d", "--json", "--app", app]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["events"], document["totals"]["alerts"]["difference"], document["out_of_order"]) == (3, 3, 0)
    assert document["first"] == BEGIN.isoformat()
    assert sum(asked["since"] == "30d" for asked in Recording.asked) == 2
    assert [asked.get("after") for asked in Recording.asked if asked.get("payload")] == [None, "2"]
