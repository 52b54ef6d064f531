"""`reactor language`: how a project is found, what the options mean, and how a drill is judged."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.errors import UsageError
from cli.language.drill import cut_off
from cli.language.project import add_project, find, find_all
from cli.language.report import UNJUDGED, Asked, Report, reasons, told
from cli.language.state import ExpiryState, RegionState, State
from cli.language.status import age_of
from cli.language.steps import add_staging, staging_of
from cli.language.waiting import said_here, stoppable
from cli.main import main
from cli.parser import Parser
from shared.clients.language import Resource
from shared.errors import DeniedError, PermanentError, TemporaryError

RULES = """
version: 1
language:
  mail-bot:
    project: EmailApp
    primary: {endpoint: "https://mail-we.cognitiveservices.azure.com", key: "${MAIL_KEY}"}
    secondary: {endpoint: "https://mail-ne.cognitiveservices.azure.com", api_version: "2025-11-01"}
    deployments: [production]
  shop-bot:
    project: "${SHOP}"
    primary: {endpoint: "https://shop-we.cognitiveservices.azure.com"}
    secondary: {endpoint: "https://shop-ne.cognitiveservices.azure.com"}
    deployments: [production]
rules: []
"""


NOT_KNOWN = f"is it known what it should answer: {UNJUDGED}"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a rules file, with no app in the environment."""
    for name in ("REACTOR_URL", "REACTOR_RULES", "REACTOR_LANGUAGE_KEY", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAIL_KEY", "a-key-that-nobody-may-see")
    monkeypatch.setenv("SHOP", "ShopApp")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")


def options(*arguments: str) -> Any:
    """Read the options of a command about a project."""
    parser = Parser(prog="reactor language status")
    add_project(parser)
    add_staging(parser)
    return parser.parse_args(arguments)


def run(*arguments: str) -> int:
    """Run a command of `reactor language` and give how it ends."""
    try:
        return main(["language", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


# -- which project ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "name"), [("mail-bot", "mail-bot"), ("EmailApp", "mail-bot"), ("ShopApp", "shop-bot")]
)
def test_a_project_is_found_by_its_name_or_the_services(named: str, name: str) -> None:
    """Its settings are filled in, and its key is shown nowhere."""
    here = find(options(named))
    assert here.name == name
    assert (here.words, here.given) == (name, {"project": name})
    assert "a-key-that-nobody-may-see" not in repr(here.about) + repr(here.pair.at)


def test_both_regions_are_as_declared() -> None:
    """Each has its own key, or none, and its own version."""
    here = find(options("mail-bot"))
    assert here.at("primary") == Resource(
        "https://mail-we.cognitiveservices.azure.com", "a-key-that-nobody-may-see", "2023-04-01"
    )
    assert (here.at("secondary").key, here.at("secondary").version) == ("", "2025-11-01")


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "",
            "Name one that the rules file declares under `language`; rules.yaml declares mail-bot, shop-bot",
        ),
        ("emailapp", 'there is no project "emailapp"'),
        ("mail-bto", '(did you mean "mail-bot"?); rules.yaml declares mail-bot, shop-bot'),
    ],
)
def test_what_is_not_declared_says_what_is(named: str, said: str) -> None:
    """Upper and lower case count, as for the service."""
    with pytest.raises(UsageError) as problem:
        find(options(*([named] if named else [])))
    assert said in str(problem.value)


def test_the_only_project_need_not_be_named(tmp_path: Path) -> None:
    """Where there are several all of them are listed, and what one lacks is said when it is used."""
    assert [here.name for here in find_all(options())] == ["mail-bot", "shop-bot"]
    (tmp_path / "rules.yaml").write_text(RULES.partition("  shop-bot")[0] + "rules: []\n", "utf-8")
    assert find(options()).name == "mail-bot"


def test_without_a_rules_file_nothing_is_declared(tmp_path: Path) -> None:
    """It says where it looked."""
    (tmp_path / "rules.yaml").unlink()
    for look in (find, find_all):
        with pytest.raises(UsageError, match=r"there is no rules\.yaml here"):
            look(options())


