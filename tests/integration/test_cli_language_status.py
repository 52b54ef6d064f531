"""`reactor language status` against two simulated regions: what differs, what expires, and what is in the way."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.language import KEY
from shared.regions import Content, LastSeen, Places, Region, Served, Sighting
from shared.storage.locks import Locks
from shared.storage.sightings import Sightings
from tests.integration.language_stories import Mail
from tests.integration.test_cli_language import RULES, declare, mail, replicate, run, told

__all__ = ["mail"]


def state_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """Give how the only project stands, looked at closely unless nothing is named."""
    [state] = told(capsys, "status", *(arguments or ("mail-bot",)), code=code)
    assert isinstance(state, dict)
    return state


def seen(mail: Mail, **changes: Any) -> None:
    """Have the app's schedule have seen the project."""
    clients = mail.bench().clients
    places = Places("mail-bot", mail.name, f"language/127.0.0.1/{mail.name}", "127.0.0.1", "127.0.0.1")
    now = datetime.now(UTC)
    Sightings(clients.account).write_regions(places.pair, Sighting(looked=now, **changes), "", now)


# -- all is well ------------------------------------------------------------------------------------------------------


def test_a_secondary_in_step(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """What was replicated, proven and kept, with its numbers; nothing is exported for that."""
    replicate()
    before = mail.posts(mail.secondary, ":export") + mail.posts(mail.primary, ":export")
    state = state_of(capsys)
    assert (state["standing"], state["lag_seconds"], state["why"]) == ("in step", 0, [])
    assert (state["asked"], state["agreed"]) == (5, 1.0)
    assert state["intents"] == state["primary_intents"] > 0
    assert state["backup"] == state["backups"][0]["version"]
    [production] = state["regions"]["secondary"]["deployments"]
    assert (production["name"], production["model"]) == ("production", "v1")
    assert mail.posts(mail.secondary, ":export") + mail.posts(mail.primary, ":export") == before
    assert run("status", "mail-bot", "--strict") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"mail-bot: {mail.name}, follows deployed\n")
    assert "  standing    in step\n  lag         0\n" in out
    assert "  alike       5 of 5\n" in out
    assert f", from backup {state['backup']}\n" in out
    assert "REGION     DEPLOYMENT  MODEL" in out
    assert KEY not in out


