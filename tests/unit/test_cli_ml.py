"""`reactor ml`: what its options mean, where it looks for a workspace, and the line that says how far it is."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.errors import UsageError
from cli.line import Line
from cli.main import main
from cli.ml.assets import digest_of, split
from cli.ml.inputs import read_inputs
from cli.ml.online import _previous
from cli.ml.telling import asset
from shared.clients.machine_learning.online import OnlineEndpoint

WS = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
)  # fmt: skip


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with no app in the environment."""
    for name in ("REACTOR_URL", "REACTOR_WORKSPACE", "REACTOR_RULES", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int:
    """Run a command of `reactor ml` and give how it ends."""
    try:
        return main(["ml", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


# -- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("https://acct.blob.core.windows.net/c/day", {"data": {"folder": "https://acct.blob.core.windows.net/c/day"}}),
        ("https://a.blob.core.windows.net/c/x.csv?sig=1", {"data": {"file": "https://a.blob.core.windows.net/c/x.csv?sig=1"}}),
        ("azureml://datastores/d/paths/day/", {"data": {"folder": "azureml://datastores/d/paths/day/"}}),
        ("in=azureml:days:3", {"in": {"data": "azureml:days:3"}}),
        (f"in={WS}/data/days/versions/3", {"in": {"data": f"{WS}/data/days/versions/3"}}),
        ("in=folder:azureml://datastores/d/paths/v1.2", {"in": {"folder": "azureml://datastores/d/paths/v1.2"}}),
        ("base=mlflow_model:azureml:gbm:3", {"base": {"mlflow_model": "azureml:gbm:3"}}),
        ("lr=0.3", {"lr": "0.3"}),
        ("note=text:https://example.com/", {"note": "https://example.com/"}),
        ("where=a=b", {"where": "a=b"}),
    ],
)  # fmt: skip
def test_an_input_is_read_as_what_it_looks_like(given: str, read: dict[str, Any]) -> None:
    """URIs are data, registered assets too, and everything else is a text; a prefix says otherwise."""
    assert read_inputs([given]) == read


def test_two_inputs_of_one_name_are_a_mistake() -> None:
    """Two without a name as well."""
    with pytest.raises(UsageError, match="two of the name data"):
        read_inputs(["https://a/b", "https://a/c"])


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (f"{WS}/models/gbm/versions/12", "gbm:12"),
        ("azureml://registries/prod/models/gbm/versions/12", "gbm:12 (prod)"),
        (f"{WS}/components/retrain/versions/4", "retrain:4"),
        ("", "-"),
        ("whatever", "whatever"),
    ],
)
def test_an_asset_is_named_for_people(given: str, shown: str) -> None:
    """By name and version, and its registry."""
    assert asset(given) == shown


def test_a_version_is_needed_where_nothing_stands_for_it() -> None:
    """The content does for code."""
    assert split("azureml:gbm:12") == ("gbm", "12")
    assert split("score", "abc") == ("score", "abc")
    with pytest.raises(UsageError, match="NAME:VERSION"):
        split("gbm")


def test_the_same_content_has_the_same_name(tmp_path: Path) -> None:
    """Wherever it is; another file, or another name of one, makes another."""
    for folder in ("one", "two"):
        (tmp_path / folder / "in").mkdir(parents=True)
        (tmp_path / folder / "in/score.py").write_text("1", "utf-8")
    assert digest_of(tmp_path / "one") == digest_of(tmp_path / "two")
    (tmp_path / "two/in/score.py").rename(tmp_path / "two/score.py")
    assert digest_of(tmp_path / "one") != digest_of(tmp_path / "two")


