"""`reactor rules test`: cases say what a rules file should do, and the command says where it does not."""

import json
from pathlib import Path

import pytest

from cli.main import main
from cli.rules.cases import find

ROOT = Path(__file__).parents[2]
WORKSPACE = "/subscriptions/1/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/fraud"
RULES = f"""version: 1
workspaces:
  fraud: {WORKSPACE}
  churn: "${{CHURN_WORKSPACE}}"
channels:
  oncall: {{kind: teams, url: "${{TEAMS_URL}}"}}
rules:
  - name: deploy
    on: ModelRegistered
    where: {{model.tags.stage: {{StringIn: ["${{STAGE}}"]}}}}
    do:
      - deploy.batch_endpoint: {{id: deploy, endpoint: fraud, compute: cpu}}
      - alert: {{channel: oncall, title: "{{{{ steps.deploy.live }}}} is live"}}
    on_failure:
      - alert: {{channel: oncall, title: "{{{{ failure.step }}}} failed", text: "{{{{ failure.reason }}}}"}}
  - name: tell
    on: RunFailed
    limit: {{cooldown: 24h, per: run.experiment}}
    do: [alert: {{channel: oncall, title: "{{{{ run.experiment }}}} failed"}}]
  - name: tell-together
    on: RunCompleted
    limit: {{digest: 10m}}
    do: [alert: {{channel: oncall, title: "{{{{ digest | length }}}} runs"}}]
  - name: tell-of-breaches
    on: DriftDetected
    mode: dry_run
    do: [alert: {{channel: oncall, title: "{{{{ drift.signal }}}}", severity: "{{{{ drift.monitor }}}}"}}]
"""
REGISTERED = "event: {kind: ModelRegistered, from: fraud, data: {modelTags: {stage: production}}}\n"
PRODUCTION = "settings: {STAGE: production}\n"


def case(folder: Path, text: str, name: str = "one") -> str:
    """Write a case below a rules file; give the folder."""
    (folder / "rules.yaml").write_text(RULES, "utf-8")
    (folder / "cases").mkdir(exist_ok=True)
    (folder / "cases" / f"{name}.yaml").write_text(text, "utf-8")
    return str(folder)


