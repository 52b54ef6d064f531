"""The operator's command says what it found, in the form that was asked for, with the exit code that fits."""

import base64
import io
import json
import re
import resource
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from cli.main import main, parser
from cli.parser import EXAMPLES
from cli.rules.checking import offending
from shared.rules import Problem

ROOT = Path(__file__).parents[2]
FIRST = ROOT / "examples/first-rule"
VISION = ROOT / "tests/events/vision_export_completed.json"

RULES = """version: 1
vision:
  fruit:
    project: {project}
    training: {{endpoint: "https://fruit.example", key: "${{KEY}}"}}
rules:
  - {{name: keep, on: ExportCompleted, do: [backup.vision_export]}}
"""


def write(path: Path, text: str) -> str:
    """Write a file and give its name."""
    path.write_text(text, "utf-8")
    return str(path)


def test_check_says_that_a_file_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """A clean file ends with its summary and 0."""
    assert main(["rules", "check", str(FIRST / "rules.yaml")]) == 0
    assert capsys.readouterr().out.strip().endswith("rules.yaml: 2 rules, nothing wrong")


def test_the_rules_that_a_deployment_starts_from_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """The file at the top level needs no setting and has nothing wrong."""
    assert main(["rules", "check", str(ROOT / "rules.yaml")]) == 0
    assert capsys.readouterr().out.strip().endswith("rules.yaml: 0 rules, nothing wrong")


def test_check_prints_every_problem_and_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each problem is a line that editors can jump to; errors make it 1."""
    text = "version: 1\nrules:\n  - {name: a, on: DriftDetectd, do: [alrt]}\n  - {name: b, on: RunFailed, do: [x]}\n"
    file = write(tmp_path / "rules.yaml", text)
    assert main(["rules", "check", file]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'{file}:3:19: error: unknown kind "DriftDetectd" (did you mean "DriftDetected"?)'
    assert lines[1] == f'{file}:3:38: error: unknown step "alrt" (did you mean "alert"?)'
    assert lines[-1] == f"{file}: 3 errors, 1 warning"


def test_check_speaks_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs, the same as data."""
    file = write(tmp_path / "rules.yaml", "version: 1\n")
    assert main(["rules", "check", "--json", file]) == 1
    problem = {"line": 1, "column": 1, "level": "error", "text": "version"}
    found = json.loads(capsys.readouterr().out)
    assert not found["valid"]
    assert [problem | {"message": found["problems"][0]["message"]}] == found["problems"]


def test_notes_are_for_files_that_are_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is only worth knowing is not put between errors; programs get it all the same."""
    text = (FIRST / "rules.yaml").read_text("utf-8")
    assert main(["rules", "check", write(tmp_path / "rules.yaml", text)]) == 0
    assert ": note: " in capsys.readouterr().out
    file = write(tmp_path / "rules.yaml", text.replace("on: RunFailed", "on: RunFaild"))
    assert main(["rules", "check", file]) == 1
    assert ": note: " not in capsys.readouterr().out


def test_strict_makes_warnings_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --strict a file that is only doubtful ends with 1; notes do not count."""
    text = "version: 1\nrules:\n  - {name: a, on: RunFailed, do: [alert: {channel: x}]}\nchannels:\n"
    file = write(tmp_path / "rules.yaml", text + "  x: {kind: teams, url: '${X}'}\n")
    assert main(["rules", "check", file]) == 0
    assert main(["rules", "check", "--strict", file]) == 1
    assert "1 warning" in capsys.readouterr().out
    assert main(["rules", "check", "--strict", str(FIRST / "rules.yaml")]) == 0


def test_a_terminal_gets_the_line_with_a_pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside each problem stands its line; what may be a secret is blotted out, and colours are left out on request."""
    text = "version: 1\nrules: []\nchannels:\n  x: {kind: temas, url: 'https://canary.example'}\n"
    file = write(tmp_path / "rules.yaml", text)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["rules", "check", file]) == 1
    assert "\033[31merror:\033[0m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.truncate(0)
    assert main(["rules", "check", file]) == 1
    shown = terminal.getvalue()
    assert f'{file}:4:6: error: channels.x: unknown kind "temas" (did you mean "teams"?)\n' in shown
    assert "  4 |   x: {kind: temas, url: ************************}\n    |      ^" in shown
    assert "canary" not in shown


class Terminal(io.StringIO):
    """Takes what is printed as a terminal does."""

    def isatty(self) -> bool:
        """Say that it is one."""
        return True


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [
        ("key: canary-1", 6, "********"),
        ("training: {key: 'canary 2'}", 17, "**********"),
        ("password: canary 3 and more", 11, "***"),
        ("headers: {X-Api-Key: canary}", 22, "******"),
        ("url: https://x.example/?sig=canary", 6, "****"),
        ("link: 'https://x.example/?sig=canary&x=1'", 7, "'https://x.example/?sig=******&x=1'"),
        ('key: "${KEY}"', 6, '"${KEY}"'),
        ("on: RunFaild", 5, "RunFaild"),
    ],
)
def test_what_may_be_a_secret_is_blotted_out(line: str, column: int, shown: str) -> None:
    """Of the text that a problem is about, a value that may be a secret is not shown; a setting's name is."""
    text = offending([line], Problem(1, column, "wrong"))
    assert text.startswith(shown)
    assert "canary" not in text


