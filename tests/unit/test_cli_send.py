"""`reactor events send`: a sample of each kind, as the service would send it, and only to the local stack."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from cli import samples
from cli.main import main
from cli.samples import SAMPLES, body, message
from cli.send import DOOR
from dev.stack import WEBHOOK
from shared.parse import PARSERS
from shared.rules.kinds import KINDS

SENDABLE = [kind for kind, sample in SAMPLES.items() if sample.door != "own"]
QUEUED = """<?xml version="1.0" encoding="utf-8"?><QueueMessagesList><QueueMessage><MessageId>1</MessageId>
<InsertionTime>Mon, 02 Mar 2026 08:15:04 GMT</InsertionTime>
<ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>
<PopReceipt>a</PopReceipt><TimeNextVisible>Mon, 02 Mar 2026 08:15:04 GMT</TimeNextVisible>
</QueueMessage></QueueMessagesList>"""
MINE = "/subscriptions/9/resourceGroups/mine/providers/Microsoft.MachineLearningServices/workspaces/mine"
RULES = """version: 1
workspaces:
  mine: "${MINE}"
  other: /subscriptions/9/resourceGroups/o/providers/Microsoft.MachineLearningServices/workspaces/o
vision: {fruit: {project: 00000000-0000-0000-0000-00000000000f, training: {endpoint: "https://fruit.example"}}}
rules: []
"""


class Stack(ThreadingHTTPServer):
    """Takes what is posted, as the host's Event Grid endpoint and the storage emulator do."""

    received: list[tuple[str, dict[str, str], str]]
    refuses = False


class Answer(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Stack

    def do_POST(self) -> None:
        """Keep the request; a queue answers 201, the endpoint 202."""
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, text))
        is_queue = "/messages" in self.path
        self.send_response(500 if self.server.refuses else 201 if is_queue else 202)
        said = QUEUED.encode() if is_queue else b""
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Run what stands for the local stack."""
    with Stack(("127.0.0.1", 0), Answer) as server:
        server.received = []
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ready(stack: Stack, tmp_path: Path) -> str:
    """Write what the stack says of itself."""
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    url = f"http://127.0.0.1:{stack.server_port}"
    storage = f"AccountName=a;AccountKey=a2V5;QueueEndpoint={url}/a;BlobEndpoint={url}/a;TableEndpoint={url}/a;"
    facts = {
        "functions": url,
        "storage": storage,
        "app": str(tmp_path),
        "settings": {"AzureWebJobsStorage": storage, "REACTOR_RULES": "rules.yaml", "MINE": MINE},
    }
    (tmp_path / "ready.json").write_text(json.dumps(facts), "utf-8")
    return str(tmp_path / "ready.json")


def sent(stack: Stack) -> Any:
    """Take the last message that came to the endpoint."""
    return json.loads(stack.received[-1][2])


# -- samples ----------------------------------------------------------------------------------------------------------


def test_there_is_a_sample_of_every_kind() -> None:
    """Each kind has one."""
    assert set(SAMPLES) == set(KINDS)


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_sample_is_what_it_says(kind: str) -> None:
    """The app reads it as an event of that kind, the same one in either schema."""
    made = message(kind)
    read = [PARSERS[made.sample.door](body(made, schema)) for schema in ("eventgrid", "cloudevents")]
    assert kind in read[0].kinds
    assert read[0].key == read[1].key


def test_the_samples_data_are_those_of_the_real_messages() -> None:
    """Where tests have a real message of a kind, the sample has no field that it lacks."""
    for kind, name in {
        "ModelRegistered": "model_registered",
        "RunFailed": "run_failed",
        "DriftDetected": "monitor_breach",
    }.items():
        text = (Path(__file__).parents[1] / f"events/{name}.json").read_text("utf-8")
        (real,) = json.loads(text)
        (sample,) = message(kind).wire()
        assert sample.keys() == real.keys()
        assert sample["data"].keys() <= real["data"].keys()


@pytest.mark.parametrize("kind", SENDABLE)
def test_two_of_a_kind_are_two_events(kind: str, stack: Stack, ready: str) -> None:
    """Neither the event nor what it is derived into is a duplicate of the one before, but for a connection's test."""
    keys: set[str] = set()
    identities: list[str] = []
    for _ in range(2):
        assert main(["events", "send", kind, "--ready", ready]) == 0
        text = stack.received[-1][2]
        if "/messages" in stack.received[-1][0]:
            text = ET.fromstring(text)[0].text or ""
        event = PARSERS[SAMPLES[kind].door](text)
        keys.add(event.key)
        identities += event.once.values()
    assert len(keys) == (1 if kind == "ConnectionTested" else 2)
    assert len(set(identities)) == len(identities)


