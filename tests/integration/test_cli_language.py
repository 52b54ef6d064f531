"""`reactor language` against two simulated regions and a real storage emulator: what it does, says, and how it ends."""

import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient

from cli import steps
from cli.language import waiting
from cli.main import main
from dev.simulators.language import KEY
from dev.simulators.remote import Simulators
from shared.handlers.language import deploying, following, proving, undoing
from shared.storage.locks import Locks
from tests.integration.language_stories import EDIT, UNCOUNTED, Mail

RULES = """
version: 1
language:
  mail-bot:
    project: {name}
    primary: {{endpoint: "${{SIMULATOR_LANGUAGE}}", key: "${{SIMULATOR_LANGUAGE_KEY}}"}}
    secondary: {{endpoint: "${{SIMULATOR_LANGUAGE_REPLICA}}", key: "${{SIMULATOR_LANGUAGE_KEY}}"}}
    deployments: [production]{more}
rules: []
"""
STATED = """
    proof: {utterances: [{text: read the latest mail from Kim, intent: Read}], sample: 4}"""


@pytest.fixture
def mail(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mail:
    """Run the commands in a folder where a local stack says that it runs; the primary serves a model."""
    for name in ("REACTOR_URL", "REACTOR_RULES", "REACTOR_LANGUAGE_KEY", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(steps, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(RequestsTransport, "sleep", lambda _self, _seconds: None)  # of what the HTTP layer repeats
    for module, name in ((following, "SHOWN_WITHIN"), (proving, "ANSWERS_WITHIN"), (undoing, "SURE_AFTER")):
        monkeypatch.setattr(module, name, getattr(module, name) * 0)
    monkeypatch.setattr(deploying, "SHOWN_WITHIN", deploying.SHOWN_WITHIN * 0)
    monkeypatch.setattr(waiting, "SHOWN_WITHIN", 0.5)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    mail = Mail(simulators, azurite)
    settings = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_RULES": "rules.yaml",
        "REACTOR_POLL_SECONDS": "0.1",
        "REACTOR_LEASE_SECONDS": "10",
        "SIMULATOR_LANGUAGE": mail.primary.url,
        "SIMULATOR_LANGUAGE_REPLICA": mail.secondary.url,
        "SIMULATOR_LANGUAGE_KEY": KEY,
        **UNCOUNTED,
        **simulators.environment,
    }
    (tmp_path / ".stack").mkdir()
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": settings}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    declare(mail)
    mail.begin()
    return mail


def declare(mail: Mail, more: str = "") -> None:
    """Write the rules file."""
    Path("rules.yaml").write_text(RULES.format(name=mail.name, more=more), "utf-8")


def run(*arguments: str) -> int:
    """Run a command of `reactor language` and give how it ends."""
    try:
        return main(["language", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    """Run a command and give what it says to programs."""
    capsys.readouterr()
    assert run(*arguments, "--json") == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Sit at a terminal and answer."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(text))


def replicate(*arguments: str) -> None:
    """Bring the project to its secondary."""
    assert run("replicate", "mail-bot", "--yes", *arguments) == 0


# -- replicate --------------------------------------------------------------------------------------------------------


def test_a_project_is_replicated_once_that_is_confirmed(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said what it costs, and how far it is; a no leaves the secondary as it is."""
    answers(monkeypatch, "n\n")
    assert run("replicate", "mail-bot") == 1
    said = capsys.readouterr().err
    assert "in mode advanced, which is billed by the hour, and serves as production once it is proven." in said
    assert "nothing was replicated" in said
    assert mail.secondary.seen("POST") == []
    answers(monkeypatch, "y\n")
    assert run("replicate") == 0
    out, err = capsys.readouterr()
    assert mail.labels(mail.secondary) == {"production": "v1"}
    assert "train: v1 is being trained in mode advanced, which is billed" in err
    assert "v1 trained, proven and deployed; backup" in out
    assert "`reactor language drill mail-bot` tries" in out


def test_without_a_terminal_yes_is_needed(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody can be asked; nothing is begun."""
    assert run("replicate", "mail-bot") == 2
    assert "Say --yes" in capsys.readouterr().err
    assert mail.secondary.seen("POST") == []


def test_programs_are_told_what_a_rule_could_read(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing of the stages' own notes; a second time nothing is trained, unless it is forced."""
    first = told(capsys, "replicate", "mail-bot", "--yes")
    assert first["replicated"] == ["v1"]
    assert first["served"] == mail.serving(mail.secondary)
    assert not {"todo", "slots", "files", "held"} & first.keys()
    assert told(capsys, "replicate", "mail-bot", "--yes")["replicated"] == []
    assert told(capsys, "replicate", "mail-bot", "--yes", "--force")["replicated"] == ["v1"]
    assert mail.posts(mail.secondary, ":train") == 2


def test_slots_are_called_as_it_is_said(mail: Mail) -> None:
    """Without one the model is deployed straight away."""
    replicate()
    mail.learn("v2")
    replicate("--staging", "blue")
    assert mail.labels(mail.secondary) == {"production": "v2", "production-blue": "v1"}
    mail.learn("v3")
    replicate("--no-staging")
    assert mail.labels(mail.secondary) == {"production": "v3", "production-blue": "v1"}


def test_edits_by_hand_are_replaced_only_where_that_is_said(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy names the option of the command."""
    replicate()
    mail.edit(mail.secondary)
    mail.learn("v2")
    capsys.readouterr()
    assert run("replicate", "mail-bot", "--yes") == 1
    said = capsys.readouterr().err
    assert "edited by hand" in said
    assert "say --overwrite-edits" in said
    assert "overwrite_edits" not in said
    assert mail.labels(mail.secondary) == {"production": "v1"}
    replicate("--overwrite-edits")
    assert EDIT["text"] not in mail.texts(mail.secondary)


def test_what_fails_says_what_serves(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """A training that fails leaves what served; the remedy is the same command."""
    replicate()
    mail.learn("v2")
    why = {"status": "failed", "errors": [{"code": "InvalidArgument", "message": "too few utterances"}]}
    mail.secondary.seed(settings={"outcomes": {"train": why}})
    capsys.readouterr()
    assert run("replicate", "mail-bot", "--yes") == 1
    said = capsys.readouterr().err
    assert "too few utterances" in said
    assert said.count("the secondary serves what it served") == 1
    assert "then give the command again; it is not trained from the same once more" in said
    assert "which would be billed, unless you say --force\n" in said
    assert mail.labels(mail.secondary) == {"production": "v1"}


def test_ctrl_c_says_what_goes_on(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as everything that Ctrl-C stops does, and the lock is given back."""
    mail.secondary.seed(settings={"train_seconds": 60})

    def stop(_seconds: float) -> None:
        if mail.posts(mail.secondary, ":train"):
            raise KeyboardInterrupt

    monkeypatch.setattr("cli.steps.time.sleep", stop)
    assert run("replicate", "mail-bot", "--yes") == 130
    said = capsys.readouterr().err
    assert "a training there is billed until it is over" in said
    assert "`reactor language status mail-bot` shows what serves" in said
    assert "so far: v1 is to be served by the secondary" in said
    locks = Locks(mail.bench().clients.account)
    assert locks.holder(f"language:127.0.0.1/{mail.name}", datetime.now(UTC), lambda _key: False) == ""


def test_a_role_that_may_not_says_which_may(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again for a while, for roles take their time; then it says what serves."""
    monkeypatch.setattr(steps, "MOST_TROUBLES", 2)
    mail.secondary.seed(settings={"token_role": "writer"})
    rules = Path("rules.yaml").read_text("utf-8")
    keyed = 'REPLICA}", key: "${SIMULATOR_LANGUAGE_KEY}"}'
    assert keyed in rules
    Path("rules.yaml").write_text(rules.replace(keyed, 'REPLICA}"}'), "utf-8")
    assert run("replicate", "mail-bot", "--yes") == 1
    said = capsys.readouterr().err
    assert "Cognitive Services Language Owner" in said
    assert mail.serving(mail.secondary) == {}


# -- backup, backups --------------------------------------------------------------------------------------------------


def test_a_project_is_kept_and_listed(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """The same content is kept once; the list has what restoring needs, by the declared name or the service's."""
    assert run("backups", "mail-bot") == 1
    assert 'nothing is kept of "mail-bot" yet: `reactor language backup mail-bot`' in capsys.readouterr().err
    assert run("backup", "mail-bot") == 0
    out = capsys.readouterr().out
    assert "  deployed-v1.json\n  working_copy.json\n" in out
    [version] = told(capsys, "backups", "mail-bot")
    assert f"`reactor language restore mail-bot {version['version']}` brings it back" in out
    assert told(capsys, "backup", "mail-bot")["is_new"] is False
    assert told(capsys, "backup", "mail-bot", "--force")["is_new"] is True
    assert [one["whole"] for one in told(capsys, "backups", mail.name)] == [True, True]
    assert run("backups") == 0
    line = next(one for one in capsys.readouterr().out.splitlines() if version["version"] in one)
    assert line.startswith("mail-bot  ")
    assert "production: v1 v1, working copy " in " ".join(line.split())
    assert run("backups", "mail-bto") == 1
    assert 'nothing is kept of "mail-bto" (did you mean "mail-bot"?)' in capsys.readouterr().err


def test_an_archived_version_hides_no_other(mail: Mail, capsys: pytest.CaptureFixture[str], azurite: str) -> None:
    """A lifecycle rule moved its manifest to the archive tier: it is listed with the reason, and the others as ever."""
    assert run("backup", "mail-bot") == 0
    assert run("backup", "mail-bot", "--force") == 0
    capsys.readouterr()
    first = told(capsys, "backups", "mail-bot")[-1]["version"]
    blobs = BlobServiceClient.from_connection_string(azurite)
    path = f"language/127.0.0.1/{mail.name}/{first}/manifest.json"
    blobs.get_blob_client("backups", path).set_standard_blob_tier("Archive")
    assert sorted(one["whole"] for one in told(capsys, "backups", "mail-bot")) == [False, True]
    assert run("backups", "mail-bot") == 0
    out = capsys.readouterr().out
    assert re.search(r"  not read +-  ", out)
    assert f"not read: {first}: the backup {path} cannot be read" in out
    assert "rehydrate the blob" in out


def test_a_lost_declaration_hides_no_backup(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept is listed by the service's names where no rules file is."""
    assert run("backup", "mail-bot") == 0
    Path("rules.yaml").unlink()
    [version] = told(capsys, "backups", mail.name)
    assert (version["name"], version["project"]) == (None, mail.name)


# -- restore ----------------------------------------------------------------------------------------------------------


def test_both_projects_come_back_from_nothing_but_the_backups(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The primary first: what served, then what was being labelled; then the secondary, as ever."""
    mail.edit(mail.primary)
    replicate()
    for region in (mail.primary, mail.secondary):
        region.seed(delete=[mail.name])
    answers(monkeypatch, "y\n")
    capsys.readouterr()
    assert run("restore", "mail-bot", "--to", "primary") == 0
    out, err = capsys.readouterr()
    assert f"There is no {mail.name}: it is made. v1 is trained anew there in mode advanced, which is billed" in err
    assert "production then serves v1." in err
    assert mail.labels(mail.primary) == {"production": "v1"}
    assert EDIT["text"] not in mail.texts(mail.primary)
    assert "--to primary --working-copy` brings back what was being labelled" in out
    assert run("restore", "mail-bot", "--to", "primary", "--working-copy", "--yes") == 0
    assert "is in the primary again; nothing was trained" in capsys.readouterr().out
    assert EDIT["text"] in mail.texts(mail.primary)
    assert mail.posts(mail.primary, ":train") == 1
    replicate()
    assert mail.labels(mail.secondary) == {"production": "v1"}
    [state] = told(capsys, "status", "mail-bot")
    assert state["standing"] == "in step"


def test_backups_of_a_lost_primary_come_back_to_another(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list says what to give, and so does a restoring that finds nothing at the new one's host."""
    rules = Path("rules.yaml").read_text("utf-8")
    lost = rules.replace("${SIMULATOR_LANGUAGE}", mail.primary.url.replace("127.0.0.1", "localhost"))
    assert lost != rules
    Path("rules.yaml").write_text(lost, "utf-8")
    assert run("backup", "mail-bot") == 0
    [version] = [one["version"] for one in told(capsys, "backups", "mail-bot")]
    assert run("backups") == 0
    assert "was kept of another primary, localhost" not in capsys.readouterr().out
    Path("rules.yaml").write_text(rules, "utf-8")
    mail.primary.seed(delete=[mail.name])
    assert run("backups", mail.name) == 0
    says = f"{mail.name} was kept of another primary, localhost: "
    assert f"{says}`reactor language restore mail-bot --from localhost --to primary`" in capsys.readouterr().out
    assert run("restore", "mail-bot", "--to", "primary", "--yes") == 1
    assert f"there are backups of {mail.name} at localhost: --from localhost takes those" in capsys.readouterr().err
    assert run("restore", "mail-bot", "--to", "primary", "--from", "elsewhere", "--yes") == 1
    assert f"nothing of {mail.name} at elsewhere is kept" in capsys.readouterr().err
    answers(monkeypatch, "y\n")
    assert run("restore", "mail-bot", "--to", "primary", "--from", "https://LOCALHOST:1/x") == 0
    out, err = capsys.readouterr()
    assert "Z, kept of localhost, to the primary, 127.0.0.1:" in err
    again = f"mail-bot {version} --from localhost --to primary --working-copy"
    assert f"`reactor language restore {again}` brings back what was being labelled" in out
    assert mail.labels(mail.primary) == {"production": "v1"}
    assert run("restore", *again.split(), "--yes") == 0
    assert mail.posts(mail.primary, ":train") == 1


def test_a_version_is_named_by_how_it_begins(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said what is replaced; one that is not there, or is several, is refused with those that are."""
    replicate()
    [first] = [one["version"] for one in told(capsys, "backups", "mail-bot")]
    mail.learn("v2")
    replicate()
    names = [one["version"] for one in told(capsys, "backups", "mail-bot")]
    assert run("restore", "mail-bot", "1999", "--yes") == 1
    assert f'no whole version "1999"; the newest are {", ".join(names)}' in capsys.readouterr().err
    assert run("restore", "mail-bot", "2", "--yes") == 1
    assert 'several versions begin with "2"' in capsys.readouterr().err
    answers(monkeypatch, "n\n")
    assert run("restore", "mail-bot", first[:-1]) == 1
    said = capsys.readouterr().err
    assert f"bring backup {first} of " in said
    assert "is replaced. v1 is trained anew" in said
    assert "production, which serves v2, then serves v1." in said
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert told(capsys, "restore", "mail-bot", first, "--yes")["restored"] == {"production": "v1"}
    assert mail.labels(mail.secondary) == {"production": "v1", "production-next": "v2"}


def test_a_working_copy_replaces_nothing_that_is_nowhere_kept(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless that is said: then it is a version of its own first."""
    assert run("backup", "mail-bot") == 0
    mail.edit(mail.primary)
    capsys.readouterr()
    copy = ("restore", "mail-bot", "--to", "primary", "--working-copy", "--yes")
    assert run(*copy) == 1
    said = capsys.readouterr().err
    assert "that are nowhere kept" in said
    assert "say --overwrite-edits" in said
    assert EDIT["text"] in mail.texts(mail.primary)
    assert run(*copy, "--overwrite-edits") == 0
    out = capsys.readouterr().out
    assert EDIT["text"] not in mail.texts(mail.primary)
    [kept] = [one["version"] for one in told(capsys, "backups", "mail-bot") if "primary.json" in one["about"]["files"]]
    assert f"what was there is kept as {kept}\n" in out
    [made] = [one for one in told(capsys, "backups", "mail-bot") if one["version"] == kept]
    assert list(made["about"]["files"]) == ["primary.json"]
    assert run("restore", "mail-bot", kept, "--yes") == 1
    assert f"version {kept} holds no model that a deployment served" in capsys.readouterr().err
    assert run("restore", "mail-bot", kept, "--to", "primary", "--edits", "--yes") == 0
    assert f"what was edited by hand of the backup {kept} is in the primary again" in capsys.readouterr().out
    assert EDIT["text"] in mail.texts(mail.primary)
    assert mail.labels(mail.primary) == {"production": "v1"}


def test_a_working_copy_waits_for_whoever_is_there(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """What else brings the project there is let through first; an import that is not whole fails."""
    assert run("backup", "mail-bot") == 0
    copy = ("restore", "mail-bot", "--working-copy", "--yes")
    mail.secondary.seed(
        settings={"outcomes": {"import": {"status": "failed", "errors": [{"message": "no such culture"}]}}}
    )
    capsys.readouterr()
    assert run(*copy) == 1
    assert "no such culture" in capsys.readouterr().err
    locks = Locks(mail.bench().clients.account)
    now = datetime.now(UTC)
    mail.secondary.seed(settings={"outcomes": {}})
    locks.hold(f"language:127.0.0.1/{mail.name}", "ab12cd34ef", now, lambda _key: False, timedelta(seconds=2))
    assert run(*copy) == 0
    assert datetime.now(UTC) - now > timedelta(seconds=2)


def test_nothing_kept_says_how_it_is_kept(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody is asked."""
    assert run("restore", "mail-bot") == 1
    assert f"nothing of {mail.name} at 127.0.0.1 is kept; `reactor language backup mail-bot`" in capsys.readouterr().err


def test_a_region_that_does_not_answer_is_not_restored_to(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody could say what would be replaced there."""
    assert run("backup", "mail-bot") == 0
    mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "authoring"})
    capsys.readouterr()
    assert run("restore", "mail-bot", "--to", "primary", "--yes") == 1
    assert "the primary, 127.0.0.1:" in capsys.readouterr().err


# -- drill ------------------------------------------------------------------------------------------------------------


def test_a_drill_says_that_the_secondary_holds(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """It answers all of it while the command's way to the primary is cut; the primary itself is asked to compare."""
    declare(mail, STATED)
    replicate()
    asked = len(mail.primary.seen("POST", "analyze-conversations?"))
    report = told(capsys, "drill", "mail-bot")
    assert (report["held"], report["asked"], report["answered"], report["compared"], report["alike"]) == (
        True,
        5,
        5,
        5,
        5,
    )
    assert {one["by"] for one in report["utterances"]} == {"secondary"}
    assert all("primary: " in one["tried"][0] for one in report["utterances"][:3])
    assert report["utterances"][3]["tried"] == []  # the breaker is open by then
    assert report["slowest_ms"] >= report["median_ms"] > 0
    assert len(mail.primary.seen("POST", "analyze-conversations?")) == asked + 5
    assert run("drill", "mail-bot") == 0
    out = capsys.readouterr().out
    assert "mail-bot would have held: 5 of 5 utterances answered by 127.0.0.1:" in out
    assert "5 of 5 are answered as the primary answers them" in out
    assert KEY not in out


def test_a_drill_needs_no_primary(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """In earnest the labels count."""
    replicate()
    mail.primary.seed(settings={"cut_off": "refused", "cut_off_of": "all"})
    report = told(capsys, "drill", "mail-bot")
    assert (report["held"], report["compared"]) == (True, 0)
    assert report["primary_problem"]
    mail.secondary.seed(settings={"predictions": [{"category": "Delete", "confidenceScore": 0.9}]})
    report = told(capsys, "drill", "mail-bot", code=1)
    assert "utterances are answered as they should be, and 80% have to be" in report["why"][0]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"cut_off": "unavailable"}, "5 of 5 utterances were not answered: neither region answers"),
        (
            {"predictions": [{"category": "Send", "confidenceScore": 0.9}]},
            'read the latest mail from Kim": Send, not Read',
        ),
    ],
)
def test_a_drill_that_fails_ends_with_1(
    mail: Mail, capsys: pytest.CaptureFixture[str], settings: dict[str, Any], why: str
) -> None:
    """And says why the secondary would not have held."""
    declare(mail, STATED)
    replicate()
    mail.secondary.seed(settings=settings)
    capsys.readouterr()
    assert run("drill", "mail-bot") == 1
    out, err = capsys.readouterr()
    assert "mail-bot would not have held:" in out
    assert why in err


def test_a_drill_of_what_was_never_replicated(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """The secondary has nothing to answer with."""
    assert run("drill", "mail-bot") == 1
    said = capsys.readouterr().err
    assert f"has no project {mail.name}: the secondary would not hold" in said
    assert "`reactor language replicate mail-bot` brings it there" in said


def test_a_drill_needs_no_storage(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the secondary's project holds is sampled then."""
    replicate()
    Path(".stack/ready.json").unlink()
    monkeypatch.setenv("SIMULATOR_LANGUAGE", mail.primary.url)
    monkeypatch.setenv("SIMULATOR_LANGUAGE_REPLICA", mail.secondary.url)
    monkeypatch.setenv("SIMULATOR_LANGUAGE_KEY", KEY)
    report = told(capsys, "drill", "mail-bot")
    assert (report["held"], report["asked"]) == (True, 5)
    assert mail.posts(mail.secondary, ":export") >= 1


# -- predict ----------------------------------------------------------------------------------------------------------


def test_texts_are_predicted_by_the_primary(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Intent, entities where they stand, and who answered; the first word may be the project."""
    replicate()
    capsys.readouterr()
    assert run("predict", "mail-bot", "read the latest mail from Kim", "🚀 send it to Kim") == 0
    out = capsys.readouterr().out
    assert "read the latest mail from Kim: Read " in out
    assert "(the primary, 127.0.0.1, " in out
    assert "  Contact: Kim " in out
    assert "at 13 for 3" in out  # in code points: the emoji counts one
    [one] = told(capsys, "predict", "send a reply to Kim")
    assert (one["intent"], one["by"]) == ("Send", "primary")
    assert [said["text"] for said in told(capsys, "predict", "--project", "mail-bot", "mail-bot", "hi")] == [
        "mail-bot",
        "hi",
    ]


def test_the_secondary_answers_where_the_primary_does_not(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Who answered is said, and what went wrong before; where neither does it ends with 1."""
    replicate()
    mail.primary.seed(settings={"cut_off": "unavailable"})
    capsys.readouterr()
    assert run("predict", "send a reply to Kim") == 0
    out, err = capsys.readouterr()
    assert "(the secondary, 127.0.0.1, " in out
    assert "reactor: primary: " in err
    mail.secondary.seed(settings={"cut_off": "unavailable"})
    [one] = told(capsys, "predict", "send a reply to Kim", code=1)
    assert "neither region answers" in one["problem"]


def test_a_resource_is_asked_without_a_declaration(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its endpoint and the setting that holds its key, which is shown nowhere."""
    Path("rules.yaml").unlink()
    asked = ("predict", "send a reply to Kim", "--endpoint", mail.primary.url, "--api-version", "2025-11-01")
    assert run(*asked) == 2
    assert "--project" in capsys.readouterr().err
    named = (*asked, "--project", mail.name, "--deployment", "production", "--key-setting", "MY_KEY")
    assert run(*named) == 2
    assert "MY_KEY is not set here" in capsys.readouterr().err
    monkeypatch.setenv("MY_KEY", KEY)
    assert run(*named) == 0
    out = capsys.readouterr().out
    assert "send a reply to Kim: Send" in out
    assert "(127.0.0.1, " in out
    monkeypatch.setenv("MY_KEY", "wrong-key-of-somebody")
    assert run(*named) == 1
    said = capsys.readouterr().err
    assert "MY_KEY" in said
    assert "wrong-key-of-somebody" not in said


def test_a_deployment_that_is_not_declared_is_refused(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """With the one that was meant."""
    assert run("predict", "hi", "--deployment", "prodution") == 2
    assert 'there is no "prodution" (did you mean "production"?)' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("mailbot", "hi"), 'there is no project "mailbot" (did you mean "mail-bot"?)'),
        (("mail-bot",), "mail-bot is the project: say what it is asked"),
    ],
)
def test_a_project_is_not_taken_for_a_text(
    mail: Mail, capsys: pytest.CaptureFixture[str], texts: tuple[str, ...], words: str
) -> None:
    """Each question is billed: one that is hardly meant is not asked."""
    assert run("predict", *texts) == 2
    assert words in capsys.readouterr().err
    assert not mail.primary.seen("POST", ":analyze-conversations")


def test_korean_is_predicted_and_shown(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """In the text's own language where that is said."""
    assert run("predict", "스팸을 모두 삭제해 줘", "--language", "ko") == 0
    assert "스팸을 모두 삭제해 줘: Delete" in capsys.readouterr().out