def test_a_file_may_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`-` is standard input, for the rules and for the event; the rules are rules.yaml where nothing is said."""
    monkeypatch.chdir(FIRST)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((FIRST / "event.json").read_bytes())))
    assert main(["rules", "explain", "--event", "-"]) == 0
    assert "yes  tell-the-fraud-team" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"version: 2\n")))
    assert main(["rules", "check", "-"]) == 1
    assert "-:1:10: error: this program reads version 1, not 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rules"],
        ["rules", "explain"],
        ["rules", "check", "--nope"],
        ["rules", "check", "no-such-file.yaml"],
        ["rules", "explain", "--rules", str(FIRST / "rules.yaml"), "--event", "no-such-file.json"],
        ["rules", "explain", "--rules", str(FIRST / "rules.yaml"), "--event", str(FIRST / "README.md")],
    ],
)
def test_what_cannot_be_understood_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Usage errors, files that are not there and events that are none end with 2 and one message."""
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    assert code == 2
    assert "reactor" in capsys.readouterr().err


def test_explain_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """People get the event, what would be done, and the first thing against every other rule."""
    assert main(["rules", "explain", "--rules", str(FIRST / "rules.yaml"), "--event", str(FIRST / "event.json")]) == 0
    shown = capsys.readouterr().out
    assert "  yes  tell-the-fraud-team\n" in shown
    assert "title     fraud-train failed\n" in shown
    assert 'wake-somebody-up     data.runTags[\'pager.level\'] StringIn ["urgent"]: it is "morning"' in shown
    assert "\033" not in shown