# -- to the stack -----------------------------------------------------------------------------------------------------


def test_it_is_delivered_as_event_grid_delivers(stack: Stack, ready: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An array of one, with its header, to the door's endpoint, from the first workspace that the rules declare."""
    assert DOOR == WEBHOOK
    assert main(["events", "send", "RunFailed", "--ready", ready]) == 0
    path, headers, _ = stack.received[-1]
    assert path == WEBHOOK
    assert headers["aeg-event-type"] == "Notification"
    (event,) = sent(stack)
    assert event["topic"] == MINE
    key = PARSERS["event_grid"](json.dumps(event)).key
    assert f"reactor events show {key}" in capsys.readouterr().out


def test_it_can_be_a_cloud_event(stack: Stack, ready: str) -> None:
    """One object, with the content type of CloudEvents."""
    assert main(["events", "send", "ModelRegistered", "--schema", "cloudevents", "--ready", ready]) == 0
    assert sent(stack)["specversion"] == "1.0"
    assert stack.received[-1][1]["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize(
    ("arguments", "queue"),
    [(["TrainingFailed"], "vision-notifications"), (["RunFailed", "--queue"], "ml-events")],
)
def test_queues_take_what_comes_by_queue(arguments: list[str], queue: str, stack: Stack, ready: str) -> None:
    """A notification of Custom Vision always, an event of Azure Machine Learning where that is asked for."""
    assert main(["events", "send", *arguments, "--ready", ready]) == 0
    path, _, text = stack.received[-1]
    assert path.startswith(f"/a/{queue}/messages")
    inner = json.loads(ET.fromstring(text)[0].text or "")
    if queue == "vision-notifications":
        assert inner["Content"]["projectId"] == "00000000-0000-0000-0000-00000000000f"


@pytest.mark.parametrize(("given", "found"), [("other", "workspaces/o"), (samples.WORKSPACE, "workspaces/fraud")])
def test_another_source_can_be_named(given: str, found: str, stack: Stack, ready: str) -> None:
    """By a declared name, or by an id."""
    assert main(["events", "send", "RunCompleted", "--source", given, "--ready", ready]) == 0
    assert sent(stack)[0]["topic"].endswith(found)


def test_what_the_stack_does_not_take_is_1(stack: Stack, ready: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An endpoint that answers 500 took nothing, and the command says so."""
    stack.refuses = True
    assert main(["events", "send", "RunFailed", "--ready", ready]) == 1
    assert "did not take it" in capsys.readouterr().err


def test_nothing_is_sent_elsewhere(ready: str, stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """A ready file that names another machine is refused: in Azure nobody can publish to a service's topic."""
    facts = json.loads(Path(ready).read_text("utf-8")) | {"functions": "https://reactor.example"}
    Path(ready).write_text(json.dumps(facts), "utf-8")
    assert main(["events", "send", "RunFailed", "--ready", ready]) == 2
    assert "local stack" in capsys.readouterr().err
    assert stack.received == []


# -- what is changed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ("data.modelTags.stage=staging", "model.tags.stage", "staging"),
        ("data.modelTags['team.owner']=fraud", "model.tags['team.owner']", "fraud"),
        ("data.modelTags.retries=3", "model.tags.retries", "3"),
        ("DATA.ModelVersion=13", "model.version", "13"),
        ("model.name=credit", "subject", "models/credit:12"),
        ("subject=models/a:1", "subject", "models/a:1"),
        ("id=mine", "id", "mine"),
        ("source=/subscriptions/1", "source", "/subscriptions/1"),
    ],
)
def test_fields_can_be_set(change: str, field: str, value: str, stack: Stack, ready: str) -> None:
    """On the wire or by their derived name, tags as the texts they are; the subject follows the data."""
    from shared.rules.paths import canonical, parse_path, reader

    assert main(["events", "send", "ModelRegistered", "--set", change, "--ready", ready]) == 0
    event = PARSERS["event_grid"](stack.received[-1][2])
    assert reader(canonical(parse_path(field) or ()))(event) == value


