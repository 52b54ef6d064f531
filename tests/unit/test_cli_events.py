"""`reactor events` and `reactor actions` show what the app answers, in the form that was asked for."""

import io
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cli import actions, events, listing, recorded, tables
from cli.main import main
from cli.tables import Cell, Column, leave, measure, shorten, table
from shared.actions import Decision, Failure, Person, Replay
from shared.history import ActionDetail, EventDetail, EventSummary, filters
from shared.history.views import Because, Explanation, StepView, Verdict

AT = datetime(2026, 11, 22, 8, 15, 4, tzinfo=UTC)
EVENT = "d3b34929404642673d796b61b6efa2b6"
ACTION = "cd7c0bf243a53b71581fe3b2f9afb2c6"
AGAIN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
SUBJECT = "experiments/5f0c2d3e-9a41-4c6e-8f57-2b8d1c3e4f50/runs/keen_owl_x1"

SUMMARY = EventSummary(
    key=EVENT,
    received=AT + timedelta(seconds=2),
    kinds=["RunFailed", "RunStatusChanged"],
    source=WORKSPACE,
    source_names=["fraud"],
    subject=SUBJECT,
    status="planned",
    reason="",
    rules=["tell-the-team"],
)


def step(**changes: Any) -> StepView:
    """Make a step that succeeded."""
    made = StepView(
        id="alert", action="alert", part="do", state="succeeded", stage="send", began=AT, note="sent by teams"
    )
    return made.model_copy(update=changes)


def action(**changes: Any) -> ActionDetail:
    """Make an action that succeeded."""
    made = ActionDetail(
        key=ACTION,
        created=AT,
        ended=AT + timedelta(seconds=3),
        rule="tell-the-team",
        event=EVENT,
        kinds=["RunFailed", "RunStatusChanged"],
        source=WORKSPACE,
        source_names=["fraud"],
        subject=SUBJECT,
        mode="live",
        status="succeeded",
        step="alert",
        reason="",
        due=AT,
        rules_hash="cbb93f21a74c" + "0" * 52,
        steps=[step(params={"channel": "oncall", "title": "keen_owl_x1 failed"}, result={"channel": "oncall"})],
        failure=None,
        error="",
        limit=None,
        cancel_on=None,
        expect=None,
        decision=None,
        canceled=None,
        replay=None,
        replayed_as="",
        digest=[],
        touched=True,
        committed=True,
    )
    return made.model_copy(update=changes)


def event(**changes: Any) -> EventDetail:
    """Make an event that one of four rules answered."""
    pager = Because(path="data.runTags['pager.level']", operator="StringIn", wanted=["urgent"], found="morning")
    kinds = Because(path="on", operator="StringIn", wanted=["ModelRegistered"], found=["RunFailed"])
    missing = Because(path="run.experiment", operator="StringBeginsWith", wanted=["fraud-"])
    made = EventDetail(
        **SUMMARY.model_dump(),
        id="1",
        type="Microsoft.MachineLearningServices.RunStatusChanged",
        time=AT,
        door="event_grid",
        depth=0,
        handed_over=True,
        rules_hash="cbb93f21a74c" + "0" * 52,
        facts={
            "run": {"id": "keen_owl_x1", "status": "Failed", "root_id": None},
            "model": {"tags": {"team.owner": "risk"}},
        },
        payload={"id": "1"},
        actions=[action()],
        explanation=Explanation(
            rules_hash="cbb93f21a74c" + "0" * 52,
            rules="then",
            note="",
            verdicts=[
                Verdict(rule="tell-the-team", answered=True, because=None, known="recorded"),
                Verdict(rule="wake-somebody-up", answered=False, because=pager, known="recorded"),
                Verdict(rule="fraud", answered=False, because=missing, known="recomputed"),
                Verdict(rule="deploy", answered=False, because=kinds, known="recomputed"),
            ],
        ),
    )
    return made.model_copy(update=changes)


