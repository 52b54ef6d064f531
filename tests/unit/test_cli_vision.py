"""`reactor vision`: how a project is found, what its options mean, and the words for what is missing."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.errors import UsageError
from cli.main import main
from cli.parser import Parser
from cli.vision.given import prediction_at
from cli.vision.missing import account_name, resource_name, role_lines
from cli.vision.places import same
from cli.vision.project import Here, add_prediction, add_project, find, find_all
from cli.vision.proof import Heard, find_message, show_age
from shared.clients.vision import Resource
from shared.errors import PermanentError
from shared.storage.places import Peeked, Places, _below

FRUIT, SHELF = "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "3f2504e0-4f89-41d3-9a0c-0305e82c3302"
ENDPOINT = "https://fruit.cognitiveservices.azure.com"
PREDICTION = "/subscriptions/s/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction"
RULES = f"""
version: 1
vision:
  fruit:
    project: {FRUIT}
    training: {{endpoint: {ENDPOINT}, key: "${{FRUIT_KEY}}"}}
    prediction: {{resource: {PREDICTION}, endpoint: {ENDPOINT}, key: "${{PREDICTION_KEY}}"}}
  shelf:
    project: "${{SHELF_ID}}"
    training: {{endpoint: {ENDPOINT}}}
rules: []
"""


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a rules file, with no app in the environment."""
    names = ("REACTOR_URL", "REACTOR_RULES", "REACTOR_VISION_KEY", "REACTOR_VISION_PROJECT", "AzureWebJobsStorage")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FRUIT_KEY", "fruit-key")
    monkeypatch.setenv("PREDICTION_KEY", "prediction-key")
    monkeypatch.setenv("SHELF_ID", SHELF)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")


def options(*arguments: str) -> Any:
    """Read the options of a command about a project."""
    parser = Parser(prog="reactor vision status")
    add_project(parser)
    add_prediction(parser)
    return parser.parse_args(arguments)


def found(*arguments: str) -> Here:
    """Find the project that the options name."""
    return find(options(*arguments))