def test_a_number_stays_a_number(stack: Stack, ready: str) -> None:
    """A coefficient is set as a number, because a text would be another thing."""
    assert main(["events", "send", "DatasetDriftDetected", "--set", "drift.coefficient=0.9", "--ready", ready]) == 0
    assert sent(stack)[0]["data"]["driftCoefficient"] == 0.9


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["RunFaild"], 'unknown kind "RunFaild" (did you mean "RunFailed"?)'),
        (["RunFailed", "--set", "nothing"], "PATH=VALUE"),
        (["RunFailed", "--set", "a..b=1"], "not a path"),
        (["RunFailed", "--set", "time=1"], "only what is on the wire"),
        (["RunFailed", "--set", "data.modelName=a"], "RunFailed has experimentId"),
        (["RunFailed", "--set", "data.runId.a=1"], "has nothing inside"),
        (["RunFailed", "--set", "run.status=Completed"], "no RunFailed any more"),
        (["RunFailed", "--set", "data.runId="], "data.runId"),
        (
            ["RunFailed", "--source", "mien"],
            'no "mien" is declared under workspaces (did you mean "mine"?); there are mine',
        ),
        (["TrainingCompleted", "--source", "mine"], 'no "mine" is declared under vision'),
        (["TrainingCompleted", "--source", "mine"], "or give a project's id, a GUID"),
    ],
)
def test_what_cannot_be_sent_is_2(
    arguments: list[str], said: str, stack: Stack, ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A kind that is none, a field that is not on the wire, and what would be another event are matters of usage."""
    assert main(["events", "send", *arguments, "--ready", ready]) == 2
    assert said in capsys.readouterr().err
    assert stack.received == []


# -- to the terminal --------------------------------------------------------------------------------------------------


def test_printing_needs_no_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is the wire's form, and `rules explain` takes it."""
    assert main(["events", "send", "DriftDetected", "--print", "--ready", str(tmp_path / "none.json")]) == 0
    event = tmp_path / "event.json"
    event.write_text(capsys.readouterr().out, "utf-8")
    example = Path(__file__).parents[2] / "examples/retrain-on-drift/rules.yaml"
    assert main(["rules", "explain", "--rules", str(example), "--event", str(event)]) == 0
    assert "yes" in capsys.readouterr().out


def test_our_own_kinds_are_only_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reactor announces them itself: nobody else can."""
    assert main(["events", "send", "ActionFailed", "--ready", str(tmp_path / "none.json")]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["type"] == "Reactor.ActionFailed"
    assert "printed, not sent" in err


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [("RunFailed", "nonsense", "give an ARM id (/subscriptions/…)"), ("ExportCompleted", "fruit", "a project's id")],
)
def test_without_a_stack_a_source_is_an_id(
    kind: str, given: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No name can be looked up, so one that is printed would be nobody's."""
    ready = str(tmp_path / "none.json")
    assert main(["events", "send", kind, "--source", given, "--print", "--ready", ready]) == 2
    assert says in capsys.readouterr().err
    for source in (samples.WORKSPACE, samples.PROJECT):
        kind = "RunFailed" if source == samples.WORKSPACE else "ExportCompleted"
        assert main(["events", "send", kind, "--source", source, "--print", "--ready", ready]) == 0
        assert source in capsys.readouterr().out


def test_sending_needs_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where none runs, the command says how to start one."""
    assert main(["events", "send", "RunFailed", "--ready", str(tmp_path / "none.json")]) == 2
    assert "make run" in capsys.readouterr().err


def test_what_will_be_refused_is_said(stack: Stack, ready: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the rules declare no source of such events, the sample's own is used, and the command says what follows."""
    (Path(ready).parent / "rules.yaml").write_text("version: 1\nrules: []\n", "utf-8")
    assert main(["events", "send", "TrainingFailed", "--ready", ready]) == 0
    assert "declare nothing under vision, so it will be refused" in capsys.readouterr().err


@pytest.mark.parametrize("rules", ["no-such.yaml", "broken.yaml"])
def test_without_readable_rules_the_samples_own_source_is_used(
    rules: str, stack: Stack, ready: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says so, and sends all the same."""
    facts = json.loads(Path(ready).read_text("utf-8"))
    facts["settings"]["REACTOR_RULES"] = rules
    Path(ready).write_text(json.dumps(facts), "utf-8")
    (Path(ready).parent / "broken.yaml").write_text("version: 2\n", "utf-8")
    assert main(["events", "send", "RunFailed", "--ready", ready]) == 0
    assert "cannot be read" in capsys.readouterr().err
    assert sent(stack)[0]["topic"] == samples.WORKSPACE
