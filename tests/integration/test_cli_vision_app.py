"""`reactor vision connect` where the app runs: the proof is what the app recorded."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError

from cli.main import main
from cli.vision import proof as vision_proof
from dev.azurite import Azurite
from dev.process import Child
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.identity import managed_identity
from shared.parse import vision_notification
from shared.settings import Storage
from shared.storage import EVENTS_TABLE, VISION_QUEUE, prepare
from shared.storage.account import Account
from shared.storage.records import OCCURRENCE

REPOSITORY = Path(__file__).parents[2]
FRUIT, SHELF, UNDECLARED, STALL, MOVED = (f"5e9b1c3a-77d2-4c8e-b0f4-61a2d8e9c70{digit}" for digit in (1, 2, 3, 5, 6))
RULES = f"""
version: 1
vision:
  fruit:
    project: {FRUIT}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
  shelf:
    project: {SHELF}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
  stall:
    project: {STALL}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
  moved:
    project: {MOVED}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
rules: []
"""


@pytest.fixture(scope="module")
def ready(
    running_simulators: Simulators, storage_emulator: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Run the app on the storage that the simulated service writes to; gives the file that says where it is."""
    folder = tmp_path_factory.mktemp("vision")
    ready, rules = folder / "ready.json", folder / "rules.yaml"
    rules.write_text(RULES, "utf-8")
    account = Account(Storage(connection_string=storage_emulator.app), managed_identity)
    prepare(account, "backups")
    account.queue(VISION_QUEUE).clear_messages()
    settings = running_simulators.environment | {
        "AzureWebJobsStorage": storage_emulator.app,
        "REACTOR_RULES": str(rules),
        "REACTOR_SCHEDULE": "0 0 0 1 1 *",
        "SIMULATOR_VISION": running_simulators.vision.url,
        "SIMULATOR_VISION_KEY": KEY,
    }
    ready.write_text(json.dumps({"settings": settings, "app": str(folder), "stack_pid": os.getpid()}), encoding="utf-8")
    command = [sys.executable, "-m", "dev.host", "--attach", str(ready), "--app", str(REPOSITORY), "--lease", "10"]
    child = Child("host", command, log=folder / "host.log", env={"PYTHONPATH": str(REPOSITORY)})
    try:
        child.wait_for(lambda: json.loads(ready.read_text()).get("host_pid"))
        yield ready
    finally:
        child.stop()