def problems(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Play a case that cannot be read; give its lines of errors, without the file's name."""
    assert main(["rules", "test", case(folder, text)]) == 2
    file = str(folder / "cases/one.yaml")
    return [line.removeprefix(f"{file}:") for line in capsys.readouterr().out.splitlines() if line.startswith(file)]


def differences(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Play a case that can be read; give what is not as it wants."""
    code = main(["rules", "test", "--json", case(folder, text)])
    document = json.loads(capsys.readouterr().out)
    (one,) = document["cases"]
    assert one["problems"] == []
    assert code == (1 if one["differences"] else 0)
    assert one["passed"] is not one["differences"]
    found: list[dict[str, object]] = one["differences"]
    return found


# -- what passes ------------------------------------------------------------------------------------------------------


def test_the_cases_of_every_example_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """Each example has cases, and its rules do what they say."""
    examples = {path.parent.name for path in (ROOT / "examples").glob("*/rules.yaml")}
    assert {path.parent.parent.name for path in find(ROOT / "examples")} == examples
    assert main(["rules", "test", str(ROOT / "examples")]) == 0
    assert f"{len(find(ROOT / 'examples'))} passed in " in capsys.readouterr().out


def test_steps_are_rendered_with_what_earlier_ones_gave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Named parameters are compared after rendering; those that are not named do not matter."""
    text = f"""{PRODUCTION}{REGISTERED}
steps: {{deploy: {{live: "fraud-gbm:12"}}}}
expect:
  deploy:
    - deploy.batch_endpoint: {{id: deploy, model: fraud-gbm}}
    - alert: {{title: "fraud-gbm:12 is live"}}
  tell: no
"""
    assert differences(tmp_path, text, capsys) == []


def test_without_results_their_templates_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that gives no results sees the templates that wait for them as they are written."""
    title = '"{{ steps.deploy.live }} is live"'
    text = f"{PRODUCTION}{REGISTERED}expect: {{deploy: [deploy.batch_endpoint, alert: {{title: {title}}}]}}\n"
    assert differences(tmp_path, text, capsys) == []


def test_a_failed_step_ends_the_steps_and_begins_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`failure` says which step fails: those after it are not done, `on_failure` is."""
    text = f"""{PRODUCTION}{REGISTERED}
failure: {{step: deploy, reason: no quota}}
expect:
  deploy:
    do: [deploy.batch_endpoint]
    on_failure: [alert: {{title: deploy failed, text: no quota}}]
"""
    assert differences(tmp_path, text, capsys) == []


def test_limits_see_time_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events follow each other on a clock of the case's own, each sample a new event."""
    text = """
events:
  - {event: {kind: RunFailed, from: fraud}, expect: {tell: [alert]}}
  - {after: 23h, event: {kind: RunFailed, from: fraud}, expect: {tell: {no: limit}}}
  - {event: {kind: RunFailed, from: fraud, data: {experimentName: other}}, expect: {tell: yes}}
  - {after: 1h, event: {kind: RunFailed, from: fraud}, expect: {tell: [alert: {title: fraud-train failed}]}}
"""
    assert differences(tmp_path, text, capsys) == []


def test_a_digest_acts_when_its_time_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An item without an event only lets time pass; the action then tells of all that came."""
    text = """
events:
  - {event: {kind: RunCompleted, from: fraud}, expect: {tell-together: no}}
  - {after: 1m, event: {kind: RunCompleted, from: fraud}, expect: {tell-together: {no: limit}}}
  - {after: 8m, expect: {tell-together: no}}
  - {after: 1m, expect: {tell-together: [alert: {title: 2 runs}]}}
"""
    assert differences(tmp_path, text, capsys) == []


@pytest.mark.parametrize(
    "event", ["../event.json", json.dumps(json.loads((ROOT / "tests/events/run_failed.json").read_text("utf-8")))]
)
def test_an_event_is_a_file_or_stands_in_the_case(
    event: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a door reads is taken: the array of one that Event Grid sends, too."""
    (tmp_path / "event.json").write_bytes((ROOT / "tests/events/run_failed.json").read_bytes())
    assert differences(tmp_path, f"event: {event}\nexpect: {{tell: {{no: from}}}}\n", capsys) == []


def test_rules_can_stand_in_the_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Inline rules are rules; their errors have the case's own lines."""
    inline = "\n".join(f"  {line}" for line in RULES.splitlines())
    good = f"rules:\n{inline}\nevent: {{kind: RunFailed, from: fraud}}\nexpect: {{tell: yes}}\n"
    assert differences(tmp_path, good, capsys) == []
    bad = good.replace("on: RunFailed", "on: RunFaild")
    line = bad.splitlines().index("      on: RunFaild") + 1
    found = problems(tmp_path, bad, capsys)
    assert f'{line}:11: error: unknown kind "RunFaild" (did you mean "RunFailed"?)' in found


# -- what does not pass -----------------------------------------------------------------------------------------------


def test_a_difference_says_what_was_expected_and_what_was_got(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """People get the line, the parameter and both values, and 1."""
    text = (
        "says: it is told\nevent: {kind: RunFailed, from: fraud}\nexpect:\n  tell:\n    - alert: {title: it failed}\n"
    )
    folder = case(tmp_path, text)
    assert main(["rules", "test", folder]) == 1
    shown = capsys.readouterr().out
    assert f"{folder}/cases\n  ✗ one  it is told\n" in shown
    assert (
        "one.yaml:5: tell: alert: title differs\n    - expected  it failed\n    + got       fraud-train failed\n"
        in shown
    )
    assert "\n1 case: 0 passed, 1 failed in " in shown
    assert "\033" not in shown


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{tell: no}", "it must not answer, and answers with alert"),
        ("{}", "it answers with alert, and the case does not expect it"),
        ("{tell: [alert, alert]}", "its steps are others"),
        (
            "{tell: yes, deploy: [alert]}",
            'it must answer, and does not: on StringIn ["ModelRegistered"]: it is ["RunFailed", "RunStatusChanged"]',
        ),
        ("{tell: [alert: {titel: x}]}", 'alert: titel is not given (did you mean "title"?)'),
        ("{tell: yes, deploy: {no: model.tags.stage}}", "it does not answer for another reason"),
        ("{tell: {on_failure: [alert]}}", "on_failure is expected: say under failure which step fails"),
    ],
)
def test_what_is_not_as_expected_is_said(
    expect: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each way to differ has its words, and the line of the case."""
    text = f"event: {{kind: RunFailed, from: fraud}}\nexpect: {expect}\n"
    found = differences(tmp_path, text, capsys)
    assert [one["line"] for one in found] == [2]
    assert message in str(found[0]["message"])


def test_others_may_be_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that is about one rule lets the others be."""
    text = "event: {kind: RunFailed, from: fraud}\nothers: allowed\nexpect: {deploy: no}\n"
    assert differences(tmp_path, text, capsys) == []


def test_parameters_are_checked_as_the_app_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a template becomes must fit the action, whether or not the case names it; a dry run is judged the same."""
    text = "event: {kind: DriftDetected, from: fraud}\nexpect: {tell-of-breaches: [alert]}\n"
    (found,) = differences(tmp_path, text, capsys)
    assert "alert cannot be done: severity: " in str(found["message"])


def test_a_result_that_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a case gives results, a template that needs another one cannot be filled in."""
    text = f"{PRODUCTION}{REGISTERED}steps: {{deploy: {{status: ok}}}}\nexpect: {{deploy: yes}}\n"
    (found,) = differences(tmp_path, text, capsys)
    assert 'step "deploy" gave no live' in str(found["message"])


def test_a_setting_that_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings come from the case alone, never from the environment."""
    found = differences(tmp_path, f"{REGISTERED}expect: {{deploy: yes}}\n", capsys)
    assert "the setting STAGE is not set" in str(found[0]["message"])


def test_an_event_that_came_before_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same event twice changes nothing, and a case that wants it to is told so."""
    item = "  - {event: {kind: ModelRegistered, from: fraud, id: a}, expect: {deploy: no}}\n"
    (found,) = differences(tmp_path, f"events:\n{item}{item.replace('{event', '{after: 1m, event')}", capsys)
    assert "this event came before" in str(found["message"])


# -- what cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: error: the file is empty"),
        ("evnt: {kind: RunFailed}\nexpect: {}\n", '1:1: error: unknown key "evnt" in a case (did you mean "event"?)'),
        ("event: {kind: RunFaild}\nexpect: {}\n", '1:15: error: unknown kind "RunFaild" (did you mean "RunFailed"?)'),
        (
            "event: {kind: RunFailed, form: fraud}\nexpect: {}\n",
            '1:26: error: unknown key "form" in an event of a kind',
        ),
        ("event: {kind: RunFailed}\n", '1:1: error: "expect" is missing'),
        ("event: {kind: RunFailed, from: fraud}\nexpect: {tel: no}\n", '2:1: error: the rules file has no rule "tel"'),
        ("event: {kind: RunFailed, from: froud}\nexpect: {}\n", '1:1: error: unknown source "froud"'),
        ("event: {kind: RunFailed}\nexpect: {}\n", "1:1: error: say which source it is from: fraud, churn"),
        ("event: {kind: RunFailed, from: churn}\nexpect: {}\n", "1:1: error: churn is known only by the setting CHURN"),
        ("event: {a: 1}\nexpect: {}\n", "1:1: error: no event: "),
        ("event: none.json\nexpect: {}\n", "1:1: error: cannot read none.json"),
        (
            "event: {kind: RunFailed}\nexpect: {tell: maybe}\n",
            '2:16: error: tell needs its steps, yes, no or missed, not "maybe"',
        ),
        ("event: {kind: RunFailed}\nexpect: {tell: [{a: 1, b: 2}]}\n", "2:17: error: a step is an action"),
        ("event: {kind: RunFailed}\nexpect: {tell: {du: []}}\n", '2:17: error: unknown key "du" in tell'),
        ("events: []\n", "1:9: error: events must be a list"),
        ("events:\n  - {after: 1 hour, expect: {}}\n", "2:13: error: after must be a duration"),
        ("event: {kind: RunFailed}\nothers: some\nexpect: {}\n", "2:9: error: others is refused or allowed"),
        ("rules: none.yaml\nevent: {kind: RunFailed}\nexpect: {}\n", "1:1: error: there is no rules file"),
        ("event: {kind: RunFailed}\nexpect: {tell: [alert: {title: {{ x }}}]}\n", "unquoted"),
        ("event: [\n", "error: "),
    ],
)
def test_a_bad_case_is_told_with_its_line(
    text: str, problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong with a case file stands at its line and column, and ends with 2."""
    assert any(problem in line for line in problems(tmp_path, text, capsys))


def test_errors_of_the_rules_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rules file with errors fails all its cases, and its errors stand there once."""
    for name in ("one", "two"):
        folder = case(tmp_path, "event: {kind: RunFailed, from: fraud}\nexpect: {tell: yes}\n", name)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES.replace("on: RunFailed", "on: RunFaild"), "utf-8")
    assert main(["rules", "test", folder]) == 1
    shown = capsys.readouterr().out
    assert shown.count(f"{rules}:17:9: error: unknown kind") == 1
    assert "2 cases: 0 passed, 2 failed" in shown