@dataclass
class Api:
    """A server that answers as it is told, and remembers what it was asked."""

    answers: dict[str, Any] = field(default_factory=dict)
    """By method and path; a list is given one by one."""
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def answer(self, method: str, target: str, body: Any) -> tuple[int, Any]:
        """Find the answer to a request."""
        parts = urlsplit(target)
        self.asked.append((f"{method} {parts.path}", dict(parse_qsl(parts.query)), body))
        told = self.answers.get(f"{method} {parts.path}")
        if isinstance(told, list):
            told = told.pop(0)
        if told is None:
            return 404, {"error": {"reason": "there is no such event", "remedy": "look at reactor events list"}}
        return told if isinstance(told, tuple) else (200, told)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Serve an API on this machine, and have the command find it, with a person who is signed in."""
    served = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, body: Any) -> None:
            status, told = served.answer(self.command, self.path, body)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("REACTOR_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("REACTOR_TOKEN", "a-token")
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def page(*events: EventSummary, after: str | None = None) -> dict[str, Any]:
    """Make a page of events."""
    return {"events": [one.model_dump(mode="json") for one in events], "next": after}


def summary(key: str, **changes: Any) -> EventSummary:
    """Make an event as it is listed."""
    return SUMMARY.model_copy(update={"key": key} | changes)


# -- listings ---------------------------------------------------------------------------------------------------------


def test_events_are_a_table(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each: when, a key to copy, kinds, the source's declared name, the subject, the status and the rules.

    In a pipe nothing is cut; a terminal's width is kept, and so is what COLUMNS says.
    """
    other = summary(
        "f" * 32, source_names=[], status="refused", reason=f"the rules file does not declare {WORKSPACE}", rules=[]
    )
    api.answers["GET /api/events"] = page(SUMMARY, other)
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main(["events", "list", "--kind", "RunFailed", "--since", "24h"]) == 0
    assert f"{SUBJECT}  refused  the rules file does not declare {WORKSPACE}\n" in capsys.readouterr().out
    api.asked.clear()
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["events", "list", "--kind", "RunFailed", "--since", "24h"]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split("  ")[0] == "2026 (UTC)"
    assert first.startswith("11-22 08:15:06  d3b34929  RunFailed  fraud  experiments/")
    assert first.endswith("planned  tell-the-team")
    assert second.endswith("refused  the rules file does not declare …")
    assert max(map(len, (heading, first, second))) <= 120
    assert api.asked == [("GET /api/events", {"kind": "RunFailed", "since": "24h", "most": "20"}, None)]


