"""`reactor vision publish|unpublish|export|prune|replicate|dataset` against the simulated service: steps, by hand."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.steps import Steps
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY, PREDICTION_KEY
from shared.clients import Clients
from shared.clients.vision import Iteration, Training
from shared.errors import PermanentError
from shared.handlers import ACTIONS
from shared.handlers.vision.iterations import names_lock
from shared.handlers.vision.publish.taking import GOES_BACK
from shared.stages import find_handler
from shared.storage.locks import Locks
from tests.integration.test_cli_vision import FRUIT, RULES, account, answers, at, clients, run, settings, told
from tests.integration.test_cli_vision_projects import PREDICTION
from tests.integration.test_clients_vision_images import picture

__all__ = ["account", "clients", "settings"]
PUBLISHES = RULES.replace(
    "rules: []",
    f'    prediction: {{resource: "{PREDICTION}", endpoint: "${{SIMULATOR_VISION}}", key: "${{MY_PREDICTION_KEY}}"}}\n'
    "rules: []",
)


@pytest.fixture
def fruit(clients: Clients, simulators: Simulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a project with images and a model of them, and a prediction resource."""
    (tmp_path / "rules.yaml").write_text(PUBLISHES, "utf-8")
    monkeypatch.setenv("MY_PREDICTION_KEY", PREDICTION_KEY)
    simulators.vision.seed(
        projects=[{"id": FRUIT, "name": "fruit", "images": {"count": 20, "tags": ["apple", "pear"]}}],
        settings={"training_seconds": 0.05, "export_seconds": 0.05},
    )
    train(clients, simulators)


def train(clients: Clients, simulators: Simulators) -> str:
    """Train once more; gives the iteration's id."""
    begun = clients.vision.iterations.train(at(simulators), FRUIT, Training(force=True))
    assert isinstance(begun, Iteration)
    simulators.vision.until(lambda state: state["projects"][0]["iterations"][begun.id]["status"] == "Completed")
    return begun.id


def named(clients: Clients, simulators: Simulators) -> dict[str, str]:
    """Give the name that each iteration is published under."""
    return {one.id: one.publish_name for one in clients.vision.iterations.list(at(simulators), FRUIT)}