def test_explain_reads_a_notification_plain_or_base64(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Custom Vision notification is told from an event by its fields, in both encodings of a queue."""
    notification = VISION.read_text("utf-8")
    rules = write(tmp_path / "rules.yaml", RULES.format(project=json.loads(notification)["Content"]["projectId"]))
    plain = write(tmp_path / "event.json", notification)
    encoded = write(tmp_path / "event.txt", base64.b64encode(notification.encode()).decode())
    for file in (plain, encoded):
        assert main(["rules", "explain", "--json", "--rules", rules, "--event", file]) == 0
        explained = json.loads(capsys.readouterr().out)
        assert explained["event"]["kinds"] == ["ExportCompleted"]
        assert explained["rules"][0]["matched"]
        assert "sig=" not in json.dumps(explained)


@pytest.mark.parametrize("file", sorted((ROOT / "tests/events").iterdir()), ids=lambda file: file.name)
def test_explain_reads_whatever_a_door_reads(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every envelope, casing and encoding that is met on the wire, by the readers of the doors themselves."""
    assert main(["rules", "explain", "--json", "--rules", str(ROOT / "rules.yaml"), "--event", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "empty"),
        ("hello", "neither JSON nor base64 of JSON"),
        ("{", "not JSON"),
        ('{"id": NaN}', "NaN is not a number that JSON has"),
        ("[" * 100 + "]" * 100, "nested deeper than 64 levels"),
        ("[1]", "a number where"),
        ("[]", "the list is empty"),
        ('{"Content": 1, "type": "Export"}', "Content: a number where an object is expected"),
    ],
)
def test_explain_says_why_a_file_holds_no_event(
    body: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a door would park is refused with the door's own reason."""
    event = write(tmp_path / "event.json", body)
    assert main(["rules", "explain", "--rules", str(ROOT / "rules.yaml"), "--event", event]) == 2
    said = capsys.readouterr().err
    assert f"{event} holds no event: " in said
    assert reason in said


def test_explain_gives_a_list_for_an_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each event of an array is explained, in order."""
    (event,) = json.loads((FIRST / "event.json").read_text("utf-8"))
    events = write(tmp_path / "events.json", json.dumps([event, event | {"id": "another"}]))
    assert main(["rules", "explain", "--json", "--rules", str(FIRST / "rules.yaml"), "--event", events]) == 0
    assert [one["event"]["id"] for one in json.loads(capsys.readouterr().out)] == [event["id"], "another"]
    single = write(tmp_path / "event.json", json.dumps(event))
    assert main(["rules", "explain", "--json", "--rules", str(FIRST / "rules.yaml"), "--event", single]) == 0
    assert json.loads(capsys.readouterr().out)["event"]["id"] == event["id"]


EVERYTHING = """version: 1
workspaces:
  fraud: "${FRAUD}"
  churn: /subscriptions/1/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/churn
channels:
  team: {kind: teams, url: "${TEAM}"}
  mail: {kind: email, to: [a@example.com]}
  owners: {kind: route, by: run.experiment, begins_with: {FRAUD-: team}, otherwise: mail}
  nowhere: {kind: route, by: run.experiment, begins_with: {x: mail}}
rules:
  - name: tell
    on: RunFailed
    limit: {per: run.experiment, cooldown: 24h, at_most: 4 per day, threshold: 3 within 1h, concurrency: queue}
    cancel_on: {on: RunCompleted, per: run.experiment}
    expect: {kind: RunCompleted, within: 36h}
    do:
      - alert: {channel: owners, title: "{{ run.experiment }} {{ action.key }}"}
      - alert: {channel: nowhere, title: "x"}
    on_failure:
      - alert: {channel: mail, text: "{{ failure.reason }}"}
  - name: cannot
    on: RunFailed
    mode: dry_run
    do:
      - alert: {channel: mail, title: "{{ data.runTags.nobody }}"}
"""


def test_explain_tells_all_that_a_rule_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Limits, what calls off and what is expected, where a route leads, on_failure, and a step that cannot be done."""
    event = json.loads((FIRST / "event.json").read_text("utf-8"))
    (event,) = event if isinstance(event, list) else [event]
    monkeypatch.setenv("FRAUD", event.get("topic") or event["source"])
    arguments = ["--rules", write(tmp_path / "rules.yaml", EVERYTHING), "--event", str(FIRST / "event.json")]
    assert main(["rules", "explain", *arguments]) == 1
    shown = capsys.readouterr().out
    for line in (
        "limit: cooldown 24h, at_most 4 per day, threshold 3 within 1h, concurrency queue, per run.experiment",
        'called off by RunCompleted, per run.experiment ("fraud-train")\n',
        "expects RunCompleted within 36h\n",
        "owners  (leads to team)\n",
        "nowhere  (leads nowhere for this event)\n",
        "{{ run.experiment }} {{ action.key }}\n",
        "on failure\n",
        "{{ failure.reason }}\n",
        "yes  cannot  (dry run: nothing is touched; it cannot be done as written)\n",
        "cannot be done: title: the event has no data.runTags.nobody\n",
    ):
        assert line in shown
    assert main(["rules", "explain", "--json", *arguments]) == 1
    explained = json.loads(capsys.readouterr().out)
    told, cannot = (explained[0] if isinstance(explained, list) else explained)["rules"]
    assert told["limit"]["per"] == {"run.experiment": "fraud-train"}
    assert told["limit"]["at_most"] == "4 per day"
    assert told["cancel_on"] == {"on": ["RunCompleted"], "per": {"run.experiment": "fraud-train"}}
    assert told["expect"] == {"kind": "RunCompleted", "within": "36h"}
    assert [step.get("routes") for step in told["steps"]] == [{"channel": "team"}, {"channel": None}]
    assert [step["id"] for step in told["on_failure"]] == ["alert-3"]
    assert "nobody" in cannot["steps"][0]["error"]


def test_explain_says_first_that_an_event_would_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An undeclared source is the first thing to know, and which setting is missing for it to be declared."""
    monkeypatch.delenv("FRAUD", raising=False)
    arguments = ["--rules", write(tmp_path / "rules.yaml", EVERYTHING), "--event", str(FIRST / "event.json")]
    assert main(["rules", "explain", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "would be refused" in lines[1]
    assert lines[2] == "  unless it is fraud, which is not listened to: the setting FRAUD is not set"
    assert main(["rules", "explain", "--json", *arguments]) == 0
    explained = json.loads(capsys.readouterr().out)
    assert (explained[0] if isinstance(explained, list) else explained)["unset"] == {"fraud": ["FRAUD"]}


def test_explain_refuses_a_file_with_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that could not go live explains nothing."""
    rules = write(tmp_path / "rules.yaml", "version: 1\n")
    assert main(["rules", "explain", "--rules", rules, "--event", str(FIRST / "event.json")]) == 1
    assert '"rules" is missing' in capsys.readouterr().err


def test_help_names_the_groups_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    """The rules, what came of them, and what holds them."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if re.match(r"    \w", line)]
    assert lines == ["rules", "events", "actions", "pause", "resume", "ml", "vision", "language", "backups"]


@pytest.mark.parametrize(("arguments", "names"), [([], "pause"), (["rules"], "rollback"), (["events"], "replay")])
def test_where_no_command_is_named_there_is_help(
    arguments: list[str], names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lists what there is, and ends with 2."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"^    {names}\b", err, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(["rule", "check"], "rules"), (["rules", "chek"], "check"), (["events", "sned", "RunFailed"], "send")],
)
def test_what_was_probably_meant_is_said(arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of groups and of commands, besides what there is."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert f'(did you mean "{meant}"?); choose from' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["vision", "train", "images", "--prject", "fruit"], "reactor vision train"),
        (["rules", "check", "a.yaml", "b.yaml"], "reactor rules check"),
        (["vision", "--quiet"], "reactor vision"),
        (["--quiet", "vision", "train", "images"], "reactor"),
    ],
)
def test_what_is_not_known_is_answered_with_the_usage_of_its_command(
    arguments: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """That of `reactor` names the groups only, which helps nobody who has the command right."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    said = capsys.readouterr().err
    assert said.startswith(f"usage: {command} [-h]")
    assert f"\n{command}: error: unrecognized arguments: " in said


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_of_each_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what the command does, and shows one that the parser takes."""
    with pytest.raises(SystemExit, match="0"):
        main([*name.split(), "--help"])
    shown = capsys.readouterr().out
    assert "example: reactor " in shown
    assert re.match(r"usage: [^\n]+(\n +[^\n]+)*\n\n[A-Z]", shown)
    command = shlex.split(EXAMPLES[name])
    assert command[: len(name.split()) + 1] == ["reactor", *name.split()]
    assert callable(parser().parse_args(command[1:]).run)


def test_every_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """None was forgotten."""
    found: set[str] = set()
    groups = [""]
    for group in groups:
        main(group.split())
        commands = re.findall(r"^    (\w+)  ", capsys.readouterr().err, re.MULTILINE)
        named = {f"{group} {command}".strip() for command in commands}
        found |= named - (inner := {name for name in named if any(one.startswith(f"{name} ") for one in EXAMPLES)})
        groups += sorted(inner)
    assert found == set(EXAMPLES)


def test_a_file_without_rules_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that there are none, and in which file."""
    rules = write(tmp_path / "rules.yaml", "version: 1\nrules: []\n")
    assert main(["rules", "explain", "--rules", rules, "--event", str(FIRST / "event.json")]) == 0
    assert f"{rules} has no rules: nothing answers" in capsys.readouterr().err


def test_the_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    """No group needs to be named for it."""
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"reactor {version('ml-reactor')}\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_a_terminal_cannot_write_fails_nothing(encoding: str, tmp_path: Path) -> None:
    """Letters that its encoding lacks become question marks."""
    event = {
        "id": "1",
        "eventType": "사기-탐지",
        "subject": "모델 → 1",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": {},
    }
    file = write(tmp_path / "event.json", json.dumps(event | {"topic": "/subscriptions/s", "dataVersion": "1"}))
    command = [sys.executable, "-m", "cli.main", "rules", "explain", "--rules", str(FIRST / "rules.yaml")]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    done = subprocess.run([*command, "--event", file], check=False, capture_output=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (0, 0)
    assert b"?? ? 1" in done.stdout


def test_explain_takes_less_than_a_second() -> None:
    """With its start-up, as a command; counted in processor time, which does not depend on who else is busy."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    arguments = ["--rules", str(FIRST / "rules.yaml"), "--event", str(FIRST / "event.json")]
    subprocess.run(
        [sys.executable, "-m", "cli.main", "rules", "explain", *arguments], check=True, cwd=ROOT, capture_output=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1


def test_the_command_starts_light() -> None:
    """Help loads no rules engine, and a check without templates loads no Jinja2 and no Azure."""
    code = (
        "import sys; from cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'yaml', 'pydantic', 'shared'} & set(sys.modules)\n"
        f"main(['rules', 'check', {str(ROOT / 'rules.yaml')!r}])\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not {'jinja2', 'azure', 'requests'} & loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True)


def test_ctrl_c_stops_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whoever has enough is told that it stopped, and nothing of where the program was."""

    def interrupted(*_: object, **__: object) -> str:
        """Be stopped while a file is read."""
        raise KeyboardInterrupt

    for name in ("read_text", "read_bytes", "open"):
        monkeypatch.setattr(Path, name, interrupted)
    assert main(["rules", "check", str(tmp_path / "rules.yaml")]) == 130
    assert capsys.readouterr().err == "reactor: stopped\n"
