"""What the app has to be allowed is said by what is declared, with the roles that allow it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import main
from cli.rules.roles import (
    COMPUTE,
    DATA_SCIENTIST,
    FACTORY,
    LADDERS,
    READER,
    VISION_CONTRIBUTOR,
    VISION_DEPLOYMENT,
    VISION_READER,
    VISION_TRAINER,
    Role,
    allows,
    covering,
)
from shared.handlers import ACTIONS
from shared.permissions import CHANNELS, Permission
from shared.rules.grants import stated

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
ML = f"{SUBSCRIPTION}/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces"
WORKSPACES = "Microsoft.MachineLearningServices/workspaces"
PREDICTION = f"{SUBSCRIPTION}/resourceGroups/ml/providers/Microsoft.CognitiveServices/accounts/fruit-p"
CUSTOM_VISION = "Microsoft.CognitiveServices/accounts/CustomVision"
HEAD = f"""version: 1
workspaces: {{fraud: {ML}/Fraud, credit: "${{CREDIT}}"}}
factories: {{etl: {SUBSCRIPTION}/resourceGroups/ml/providers/Microsoft.DataFactory/factories/etl}}
vision:
  fruit:
    project: 3f2504e0-4f89-41d3-9a0c-0305e82c3301
    training: {{endpoint: "https://fruit.example"}}
    prediction: {{resource: {PREDICTION}, endpoint: "https://fruit-p.example"}}
    replica: {{training: {{endpoint: "https://fruit-2.example"}}}}
  keyed:
    project: 3f2504e0-4f89-41d3-9a0c-0305e82c3302
    training: {{endpoint: "https://keyed.example", key: "${{KEY}}"}}
    prediction: {PREDICTION}
    replica: {{training: {{endpoint: "https://keyed-2.example", key: "${{KEY}}"}}}}
    container: https://exports.blob.core.windows.net/models
language:
  bot:
    project: EmailApp
    primary: {{endpoint: "https://mail-we.example"}}
    secondary: {{endpoint: "https://mail-ne.example"}}
    deployments: [production]
  keyed-bot:
    project: Faq
    primary: {{endpoint: "https://mail-we.example", key: "${{KEY}}"}}
    secondary: {{endpoint: "https://mail-ne.example", key: "${{KEY}}"}}
    deployments: [production]
channels:
  mail: {{kind: email, to: [a@example.com]}}
  topic: {{kind: event_grid, endpoint: "https://topic.example/api/events"}}
  keyed-topic: {{kind: event_grid, endpoint: "https://keyed.example/api/events", key: "${{KEY}}"}}
  queue: {{kind: queue, url: "https://a.queue.core.windows.net/q"}}
  signed: {{kind: queue, url: "https://a.queue.core.windows.net/q?sig=${{SIG}}"}}
  chat: {{kind: slack, url: "${{SLACK}}"}}
  owners: {{kind: route, by: run.experiment, begins_with: {{a: mail, b: topic}}, otherwise: chat}}