@pytest.fixture
def on(ready: Path, simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give that file, with the projects as at the start."""
    for name in ("REACTOR_URL", "REACTOR_VISION_PROJECT", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    names = {FRUIT: "fruit", SHELF: "shelf", UNDECLARED: "other", STALL: "stall", MOVED: "moved"}
    simulators.vision.seed(projects=[{"id": id, "name": name} for id, name in names.items()])
    return ready


def connect(on: Path, project: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    """Connect a project, and give what is said to programs."""
    capsys.readouterr()
    assert main(["vision", "connect", project, "--ready", str(on), "--within", "20s", "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_proof_is_a_record_that_is_newer_than_the_change(on: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The app took the message from its queue, and recorded it."""
    outcome = connect(on, "fruit", capsys)
    assert outcome["changed"] == ["queue", "container"]
    assert outcome["proof"].startswith("the app recorded ConnectionTested, event ")
    key = outcome["proof"].split("event ")[1][:8]
    assert main(["events", "show", key, "--ready", str(on)]) == 0
    assert FRUIT in capsys.readouterr().out


def test_what_the_app_would_count_as_the_same_is_not_waited_for(
    on: Path, capsys: pytest.CaptureFixture[str], simulators: Simulators
) -> None:
    """A second test within ten minutes leaves no record: the first one is named, with its age, and nothing is sent."""
    connect(on, "shelf", capsys)
    patched = len(simulators.vision.seen("PATCH"))
    again = connect(on, "shelf", capsys)
    assert (again["changed"], len(simulators.vision.seen("PATCH"))) == ([], patched)
    assert again["proof"].endswith("; it counts equal messages within 10 minutes as one")
    assert " s ago, event " in again["proof"]


def forget(on: Path, project: str) -> None:
    """Have the app record the next test of a project, as if the last one had been long ago."""
    message = json.dumps({"version": "1.0", "type": "ConnectionTest", "Content": {"projectId": project}})
    storage = Storage(connection_string=json.loads(on.read_text("utf-8"))["settings"]["AzureWebJobsStorage"])
    account = Account(storage, managed_identity)
    while account.queue(VISION_QUEUE).get_queue_properties().approximate_message_count:
        time.sleep(0.1)  # one that is not taken yet would be recorded anew
    time.sleep(1.1)  # a queue tells whole seconds: of two equal messages in one second the second is no new one
    account.table(EVENTS_TABLE).delete_entity(vision_notification(message).key, OCCURRENCE)


def test_a_connection_that_stands_is_tested_again(
    on: Path, capsys: pytest.CaptureFixture[str], simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes later the project is told of its queue anew, and the app records what comes of it."""
    first = connect(on, "stall", capsys)
    monkeypatch.setattr(vision_proof, "ONCE_IN", timedelta())
    forget(on, STALL)
    sent = len(simulators.vision.state()["sent"])
    again = connect(on, "stall", capsys)
    assert again["changed"] == []
    assert again["proof"].startswith("the app recorded ConnectionTested, event ")
    assert again["proof"] != first["proof"]
    assert [one["Content"]["projectId"] for one in simulators.vision.state()["sent"][sent:]] == [STALL, STALL]


def point_elsewhere(on: Path, simulators: Simulators) -> None:
    """Have a project notify another queue, as somebody sets it by hand."""
    storage = Storage(connection_string=json.loads(on.read_text("utf-8"))["settings"]["AzureWebJobsStorage"])
    elsewhere = Account(storage, managed_identity).queue("elsewhere")
    with suppress(ResourceExistsError):
        elsewhere.create_queue()
    queue = {"notificationQueueUri": elsewhere.url}
    simulators.vision.seed(projects=[{"id": MOVED, "name": "moved", "settings": queue}])


def test_what_was_recorded_before_the_queue_was_set_is_no_proof(
    on: Path, capsys: pytest.CaptureFixture[str], simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app that records no other test yet proves nothing of a new connection: that is said, with when it will."""
    connect(on, "moved", capsys)
    point_elsewhere(on, simulators)
    assert main(["vision", "connect", "moved", "--ready", str(on), "--within", "20s"]) == 1
    said = capsys.readouterr()
    assert "proof      none" in said.out
    assert "cannot be proven for another 10 min: the app recorded a test" in said.err
    assert "give this command again in 10 min" in said.err

    point_elsewhere(on, simulators)
    monkeypatch.setattr(vision_proof, "ONCE_IN", timedelta(seconds=15))
    forget(on, MOVED)  # the app would record another one from now on
    again = connect(on, "moved", capsys)
    assert "queue" in again["changed"]
    assert again["proof"].startswith("the app recorded ConnectionTested, event ")


def test_a_project_that_is_not_declared_is_heard_and_nothing_is_done(
    on: Path, capsys: pytest.CaptureFixture[str], simulators: Simulators
) -> None:
    """It says what is missing for that."""
    outcome = connect(on, UNDECLARED, capsys)
    assert outcome["proof"].startswith("the app recorded ConnectionTested")
    assert any("the app does nothing with it" in note and "declare the project" in note for note in outcome["notes"])


def test_an_app_that_does_not_answer_here_is_known_by_its_records(
    on: Path, capsys: pytest.CaptureFixture[str], simulators: Simulators, tmp_path: Path
) -> None:
    """Its storage tells what it heard."""
    facts = json.loads(on.read_text("utf-8"))
    elsewhere = tmp_path / "ready.json"
    elsewhere.write_text(json.dumps(facts | {"functions": "http://127.0.0.1:1"}), "utf-8")
    new = "5e9b1c3a-77d2-4c8e-b0f4-61a2d8e9c704"
    simulators.vision.seed(projects=[{"id": new, "name": "new"}])
    outcome = connect(elsewhere, new, capsys)
    assert outcome["proof"].startswith(("the app recorded ConnectionTested, event ", "the test waits in the queue"))
    assert main(["vision", "connect", new, "--ready", str(elsewhere), "--within", "1s"]) == 0


def test_a_test_that_was_refused_is_told_so_as_long_as_that_is_so(
    on: Path, capsys: pytest.CaptureFixture[str], simulators: Simulators
) -> None:
    """The second connect finds the refused record: the note is there again, until the project is declared."""
    late = "5e9b1c3a-77d2-4c8e-b0f4-61a2d8e9c707"
    simulators.vision.seed(projects=[{"id": late, "name": "late"}])
    for _ in range(2):
        outcome = connect(on, late, capsys)
        assert any("the app does nothing with it" in note for note in outcome["notes"])
        assert "declared since" not in outcome["proof"]
    rules = on.with_name("rules.yaml")
    before = rules.read_text("utf-8")
    rules.write_text(before.replace(STALL, late), "utf-8")
    try:
        for _ in range(60):
            outcome = connect(on, late, capsys)
            if not outcome["notes"] or "declared since" in outcome["proof"]:
                break
            time.sleep(1)
        assert outcome["proof"].endswith("; it was refused then, and the project is declared since")
        assert not any("does nothing" in note for note in outcome["notes"])
    finally:
        rules.write_text(before, "utf-8")
