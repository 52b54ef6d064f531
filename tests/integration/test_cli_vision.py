"""`reactor vision` against the simulated service and a real storage emulator: what it does, says, and how it ends."""

import io
import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceExistsError

from cli import steps
from cli.main import main
from cli.vision import places as vision_places
from cli.vision import proof
from cli.vision.places import aside_of
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.clients.vision import Project, Resource
from shared.errors import PermanentError
from shared.settings import Settings
from shared.storage import VISION_QUEUE, places, prepare
from shared.storage.account import Account
from tests.integration.world import Crash, Wire

FRUIT, OTHER = "7d0c2f6e-5b1a-4e0f-8f53-2a86c19b4d01", "8d0c2f6e-5b1a-4e0f-8f53-2a86c19b4d02"
ASIDE = f"{VISION_QUEUE}-aside-{FRUIT.replace('-', '')}"
RULES = f"""
version: 1
vision:
  fruit:
    project: {FRUIT}
    training: {{endpoint: "${{SIMULATOR_VISION}}", key: "${{SIMULATOR_VISION_KEY}}"}}
rules: []
"""
TEST = {"version": "1.0", "type": "ConnectionTest", "Content": {"projectId": FRUIT}}
TRAINED = {
    "version": "1.0",
    "type": "Training",
    "Content": {"projectId": FRUIT, "iterationId": str(uuid4()), "trainingStatus": "TrainingCompleted"},
}