def run(*arguments: str) -> int:
    """Run a command of `reactor vision` and give how it ends."""
    try:
        return main(["vision", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


# -- which project ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["fruit", FRUIT, FRUIT.upper(), FRUIT.replace("-", "")])
def test_a_declared_project_is_found_by_its_name_or_its_id(named: str) -> None:
    """However its id is spelt; its settings are filled in, and its key is shown nowhere."""
    here = found(named)
    assert (here.name, here.project, here.given) == ("fruit", FRUIT, {"project": "fruit"})
    assert (here.at.endpoint, here.at.key) == (ENDPOINT, "fruit-key")
    assert here.about.prediction is not None
    assert here.about.prediction.key == "prediction-key"
    assert list(here.declared.vision) == ["fruit"]
    assert "fruit-key" not in f"{here.at!r}{here!r}{here.about!r}"
    assert "prediction-key" not in f"{here!r}{here.about!r}"
    assert (here.is_local, here.account) == (False, None)


def test_a_declaration_whose_id_is_a_setting_is_found_by_it() -> None:
    """The setting is looked up."""
    assert (found(SHELF).name, found("shelf").project, found("shelf").at.key) == ("shelf", SHELF, "")


def test_the_environment_may_name_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said on the command line goes before it."""
    monkeypatch.setenv("REACTOR_VISION_PROJECT", "shelf")
    assert (found().name, found("fruit").name) == ("shelf", "fruit")


def test_the_only_declared_project_needs_no_name(tmp_path: Path) -> None:
    """Of two, one has to be named."""
    with pytest.raises(UsageError, match=r"which project\? .*; rules.yaml declares fruit, shelf"):
        found()
    (tmp_path / "rules.yaml").write_text(RULES.replace("  shelf:", "  # shelf:").split("  # shelf")[0] + "rules: []\n")
    assert found().name == "fruit"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("frut",), r'there is no project "frut" \(did you mean "fruit"\?\); rules.yaml declares fruit, shelf'),
        (("11111111-2222-3333-4444-555555555555",), "declares no project 1111.*; give --endpoint"),
        (("fruit", "--endpoint", ENDPOINT), '--endpoint is for a project by its id, and "fruit" is none'),
        (("--endpoint", ENDPOINT), "give the project's id too"),
        ((FRUIT, "--endpoint", "http://fruit.example"), "--endpoint: must be https"),
        ((FRUIT, "--endpoint", "https://westeurope.api.cognitive.microsoft.com"), "takes keys only: give `key`"),
        ((FRUIT, "--endpoint", ENDPOINT, "--key-setting", "NO_KEY"), "NO_KEY is not set here"),
        ((FRUIT, "--endpoint", ENDPOINT, "--prediction", "fruit"), "--prediction: must be an ARM id"),
        (("fruit", "--rules", "none.yaml"), "cannot read none.yaml"),
    ],
)
def test_what_is_missing_is_said(arguments: tuple[str, ...], why: str) -> None:
    """With the option that helps."""
    with pytest.raises(UsageError, match=why):
        found(*arguments)


def test_a_setting_that_is_not_set_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the project itself is needed, those of the prediction resource may be missing."""
    monkeypatch.delenv("PREDICTION_KEY")
    with pytest.raises(UsageError, match="PREDICTION_KEY is not set here, and fruit needs it"):
        found("fruit")
    assert find(options("fruit"), is_whole=False).at.key == "fruit-key"
    monkeypatch.setenv("PREDICTION_KEY", "p")
    monkeypatch.setenv("SHELF_ID", "s3cret-id")
    with pytest.raises(UsageError, match="a setting does not fit where shelf uses it: project: ") as problem:
        found("shelf")
    assert "s3cret-id" not in str(problem.value)


def test_a_project_by_its_id_takes_its_keys_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one, who is signed in is used; a declared project's key may be another one, too."""
    named = (FRUIT, "--endpoint", ENDPOINT)
    assert found(*named).at.key == ""
    monkeypatch.setenv("REACTOR_VISION_KEY", "usual")
    monkeypatch.setenv("OTHER", "other")
    assert found(*named).at.key == "usual"
    assert found(*named, "--key-setting", "OTHER").at.key == "other"
    assert found("fruit", "--key-setting", "OTHER").at.key == "other"
    here = found(*named, "--prediction", PREDICTION, "--prediction-endpoint", ENDPOINT)
    assert here.about.prediction is not None
    assert (here.about.prediction.resource, here.about.prediction.key) == (PREDICTION, None)
    assert here.given == {"project": FRUIT}


def test_a_hint_names_the_project_as_the_command_was_told(tmp_path: Path) -> None:
    """What somebody copies from a terminal works: with the options that found it, and what asking needs."""
    (tmp_path / "mine.yaml").write_text(RULES, "utf-8")
    assert found("fruit").words == "fruit"
    assert found("fruit").asks("live") == "reactor vision predict FILE --project fruit --name live"
    assert found("fruit", "--rules", "mine.yaml").words == "fruit --rules mine.yaml"
    unasked = found(FRUIT, "--endpoint", ENDPOINT, "--key-setting", "FRUIT_KEY", "--prediction", PREDICTION)
    where = f"--project {FRUIT} --endpoint {ENDPOINT} --key-setting FRUIT_KEY --name live"
    assert unasked.asks("live") == f"reactor vision predict FILE {where} --prediction-endpoint URL"
    options = ("--prediction-endpoint", ENDPOINT, "--prediction-key-setting", "PREDICTION_KEY")
    asked = found(FRUIT, "--endpoint", ENDPOINT, "--prediction", PREDICTION, *options).asks("live")
    assert asked.endswith(f" --prediction-endpoint {ENDPOINT} --prediction-key-setting PREDICTION_KEY")


def test_asking_needs_an_endpoint_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ARM id: that is for publishing; the key is a setting's."""
    given = options(FRUIT, "--endpoint", ENDPOINT, "--prediction-endpoint", ENDPOINT)
    here = find(given)
    assert here.about.prediction is None
    monkeypatch.setenv("REACTOR_VISION_PREDICTION_KEY", "asking")
    assert prediction_at(given, here.around) == Resource(ENDPOINT, "")  # as the command found the environment
    assert prediction_at(given, find(given).around) == Resource(ENDPOINT, "asking")
    assert prediction_at(options(FRUIT, "--endpoint", ENDPOINT), here.around) is None
    with pytest.raises(UsageError, match="--prediction-endpoint: must be https"):
        prediction_at(options(FRUIT, "--prediction-endpoint", "http://fruit.example"), here.around)
    with pytest.raises(UsageError, match="NO_KEY is not set here"):
        prediction_at(
            options(FRUIT, "--prediction-endpoint", ENDPOINT, "--prediction-key-setting", "NO_KEY"), here.around
        )


def test_all_projects_are_found_and_what_is_missing_is_said_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lacks a setting does not hide the others."""
    monkeypatch.delenv("FRUIT_KEY")
    fruit, shelf = find_all(options())
    assert shelf.project == SHELF
    with pytest.raises(UsageError, match="FRUIT_KEY is not set here"):
        assert fruit.at


def test_a_file_with_errors_is_not_guessed_from(tmp_path: Path) -> None:
    """It says how to see them."""
    (tmp_path / "rules.yaml").write_text("version: 1\nvision: 3\nrules: []\n", "utf-8")
    with pytest.raises(UsageError, match=r"`reactor rules check rules\.yaml` lists them"):
        found("fruit")


def test_the_local_stack_has_a_resource_of_its_own(tmp_path: Path) -> None:
    """There, a project's id is enough."""
    values = {
        "SIMULATOR_VISION": "https://127.0.0.1:1",
        "SIMULATOR_VISION_KEY": "simulated",
        "REACTOR_RULES": "rules.yaml",
    }
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path)}
    facts["settings"] = values | {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}  # type: ignore[assignment]
    (tmp_path / "ready.json").write_text(json.dumps(facts), "utf-8")
    other = "11111111-2222-3333-4444-555555555555"
    here = found(other, "--ready", "ready.json")
    assert (here.project, here.at.endpoint, here.at.key) == (other, "https://127.0.0.1:1", "simulated")
    assert here.is_local