def test_without_a_case_there_is_nothing_to_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without cases, and one that is not there, are mistakes in the command."""
    assert main(["rules", "test", str(tmp_path)]) == 2
    assert "there are no cases in" in capsys.readouterr().err
    assert main(["rules", "test", str(tmp_path / "nowhere")]) == 2
    assert "there is no folder" in capsys.readouterr().err


EXPECTING = """rules:
  version: 1
  vision: {fruit: {project: 3f2504e0-4f89-41d3-9a0c-0305e82c3301, training: {endpoint: "https://fruit.example"}}}
  channels: {oncall: {kind: teams, url: "${TEAMS_URL}"}}
  rules:
    - {name: follows, on: TrainingCompleted, expect: {kind: ExportCompleted, within: 2m}}
    - name: missing
      on: ExpectationMissed
      do: [alert: {channel: oncall, title: "{{ expectation.rule }}: no {{ expectation.kind }}"}]
events:
  - {event: {kind: TrainingCompleted}, expect: {follows: yes}}
"""


@pytest.mark.parametrize(
    ("then", "differs"),
    [
        ("{after: 2m, expect: {follows: missed, missing: [alert: {title: 'follows: no ExportCompleted'}]}}", ""),
        ("{after: 119s, expect: {}}", ""),
        ("{after: 2m, event: {kind: ExportCompleted}, expect: {}}", ""),
        (
            "{after: 3m, event: {kind: ExportCompleted}, expect: {missing: [alert]}}",
            "no ExportCompleted followed within 2m, and the case does not expect that: write follows: missed",
        ),
        ("{after: 3m, expect: {follows: missed}}", "it answers with alert, and the case does not expect it"),
        ("{after: 1m, expect: {follows: missed}}", "what it expects must be missed, and is not"),
        ("{after: 1m, expect: {missing: yes}}", "it must answer, and does not: nothing is due now"),
        (
            "{event: {kind: TrainingCompleted}, expect: {}}",
            "it answers by expecting ExportCompleted within 2m,",
        ),
    ],
)
def test_expectations_are_played(then: str, differs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What should follow and does not is missed once its time is over, and rules answer that."""
    found = differences(tmp_path, f"{EXPECTING}  - {then}\n", capsys)
    assert [differs in str(one["message"]) for one in found] == ([True] if differs else [])