def test_a_listing_asks_for_pages_until_it_has_enough(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """A page may be short or empty and go on; what is left is said."""
    api.answers["GET /api/events"] = [page(SUMMARY, after="a"), page(after="b"), page(summary("e" * 32), after="c")]
    assert main(["events", "list", "--most", "2"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert out.splitlines()[-1].startswith("there are more: --most 10")
    assert [query for _, query, _ in api.asked] == [
        {"most": "2"},
        {"most": "1", "after": "a"},
        {"most": "1", "after": "b"},
    ]


def test_json_is_the_app_s_answer(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs, unchanged."""
    api.answers["GET /api/events"] = page(SUMMARY)
    api.answers[f"GET /api/events/{EVENT}"] = event().model_dump(mode="json")
    assert main(["events", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == page(SUMMARY)
    assert main(["events", "show", EVENT, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == event().model_dump(mode="json")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ([], "no event found; try an earlier --since: without one, the last 7 days are looked at"),
        (
            ["--rule", "x"],
            "no event found; try an earlier --since: without one, the last 7 days are looked at, or fewer",
        ),
        (["--since", "1h"], "no event found; try an earlier --since"),
        (["--since", "1h", "--rule", "x"], "no event found; try fewer filters"),
    ],
)
def test_nothing_says_what_to_try(
    arguments: list[str], advice: str, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty listing is no error, and no riddle."""
    api.answers["GET /api/events"] = page()
    assert main(["events", "list", *arguments]) == 0
    assert capsys.readouterr().out.startswith(advice)


def test_a_wrong_filter_is_the_app_s_to_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """What the app refuses is told in its words, and ends with 2."""
    api.answers["GET /api/events"] = (400, {"error": {"reason": 'kind: unknown kind "RunFaild"', "remedy": ""}})
    assert main(["events", "list", "--kind", "RunFaild"]) == 2
    assert 'kind: unknown kind "RunFaild"' in capsys.readouterr().err


def test_actions_are_a_table(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each: when, a key, the rule, the status, the step, and how it stands; a run keeps its name."""
    waiting = action(status="open", step="retrain", reason="the job is Running", ended=None)
    dry = action(key="a" * 32, mode="dry_run")
    listed = [one.model_dump(mode="json") for one in (waiting, dry)]
    api.answers["GET /api/actions"] = {"actions": listed, "next": None}
    monkeypatch.delenv("COLUMNS", raising=False)
    assert main(["actions", "list", "--status", "open"]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert second.endswith(f"dry run: RunFailed {SUBJECT}")
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["actions", "list", "--status", "open"]) == 0
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading == "2026 (UTC)      KEY       RULE           STATUS     STEP     HOW IT STANDS, OR WHY"
    assert first == "11-22 08:15:04  cd7c0bf2  tell-the-team  open       retrain  the job is Running"
    assert second.startswith("11-22 08:15:04  aaaaaaaa  tell-the-team  succeeded  alert    dry run: RunFailed ")
    assert "…" in second
    assert second.endswith("keen_owl_x1")


# -- one event, one action --------------------------------------------------------------------------------------------


def test_an_event_is_told(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """What is known of it, the rules that answered step by step, and the first thing against the others."""
    api.answers["GET /api/events/d3b349"] = event().model_dump(mode="json")
    assert main(["events", "show", "d3b349"]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
RunFailed RunStatusChanged  {SUBJECT}
  key        {EVENT}
  from       fraud {WORKSPACE}
  happened   2026-11-22 08:15:04 UTC
  received   2026-11-22 08:15:06 UTC
  status     planned
  judged by  rules cbb93f21a74c

What rules can read of it, beside data
  run.id                    keen_owl_x1
  run.status                Failed
  model.tags['team.owner']  risk

Rules that answered
  tell-the-team  succeeded  cd7c0bf2
    08:15:04  alert  succeeded: sent by teams

Rules that did not
  wake-somebody-up  data.runTags['pager.level'] StringIn ["urgent"]: it is "morning"
  fraud             run.experiment StringBeginsWith ["fraud-"]: it is missing
  1 rule listens to other kinds: deploy
"""
    )


def test_a_failed_action_is_told_with_who_and_why(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Who approved it, which step failed and why, what would help, and what came after."""
    ann = Person(id="1", name="ann@example.com")
    failed = action(
        status="failed",
        reason="Azure ML answered 404: no such compute",
        failure=Failure(step="retrain", reason="Azure ML answered 404: no such compute", remedy="check the compute"),
        decision=Decision(verdict="approved", step="approval", by=ann, at=AT, reason="go"),
        replay=Replay(of=AGAIN, by=ann, at=AT, reason="the compute is back", rules="now"),
        steps=[
            step(id="approval", action="approval", note="approved by ann@example.com"),
            step(
                id="retrain",
                action="run.job",
                state="failed",
                note="",
                trouble="Azure ML answered 404: no such compute",
            ),
            step(id="tell", part="on_failure", began=AT + timedelta(seconds=9)),
            step(id="more", part="on_failure", state="not begun", began=None, note=""),
        ],
    )
    api.answers[f"GET /api/actions/{ACTION}"] = failed.model_dump(mode="json")
    assert main(["actions", "show", ACTION]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tell-the-team"
    assert "  approved    by ann@example.com, 2026-11-22 08:15:04 UTC: go" in lines
    assert "  replay of   0a1b2c3d by ann@example.com, 2026-11-22 08:15:04 UTC: the compute is back" in lines
    assert "  what helps  check the compute" in lines
    assert lines[lines.index("") + 1 :] == [
        "    08:15:04  approval           succeeded: approved by ann@example.com",
        "    08:15:04  retrain (run.job)  failed: Azure ML answered 404: no such compute",
        "    on failure",
        "    08:15:13  tell (alert)       succeeded: sent by teams",
        "              more (alert)       not begun",
        "    times are UTC, of when a step's last stage began",
    ]


def test_an_action_shows_what_it_was_given_and_found_out(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Below each step, its parameters and its result."""
    api.answers[f"GET /api/actions/{ACTION}"] = action().model_dump(mode="json")
    assert main(["actions", "show", ACTION]) == 0
    out = capsys.readouterr().out
    assert "channel  oncall\n" in out
    assert "title    keen_owl_x1 failed\n" in out
    assert "→ channel  oncall\n" in out


STORED = f"https://models.blob.core.windows.net/backups/{'0' * 32}/datasets/2026-11-22T08-15-04Z/manifest.json"
TRAINED = "projects/0b1c2d3e-0000-4000-8000-00000000000a/iterations/3f2a0000-0000-4000-8000-000000000001"
FRUIT = {"source": "customvision/0b1c2d3e-0000-4000-8000-00000000000a", "source_names": ["fruit"], "subject": TRAINED}
SHOWN = "projects/fruit/iterations/3f2a0000-0000-4000-8000-000000000001"


def told(api: Api, capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    """Show an action with one step."""
    api.answers[f"GET /api/actions/{ACTION}"] = action(steps=[step(**changes)]).model_dump(mode="json")
    assert main(["actions", "show", ACTION]) == 0
    return capsys.readouterr().out


def test_what_a_step_keeps_for_itself_is_counted(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """What other steps can read is shown; the rest is there while it goes on, and where it failed."""
    kept = {"action": "backup.vision_dataset", "result": {"uri": STORED, "images": 61, "hashes": {"coco.json": "0f"}}}
    out = told(api, capsys, **kept)
    assert f"→ uri     {STORED}\n" in out
    assert "→ images  61\n" in out
    assert "hashes" not in out
    assert "and 1 value of its own, with --json\n" in out
    for state in ("under way", "failed", "stopped"):
        out = told(api, capsys, **kept, state=state)
        assert "→ hashes['coco.json']  0f\n" in out
        assert "of its own" not in out


def test_all_of_what_an_unknown_step_found_out_is_shown(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """An app may be newer than the command: what its step is for is not known here."""
    out = told(api, capsys, action="paint.vision", result={"colour": "red"})
    assert "→ colour  red\n" in out


def test_a_url_is_whole_and_a_long_list_has_lines(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """What is copied from a terminal is there to its end; long words lose their middle still."""
    words = "word " * 40
    out = told(api, capsys, action="backup.vision_export", result={"stored": [STORED, STORED + "?"], "kept": [words]})
    assert f"→ stored[0]  {STORED}\n" in out
    assert f"→ stored[1]  {STORED}?\n" in out
    assert words not in out
    many = [STORED] * 21
    assert STORED not in told(api, capsys, action="backup.vision_export", result={"stored": many})


def test_a_vision_project_has_its_declared_name(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of its id, wherever an event's subject is shown; one that is not declared keeps its id."""
    monkeypatch.delenv("COLUMNS", raising=False)
    unknown = FRUIT | {"source_names": []}
    api.answers["GET /api/events"] = page(summary(EVENT, **FRUIT), summary(AGAIN, **unknown))
    api.answers[f"GET /api/events/{EVENT}"] = event(**FRUIT).model_dump(mode="json")
    api.answers["GET /api/actions"] = {"actions": [action(**FRUIT).model_dump(mode="json")], "next": None}
    api.answers[f"GET /api/actions/{ACTION}"] = action(**FRUIT).model_dump(mode="json")
    shown = []
    for command in (["events", "list"], ["events", "show", EVENT], ["actions", "list"], ["actions", "show", ACTION]):
        assert main(command) == 0
        shown.append(capsys.readouterr().out)
    assert f"  fruit                                 {SHOWN}  " in shown[0]
    assert f"  {TRAINED}  " in shown[0]
    assert shown[1].startswith(f"RunFailed RunStatusChanged  {SHOWN}\n")
    assert f"from       fruit {FRUIT['source']}\n" in shown[1]
    assert shown[2].endswith(f"RunFailed {SHOWN}\n")
    assert f"{SHOWN}  (event {EVENT[:8]})\n" in shown[3]


def test_what_a_terminal_would_obey_is_not_printed(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """A subject comes from elsewhere: nothing in it moves the cursor."""
    api.answers["GET /api/events"] = page(summary(EVENT, subject="a\033[2Jb\nc"))
    api.answers[f"GET /api/events/{EVENT}"] = event(subject="a\033[2Jb\nc").model_dump(mode="json")
    assert main(["events", "list"]) == 0
    assert main(["events", "show", EVENT]) == 0
    out = capsys.readouterr().out
    assert "\033" not in out
    assert out.count("a·[2Jb·c") == 2


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colour_is_for_terminals(
    no_color: str, api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A status is painted on a terminal, unless NO_COLOR is set, and the columns stand as they do without."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    api.answers["GET /api/events"] = page(summary(EVENT, status="refused"))
    assert main(["events", "list"]) == 0
    out = capsys.readouterr().out
    assert (f"{tables.RED}refused{tables.PLAIN}" in out) is not bool(no_color)
    bare = out
    for code in (tables.RED, tables.BOLD, tables.PLAIN):
        bare = bare.replace(code, "")
    assert max(map(len, bare.splitlines())) <= 100


def test_an_alternative_tells_what_is_against_each(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an `any`, every part; of a `not`, what holds; and what a recorded reason notes beside it."""
    first = Because(path="run.status", operator="StringIn", wanted=["Failed"], found="Completed")
    second = Because(path="where", operator="not", wanted={}, found={"run.id": "x"}, note="short")
    either = Because(path="where", operator="any", wanted=[], reasons=[first, second])
    verdicts = [Verdict(rule="either", answered=False, because=either, known="recorded")]
    verdicts.append(Verdict(rule="new", answered=False, because=None, known="recomputed"))
    told = event(explanation=Explanation(rules_hash="a", rules="now", note="by today's rules", verdicts=verdicts))
    api.answers[f"GET /api/events/{EVENT}"] = told.model_dump(mode="json")
    assert main(["events", "show", EVENT]) == 0
    note, alternatives, new = capsys.readouterr().out.splitlines()[-3:]
    assert note == "  by today's rules"
    assert alternatives.startswith("  either  where any []: none of them holds (run.status StringIn")
    assert alternatives.endswith('; where not {}: it holds with {"run.id": "x"} (short))')
    assert new == "  new     it would answer, by today's rules"


# -- a say in it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "done"), [("approve", "approved"), ("reject", "rejected"), ("cancel", "canceled")])
def test_a_person_decides(verb: str, done: str, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """The verb and the reason are posted; what the app refuses is told."""
    path = f"POST /api/actions/{ACTION}/{verb}"
    api.answers[path] = [
        {"rule": "tell", "key": ACTION},
        (409, {"error": {"reason": "it has ended: succeeded", "remedy": "nothing is to be done"}}),
    ]
    assert main(["actions", verb, ACTION, "--reason", "go"]) == 0
    assert capsys.readouterr().out == f"{done}: tell, action cd7c0bf2\n"
    assert api.asked == [(path, {}, {"reason": "go"})]
    assert main(["actions", verb, ACTION, "--reason", "go"]) == 1
    assert "it has ended: succeeded; nothing is to be done" in capsys.readouterr().err


def test_a_replay_by_keys_reports_each_rule(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each rule, a sum, and 1 where anything was refused."""
    done = {"rule": "tell-the-team", "action": AGAIN, "outcome": "under_way", "reason": ""}
    refused = {"rule": "other", "action": "", "outcome": "refused", "reason": "its action is still open"}
    api.answers[f"POST /api/events/{EVENT}/replay"] = [{"replayed": [done]}, {"replayed": [done, refused]}]
    arguments = ["events", "replay", EVENT, "--reason", "again please", "--rules", "now", "--rule", "x", "--again"]
    assert main(arguments) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "d3b34929  tell-the-team  under way  0a1b2c3d"
    assert out[-1] == "1 event: 1 under way"
    assert api.asked[0][2] == {"reason": "again please", "rules": "now", "rule": "x", "again": True}
    assert main(arguments) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "d3b34929  other          refused    -         its action is still open",
        "1 event: 1 under way, 1 refused",
    ]


def test_a_replay_of_what_succeeded_says_what_to_type(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """The app says what it is; the option that does it all the same is the command's."""
    done = {"rule": "tell", "action": ACTION, "outcome": "succeeded_before", "reason": "it is done"}
    api.answers[f"POST /api/events/{EVENT}/replay"] = {"replayed": [done]}
    assert main(["events", "replay", EVENT, "--reason", "r"]) == 0
    out = capsys.readouterr().out
    assert "tell  succeeded before  cd7c0bf2  it is done; --again does it once more\n" in out


def test_a_bulk_replay_goes_from_the_oldest(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Filters choose, --yes confirms, and what is refused of one event does not keep the others waiting."""
    keys = ["1" * 32, "2" * 32, "3" * 32]
    api.answers["GET /api/events"] = page(*(summary(key) for key in keys))
    for key in keys[:2]:
        api.answers[f"POST /api/events/{key}/replay"] = {"replayed": []}
    assert main(["events", "replay", "--kind", "RunFailed", "--since", "24h", "--reason", "r", "--yes"]) == 1
    assert [path for path, _, _ in api.asked[1:]] == [f"POST /api/events/{key}/replay" for key in reversed(keys)]
    out = capsys.readouterr().out
    assert "33333333  -     refused  -       there is no such event" in out
    assert "22222222  -     -        -       no rule answers it" in out
    assert out.endswith("3 events: 1 refused, 2 that no rule answers\n")


def test_one_event_that_is_refused_tells_why_in_full(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Found by filters it is a line of the report; named by its key, it is the error."""
    why = {
        "reason": f"no plan was made for it then: {'it was refused, ' * 8}",
        "remedy": "replay it by the rules of now",
    }
    api.answers["GET /api/events"] = page(SUMMARY)
    api.answers[f"POST /api/events/{EVENT}/replay"] = (400, {"error": why})
    assert main(["events", "replay", "--kind", "RunFailed", "--reason", "r", "--yes"]) == 1
    assert "; replay it by the rules of now\n1 event: 1 refused\n" in capsys.readouterr().out
    assert main(["events", "replay", EVENT, "--reason", "r"]) == 1
    assert "; replay it by the rules of now\n" in capsys.readouterr().err


def test_a_bulk_replay_that_nobody_may_do_stops(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the first few are refused in the same words, the others are not asked for."""
    api.answers["GET /api/events"] = page(*(summary(str(number) * 32) for number in range(9)))
    assert main(["events", "replay", "--kind", "RunFailed", "--reason", "r", "--yes"]) == 1
    assert len(api.asked) == 4
    assert "there is no such event" in capsys.readouterr().err


def test_a_bulk_replay_asks_first(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --yes it lists the events; on a terminal it asks, elsewhere it does nothing."""
    api.answers["GET /api/events"] = page(SUMMARY)
    api.answers[f"POST /api/events/{EVENT}/replay"] = {"replayed": []}
    arguments = ["events", "replay", "--kind", "RunFailed", "--reason", "r"]
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "d3b34929  RunFailed" in said
    assert "say --yes to replay 1 event" in said
    for word, count in (("n", 0), ("y", 1)):
        typed = io.StringIO(f"{word}\n")
        monkeypatch.setattr(typed, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", typed)
        assert main(arguments) == 0
        assert sum(path.startswith("POST") for path, _, _ in api.asked) == count
    assert "replay 1 event by the rules of then? [y/N] nothing was replayed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the events to replay"),
        ([EVENT, "--kind", "RunFailed"], "name keys or filters, not both: --kind"),
    ],
)
def test_a_replay_says_which_events(
    arguments: list[str], message: str, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is never meant, and keys and filters exclude each other."""
    assert main(["events", "replay", "--reason", "r", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert api.asked == []


def test_the_filters_are_those_of_the_app() -> None:
    """The command knows them by itself, since it starts without the app."""
    assert dict(filters.STATUSES) == {"events": events.STATUSES, "actions": actions.STATUSES}
    assert set(listing.FILTERS) == {name for names in filters.FILTERS.values() for name in names}
    assert listing.GREATEST_PAGE == recorded.LISTED_AT_ONCE == filters.GREATEST_MOST
    assert recorded.READ_AT_ONCE == filters.GREATEST_WITH_PAYLOAD


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 100, 120])
def test_a_table_fits(width: int) -> None:
    """What is long loses its middle, the widest first; letters that take two columns count as two."""
    rows = [[Cell("k" * 8), Cell("사기-탐지-모델/버전-12 " * 5), Cell("x" * 90)], [Cell("b"), Cell("short"), Cell("")]]
    lines = list(table([Column("KEY"), Column("ONE", 10), Column("TWO", 10)], rows, width, leave))
    assert all(measure(line) <= width for line in lines)
    assert all(line == line.rstrip() for line in lines)
    assert lines[1].startswith("kkkkkkkk  사기")
    assert measure(lines[1]) >= width - 2


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("abcdef", 6, "abcdef"), ("abcdef", 5, "ab…ef"), ("abcdef", 4, "ab…f"), ("가나다라", 5, "가…라"), ("abc", 1, "…")],
)
def test_a_text_loses_its_middle(text: str, width: int, expected: str) -> None:
    """Names are told apart by how they end."""
    assert shorten(text, width) == expected


def test_times_over_a_year_s_end_keep_their_years() -> None:
    """The year is in the heading only where all have the same."""
    assert tables.time_column(["2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"], local=False) == (
        "TIME (UTC)",
        ["2026-12-31 23:00:00", "2027-01-01 00:00:00"],
    )