rules:
"""


def needed(tmp_path: Path, capsys: pytest.CaptureFixture[str], *rules: str) -> dict[tuple[str, str], Any]:
    """Ask the command for what rules need, by scope and name."""
    file = tmp_path / "rules.yaml"
    file.write_text(HEAD + "".join(f"  - {rule}\n" for rule in rules), "utf-8")
    assert main(["rules", "permissions", str(file), "--json"]) == 0
    return {(one["scope"], one["name"]): one for one in json.loads(capsys.readouterr().out)}


def actions(grant: Any) -> set[str]:
    """Name what is needed on one thing."""
    return {one["action"] for one in grant["actions"]}


FRUIT = {("vision", "fruit")}
BOT = {("language", "bot"), ("language_secondary", "bot")}
PUBLISHED = FRUIT | {("vision_prediction", "fruit")}
GATE = "gate: {where: {model.name: {StringIn: [a]}}}"


@pytest.mark.parametrize(
    ("rule", "scopes"),
    [
        (f"on: ModelRegistered, do: [{GATE}]", {("workspace", "fraud"), ("workspace", "credit")}),
        (f"on: ModelRegistered, from: credit, do: [{GATE}]", {("workspace", "credit")}),
        (f"on: ModelRegistered, mode: off, do: [{GATE}]", set()),
        ("on: ModelRegistered, do: [forward: {to: topic}]", {("topic", "topic")}),
        ("on: ModelRegistered, do: [forward: {to: keyed-topic}]", set()),
        ("on: ModelRegistered, do: [forward: {to: queue}]", {("queue", "queue")}),
        ("on: ModelRegistered, do: [forward: {to: signed}]", set()),
        ("on: RunFailed, do: [approval: {by: [a], channel: chat}]", set()),
        ("on: RunFailed, do: [approval: {by: [a], channel: owners}]", {("mail", "mail"), ("topic", "topic")}),
        ("on: ExportCompleted, do: [backup.vision_export]", {("vision", "fruit"), ("storage", "keyed")}),
        ("on: ExportCompleted, from: fruit, do: [backup.vision_export]", {("vision", "fruit")}),
        ("on: ExportCompleted, from: keyed, do: [backup.vision_export]", {("storage", "keyed")}),
        ("on: ExportCompleted, do: [backup.vision_export: {project: keyed}]", FRUIT | {("storage", "keyed")}),
        (
            "on: ExportCompleted, from: keyed, do: [backup.vision_export: {second: 'https://a.blob.core.windows.net/b'}]",
            {("storage", "keyed"), ("second_storage", "")},
        ),
        (
            "on: RunFailed, do: [prune.backups: {project: fruit, second: 'https://a.blob.core.windows.net/b?sig=a'}]",
            FRUIT,
        ),
        ("on: TrainingCompleted, from: fruit, do: [publish.vision: {name: a}]", PUBLISHED),
        ("on: TrainingCompleted, from: keyed, do: [publish.vision: {name: a}]", set()),
        ("on: RunFailed, do: [replicate.vision: {project: fruit}]", FRUIT | {("vision_replica", "fruit")}),
        ("on: RunFailed, do: [replicate.vision: {project: keyed}]", set()),
        ("on: ReplicaOutdated, from: bot, do: [forward: {to: signed}]", BOT),
        ("on: DeploymentNearExpiry, do: [forward: {to: signed}]", BOT),
        ("on: ReplicaOutdated, from: keyed-bot, do: [replicate.language]", set()),
        ("on: RunFailed, do: [replicate.language: {project: EmailApp}]", BOT),
        ("on: RunFailed, do: [backup.language: {project: bot}]", {("language", "bot")}),
    ],
)
def test_what_is_needed_is_said_for_what_the_steps_name(
    rule: str, scopes: set[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step needs it on what it names, else on what its events come from; where a key or a SAS does it, nowhere."""
    assert needed(tmp_path, capsys, f"{{name: a, {rule}}}").keys() == scopes


