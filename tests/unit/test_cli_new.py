"""`reactor rules new`: every starting point is in order, explains itself, and never takes a file's place unasked."""

import re
from pathlib import Path

import pytest

from cli.main import main
from cli.rules import new
from shared.handlers import ACTIONS
from shared.rules import load

NAMES = new.names()


def test_there_is_one_for_each_thing_that_people_begin_with() -> None:
    """Going live, deploying, keeping, mailing, retraining, a second region, and a model's way from training to live."""
    assert NAMES == [
        "canary", "deploy-on-tag", "keep-exports", "keep-vision", "mail-failures-to-owners", "retrain-on-drift",
        "second-region", "train-vision",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_starting_point_is_in_order(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written to a file, `rules check` finds nothing wrong with it, not even a warning."""
    file = tmp_path / "rules.yaml"
    assert main(["rules", "new", name, "-o", str(file)]) == 0
    assert f"reactor rules check {file}" in capsys.readouterr().err
    assert main(["rules", "check", str(file)]) == 0
    assert "nothing wrong" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_a_starting_point_explains_itself(name: str) -> None:
    """It begins with what it does, says how to get an editor's help, and has a word for each kind it listens to."""
    text = new.read(name)
    assert re.match(r"# [A-Z].+\.\n", text)
    assert "# yaml-language-server: $schema=" in text
    assert len(re.findall(r"#", text)) > 10


@pytest.mark.parametrize("name", NAMES)
def test_what_costs_money_is_a_dry_run_first(name: str) -> None:
    """Only a file whose rules do no more than tell people is live from the start."""
    rules = load(new.read(name), ACTIONS, name)
    steps = {step.action for rule in rules.rules for step in (*rule.do, *rule.on_failure)}
    assert rules.mode == ("live" if steps == {"alert"} else "dry_run")


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_they_are_listed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name, or when asked, each is listed with its first line."""
    assert main(["rules", "new", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert all(line.endswith(".") for line in lines)


def test_without_a_file_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The text goes to standard output and nothing else does, so that it can be redirected."""
    assert main(["rules", "new", "keep-exports"]) == 0
    assert capsys.readouterr().out == new.read("keep-exports")


def test_a_file_is_overwritten_only_when_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there stays, unless --force says otherwise."""
    file = tmp_path / "rules.yaml"
    file.write_text("mine", "utf-8")
    assert main(["rules", "new", "keep-exports", "-o", str(file)]) == 2
    assert "--force" in capsys.readouterr().err
    assert file.read_text("utf-8") == "mine"
    assert main(["rules", "new", "keep-exports", "-o", str(file), "--force"]) == 0
    assert file.read_text("utf-8") == new.read("keep-exports")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["keep-export"], 'no starting point "keep-export" (did you mean "keep-exports"?)'),
        (["../../rules"], "no starting point"),
        (["-o", "rules.yaml", "--list"], "which one?"),
        (["keep-exports", "-o", "no/such/folder/rules.yaml"], "cannot write"),
    ],
)
def test_what_cannot_be_done_is_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that are none, and files that cannot be written, are matters of usage."""
    assert main(["rules", "new", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_everything_that_custom_vision_has_is_kept() -> None:
    """The starting point for it keeps images and models, and has models exported first."""
    rules = load(new.read("keep-vision"), ACTIONS, "keep-vision").rules
    steps = {step.action: [*rule.kinds] for rule in rules for step in rule.do}
    assert steps["backup.vision_dataset"] == steps["export.vision"] == ["TrainingCompleted"]
    assert steps["backup.vision_export"] == steps["prune.backups"] == ["ExportCompleted"]


def test_a_model_is_published_only_behind_a_gate() -> None:
    """Trained, compared, published, exported: in that order, and what is exported is kept."""
    rules = {
        rule.name: [step.action for step in rule.do] for rule in load(new.read("train-vision"), ACTIONS, "x").rules
    }
    assert rules["train"] == ["train.vision"]
    assert rules["publish-what-is-better"] == ["gate", "publish.vision", "export.vision", "alert"]
    assert rules["keep-it"] == ["backup.vision_export"]