def test_a_tag_that_is_no_traffic_is_said_so() -> None:
    """Somebody may have written it by hand."""
    endpoint = OnlineEndpoint(
        id=f"{WS}/onlineEndpoints/fraud", name="fraud", state="Succeeded", scoring_uri="", auth_mode="AADToken",
        traffic={}, mirror={}, tags={"reactor-previous-traffic": "blue"}, location="",
    )  # fmt: skip
    with pytest.raises(UsageError, match="is no traffic: blue"):
        _previous(endpoint)


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("batch", "deploy", "nightly", "--compute", "cpu"), "--model --component"),
        (("batch", "deploy", "nightly", "--compute", "cpu", "--model", "gbm", "--workspace", WS), "as gbm:VERSION"),
        (("batch", "deploy", "nightly", "--compute", "c", "--model", "g:1", "--max-nodes", "4", "--workspace", WS),
         "--max-nodes: say --create-compute SIZE too"),
        (("batch", "deploy", "nightly", "--compute", "c", "--model", "g:1", "--variable", "A", "--workspace", WS),
         "--variable A: write NAME=VALUE"),
        (("compute", "create", "c", "--size", "s", "--min-nodes", "3", "--workspace", WS), "at most --max-nodes"),
        (("compute", "create", "c", "--size", "s", "--idle", "soon", "--workspace", WS), "--idle must be a duration"),
        (("code", "upload", "score", "nowhere", "--workspace", WS), "nowhere is no folder"),
        (("model", "upload", "gbm:1", "nowhere", "--workspace", WS), "nowhere is not there"),
        (("model", "tag", "gbm:1", "--workspace", WS), "name tags to set"),
        (("data", "create", "days:1", "nowhere", "--workspace", WS), "no URI either"),
        (("job", "show", "x", "--workspace", "/subscriptions/s"), "must be an ARM id"),
        (("job", "show", "x"), "which workspace?"),
        (("job", "show", "x", "--ready", "nowhere.json"), "no local stack runs here"),
    ],
)  # fmt: skip
def test_what_is_not_understood_ends_with_2(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence says what to write instead; nothing is asked of anybody."""
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_rules_with_errors_name_no_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that lists the errors is named."""
    (tmp_path / "rules.yaml").write_text("version: 2\n", "utf-8")
    assert run("job", "show", "x", "--workspace", "fraud") == 2
    assert "`reactor rules check rules.yaml`" in capsys.readouterr().err


def test_one_of_several_workspaces_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that are declared are listed."""
    text = f"version: 1\nworkspaces: {{fraud: {WS}, credit: {WS.replace('fraud', 'credit')}}}\nrules: []\n"
    (tmp_path / "rules.yaml").write_text(text, "utf-8")
    assert run("job", "show", "x") == 2
    assert "rules.yaml declares fraud, credit" in capsys.readouterr().err


def test_a_stack_of_another_version_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its ready file lacks what is needed."""
    (tmp_path / "ready.json").write_text(json.dumps({"functions": "http://127.0.0.1:1"}), "utf-8")
    assert run("job", "show", "x", "--ready", "ready.json") == 2
    assert "of another version" in capsys.readouterr().err


# -- the line ---------------------------------------------------------------------------------------------------------


def test_in_a_pipe_each_change_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The same said twice is one line, and nothing that a terminal would obey gets through."""
    line = Line()
    for note in ("", "it is Creating", "it is Creating", "it\033[2J is\nready"):
        line.show("endpoint", note)
    line.close()
    assert capsys.readouterr().err == "endpoint\nendpoint: it is Creating\nendpoint: it [2J is ready\n"


def test_on_a_terminal_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewritten in place, with the time that was spent, and taken away at the end."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "40")
    line = Line()
    line.show("endpoint", "x" * 100)
    line.show("endpoint", "is ready")
    line.close()
    first, second, last = screen.getvalue().split("\r")[1:]
    assert first.startswith("  0:00 endpoint: xxx")
    assert len(first) < 50
    assert second == "  0:00 endpoint: is ready\033[K"
    assert last == "\033[K"


def test_programs_get_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json nothing but the answer is said."""
    line = Line(is_shown=False)
    line.show("endpoint", "is Creating")
    line.close()
    assert capsys.readouterr().err == ""