# -- where to ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://acct.queue.core.windows.net/notes", "notes"),
        ("https://ACCT.queue.core.windows.net/notes/", "notes"),
        ("https://acct.queue.core.windows.net/notes/more", ""),
        ("https://acct.queue.core.windows.net/", ""),
        ("http://acct.queue.core.windows.net/notes", ""),
        ("https://acct.queue.core.windows.net.evil.example/notes", ""),
        ("https://other.queue.core.windows.net/notes", ""),
    ],
)
def test_a_url_is_the_accounts_own_only_where_all_of_it_is(url: str, name: str) -> None:
    """The account's key goes nowhere else."""
    assert _below(url, "https://acct.queue.core.windows.net/") == name


@pytest.mark.parametrize("url", ["http://a.queue.core.windows.net/q", "https://a.queue.core.windows.net/q?sig=x"])
def test_a_token_goes_nowhere_in_the_clear(url: str) -> None:
    """And nothing is opened by a SAS: the service could not use it."""
    places = Places(None, lambda: pytest.fail("no credential is needed"), "backups")
    with pytest.raises(PermanentError) as problem:
        places.peek(url)
    assert "sig=x" not in problem.value.reason


def test_the_apps_places_are_not_known_without_its_storage() -> None:
    """It says what to set."""
    places = Places(None, lambda: pytest.fail("no credential is needed"), "backups")
    with pytest.raises(PermanentError, match="the app's storage is not known here"):
        places.queue_url("q")
    assert places.own_queue("https://a.queue.core.windows.net/q") is None


def test_two_urls_are_the_same_place_whatever_their_casing() -> None:
    """A slash at the end counts for nothing."""
    assert same("https://A.blob.core.windows.net/exports/", "https://a.blob.core.windows.net/exports")
    assert not same("https://a.blob.core.windows.net/exports", "https://a.blob.core.windows.net/export")


# -- what is missing --------------------------------------------------------------------------------------------------