def test_all_projects_are_in_one_table(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """One whose settings are missing does not hide the others."""
    replicate()
    other = RULES.partition("language:\n")[2].partition("rules:")[0].replace("mail-bot", "other-bot")
    text = Path("rules.yaml").read_text("utf-8")
    missing = other.format(name=mail.name, more="").replace("${SIMULATOR_LANGUAGE_REPLICA}", "${NOWHERE}")
    Path("rules.yaml").write_text(text.replace("rules: []", f"{missing}rules: []"), "utf-8")
    capsys.readouterr()
    assert run("status") == 1
    out, err = capsys.readouterr()
    heading, line, *rest = out.splitlines()
    assert heading.split()[:5] == ["PROJECT", "PRIMARY", "SECONDARY", "STANDING", "LAG"]
    hosts = [one.url.removeprefix("https://") for one in (mail.primary, mail.secondary)]
    assert line.split()[:6] == ["mail-bot", *hosts, "in", "step", "0"]
    assert rest == []
    assert "other-bot: cannot be read: NOWHERE is not set here" in err


# -- behind -----------------------------------------------------------------------------------------------------------


def test_what_was_never_replicated(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how that is done; that is no failure of the command, unless it is strict."""
    assert run("status") == 0
    out = capsys.readouterr().out
    assert (
        "behind: mail-bot: the secondary has no such project: `reactor language replicate mail-bot` replicates" in out
    )
    assert "not kept: mail-bot: there is no backup: `reactor language backup mail-bot` makes one" in out
    assert run("status", "--strict") == 1
    state = state_of(capsys)
    assert (state["standing"], state["reasons"]) == ("behind", ["missing"])
    assert state["lag_seconds"] >= 0


def test_a_change_in_the_primary_is_behind_since_it_was_deployed(
    mail: Mail, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looked at closely an export tells; among all projects it may be, unless the app's schedule has exported it."""
    replicate()
    mail.learn("v1")
    state = state_of(capsys, "--rules", "rules.yaml")
    assert (state["standing"], state["reasons"]) == ("maybe behind", [])
    assert state["lag_seconds"] >= 0
    assert "the primary serves v1, and whether that is another content only an export tells" in state["why"]
    capsys.readouterr()
    assert run("status") == 0
    out = capsys.readouterr().out
    assert "  maybe behind  up to " in out
    assert "`reactor language status mail-bot` looks" in out
    state = state_of(capsys)
    assert (state["standing"], state["reasons"]) == ("behind", ["changed"])
    assert state["why"] == ["the primary serves v1, which was not replicated"]
    [production] = state["regions"]["primary"]["deployments"]
    assert state["since"][:19] == production["deployed"][:19]
    model = mail.serving(mail.primary)["production"]
    seen(mail, contents={"primary/v1": Content(of=model, hash="another")})
    assert state_of(capsys, "--rules", "rules.yaml")["standing"] == "behind"


def test_a_model_under_another_label_needs_no_export(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """The secondary has none of that label, or serves it under another name."""
    replicate()
    mail.learn("v2")
    state = state_of(capsys, "--rules", "rules.yaml")
    assert (state["standing"], state["reasons"]) == ("behind", ["changed"])
    assert mail.posts(mail.primary, ":export") == 2  # those of the replication


def test_a_model_of_the_same_content_is_in_step(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Times and ids alone mislead."""
    replicate()
    before = mail.serving(mail.primary)
    mail.begin()
    assert mail.serving(mail.primary) != before
    assert state_of(capsys)["standing"] == "in step"


def test_a_secondary_that_was_edited_or_deployed_to_by_hand(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy keeps the edits; a staging slot is shown beside."""
    replicate()
    mail.learn("v2")
    replicate()
    mail.edit(mail.secondary)
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1"}])
    capsys.readouterr()
    assert run("status", "mail-bot") == 0
    out = capsys.readouterr().out
    assert "`reactor language replicate mail-bot --overwrite-edits` replicates it" in out
    assert "changed by hand; production serves another model there than was replicated" in out
    assert "secondary  production-next  v1" in out


def test_other_training_options_and_a_deployment_more(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """What the rules file asks for by now is judged by."""
    replicate()
    declare(mail, "\n    training: {evaluation: {kind: manual}}")
    assert state_of(capsys)["reasons"] == ["config"]
    text = Path("rules.yaml").read_text("utf-8").replace("[production]", "[production, canary]")
    Path("rules.yaml").write_text(text, "utf-8")
    state = state_of(capsys)
    assert "deployments" in state["reasons"]
    assert run("status", "mail-bot") == 0
    assert "secondary  canary      none" in capsys.readouterr().out


def test_a_replication_under_way_is_told(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to begin another one."""
    locks = Locks(mail.bench().clients.account)
    lock = f"language:127.0.0.1/{mail.name}"
    locks.hold(lock, "ab12cd34ef", datetime.now(UTC), lambda _key: False, timedelta(minutes=1))
    assert run("status") == 0
    out = capsys.readouterr().out
    assert "behind, being replicated" in out
    assert "ab12cd34 brings it there now" in out


# -- expiries ---------------------------------------------------------------------------------------------------------


def test_what_expires_is_told_with_its_remedy(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """The soonest first; what has expired is wrong where that is asked."""
    replicate()
    soon, past = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (20, -3))
    production = {"project": mail.name, "name": "production", "model": "v1"}
    mail.primary.seed(deployments=[{**production, "expires": soon}])
    capsys.readouterr()
    assert run("status", "--strict") == 0
    out = capsys.readouterr().out
    assert f"expires: mail-bot: deployment production of the primary expires on {soon}, in 19 days: deploy it ag" in out
    assert out.splitlines()[1].split()[-1] == soon
    mail.secondary.seed(deployments=[{**production, "expires": past}])
    state = state_of(capsys)
    assert [(one["region"], one["days_left"] < 0) for one in state["expiries"]] == [
        ("secondary", True),
        ("primary", False),
    ]
    assert run("status", "mail-bot", "--strict") == 1
    out = capsys.readouterr().out
    assert f"expired on {past}: `reactor language replicate mail-bot` deploys it again" in out
    assert "--force" not in out, "it trains, which is billed, and only a model that expires needs that"


# -- what is in the way -----------------------------------------------------------------------------------------------


def test_a_primary_that_does_not_answer_hides_nothing_else(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """How it was when the app compared last is told; the secondary, the proof and the backups are shown."""
    replicate()
    mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "all"})
    seen(mail)
    capsys.readouterr()
    assert run("status", "mail-bot") == 1
    out, err = capsys.readouterr()
    first, second = (one.url.removeprefix("https://") for one in (mail.primary, mail.secondary))
    assert f"  primary     {first}: no answer\n  secondary   {second}: answers" in out
    assert "not known: mail-bot: the secondary serves what was replicated on 2" in out
    assert "; a region cannot be read; when the app compared last, " in out
    assert "it was in step" in out
    assert "secondary  production" in out
    assert "mail-bot: the primary cannot be read: " in err
    state = state_of(capsys, code=1)
    assert state["regions"]["primary"]["answers"] is False
    assert state["proven"]
    assert state["backups"]


def test_what_was_known_to_differ_is_not_in_step_for_an_outage(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Just then the recovery point is asked for: it is that of what the app saw last."""
    replicate()
    kept, since = mail.kept(mail.bench()), datetime.now(UTC) - timedelta(hours=52)
    assert kept is not None
    served = Served("v2-a", "v2", can_export=True, since=since, expires=None, model_expires=None)
    last = LastSeen(
        region=Region("primary", None, None, {"production": served}),
        hashes={"v2": "another"},
        replicated=kept.proven,
    )
    seen(mail, since=since, lagging=since, replicated=kept.proven, last={"primary": last})
    mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "all"})
    state = state_of(capsys, code=1)
    assert state["why"] == [
        "the primary serves v2, which was not replicated",
        f"a region cannot be read; as far as the app knows it is behind since {since:%Y-%m-%d %H:%M}Z",
    ]
    assert state["lag_seconds"] == pytest.approx(52 * 3600, abs=120)
    assert run("status", "mail-bot") == 1
    assert "  lag         at least 2 d 4 h\n" in capsys.readouterr().out


def test_an_expired_secondary_serves_nothing_while_the_primary_is_down(
    mail: Mail, capsys: pytest.CaptureFixture[str]
) -> None:
    """It answers no more, whatever was replicated; and what the app saw before that counts no more."""
    seen(mail, since=datetime.now(UTC))
    replicate()
    past = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}"
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": past}])
    mail.primary.seed(settings={"cut_off": "unavailable", "cut_off_of": "all"})
    assert state_of(capsys, code=1)["why"] == [
        "production has expired there, and answers no more",
        "a region cannot be read, and the app has not compared them since they were replicated",
    ]


def test_a_model_that_expires_is_trained_anew(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """Only that is billed, and it says so."""
    mail.secondary.seed(settings={"model_days": 9})
    replicate()
    capsys.readouterr()
    assert run("status") == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "model v1 of the secondary expires" in line]
    assert line.endswith("`reactor language replicate mail-bot --force` trains it anew, which is billed")


def test_a_primary_that_lost_the_project_says_how_it_comes_back(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """What the secondary serves is told beside."""
    replicate()
    mail.primary.seed(delete=[mail.name])
    capsys.readouterr()
    assert run("status") == 1
    out = capsys.readouterr().out
    assert f"{mail.primary.url.removeprefix('https://')}: no such project" in out
    assert "not known: mail-bot: the secondary serves what was replicated on" in out
    assert "`reactor language restore mail-bot --to primary` brings it back" in out


def test_a_name_in_other_letters(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """What the primary has in its place is said; a secondary that has it so is no empty one."""
    declare(mail)
    text = Path("rules.yaml").read_text("utf-8").replace(mail.name, mail.name.upper())
    Path("rules.yaml").write_text(text, "utf-8")
    assert run("status") == 1
    assert f'it has "{mail.name}", and upper and lower case count' in capsys.readouterr().err


def test_a_rotated_key_names_the_setting(mail: Mail, capsys: pytest.CaptureFixture[str]) -> None:
    """And shows it nowhere."""
    mail.secondary.seed(revoked_keys=[KEY])
    assert run("status") == 1
    out, err = capsys.readouterr()
    assert "SIMULATOR_LANGUAGE_KEY" in err
    assert KEY not in out + err
    assert f"{mail.secondary.url.removeprefix('https://')}: not read" in out


def test_without_storage_the_regions_are_shown(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was replicated, and what is kept, is not known then; steps say what they need."""
    Path(".stack/ready.json").unlink()
    monkeypatch.setenv("SIMULATOR_LANGUAGE", mail.primary.url)
    monkeypatch.setenv("SIMULATOR_LANGUAGE_REPLICA", mail.secondary.url)
    monkeypatch.setenv("SIMULATOR_LANGUAGE_KEY", KEY)
    state = state_of(capsys)
    assert state["standing"] == "unknown"
    assert "set AzureWebJobsStorage" in state["why"][0]
    assert state["regions"]["primary"]["deployments"][0]["model"] == "v1"
    for command in (("replicate", "--yes"), ("backup",), ("restore", "mail-bot"), ("backups",)):
        assert run(*command) == 2
        assert "the app's storage is not known here" in capsys.readouterr().err


def test_a_storage_account_without_an_app_is_enough(
    mail: Mail, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table and the container that are missing are made, where something is to be kept."""
    account, fresh = mail.bench().clients.account, f"fresh{uuid4().hex}"
    monkeypatch.setattr("shared.storage.LIMITS_TABLE", fresh)
    monkeypatch.setenv("REACTOR_BACKUP_CONTAINER", fresh)
    ready = Path(".stack/ready.json")
    facts = json.loads(ready.read_text("utf-8"))
    facts["settings"]["REACTOR_BACKUP_CONTAINER"] = fresh
    ready.write_text(json.dumps(facts), "utf-8")
    assert state_of(capsys)["reasons"] == ["missing"]
    assert [one.name for one in account.tables.list_tables() if one.name == fresh] == [fresh]
    assert not account.blobs.get_container_client(fresh).exists()
    assert run("backups") == 0
    assert "nothing is kept; `reactor language backup` keeps it" in capsys.readouterr().out
    assert run("backup") == 0
    assert account.blobs.get_container_client(fresh).exists()
    account.tables.delete_table(fresh)
    account.blobs.delete_container(fresh)