def test_a_setting_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what needs it."""
    monkeypatch.delenv("MAIL_KEY")
    with pytest.raises(UsageError, match="MAIL_KEY is not set here, and mail-bot needs it"):
        find(options("mail-bot"))


def test_another_rules_file_is_named_again(tmp_path: Path) -> None:
    """In every command that is proposed."""
    (tmp_path / "other rules.yaml").write_text(RULES, "utf-8")
    assert find(options("mail-bot", "--rules", "other rules.yaml")).words == "mail-bot --rules 'other rules.yaml'"


# -- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "staging"), [((), "next"), (("--staging", "blue"), "blue"), (("--no-staging",), "")])
def test_the_staging_slot(given: tuple[str, ...], staging: str) -> None:
    """It has a name, another one, or there is none."""
    assert staging_of(options("mail-bot", *given)) == staging


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict", "hi", "--key-setting", "0123456789abcdef0123456789abcdef"), "a key on a command line"),
        (("predict", "hi", "--project", "mail-bot", "--key-setting", "MAIL_KEY"), "--key-setting is for --endpoint"),
        (("predict", "hi", "--endpoint", "https://x.example"), "give the project's name as --project"),
        (
            ("predict", "hi", "--endpoint", "http://x.example", "--project", "A", "--deployment", "b"),
            "--endpoint: must",
        ),
        (("predict", "mail-bot", "hi", "--deployment", "canary"), "--deployment: there is no"),
        (("restore",), "PROJECT"),
        (("restore", "mail-bot", "--to", "tertiary"), "choose from primary, secondary"),
        (("restore", "mail-bot", "--from", "language/../x"), "--from: must be a host"),
        (("restore", "mail-bot", "--from", "https://"), "--from: must be a host"),
        (("replicate", "mail-bot", "--yes", "--staging", "blue", "--no-staging"), "not allowed with"),
        (("replicate", "mail-bot", "--yes"), "the app's storage is not known here"),
        (("backups",), "the app's storage is not known here"),
        (("drill", "nobody"), 'there is no project "nobody"'),
    ],
)
def test_a_wrong_option_is_named(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is asked of anybody."""
    assert run(*arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "0123456789abcdef" not in shown


# -- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "said"), [(0, "0"), (59, "59 s"), (3_700, "1 h 1 min"), (200_000, "2 d 7 h")])
def test_a_lag_is_told_by_its_largest_units(seconds: int, said: str) -> None:
    """As people would."""
    assert age_of(seconds) == said


def test_what_counts_as_wrong() -> None:
    """A secondary of which nobody knows is not in step; what expires some day is no matter, what has expired is."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    assert State("a", standing="in step", expiries=[ExpiryState("primary", "model", "v1", day, 3)]).is_wrong is False
    assert State("a", standing="in step", expiries=[ExpiryState("primary", "model", "v1", day, -1)]).is_wrong is True
    assert State("a").is_wrong is True
    assert State("a", regions={"primary": RegionState("h", problem="no answer")}).is_read is False


# -- what is said of a failure ----------------------------------------------------------------------------------------


def test_a_step_is_told_of_as_the_command_calls_it() -> None:
    """What a rules file would say is an option here."""
    problem = said_here(
        PermanentError("edited", remedy='say overwrite_edits: true, or staging: "", and replay the event', code="X")
    )
    assert problem.remedy == "say --overwrite-edits, or --no-staging, and give the command again"
    assert said_here(PermanentError("bad", remedy="or say `force: true`")).remedy == "or say `--force`"
    assert said_here(PermanentError("none", remedy="say from_host: a or b")).remedy == "say --from a or b"
    assert (problem.reason, problem.code) == ("edited", "X")


def test_what_goes_on_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C goes on up; what does not answer any more, or may not, is told with it."""
    with pytest.raises(KeyboardInterrupt), stoppable(lambda: "the training goes on"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "\nreactor: the training goes on\n"
    with pytest.raises(UsageError, match=r"^busy; the training goes on$"), stoppable(lambda: "the training goes on"):
        raise TemporaryError("busy")
    with pytest.raises(UsageError, match=r"^no; get a role; it goes on$"), stoppable(lambda: "it goes on"):
        raise DeniedError("no", remedy="get a role")


@pytest.mark.parametrize(
    ("arguments", "helps"),
    [
        (("predict", "shop-bot", "hi"), "or give the resource a `key` in the rules file"),
        (("drill", "shop-bot"), "or give the resource a `key` in the rules file"),
        (
            (
                "predict",
                "hi",
                "--project",
                "A",
                "--deployment",
                "b",
                "--endpoint",
                "https://shop-we.cognitiveservices.azure.com",
            ),
            "or set REACTOR_LANGUAGE_KEY, or name in --key-setting what holds a key",
        ),
    ],
)
def test_where_nobody_is_signed_in_it_says_what_helps(
    arguments: tuple[str, ...], helps: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked of the service without a token: sign in, or use a key."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    monkeypatch.setenv("PATH", "")
    assert run(*arguments) != 0
    shown = capsys.readouterr().err
    assert "sign in with `az login`; you have no token" in shown
    assert helps in shown


# -- drill ------------------------------------------------------------------------------------------------------------


def test_a_primary_that_is_cut_off_refuses_and_gets_no_key() -> None:
    """Nobody listens there while the drill lasts, and nobody else can take the port."""
    with cut_off(Resource("https://mail-we.example", "a-key-that-nobody-may-see", "2025-11-01")) as nowhere:
        port = int(nowhere.endpoint.rpartition(":")[2])
        assert (nowhere.key, nowhere.version) == ("cut-off", "2025-11-01")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


def asked(intent: str, *, must: str = "", label: str = "", primary: str | None = None) -> Asked:
    """Have an utterance answered by the secondary."""
    made = Asked("production", f"text of {intent}", must=must, label=label, by="secondary", intent=intent, ms=3)
    made.primary = primary
    return made


@pytest.mark.parametrize(
    ("utterances", "why"),
    [
        ([asked("Read", primary="Read"), asked("Send", must="Send")], []),
        ([asked("Read", label="Send", primary="Read")], []),  # what the primary answers counts more than the label
        ([asked("Read", must="Read", primary="Send")], []),  # and what is stated more than that
        ([asked("Read")], [f"of nothing that production was asked {NOT_KNOWN}"]),
        ([], [f"nothing was asked of production: {UNJUDGED}"]),
        (
            [asked("Read", must="Read"), Asked("canary", "hi", by="secondary", intent="None")],
            [f"of nothing that canary was asked {NOT_KNOWN}"],
        ),
        ([*[asked("Read", primary="Read")] * 4, asked("Read", primary="Send")], []),
        (
            [*[asked("Read", label="Read")] * 3, asked("Read", label="Send")],
            ["3 of 4 utterances are answered as they should be, and 80% have to be"],
        ),
        (
            [asked("Read", must="Send")],
            ['what is stated is answered otherwise: "text of Read": Read, not Send'],
        ),
        (
            [asked("", must="Send")] * 5,
            [f"what is stated is answered otherwise: {'; '.join(['"text of ": nothing, not Send'] * 3)} and 2 more"],
        ),
        (
            [Asked("production", "hi", problem="neither answers"), asked("Read", primary="Read")],
            ["1 of 2 utterances were not answered: neither answers"],
        ),
    ],
)
def test_a_drill_is_judged_as_a_replication_is(utterances: list[Asked], why: list[str]) -> None:
    """All is answered, what is stated is met, and of the others a share that the rules file says."""
    report = Report("mail-bot", "EmailApp", "a", "b", utterances, deployments=["production"])
    assert list(reasons(report, 0.8)) == why


def test_a_drill_counts_what_the_primary_answers_too() -> None:
    """Only what both answered is compared."""
    some = [asked("Read", primary="Read"), asked("Read", primary="Send"), asked("Read"), Asked("production", "x")]
    report = Report("mail-bot", "EmailApp", "a", "b", some)
    shown = report.shown()
    assert [shown[name] for name in ("asked", "answered", "compared", "alike")] == [4, 3, 2, 1]
    assert (shown["slowest_ms"], shown["median_ms"], shown["held"]) == (3, 3, True)
    lines = list(told(report))
    assert lines[-2:] == [
        "  the slowest answer took 3 ms, half of them 3 ms or less",
        "  1 of 2 are answered as the primary answers them",
    ]
    assert "nobody" in lines[4]


def test_a_drill_that_nobody_answered_has_no_times() -> None:
    """And says so."""
    shown = Report("mail-bot", "EmailApp", "a", "b", [Asked("production", "x")]).shown()
    assert (shown["slowest_ms"], shown["median_ms"]) == (None, None)