def test_the_commands_that_give_roles_name_resource_and_accounts() -> None:
    """Those of the queue and the container may be two."""
    places = {"queue": "https://one.queue.core.windows.net/q", "container": "https://two.blob.core.windows.net/c"}
    who, queue, container = role_lines(ENDPOINT, places)
    assert "--name fruit --resource-type Microsoft.CognitiveServices/accounts" in who
    assert '"Storage Queue Data Contributor"' in queue
    assert "--name one --query id" in queue
    assert '"Storage Blob Data Contributor"' in container
    assert "--name two --query id" in container


def test_names_are_read_off_urls() -> None:
    """Where they do not tell, a placeholder stands there."""
    assert resource_name("https://westeurope.api.cognitive.microsoft.com") == "<training resource>"
    assert resource_name("https://Fruit.cognitiveservices.azure.com/") == "fruit"
    assert account_name("http://127.0.0.1:10001/devstoreaccount1/q") == "devstoreaccount1"


# -- the proof --------------------------------------------------------------------------------------------------------


def message(project: str, type_: str = "ConnectionTest") -> str:
    """Write a message as the service does."""
    return json.dumps({"version": "1.0", "type": type_, "Content": {"projectId": project}})


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (message(FRUIT), "plain text"),
        (f"\ufeff{message(FRUIT.replace('-', '').upper())}", "plain text"),
        (base64.b64encode(message(FRUIT).encode()).decode(), "base64"),
    ],
)
def test_a_test_is_found_among_messages_however_it_is_written(text: str, encoding: str) -> None:
    """Others, of other projects, and what is none, are passed over."""
    others = ["", "nonsense", "{}", message(SHELF), message(FRUIT, "Other")]
    peeked = [Peeked(str(number), one) for number, one in enumerate([*others, text])]
    waiting = find_message(peeked, FRUIT)
    assert waiting is not None
    assert waiting.encoding == encoding
    assert find_message(peeked[:-1], FRUIT) is None


def test_a_record_is_of_a_project_however_its_id_is_spelt() -> None:
    """The service may leave out the dashes."""
    heard = Heard("k", f"customvision/{FRUIT.replace('-', '')}", datetime.now(UTC), "planned", "")
    assert heard.is_of(FRUIT)
    assert not heard.is_of(SHELF)


def test_an_age_is_written_for_people() -> None:
    """Clocks differ: nothing is younger than now."""
    ages = [timedelta(seconds=-3), timedelta(seconds=119), timedelta(seconds=120), timedelta(minutes=9, seconds=59)]
    assert [show_age(age) for age in ages] == ["0 s", "119 s", "2 min", "9 min"]


# -- commands ---------------------------------------------------------------------------------------------------------


COMMANDS = (
    "connect",
    "create",
    "delete",
    "status",
    "publish",
    "export",
    "prune",
    "replicate",
    "dataset",
    "unpublish",
    "backup",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_takes_a_key(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is on a command line is in the shell's history, and shown to everybody by `ps`."""
    assert run(command, "--help") == 0
    said = capsys.readouterr().out
    assert "--key-setting NAME" in said
    assert "--key " not in said
    secret = "a" * 32
    for option in ("--key", "--key-setting"):
        assert run(command, "x", option, secret) == 2
        said = capsys.readouterr().err
        assert "give the name of an environment variable" in said
        assert secret not in said


def test_connecting_needs_to_know_the_apps_storage(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked of the service before."""
    assert run("connect", "fruit") == 1
    said = capsys.readouterr().err
    assert "the app's storage is not known here" in said
    assert "set AzureWebJobsStorage or AzureWebJobsStorage__accountName as the app has it" in said


def test_backing_images_up_needs_somewhere_to_put_them(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to set."""
    assert run("dataset", "fruit") == 2
    assert "the app's storage is not known here: set AzureWebJobsStorage or" in capsys.readouterr().err


def test_what_is_deleted_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the only one, nor the environment's."""
    monkeypatch.setenv("REACTOR_VISION_PROJECT", "fruit")
    assert run("delete", "--yes") == 2
    assert "the following arguments are required: PROJECT" in capsys.readouterr().err