@pytest.mark.parametrize(
    ("rule", "scopes"),
    [
        ("on: RunFailed, from: fraud, do: [alert: {channel: chat}]", {("workspace", "fraud")}),
        ("on: TrainingFailed, from: fruit, do: [alert: {channel: chat}]", FRUIT),
        (
            "on: ActionFailed, do: [alert: {channel: chat}]",
            FRUIT | {("workspace", "fraud"), ("workspace", "credit")},
        ),
        ("on: TrainingCompleted, from: fruit, do: [gate: {metric: recall, at_least: 0.8}]", FRUIT),
        (
            f"on: TrainingCompleted, from: fruit, do: [{GATE[:-1]}, workspace: fraud, model: m, version: '1'}}]",
            FRUIT | {("workspace", "fraud"), ("workspace", "credit")},
        ),
    ],
)
def test_a_step_that_is_about_either_needs_what_its_event_is_about(
    rule: str, scopes: set[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run nothing is asked of Custom Vision, and of a training nothing of a workspace, unless the step says so."""
    assert needed(tmp_path, capsys, f"{{name: a, {rule}}}").keys() == scopes


def test_looking_for_what_was_missed_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a rule hears of a project, the schedule lists its iterations and exports, or says that it may not."""
    (grant,) = needed(
        tmp_path, capsys, "{name: a, on: TrainingFailed, from: fruit, do: [forward: {to: signed}]}"
    ).values()
    iterations = f"{CUSTOM_VISION}/projects/iterations"
    assert actions(grant) == {f"{iterations}/read", f"{iterations}/export/read"}
    assert {use["step"] for one in grant["actions"] for use in one["uses"]} == {""}
    assert all(one["optional"] for one in grant["actions"])


def test_an_action_tells_which_rules_need_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each use is listed with its rule and step; what every use can do without is optional."""
    rules = (
        f"{{name: one, on: ModelRegistered, from: fraud, do: [{GATE}]}}",
        f"{{name: two, on: ModelTagged, from: fraud, do: [{GATE.replace('{where', '{id: g, where')}]}}",
    )
    grant = needed(tmp_path, capsys, *rules)["workspace", "fraud"]
    assert grant["id"] == f"{ML}/Fraud"
    by_action = {one["action"]: one for one in grant["actions"]}
    versions = by_action[f"{WORKSPACES}/models/versions/read"]
    assert [(use["rule"], use["step"]) for use in versions["uses"]] == [("one", "gate"), ("two", "g"), ("two", "")]
    assert versions["optional"] is False
    assert f"{WORKSPACES}/models/read" in by_action
    assert grant["roles"] == [{"name": "Reader", "id": READER.id}]


def test_the_role_that_is_written_allows_just_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be given to `az role definition create`; a setting, or what is not known, has to be filled in."""
    found = needed(
        tmp_path,
        capsys,
        f"{{name: a, on: ModelTagged, where: {{model.name: {{StringIn: [a]}}}}, do: [{GATE}, forward: {{to: queue}}]}}",
    )
    role = found["workspace", "credit"]["custom_role"]
    assert role["AssignableScopes"] == ["${CREDIT}"]
    assert set(role["Actions"]) == actions(found["workspace", "credit"])
    assert f"{WORKSPACES}/models/read" not in role["Actions"]
    role = found["queue", "queue"]["custom_role"]
    assert role["Actions"] == []
    assert role["DataActions"] == list(CHANNELS["queue"].actions)
    assert role["AssignableScopes"] == ["<the resource id of the queue at https://a.queue.core.windows.net/q>"]


def test_it_is_shown_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each thing with its roles, each action with the rules and steps that need it, and how many things there are."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"{HEAD}  - {{name: a, on: ModelTagged, from: fraud, do: [{GATE}]}}\n", "utf-8")
    assert main(["rules", "permissions", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f"workspace fraud  {ML}/Fraud" in shown
    assert f"built-in: Reader ({READER.id})" in shown
    assert "a: gate, the schedule" in shown
    assert shown.endswith("1 scope to give roles on\n")
    file.write_text(f"{HEAD}  []\n", "utf-8")
    assert main(["rules", "permissions", str(file)]) == 0
    assert "the app needs nothing but its own storage" in capsys.readouterr().out


def test_a_file_that_is_not_in_order_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is told as the other commands tell it."""
    file = tmp_path / "rules.yaml"
    file.write_text(f"{HEAD}  - {{name: a, on: Nothing, do: [alert]}}\n", "utf-8")
    assert main(["rules", "permissions", str(file)]) == 1
    assert 'unknown kind "Nothing"' in capsys.readouterr().err


# -- roles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "is_allowed"),
    [
        ("read", True),
        ("onlineEndpoints/deployments/write", True),
        ("onlineendpoints/SCORE/action", True),
        ("write", False),
        ("delete", False),
        ("computes/read", True),
        ("computes/write", False),
        ("listKeys/action", False),
        ("onlineEndpoints/listKeys/action", True),
    ],
)
def test_a_data_scientist_may_do_all_but_what_the_role_leaves_out(action: str, *, is_allowed: bool) -> None:
    """The role's patterns mean what Azure's documentation says of it."""
    assert allows(DATA_SCIENTIST, f"{WORKSPACES}/{action}") == is_allowed


def test_the_least_roles_are_found() -> None:
    """Reading takes a reader; making a cluster takes two roles; where nothing does, there is none."""
    compute = f"{WORKSPACES}/computes/write"
    assert covering("workspace", [f"{WORKSPACES}/jobs/read"], []) == (READER,)
    assert covering("workspace", [f"{WORKSPACES}/jobs/write"], []) == (DATA_SCIENTIST,)
    assert covering("workspace", [f"{WORKSPACES}/jobs/write", compute], []) == (DATA_SCIENTIST, COMPUTE)
    assert covering("factory", ["Microsoft.DataFactory/factories/pipelines/createrun/action"], []) == (FACTORY,)
    assert covering("factory", [compute], []) == ()


@pytest.mark.parametrize(
    ("actions", "role"),
    [
        (("iterations/read", "images/*/read", "read"), VISION_READER),
        (("iterations/export/read", "iterations/export/action"), VISION_DEPLOYMENT),
        (("train/action", "iterations/delete"), VISION_TRAINER),
        (("export/read",), VISION_CONTRIBUTOR),
        (("action",), VISION_CONTRIBUTOR),
        (("import/action", "delete"), VISION_CONTRIBUTOR),
    ],
)
def test_a_role_does_not_cover_the_data_actions_that_it_leaves_out(actions: tuple[str, ...], role: Role) -> None:
    """Readers may read everything but a project's export, and trainers may not make or delete projects."""
    assert covering("vision", [], [f"{CUSTOM_VISION}/projects/{each}" for each in actions]) == (role,)


@pytest.mark.parametrize(
    ("rule", "roles"),
    [
        ("on: DeploymentNearExpiry, from: bot, do: [forward: {to: signed}]", ["Reader", "Reader"]),
        ("on: ReplicaOutdated, from: bot, do: [forward: {to: signed}]", ["Reader", "Reader"]),
        ("on: ReplicaOutdated, from: bot, do: [replicate.language]", ["Reader", "Owner"]),
    ],
)
def test_who_looks_needs_a_reader_and_who_replicates_an_owner_of_the_secondary(
    rule: str, roles: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exporting is reading; deploying and swapping is for owners alone."""
    found = needed(tmp_path, capsys, f"{{name: a, {rule}}}")
    names = [[role["name"] for role in found[scope, "bot"]["roles"]] for scope, _ in sorted(BOT)]
    assert names == [[f"Cognitive Services Language {role}"] for role in roles]
    exports = any("export/action" in action for action in actions(found["language", "bot"]))
    assert exports == ("ReplicaOutdated" in rule)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_step_states_what_it_needs_and_a_role_allows_it(action: str) -> None:
    """For each scope there are built-in roles that allow all of it, and every permission says what it is for."""
    by_scope: dict[str, list[Permission]] = {}
    for permission in stated(ACTIONS[action]):
        by_scope.setdefault(permission.scope, []).append(permission)
        assert permission.why
        assert permission.actions
    assert by_scope.keys() <= LADDERS.keys()
    for scope, needs in by_scope.items():
        plain = [each for one in needs if not one.is_data for each in one.actions]
        data = [each for one in needs if one.is_data for each in one.actions]
        assert covering(scope, plain, data), scope  # type: ignore[arg-type] # it is one of LADDERS