@pytest.fixture
def settings(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Run the commands in a folder where a local stack says that it runs, and no app answers."""
    for name in ("REACTOR_URL", "REACTOR_VISION_PROJECT", "REACTOR_VISION_KEY", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(steps, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(proof, "FIRST_LOOK", 0.02)
    monkeypatch.setattr(vision_places, "BETWEEN", 0.01)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    settings = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_RULES": "rules.yaml",
        "REACTOR_POLL_SECONDS": "0.1",
        "REACTOR_LEASE_SECONDS": "10",
        "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        "SIMULATOR_VISION": simulators.vision.url,
        "SIMULATOR_VISION_KEY": KEY,
        **simulators.environment,
    }
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    (tmp_path / ".stack").mkdir()
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": settings}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    simulators.vision.seed(projects=[{"id": FRUIT, "name": "fruit"}])
    return settings


@pytest.fixture
def account(settings: dict[str, str]) -> Account:
    """Give the app's storage, with no message in its queue, and nothing that is kept of the project."""
    made = Clients(Settings.read(settings), managed_identity)
    prepare(made.account, "backups")
    kept = made.account.blobs.get_container_client("backups")
    for blob in kept.list_blob_names(name_starts_with=f"{FRUIT}/"):
        kept.delete_blob(blob)
    for queue in (VISION_QUEUE, f"{VISION_QUEUE}-poison"):
        made.account.queue(queue).clear_messages()
    return made.account


@pytest.fixture
def clients(settings: dict[str, str], account: Account) -> Clients:
    """Give the clients of who looks what became of it."""
    return Clients(Settings.read(settings), managed_identity, account)


def at(simulators: Simulators) -> Resource:
    """Give the training resource."""
    return Resource(simulators.vision.url, KEY)


def there(clients: Clients, simulators: Simulators) -> Project:
    """Read the project."""
    found = clients.vision.projects.read(at(simulators), FRUIT)
    assert found is not None
    return found


def own_queue(clients: Clients) -> str:
    """Give the URL of the app's queue."""
    return f"{clients.account.queues.url.rstrip('/')}/{VISION_QUEUE}"


def run(*arguments: str) -> int:
    """Run a command of `reactor vision` and give how it ends."""
    try:
        return main(["vision", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Run a command and give what it says to programs."""
    capsys.readouterr()
    assert run(*arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Sit at a terminal and answer."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(text))


# -- connect ----------------------------------------------------------------------------------------------------------


def test_a_project_is_connected_and_that_is_proven(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both URIs are set, and where no app answers the test message is seen in the queue."""
    assert run("connect", "fruit", "--within", "5s") == 0
    said = capsys.readouterr().out
    project = there(clients, simulators)
    assert project.queue == own_queue(clients)
    assert project.container.endswith("/exports")
    assert said.startswith(f"fruit ({FRUIT})\n")
    assert "the test waits in the queue, written as plain text" in said
    assert "no app answers: nothing answers at http://127.0.0.1:1" in said
    assert f"declare `container: {project.container}`" in said


def test_it_says_how_messages_are_encoded(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A queue client may have wrapped them: the app reads both."""
    simulators.vision.seed(settings={"message_encoding": "base64"})
    outcome = told(capsys, "connect", "fruit", "--within", "5s")
    assert (outcome["proof"], outcome["encoding"]) == ("the test waits in the queue", "base64")


def test_an_old_message_proves_nothing(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only a test that came after the project was told counts."""
    clients.account.queue(VISION_QUEUE).send_message(json.dumps(TEST))
    simulators.vision.seed(settings={"notify": False})
    outcome = told(capsys, "connect", "fruit", "--within", "1s", code=1)
    assert outcome["proof"] == ""
    assert outcome["changed"] == ["queue", "container"]


def test_the_test_blob_is_reported_when_it_is_seen(
    clients: Clients, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, simulators: Simulators
) -> None:
    """It is there for a moment; one that was there before does not count."""
    exports = clients.account.blobs.get_container_client("exports")
    if not exports.exists():
        exports.create_container()
    exports.upload_blob(f"CustomVision-TestPermission/{uuid4()}", b"", overwrite=True)
    simulators.vision.seed(settings={"test_blob_seconds": -1})
    outcome = told(capsys, "connect", "fruit", "--within", "5s")
    assert outcome["test_blob_seen"] is False
    simulators.vision.seed(settings={"notify": False})
    with ThreadPoolExecutor(1) as others:
        asked = others.submit(run, "connect", "fruit", "--within", "2s", "--json")
        while not asked.done():
            exports.upload_blob(f"CustomVision-TestPermission/{uuid4()}", b"")
            time.sleep(0.1)
    assert json.loads(capsys.readouterr().out)["test_blob_seen"] is True
    for name in exports.list_blob_names():
        exports.delete_blob(name)


def test_a_project_that_is_connected_is_tested_again_and_loses_nothing(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes to the other queue meanwhile is brought over, and that queue is gone."""
    assert run("connect", "fruit", "--within", "5s") == 0
    aside = clients.account.queue(ASIDE)
    aside.create_queue()
    aside.send_message(json.dumps(TRAINED))
    clients.account.queue(VISION_QUEUE).clear_messages()
    capsys.readouterr()
    assert run("connect", "fruit", "--within", "5s") == 0
    said = capsys.readouterr().out
    assert said.startswith(f"fruit ({FRUIT}): connected already\n")
    assert "the test waits in the queue" in said
    assert there(clients, simulators).queue == own_queue(clients)
    kinds = [json.loads(one.content)["type"] for one in clients.account.queue(VISION_QUEUE).peek_messages(32)]
    assert sorted(kinds) == ["ConnectionTest", "Training"]
    assert ASIDE not in [one.name for one in clients.account.queues.list_queues()]


def test_a_test_that_was_cut_off_is_finished_by_the_next(clients: Clients, simulators: Simulators) -> None:
    """The project is told of its own queue again, and what came to the other one is brought over."""
    aside = clients.account.queue(ASIDE)
    aside.create_queue()
    settings = {"notificationQueueUri": aside_of(own_queue(clients), FRUIT)}
    simulators.vision.seed(projects=[{"id": FRUIT, "name": "fruit", "settings": settings}])
    aside.send_message(json.dumps(TRAINED))
    assert run("connect", "fruit", "--within", "5s") == 0
    assert there(clients, simulators).queue == own_queue(clients)
    kinds = [json.loads(one.content)["type"] for one in clients.account.queue(VISION_QUEUE).peek_messages(32)]
    assert sorted(kinds) == ["ConnectionTest", "Training"]


def test_another_project_that_was_cut_off_keeps_its_queue(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A project that still notifies another queue goes on to, whichever project is connected meanwhile."""
    fruit = RULES.split("vision:\n")[1].removesuffix("rules: []\n")
    both = RULES.replace("rules: []", fruit.replace("fruit", "other").replace(FRUIT, OTHER) + "rules: []")
    (tmp_path / "rules.yaml").write_text(both, "utf-8")
    simulators.vision.seed(projects=[{"id": FRUIT, "name": "fruit"}, {"id": OTHER, "name": "other"}])
    assert run("connect", "fruit", "--within", "5s") == 0
    simulators.vision.fault("error", method="PATCH", skip=1, n=1, status=400, body={"code": "BadRequest"})
    assert run("connect", "fruit", "--within", "5s") == 1
    left = there(clients, simulators).queue
    assert left != own_queue(clients)
    for _ in range(2):  # the second time it is tested again, by a queue of its own
        assert run("connect", "other", "--within", "5s") == 0
    assert there(clients, simulators).queue == left
    names = [one.name for one in clients.account.queues.list_queues()]
    assert [left.endswith(f"/{name}") for name in names].count(True) == 1
    clients.account.queue(left.rpartition("/")[2]).send_message(json.dumps(TRAINED))
    assert run("connect", "fruit", "--within", "5s") == 0
    kinds = [json.loads(one.content)["type"] for one in clients.account.queue(VISION_QUEUE).peek_messages(32)]
    assert "Training" in kinds


def test_all_messages_are_brought_over_though_one_is_gone_meanwhile(clients: Clients) -> None:
    """A message that somebody else took away while it was moved is no reason to leave those behind it."""
    source, target = clients.account.queue("left"), clients.account.queue("right")
    for queue in (source, target):
        queue.create_queue()
    source.send_message("first")

    def is_wanted(text: str) -> bool:
        if text == "first":
            source.clear_messages()
            source.send_message("second")
        return True

    assert places.Places(clients.account, managed_identity, "backups").move(source.url, target.url, is_wanted)
    assert [one.content for one in target.peek_messages(32)] == ["first", "second"]
    assert "left" not in [one.name for one in clients.account.queues.list_queues()]
    target.delete_queue()


def test_where_they_should_go_must_be_there(clients: Clients) -> None:
    """A queue that is missing is no reason to believe that everything is brought over."""
    source = clients.account.queue("left-alone")
    source.create_queue()
    source.send_message("news")
    moving = places.Places(clients.account, managed_identity, "backups")
    with pytest.raises(PermanentError, match="QueueNotFound"):
        moving.move(source.url, clients.account.queue("nowhere").url, bool)
    assert source.get_queue_properties().approximate_message_count == 1
    source.delete_queue()


def test_the_way_back_is_tried_for_a_while(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that is busy just then does not leave the project at the other queue."""
    assert run("connect", "fruit", "--within", "5s") == 0
    simulators.vision.fault("unavailable", method="PATCH", skip=1, n=3)
    assert run("connect", "fruit", "--within", "5s") == 0
    assert there(clients, simulators).queue == own_queue(clients)


def test_where_the_way_back_fails_it_says_so(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next run mends it."""
    assert run("connect", "fruit", "--within", "5s") == 0
    simulators.vision.fault("error", method="PATCH", skip=1, n=1, status=400, body={"code": "BadRequest"})
    assert run("connect", "fruit", "--within", "5s") == 1
    assert f"/{ASIDE} now: give this command again, nothing is lost" in capsys.readouterr().err
    assert run("connect", "fruit", "--within", "5s") == 0
    assert there(clients, simulators).queue == own_queue(clients)


def test_a_missing_role_is_named_and_the_rest_is_connected(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that gives the role stands there, ready to be run."""
    simulators.vision.seed(settings={"roles_missing": ["queue"]})
    assert run("connect", "fruit") == 1
    said = capsys.readouterr().err
    assert "the queue is not connected, the container is" in said
    assert 'az role assignment create --role "Storage Queue Data Contributor" --assignee-object-id $who' in said
    assert "Storage Blob Data Contributor" not in said
    project = there(clients, simulators)
    assert (project.queue, project.container.endswith("/exports")) == ("", True)
    simulators.vision.seed(settings={"roles_missing": []})
    assert run("connect", "fruit", "--within", "5s") == 0
    assert there(clients, simulators).queue == own_queue(clients)


def test_a_multi_service_resource_cannot_be_connected(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """No role helps against that, so none is named."""
    simulators.vision.seed(settings={"multi_service": True})
    assert run("connect", "fruit") == 1
    said = capsys.readouterr().err
    assert "multi-service" in said
    assert "az role" not in said


@pytest.mark.parametrize(
    ("queue", "why"),
    [
        (
            "https://other.queue.core.windows.net/vision-notifications",
            "of the account other, and the app listens",
        ),
        ("{own}-mine", "the app listens to vision-notifications alone, and not to vision-notifications-mine"),
    ],
)
def test_a_queue_that_the_app_does_not_hear_is_refused(
    queue: str, why: str, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is changed."""
    assert run("connect", "fruit", "--queue", queue.format(own=own_queue(clients))) == 1
    assert why in capsys.readouterr().err
    assert simulators.vision.seen("PATCH") == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--container", "https://a.blob.core.windows.net/c?sv=1&sig=abc"), "give the URL without a SAS"),
        (("--container", "https://a.blob.core.windows.net/c/folder"), "give it as https://<account>."),
        (("--queue", "vision-notifications"), "give it as https://<account>.<service>.core.windows.net/<queue>"),
        (("--within", "soon"), "--within soon: must be a duration"),
        (("--queue", "https://a/b", "--no-queue"), "not allowed with argument --queue"),
    ],
)
def test_an_option_that_does_not_fit_is_named(
    options: tuple[str, ...], why: str, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it reaches the service, and no SAS is shown."""
    assert run("connect", "fruit", *options) == 2
    said = capsys.readouterr().err
    assert why in said
    assert "sig=" not in said
    assert simulators.vision.seen("PATCH") == []


@pytest.mark.parametrize("name", ["backups", "reactor-payloads"])
def test_a_container_of_the_apps_own_is_refused(
    name: str, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What Custom Vision writes there would be taken for ours."""
    assert run("connect", "fruit", "--container", f"{clients.account.blobs.url.rstrip('/')}/{name}") == 1
    assert f"{name} is the app's own; take another one" in capsys.readouterr().err
    assert simulators.vision.seen("PATCH") == []


def test_storage_that_is_closed_to_the_person_says_which_role_opens_it(
    clients: Clients, settings: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is the person's role that is missing here, and not the service's."""
    wrong = re.sub(r"AccountKey=[^;]+", "AccountKey=d3Jvbmc=", settings["AzureWebJobsStorage"])
    closed = settings | {"AzureWebJobsStorage": wrong}
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": closed}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    assert run("connect", "fruit") == 1
    said = capsys.readouterr().err
    assert "the queue of account devstoreaccount1 is not open to you" in said
    assert '--role "Storage Queue Data Contributor" --assignee $(az ad signed-in-user show' in said


def test_a_message_that_nobody_takes_is_told_from_one_that_never_came(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which: that the role is missing, that the app does not run, that it could not take it."""
    simulators.vision.seed(settings={"notify": False})
    assert run("connect", "fruit", "--within", "1s") == 1
    said = capsys.readouterr().err
    assert "no test of the connection was heard within 1 s" in said
    assert "the message never came to the queue" in said
    assert "Storage Queue Data Contributor" in said
    clients.account.queue(f"{VISION_QUEUE}-poison").send_message(json.dumps(TEST))
    assert run("connect", "fruit", "--within", "1s") == 1
    assert "its message is in the queue's -poison" in capsys.readouterr().err
    clients.account.queue(VISION_QUEUE).send_message(json.dumps(TEST))
    assert run("connect", "fruit", "--within", "1s") == 1
    assert "its message waits in the queue, and the app does not take it" in capsys.readouterr().err


def test_only_the_container_is_connected_where_that_is_wanted(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """The queue is left as it is, and nothing is to be heard."""
    outcome = told(capsys, "connect", "fruit", "--no-queue")
    project = there(clients, simulators)
    assert (project.queue, outcome["changed"]) == ("", ["container"])
    assert run("connect", "fruit", "--no-queue", "--no-container") == 2


def test_a_project_of_another_resource_is_not_there(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the resource has is listed."""
    assert run("connect", str(uuid4()), "--endpoint", simulators.vision.url) == 1
    assert f"which has: fruit ({FRUIT})" in capsys.readouterr().err


def test_a_rotated_key_says_so(clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]) -> None:
    """And which setting it was read from; and never shows it."""
    simulators.vision.seed(revoked_keys=[KEY])
    assert run("connect", "fruit") == 1
    said = capsys.readouterr().err
    assert "put the current key into SIMULATOR_VISION_KEY, where this one is" in said
    assert "Custom Vision answered 401 Access denied" in said
    assert KEY not in said


def test_a_project_is_named_by_its_id_and_a_setting(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key comes from the environment, and a setting that is not set is named."""
    named = ("connect", FRUIT.replace("-", ""), "--endpoint", simulators.vision.url, "--key-setting", "MY_KEY")
    assert run(*named) == 2
    assert "MY_KEY is not set here" in capsys.readouterr().err
    monkeypatch.setenv("MY_KEY", KEY)
    assert told(capsys, *named, "--within", "5s")["project"] == FRUIT


def test_ctrl_c_leaves_the_project_connected_and_nothing_aside(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and what came to the other queue is in the app's own."""
    assert run("connect", "fruit", "--within", "5s") == 0
    simulators.vision.seed(settings={"notify": False})

    def stop(_seconds: float) -> None:
        clients.account.queue(ASIDE).send_message(json.dumps(TRAINED))
        raise KeyboardInterrupt

    clients.account.queue(VISION_QUEUE).clear_messages()
    monkeypatch.setattr("cli.vision.proof.time.sleep", stop)
    assert run("connect", "fruit", "--within", "5s") == 130
    assert "the project is connected; the same command goes on to prove it" in capsys.readouterr().err
    assert there(clients, simulators).queue == own_queue(clients)
    kinds = [json.loads(one.content)["type"] for one in clients.account.queue(VISION_QUEUE).peek_messages(32)]
    assert kinds == ["Training"]
    assert ASIDE not in [one.name for one in clients.account.queues.list_queues()]


# -- crashes ----------------------------------------------------------------------------------------------------------


def test_a_test_that_dies_anywhere_is_finished_by_the_next(
    clients: Clients, simulators: Simulators, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after each request that changes something, the next run connects, and no message is lost."""
    monkeypatch.setattr(places, "HIDDEN_SECONDS", 1)
    monkeypatch.setattr(places, "BETWEEN_SECONDS", 0.1)
    assert run("connect", "fruit", "--within", "5s") == 0
    queue, aside = clients.account.queue(VISION_QUEUE), clients.account.queue(ASIDE)
    reached = 0
    for number in count(1):
        with suppress(ResourceExistsError):
            aside.create_queue()
        aside.send_message(json.dumps(TRAINED))
        queue.clear_messages()
        crossed: list[str] = []
        wire.boundary = partial(_die_at, number, crossed)
        try:
            with wire.watched():
                run("connect", "fruit", "--within", "5s")
        except Crash:
            reached += 1
        wire.boundary = lambda _where: None
        assert run("connect", "fruit", "--within", "5s") == 0, crossed
        assert there(clients, simulators).queue == own_queue(clients), crossed
        assert "Training" in [json.loads(one.content)["type"] for one in queue.peek_messages(32)], crossed
        if len(crossed) < number:
            break
    assert reached > 8


def _die_at(number: int, crossed: list[str], where: str) -> None:
    """Die at that boundary of a request that changes something; nothing is sent any more then."""
    if "GET " in where and len(crossed) < number:
        return
    crossed.append(where)
    if len(crossed) >= number:
        raise Crash(where)
