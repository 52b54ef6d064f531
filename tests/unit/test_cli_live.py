"""The commands that put rules live and take them back, and that hold them: what they say, and how they end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from cli.app_storage import PIPELINE_USERS
from cli.main import main
from shared.storage import PAYLOADS_CONTAINER
from shared.storage.pauses import PAUSES
from shared.storage.rules_copies import LAST_GOOD, hash_of

CHANNEL = "channels: {oncall: {kind: teams, url: '${ONCALL}'}}\n"


def rules(name: str, kind: str = "ActionFailed") -> str:
    """Write a rules file with one rule."""
    return f"version: 1\n{CHANNEL}rules:\n  - {{name: {name}, on: {kind}, do: [alert: {{channel: oncall}}]}}\n"


@pytest.fixture
def storage(azurite: str) -> Iterator[BlobServiceClient]:
    """Give the app's storage, in which nothing is live and nothing is paused."""
    with BlobServiceClient.from_connection_string(azurite) as service:
        container = service.get_container_client(PAYLOADS_CONTAINER)
        if not container.exists():
            container.create_container()
        for name in (PAUSES, LAST_GOOD):
            if container.get_blob_client(name).exists():
                container.delete_blob(name)
        yield service


@pytest.fixture
def container(
    storage: BlobServiceClient, azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ContainerClient:
    """Name an app in the environment, of which alice is the operator; give the container of its rules, not made yet."""
    name = f"rules-{uuid4().hex}"
    for variable in ("REACTOR_URL", *PIPELINE_USERS):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AzureWebJobsStorage", azurite)
    monkeypatch.setenv("REACTOR_RULES", f"blob:{name}/rules.yaml")
    monkeypatch.setenv("GITHUB_ACTOR", "alice")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return storage.get_container_client(name)


def write(text: str, name: str = "rules.yaml") -> str:
    """Write a file into the current folder and give its name."""
    Path(name).write_text(text, "utf-8")
    return name


def run(*arguments: str) -> int:
    """Run a command and give how it ends."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command that ends well and give what it says to programs."""
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


# -- push, rollback, history ------------------------------------------------------------------------------------------


def test_a_file_is_pushed(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The blob holds its text, and the command says where it is, which version, and how soon it counts."""
    assert run("rules", "push", write(rules("one")), "--message", "the  first\none") == 0
    said = capsys.readouterr().out
    assert f"blob:{container.container_name}/rules.yaml of devstoreaccount1: version 1, " in said
    assert said.endswith("is live: 1 rule; every instance has it within a minute\n")
    assert container.download_blob("rules.yaml").readall().decode() == rules("one")
    (version,) = told(capsys, "rules", "history")["versions"]
    assert (version["by"], version["message"], version["state"]) == ("alice", "the first one", "live")
    assert version["hash"] == hash_of(rules("one"))


def test_what_is_live_is_not_pushed_again(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, is content, and makes no version."""
    run("rules", "push", write(rules("one")))
    assert run("rules", "push", "rules.yaml") == 0
    assert "version 1, " in (said := capsys.readouterr().out.splitlines()[-1])
    assert said.endswith("is live already")
    assert len(told(capsys, "rules", "history")["versions"]) == 1


def test_a_broken_file_is_not_pushed(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Every error is shown with its place, and the storage is not even asked."""
    assert run("rules", "push", write(rules("one", "ActionFaild"))) == 1
    said = capsys.readouterr()
    assert 'rules.yaml:4:21: error: unknown kind "ActionFaild" (did you mean "ActionFailed"?)' in said.err
    assert "nothing was published" in said.err
    assert said.out == ""
    assert not container.exists()


def test_warnings_are_shown_and_do_not_stop_it(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is only doubtful goes live; what has to be known of it is said."""
    assert run("rules", "push", write(rules("one", "RunFailed"))) == 0
    said = capsys.readouterr()
    assert "warning: nothing is declared under workspaces" in said.err
    assert "is live: 1 rule" in said.out


def test_history_is_readable(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Newest first, with what is live, who, and why; terminals are told nothing by a message."""
    for number in (1, 2):
        run("rules", "push", write(rules(f"rule-{number}")), "--message", f"change {number}")
    run("rules", "rollback", "--message", "was\033[2J wrong")
    capsys.readouterr()
    assert run("rules", "history") == 0
    said = capsys.readouterr().out
    _, heading, *rows = said.splitlines()
    assert heading.split()[:3] == ["STATE", "N", "HASH"]
    assert [row.split()[-7 if "back" in row else -3 :] for row in rows][1:] == [
        ["alice", "change", "2"],
        ["alice", "change", "1"],
    ]
    assert rows[0].startswith("live      3  ")
    assert "back to 1: was" in rows[0]
    assert "\033" not in said


def test_nothing_was_published_yet(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty history is no error; there is nothing to go back to."""
    assert run("rules", "history") == 0
    assert "nothing was published yet" in capsys.readouterr().out
    assert told(capsys, "rules", "history")["live"] is None
    assert run("rules", "rollback") == 1
    assert "reactor rules history" in capsys.readouterr().err


def test_rollback_goes_back_by_default_by_number_and_by_hash(
    container: ContainerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is a version of its own, and the text is live again."""
    for name in ("one", "two", "three"):
        run("rules", "push", write(rules(name)))
    for arguments, name in (([], "two"), (["1"], "one"), ([hash_of(rules("three"))[:12]], "three")):
        assert run("rules", "rollback", *arguments) == 0
        assert container.download_blob("rules.yaml").readall().decode() == rules(name)
    history = told(capsys, "rules", "history")
    assert [version["restores"] for version in history["versions"]] == [3, 1, 2, 0, 0, 0]
    assert history["live"]["version"] == 6
    assert run("rules", "rollback", "99") == 1
    assert "there is no version 99" in capsys.readouterr().err
    assert run("rules", "rollback", "6") == 0
    assert capsys.readouterr().out.endswith("is live already\n")


def test_a_version_that_no_longer_loads_is_not_put_live(
    container: ContainerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is checked by the loader of today; what is live stays."""
    container.create_container()
    container.upload_blob("rules.yaml", rules("one", "KindOfOld"))
    assert run("rules", "push", write(rules("two"))) == 0
    assert run("rules", "rollback") == 1
    assert "version 1:4:21: error: unknown kind" in capsys.readouterr().err
    assert container.download_blob("rules.yaml").readall().decode() == rules("two")


def test_a_broken_blob_is_seen_in_the_history(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Where somebody wrote a file into the blob that does not load, it ends with 1 and says what helps."""
    run("rules", "push", write(rules("one")))
    container.upload_blob("rules.yaml", rules("two", "ActionFaild"), overwrite=True)
    capsys.readouterr()
    assert run("rules", "history") == 1
    said = capsys.readouterr()
    assert "written into the blob by hand" in said.out
    assert "the last good rules stay live" in said.err
    assert "reactor rules rollback" in said.err
    assert run("rules", "rollback") == 0
    assert run("rules", "history") == 0
    assert [version["state"] for version in told(capsys, "rules", "history")["versions"]] == [
        "live", "was live", "was live",
    ]  # fmt: skip


def test_a_push_may_insist_on_what_it_replaces(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline that reviewed a change of version 1 is refused where version 2 is live."""
    run("rules", "push", write(rules("one")))
    run("rules", "push", write(rules("two")))
    capsys.readouterr()
    assert run("rules", "push", write(rules("three")), "--replaces", "1") == 1
    assert "version 2 is live, not 1: nothing was published" in capsys.readouterr().err
    assert run("rules", "push", "rules.yaml", "--replaces", "2") == 0


def test_push_wants_a_file(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The rules.yaml that happens to lie in the folder is not taken for it."""
    write(rules("one"))
    assert run("rules", "push") == 2
    assert "FILE" in capsys.readouterr().err
    assert not container.exists()


def test_all_rules_are_not_taken_away_by_the_way(
    container: ContainerClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without rules is refused where some are live, pushed or gone back to, unless it is said to be meant."""
    nothing = "version: 1\nrules: []\n"
    assert run("rules", "push", write(nothing, "none.yaml")) == 0
    assert run("rules", "push", write(rules("one"))) == 0
    for command in (["push", "none.yaml"], ["rollback"], ["rollback", "1"]):
        assert run("rules", *command) == 1
        said = capsys.readouterr().err
        assert "has no rules, and version 2, which is live, has 1 rule: nothing was published" in said
        assert "--yes publishes it all the same" in said
    assert container.download_blob("rules.yaml").readall().decode() == rules("one")
    assert run("rules", "rollback", "--yes") == 0
    assert "is live: 0 rules, 1 fewer than version 2; every" in capsys.readouterr().out
    container.upload_blob("rules.yaml", rules("two", "ActionFaild"), overwrite=True)
    assert run("rules", "push", "none.yaml") == 0


def test_fewer_rules_are_told(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Going live with fewer says how many, and as many or more says nothing."""
    more = rules("one") + rules("two").rpartition("rules:\n")[2] + rules("three").rpartition("rules:\n")[2]
    assert run("rules", "push", write(more)) == 0
    assert run("rules", "push", write(rules("one"))) == 0
    assert "is live: 1 rule, 2 fewer than version 1; every" in capsys.readouterr().out
    assert run("rules", "push", write(rules("two"))) == 0
    assert "is live: 1 rule; every" in capsys.readouterr().out


SETTINGS = """version: 1
channels:
  oncall: {kind: teams, url: "${ONCALL}"}
  mail: {kind: email, to: [a@example.com]}
rules:
  - name: tell
    on: ActionFailed
    where: {action.rule: {StringIn: ["${RULE}"]}}
    do: [alert: {channel: oncall, title: "$${NOT} ${TEAM} {{ action.rule }}", link: "${TEAM}"}]
"""


def test_settings_that_are_not_set_are_told(
    container: ContainerClient, azurite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The local stack knows what is set, wherever the file refers to it; one in Azure is told what it needs."""
    there = {"AzureWebJobsStorage": azurite, "REACTOR_RULES": f"blob:{container.container_name}/rules.yaml"}
    assert run("rules", "push", write(SETTINGS), "--ready", stack(container, **there)) == 0
    said = capsys.readouterr().err
    assert "rules.yaml:3:30: warning: the setting ONCALL is not set: what needs it will fail" in said
    assert said.count("the setting TEAM is not set") == said.count("the setting RULE is not set") == 1
    assert "the setting REACTOR_MAIL_SENDER is not set" in said
    assert "NOT " not in said
    facts = json.loads(Path(stack(container, **there, ONCALL="https://teams.example")).read_text("utf-8"))
    ready = write(json.dumps(facts | {"inherited": ["TEAM", "RULE"]}), "ready.json")
    assert run("rules", "push", "rules.yaml", "--ready", ready) == 0
    said = capsys.readouterr().err
    assert "REACTOR_MAIL_ENDPOINT is not set" in said
    assert not any(f"{name} is not set" in said for name in ("ONCALL", "TEAM", "RULE"))
    assert run("rules", "push", "rules.yaml") == 0
    needed = "ONCALL, REACTOR_MAIL_ENDPOINT, REACTOR_MAIL_SENDER, RULE, TEAM"
    assert f"rules.yaml: needs these settings of the app: {needed}\n" in capsys.readouterr().err


# -- which app --------------------------------------------------------------------------------------------------------


def test_an_app_that_reads_a_file_is_told_how_to_switch(
    container: ContainerClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to push to, and the setting that changes that is named; so it is on the local stack."""
    monkeypatch.delenv("REACTOR_RULES")
    assert run("rules", "push", write(rules("one"))) == 1
    said = capsys.readouterr().err
    assert "this app reads rules.yaml, a file that is deployed with it" in said
    assert "set REACTOR_RULES=blob:rules/rules.yaml in the app's settings" in said
    assert run("rules", "history", "--ready", stack(container)) == 1
    assert "REACTOR_RULES=blob:rules/rules.yaml make run" in capsys.readouterr().err


def stack(container: ContainerClient, **settings: str) -> str:
    """Write what a local stack does, and give the file's name."""
    connection = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;BlobEndpoint=" + (
        container.url.removesuffix(f"/{container.container_name}")
    )
    facts = {"functions": "http://127.0.0.1:9", "app": ".", "settings": {"AzureWebJobsStorage": connection} | settings}
    return write(json.dumps(facts), "ready.json")


@pytest.mark.usefixtures("container")
@pytest.mark.parametrize(
    ("environment", "arguments", "said"),
    [
        ({}, [], "make run"),
        ({"REACTOR_URL": "https://x.azurewebsites.net"}, [], "names an app, but not its storage"),
        ({"AzureWebJobsStorage__credential": "managedidentity"}, [], "AzureWebJobsStorage__blobServiceUri"),
        ({}, ["--ready", "elsewhere.json"], "elsewhere.json"),
        ({}, ["--ready", "rules.yaml"], "rules.yaml"),
    ],
)
def test_an_app_that_cannot_be_found_is_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    arguments: list[str],
    said: str,
) -> None:
    """What is missing is named; nothing is guessed."""
    monkeypatch.delenv("AzureWebJobsStorage")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    write(rules("one"))
    assert run("rules", "push", "rules.yaml", *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_2(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """As is a message that is too long, or a blob that is none."""
    assert run("rules", "push", "missing.yaml") == 2
    assert run("rules", "push", write(rules("one")), "--message", "x" * 501) == 2
    assert "501 characters" in capsys.readouterr().err


def test_storage_that_cannot_be_reached_is_1(
    container: ContainerClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so, and no trace follows."""
    monkeypatch.setenv("AzureWebJobsStorage", stack_at_nothing())
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    assert run("rules", "push", write(rules("one"))) == 1
    assert "storage cannot be reached" in capsys.readouterr().err


@pytest.mark.usefixtures("container")
def test_who_is_not_signed_in_is_told_how(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where an account is named without a key, and nobody is signed in to Azure, one line says what helps."""
    monkeypatch.delenv("AzureWebJobsStorage")
    monkeypatch.setenv("AzureWebJobsStorage__accountName", "nobodys")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("rules", "history") == 1
    assert capsys.readouterr().err.startswith("reactor: sign in with `az login`; you have no token for https://storage")


def stack_at_nothing() -> str:
    """Write a connection string at which nobody answers."""
    return (
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a;"
        "QueueEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a"
    )


# -- pause and resume -------------------------------------------------------------------------------------------------


def test_a_rule_is_paused_and_resumed(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Who, when and why are shown; both can be said again."""
    run("rules", "push", write(rules("retrain")))
    assert run("pause", "retrain", "--reason", "too many  alerts\033[2J") == 0
    assert "until `reactor resume retrain`; every instance knows within a minute" in capsys.readouterr().out
    assert run("pause", "retrain", "--reason", "again") == 0
    assert "is paused already by alice since 20" in capsys.readouterr().out
    assert run("pause", "--list") == 0
    said = capsys.readouterr().out
    assert said.startswith("retrain is paused by alice since 20")
    assert said.endswith(": too many alerts [2J\n")
    assert told(capsys, "pause", "--list")["retrain"]["by"] == "alice"
    assert run("resume", "retrain") == 0
    assert "retrain goes on: it was paused by alice" in capsys.readouterr().out
    assert run("resume", "retrain") == 0
    assert "retrain is not paused" in capsys.readouterr().out
    assert told(capsys, "pause", "--list") == {}


def test_everything_is_paused_and_resumed(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """What is paused by itself stays so, and is named, unless all of it is to go on."""
    run("rules", "push", write(rules("retrain")))
    run("pause", "retrain", "--reason", "its own")
    assert run("pause", "--reason", "load test") == 0
    assert set(told(capsys, "pause", "--list")) == {"*", "retrain"}
    assert run("resume") == 0
    said = capsys.readouterr().out
    assert "everything goes on" in said
    assert "retrain is still paused by alice" in said
    assert run("resume") == 0
    assert "not everything is paused" in capsys.readouterr().out
    assert run("resume", "--all") == 0
    assert run("resume", "--all") == 0
    assert capsys.readouterr().out.endswith("nothing is paused\n")


def test_an_unknown_rule_is_refused(container: ContainerClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest name of the live rules is suggested; a paused rule that is gone can be resumed all the same."""
    run("rules", "push", write(rules("retrain")))
    for command in (["pause", "--reason", "x"], ["resume"]):
        assert run(*command, "retran") == 2
        assert 'no rule is called "retran" (did you mean "retrain"?)' in capsys.readouterr().err
    run("pause", "retrain", "--reason", "x")
    run("rules", "push", write(rules("other")))
    capsys.readouterr()
    assert run("pause", "--list") == 0
    assert "retrain (no live rule has that name) is paused" in capsys.readouterr().out
    assert run("resume", "retrain") == 0


def test_the_rules_of_a_file_are_known_from_the_app(
    container: ContainerClient, storage: BlobServiceClient, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Where the rules are deployed with the app, their names are those it took last; where none are known, any is."""
    monkeypatch.setenv("REACTOR_RULES", "rules.yaml")
    assert run("pause", "anything", "--reason", "x") == 0
    assert "the name was not checked" in capsys.readouterr().err
    storage.get_blob_client(PAYLOADS_CONTAINER, LAST_GOOD).upload_blob(rules("retrain"))
    assert run("pause", "retran", "--reason", "x") == 2
    assert run("pause", "retrain", "--reason", "x") == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause"],
        ["pause", "retrain"],
        ["pause", "--reason", "  "],
        ["pause", "--list", "retrain"],
        ["pause", "--list", "--reason", "x"],
        ["resume", "retrain", "--all"],
        ["resume", "a", "b"],
    ],
)
def test_what_makes_no_sense_is_2(
    container: ContainerClient, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is paused or resumed by a command that was not understood."""
    assert run(*arguments) == 2
    assert "reactor" in capsys.readouterr().err
    assert told(capsys, "pause", "--list") == {}


def test_a_blob_that_cannot_be_read_is_shown_and_mended(
    container: ContainerClient, storage: BlobServiceClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts as a pause of everything, which the list says, and resuming ends it."""
    storage.get_blob_client(PAYLOADS_CONTAINER, PAUSES).upload_blob("oops")
    assert run("pause", "--list") == 0
    assert "everything is paused: pauses.json cannot be read" in capsys.readouterr().out
    assert run("resume") == 0
    assert told(capsys, "pause", "--list") == {}