def test_fields_that_a_kind_does_not_have_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt field would test something else; an event as it comes over the wire may hold anything."""
    text = "event: {kind: RunFailed, from: fraud, data: {experimntName: a}}\nexpect: {}\n"
    found = problems(tmp_path, text, capsys)
    assert found[0].startswith(
        '1:46: error: a RunFailed has no data.experimntName (did you mean "experimentName"?); it'
    )
    text = "event: {kind: ExpectationMissed, facts: {expectation.rule: x}}\nexpect: {}\n"
    assert problems(tmp_path, text, capsys) == ["1:42: error: write facts: {expectation: {rule: …}}"]
    wire = json.loads((ROOT / "tests/events/run_failed.json").read_text("utf-8"))
    (wire[0] if isinstance(wire, list) else wire)["data"]["further"] = 1
    assert differences(tmp_path, f"event: {json.dumps(wire)}\nexpect: {{}}\n", capsys) == []


def test_an_outcome_is_not_played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every action succeeds at once, so whoever wants another outcome gives it."""
    text = EXPECTING.replace("on: ExpectationMissed", "on: ActionFailed").replace("expectation.", "action.")
    found = differences(tmp_path, f"{text}  - {{after: 1m, expect: {{missing: yes}}}}\n", capsys)
    assert "a case plays no outcomes: give the ActionFailed as an event of its own" in str(found[0]["message"])


def test_verbose_tells_what_was_done_and_why_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --verbose each case shows its steps as rendered and the first thing against every other rule."""
    folder = case(tmp_path, "event: {kind: RunFailed, from: fraud}\nexpect: {tell: yes}\n")
    assert main(["rules", "test", "--verbose", "--rules", f"{folder}/rules.yaml", folder]) == 0
    shown = capsys.readouterr().out
    assert "line 1: RunFailed, RunStatusChanged  experiments/" in shown
    assert (
        "yes  tell\n             alert\n               channel  oncall\n               title    fraud-train failed"
        in shown
    )
    assert "3 rules listen to other kinds" in shown