def test_the_last_iteration_is_published(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tried out before, and asked after."""
    last = train(clients, simulators)
    assert run("publish", "fruit", "--name", "live") == 0
    said = capsys.readouterr().out
    assert "is published as live, and answers\n" in said
    assert "`reactor vision predict FILE --project fruit --name live` asks it" in said
    assert named(clients, simulators)[last] == "live"
    assert len(simulators.vision.seen("POST", "/quicktest/")) == 3
    assert len(simulators.vision.seen("POST", "/prediction/")) == 1


def test_an_iteration_is_published_by_its_name_or_id(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not there is told, with those that are."""
    [first] = clients.vision.iterations.list(at(simulators), FRUIT)
    train(clients, simulators)
    assert run("publish", "fruit", "--name", "live", "--iteration", "Iteration 9") == 1
    assert 'fruit has no iteration Iteration 9 (did you mean "Iteration' in capsys.readouterr().err
    assert told(capsys, "publish", "fruit", "--name", "live", "--iteration", first.name)["iteration"] == first.id
    assert run("publish", "fruit", "--name", "live", "--iteration", first.id.upper()) == 0


def test_an_older_iteration_is_live_again_where_a_person_says_so(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """By mistake it is refused, with the option that does it; the name is never without a model in between."""
    [first] = clients.vision.iterations.list(at(simulators), FRUIT)
    last = train(clients, simulators)
    assert run("publish", "fruit", "--name", "live") == 0
    back = ("publish", "fruit", "--name", "live", "--iteration", "Iteration 1")
    assert run(*back) == 1
    said = capsys.readouterr().err
    assert "Iteration 2, which was trained later than Iteration 1, is published as live" in said
    assert "--older puts Iteration 1 in its place" in said
    assert named(clients, simulators)[last] == "live"
    assert told(capsys, *back, "--older")["previous"] == last
    assert named(clients, simulators) == {first.id: "live", last: ""}
    assert [one for one in simulators.vision.seen("DELETE") if "/publish" in one["url"]] == []
    assert run(*back) == 0  # it is live, and stays so


def test_an_older_iteration_that_does_not_answer_gives_the_name_back(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the newer one, which had it."""
    last = train(clients, simulators)
    assert run("publish", "fruit", "--name", "live") == 0
    answer = {"status": 400, "body": {"code": "BadRequestInvalid", "message": "no"}}
    simulators.vision.fault("error", method="POST", path="/prediction/", n=99, **answer)
    back = ("publish", "fruit", "--name", "live", "--iteration", "Iteration 1", "--older", "--within", "1s")
    assert run(*back) == 1
    assert "Iteration 2 is published as live as before" in capsys.readouterr().err
    assert named(clients, simulators)[last] == "live"


@pytest.mark.parametrize("name", [GOES_BACK, "older"])
def test_no_rule_goes_back(name: str) -> None:
    """What a person says is no parameter of the step."""
    handler = find_handler(ACTIONS, "publish.vision")
    given = {"project": "fruit", "name": "live", "iteration": FRUIT}
    assert handler.parse(given)
    with pytest.raises(PermanentError, match=name):
        handler.parse({**given, name: True})


def test_a_name_is_taken_away_once_that_is_confirmed(
    fruit: None,
    clients: Clients,
    simulators: Simulators,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was published stays an iteration, and the hint brings it back."""
    assert run("publish", "fruit", "--name", "live") == 0
    assert run("unpublish", "fruit", "--name", "liv") == 1
    assert 'nothing published as "liv" (did you mean "live"?); published are live' in capsys.readouterr().err
    answers(monkeypatch, "n\n")
    assert run("unpublish", "fruit", "--name", "live") == 1
    assert "unpublish Iteration 1? Who asks fruit for live gets no answer then." in capsys.readouterr().err
    assert [*named(clients, simulators).values()] == ["live"]
    answers(monkeypatch, "y\n")
    assert run("unpublish", "fruit", "--name", "live") == 0
    [(first, name)] = named(clients, simulators).items()
    assert name == ""
    hint = f"reactor vision publish fruit --name live --iteration {first}"
    assert hint in capsys.readouterr().out
    assert run(*hint.split()[2:]) == 0
    assert told(capsys, "unpublish", "fruit", "--name", "live", "--yes")["iteration"] == first
    assert run("unpublish", "fruit", "--name", "live", "--yes") == 1
    assert "nothing is" in capsys.readouterr().err


def test_a_name_stays_while_an_action_publishes(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What that found published is what it gives the name back to."""
    assert run("publish", "fruit", "--name", "live") == 0
    by = uuid4().hex
    lock, now = names_lock(FRUIT), datetime.now(UTC)
    assert Locks(clients.account).hold(lock, by, now, lambda _: False, timedelta(minutes=5)) == ""
    capsys.readouterr()
    assert run("unpublish", "fruit", "--name", "live", "--yes") == 1
    assert f"action {by[:8]} publishes an iteration of fruit" in capsys.readouterr().err
    Locks(clients.account).let_go(lock, by, now)
    assert [*named(clients, simulators).values()] == ["live"]
    assert run("unpublish", "fruit", "--name", "live", "--yes") == 0


def test_a_second_name_says_how_the_first_is_taken_away(
    fruit: None, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    """An iteration has one name only."""
    assert run("publish", "fruit", "--name", "live") == 0
    assert run("publish", "fruit", "--name", "other") == 1
    assert "`reactor vision unpublish fruit --name live`" in capsys.readouterr().err


def test_a_model_that_does_not_answer_gives_the_name_back(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was published before is published again, as the app does it."""
    assert run("publish", "fruit", "--name", "live") == 0
    [first] = clients.vision.iterations.list(at(simulators), FRUIT)
    train(clients, simulators)
    answer = {"status": 400, "body": {"code": "BadRequestInvalid", "message": "no"}}
    simulators.vision.fault("error", method="POST", path="/prediction/", n=99, **answer)
    capsys.readouterr()
    assert run("publish", "fruit", "--name", "live", "--within", "1s") == 1
    said = capsys.readouterr().err
    assert "the prediction resource does not answer as it should" in said
    assert "Iteration 1 is published as live as before" in said.replace('"', "")
    assert {id for id, name in named(clients, simulators).items() if name == "live"} == {first.id}


def test_publishing_needs_a_prediction_resource(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says where it is declared, or given."""
    assert run("publish", "fruit", "--name", "live") == 2
    assert "declare `prediction` with the project" in capsys.readouterr().err
    assert run("publish", FRUIT, "--endpoint", simulators.vision.url, "--name", "live") == 2
    assert "--prediction gives its ARM id" in capsys.readouterr().err


def test_a_project_by_its_id_is_published_by_options_alone(
    fruit: None,
    clients: Clients,
    simulators: Simulators,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Keys come from the environment; and the command that it names asks what was published, as it stands there."""
    monkeypatch.setenv("REACTOR_VISION_KEY", KEY)
    options = ["--endpoint", simulators.vision.url, "--prediction", PREDICTION]
    options += ["--prediction-endpoint", simulators.vision.url, "--prediction-key-setting", "MY_PREDICTION_KEY"]
    assert run("publish", FRUIT, *options, "--name", "live") == 0
    assert list(named(clients, simulators).values()) == ["live"]
    [hint] = [line for line in capsys.readouterr().out.splitlines() if line.endswith("` asks it")]
    Path("apple.png").write_bytes(picture((200, 30, 30)))
    asked = hint.strip("`").removesuffix("` asks it").replace("FILE", "apple.png")
    assert run(*asked.split()[2:]) == 0  # without the ARM id, which is for publishing
    assert "apple.png: " in capsys.readouterr().out


def test_an_iteration_is_exported(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each platform and flavor, and once only."""
    assert run("connect", "fruit", "--within", "5s") == 0
    options = ["--platform", "ONNX", "--platform", "TensorFlow/TensorFlowLite"]
    exported = told(capsys, "export", "fruit", *options)
    assert "sig=" not in json.dumps(exported)
    exports = exported["exports"]
    assert sorted((one["platform"], one["flavor"]) for one in exports) == [
        ("ONNX", None), ("TensorFlow", "TensorFlowLite"),
    ]  # fmt: skip
    assert run("export", "fruit", *options) == 0
    assert "/exports\n" in capsys.readouterr().out
    assert len(simulators.vision.seen("POST", "/export")) == 2
    assert run("export", "fruit", "--platform", "Lotus") == 1
    assert "cannot be exported to Lotus" in capsys.readouterr().err


def test_old_iterations_are_deleted_once_that_is_confirmed(
    fruit: None,
    clients: Clients,
    simulators: Simulators,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which ones is shown first."""
    assert run("publish", "fruit", "--name", "live") == 0
    train(clients, simulators)
    last = train(clients, simulators)
    answers(monkeypatch, "n\n")
    capsys.readouterr()
    assert run("prune", "fruit", "--keep", "1") == 1
    said = capsys.readouterr().err
    assert "delete 1 iteration: " in said
    assert "nothing was deleted" in said
    assert len(named(clients, simulators)) == 3
    answers(monkeypatch, "y\n")
    assert run("prune", "fruit", "--keep", "1") == 0
    assert capsys.readouterr().out.endswith(" deleted\n")
    left = named(clients, simulators)
    assert (len(left), left[last], "live" in left.values()) == (2, "", True)
    capsys.readouterr()
    assert run("prune", "fruit", "--keep", "0", "--yes") == 2
    assert capsys.readouterr().err == "reactor: --keep: must be at least 1, not 0\n"
    assert run("publish", "fruit", "--name", "live", "--sample", "apple.png") == 2
    assert capsys.readouterr().err == 'reactor: --sample: must be the URL of an image, not "apple.png"\n'


def test_what_nobody_was_asked_about_is_not_deleted(
    fruit: None,
    clients: Clients,
    simulators: Simulators,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A training that ends while a person thinks makes another iteration an old one."""
    train(clients, simulators)
    asked = []

    def think(question: str) -> bool:
        asked.append(question)
        train(clients, simulators)
        return True

    monkeypatch.setattr("cli.ml.telling.confirmed", think)
    assert run("prune", "fruit", "--keep", "1") == 0
    assert asked == ["delete 1 iteration: Iteration 1?"]
    said = capsys.readouterr().out
    assert said.endswith("Iteration 2 stays: nobody was asked about it\nIteration 1 deleted\n")
    left = sorted(one.name for one in clients.vision.iterations.list(at(simulators), FRUIT))
    assert left == ["Iteration 2", "Iteration 3"]


def test_where_there_was_nothing_to_ask_about_nothing_is_deleted(
    fruit: None, clients: Clients, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though there is something to delete by the time it is looked at again."""
    perform = Steps.perform

    def then_train(steps: Steps, *given: Any, **more: Any) -> Any:
        found = perform(steps, *given, **more)
        train(clients, simulators)
        return found

    monkeypatch.setattr(Steps, "perform", then_train)
    assert run("prune", "fruit", "--keep", "1") == 0
    assert "Iteration 1" in {one.name for one in clients.vision.iterations.list(at(simulators), FRUIT)}


def test_what_is_in_use_by_now_stays_though_it_was_confirmed(
    fruit: None, clients: Clients, simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody published it while a person thought."""
    train(clients, simulators)

    def think(_question: str) -> bool:
        return run("publish", "fruit", "--name", "live", "--iteration", "Iteration 1") == 0

    monkeypatch.setattr("cli.ml.telling.confirmed", think)
    assert run("prune", "fruit", "--keep", "1") == 0
    assert "live" in named(clients, simulators).values()


def test_a_model_is_kept_without_an_app(
    fruit: None, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is not exported is refused with the command that does it, and the container is made."""
    assert run("connect", "fruit", "--within", "5s") == 0
    assert run("backup", "fruit") == 1
    said = capsys.readouterr().err
    [(first, _)] = named(clients, simulators).items()
    hint = f"reactor vision export fruit --iteration {first} --platform ONNX"
    assert f"is not exported, and only that can be kept: `{hint}`" in said
    assert run(*hint.split()[2:]) == 0
    kept = told(capsys, "backup", "fruit")
    assert [folder.split("/")[:3] for folder in kept["stored"]] == [[FRUIT, first, "ONNX"]]
    assert [one.iteration for one in clients.backups.own.list(FRUIT) if one.is_whole] == [first]
    assert run("backup", "fruit", "--iteration", "Iteration 1") == 0
    assert f"  kept    {kept['stored'][0]}" in capsys.readouterr().out
    assert run("backup", "fruit", "--second", "${NO_SUCH_SETTING}") == 2
    assert "--second: " in capsys.readouterr().err


def test_the_labelled_images_are_kept(fruit: None, clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    """As files of the backup container."""
    dataset = told(capsys, "dataset", "fruit")
    assert (dataset["images"], dataset["project"]) == (20, FRUIT)
    assert dataset["coco"].startswith("http")
    state = told(capsys, "status", "fruit")[0]
    assert state["images"] == 20


def test_a_project_is_copied_to_its_replica(
    fruit: None,
    simulators: Simulators,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As many images arrive as there are here."""
    replica = (
        f'    replica: {{training: {{endpoint: "{simulators.vision_replica.url}", key: "${{MY_KEY}}"}}}}\nrules: []'
    )
    (tmp_path / "rules.yaml").write_text(PUBLISHES.replace("rules: []", replica), "utf-8")
    monkeypatch.setenv("MY_KEY", KEY)
    simulators.vision.seed(settings={"import_seconds": 0.05})
    simulators.vision_replica.seed(settings={"import_seconds": 0.05})
    assert run("replicate", "fruit", "--name", "fruit-copy") == 0
    said = capsys.readouterr().out
    [copy] = simulators.vision_replica.state()["projects"]
    assert copy["image_count"] == 20
    assert f"the copy: {copy['name']} ({copy['id']}), at {simulators.vision_replica.url}" in said
    assert copy["name"].startswith("fruit-copy ")
    assert "20 images, 2 tags" in said


def test_a_copy_needs_somewhere_to_go(fruit: None, simulators: Simulators, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to declare."""
    assert run("replicate", "fruit") == 2
    assert "fruit has no replica: declare `replica` with the project" in capsys.readouterr().err
    assert simulators.vision.seen("GET", "/export") == []


def test_a_project_of_which_nothing_is_trained_says_so(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no last iteration then."""
    simulators.vision.seed(projects=[{"id": FRUIT, "name": "fruit"}])
    assert run("export", "fruit", "--platform", "ONNX") == 1
    assert "fruit has no trained iteration: `reactor vision train` trains one" in capsys.readouterr().err
    assert run("export", str(uuid4()), "--platform", "ONNX") == 1
