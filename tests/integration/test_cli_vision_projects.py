"""`reactor vision create|delete|status` against the simulated service: a project from its first day to its last."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.vision import create as vision_create
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients import Clients
from shared.clients.vision import NewImage
from shared.handlers import ACTIONS
from shared.rules import load
from tests.integration.test_cli_vision import (
    FRUIT,
    RULES,
    account,
    answers,
    at,
    clients,
    own_queue,
    run,
    settings,
    told,
)
from tests.integration.test_clients_vision_images import picture

__all__ = ["account", "clients", "settings"]
PREDICTION = "/subscriptions/s/resourceGroups/r/providers/Microsoft.CognitiveServices/accounts/fruit-Prediction"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for what is not answered."""
    monkeypatch.setattr(vision_create, "PATIENCE", 0.01)


def projects(simulators: Simulators) -> dict[str, Any]:
    """Give the projects by name, as the service has them."""
    return {one["name"]: one for one in simulators.vision.state()["projects"]}


# -- create -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["query", "body"])
def test_a_project_is_made_as_it_is_wanted(
    form: str, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """By either documented form of the request, and connected to the app."""
    options = (
        f"--description Pears --domain general(compact) --classification-type multilabel --platform onnx --form {form}"
    )
    made = told(capsys, "create", "pear", *options.split())
    kept = projects(simulators)["pear"]
    assert kept["id"] == made["id"]
    assert kept["description"] == "Pears"
    wanted = {"classificationType": "Multilabel", "targetExportPlatforms": ["ONNX"]}
    assert {name: kept["settings"][name] for name in wanted} == wanted
    assert kept["settings"]["notificationQueueUri"] == own_queue(clients)
    assert kept["settings"]["exportModelContainerUri"].endswith("/exports")
    [asked] = simulators.vision.seen("POST", "/projects")
    assert ("notificationQueueUri=" in asked["url"]) == (form == "query")
    assert simulators.vision.seen("PATCH") == []


def test_what_is_printed_declares_it(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The lines are part of a rules file, and the next command finds the project by them."""
    assert run("create", "Sweet Pears!") == 0
    said = capsys.readouterr().out
    id = projects(simulators)["Sweet Pears!"]["id"]
    assert said.startswith(f"made Sweet Pears! ({id}): General (compact), Multiclass\n")
    lines = said.split("\n", 2)[2]
    rules = load(f"version: 1\n{lines}rules: []\n", ACTIONS, "rules.yaml")
    assert rules.declared.vision["sweet-pears"].project == id
    (tmp_path / "rules.yaml").write_text(f"version: 1\n{lines}rules: []\n", "utf-8")
    assert run("status", "sweet-pears") == 0


def test_a_detector_is_made(clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]) -> None:
    """Its type alone chooses the compact domain that detects; it classifies nothing."""
    made = told(capsys, "create", "shelf", "--type", "detection", "--no-queue", "--no-container")
    assert (made["classification"], made["domain_name"], made["queue"]) == (None, "General (compact)", "")
    assert run("create", "shelves", "--type", "detection", "--classification-type", "multilabel") == 2
    assert "detects objects, and classifies nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ("--domain", "General (compct)"),
            'there is no General (compct) (did you mean "General (compact)"?); there is',
        ),
        (("--domain", "Food", "--platform", "ONNX"), "Food exports nothing; choose a compact domain"),
        (("--domain", "Logo", "--type", "classification"), "Logo is of the type ObjectDetection, and --type is"),
        (("--platform", "Lotus"), "is not exported to Lotus, but to"),
        (("--beside", "frut"), 'there is no project "frut" (did you mean "fruit"?)'),
    ],
)
def test_what_cannot_be_made_is_said_first(
    options: tuple[str, ...], why: str, clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked of the service but what there is."""
    assert run("create", "pear", *options) == 2
    assert why in capsys.readouterr().err
    assert simulators.vision.seen("POST", "/projects") == []


def test_a_name_that_is_there_is_not_made_again(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be the one whose creation was not answered: its id is told."""
    assert run("create", "fruit") == 1
    assert f"fruit is there already: {FRUIT}" in capsys.readouterr().err
    assert len(projects(simulators)) == 1


def test_an_unanswered_creation_is_found_by_its_name(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not repeated."""
    simulators.vision.fault("lost_reply", method="POST", path="/projects$")
    made = told(capsys, "create", "pear")
    assert projects(simulators)["pear"]["id"] == made["id"]
    assert len(projects(simulators)) == 2
    assert len(simulators.vision.seen("POST", "/projects")) == 1


def test_a_creation_that_never_arrived_is_left_to_a_person(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is there, and the same command makes it."""
    simulators.vision.fault("drop", method="POST", path="/projects$")
    assert run("create", "pear") == 1
    assert "the service did not answer, and shows no pear" in capsys.readouterr().err
    assert run("create", "pear") == 0


def test_an_answer_without_the_places_is_followed_by_a_change(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that does not know that form makes the project without them."""
    simulators.vision.seed(projects=[{"id": (id := str(uuid4())), "name": "pear (1)"}])
    answer = {"id": id, "name": "pear", "description": "", "settings": {}, "status": "Succeeded"}
    simulators.vision.fault("error", method="POST", path="/projects$", status=200, body=answer)
    assert run("create", "pear") == 1  # what was made is called otherwise, which is told
    said = capsys.readouterr()
    assert "the service did not take the queue and the container; set once more" in said.err
    assert f"{id} is made, with name 'pear (1)' instead of 'pear'" in said.err
    assert f"project: {id}" in said.out
    assert projects(simulators)["pear (1)"]["settings"]["notificationQueueUri"] == own_queue(clients)


def test_a_missing_role_leaves_nothing_made(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, with the command that gives it."""
    simulators.vision.seed(settings={"roles_missing": ["container"]})
    assert run("create", "pear") == 1
    said = capsys.readouterr().err
    assert "pear was not made" in said
    assert 'az role assignment create --role "Storage Blob Data Contributor"' in said
    assert "pear" not in projects(simulators)


# -- delete -----------------------------------------------------------------------------------------------------------


def seed_trained(simulators: Simulators) -> None:
    """Have two iterations in the project, one of them published."""
    newest = {"id": str(uuid4()), "name": "Iteration 2", "publishName": "live", "originalPublishResourceId": PREDICTION}
    iterations = [{"id": str(uuid4()), "name": "Iteration 1", "exports": [{"platform": "ONNX"}]}, newest]
    simulators.vision.seed(
        projects=[
            {"id": FRUIT, "name": "fruit", "images": {"count": 10, "tags": ["apple", "pear"]}, "iterations": iterations}
        ]
    )


def test_a_project_is_deleted_with_what_is_in_it(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once that is confirmed: what is published is named, taken away first, and nothing is left."""
    seed_trained(simulators)
    assert run("delete", "fruit") == 2
    assert "Say --yes" in capsys.readouterr().err
    answers(monkeypatch, "n\n")
    assert run("delete", "fruit") == 1
    assert (
        "NOT BACKED UP: 2 of 2 models, 10 of 10 images; "
        f"delete fruit ({FRUIT}), its 2 iterations and 10 images; published: live?" in capsys.readouterr().err
    )
    assert simulators.vision.seen("DELETE") == []
    assert run("dataset", "fruit") == 0
    answers(monkeypatch, "n\n")
    assert run("delete", "fruit") == 1
    assert "\nNOT BACKED UP: 2 of 2 models; delete fruit (" in capsys.readouterr().err
    answers(monkeypatch, "y\n")
    assert run("delete", "fruit") == 0
    assert projects(simulators) == {}
    gone = [one["url"].rsplit("/", 1)[-1] for one in simulators.vision.seen("DELETE")]
    assert (gone[0], len(gone), gone[-1]) == ("publish", 4, FRUIT)
    assert run("delete", "fruit", "--yes") == 1
    assert "is not in the training resource" in capsys.readouterr().err


def test_a_delete_that_was_cut_off_goes_on(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is gone already is not asked for again."""
    seed_trained(simulators)
    simulators.vision.fault("error", method="DELETE", skip=2, n=1, status=400, body={"code": "BadRequest"})
    assert run("delete", "fruit", "--yes") == 1
    assert "fruit is deleted in part; the same command goes on" in capsys.readouterr().err
    assert len(projects(simulators)["fruit"]["iterations"]) == 1
    assert run("delete", "fruit", "--yes") == 0
    assert projects(simulators) == {}


# -- status -----------------------------------------------------------------------------------------------------------


def test_the_status_of_all_projects_is_a_table(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One that cannot be read does not hide the others."""
    seed_trained(simulators)
    other = RULES.replace("fruit:", "other:").replace(FRUIT, str(uuid4())).split("vision:\n")[1].split("rules:")[0]
    unset = other.replace("other:", "unset:").replace("SIMULATOR_VISION_KEY", "NOWHERE")
    (tmp_path / "rules.yaml").write_text(RULES.replace("rules: []", f"{other}{unset}rules: []").replace("\n\n", "\n"))
    assert run("connect", "fruit", "--within", "5s") == 0
    capsys.readouterr()
    assert run("status") == 1
    said = capsys.readouterr()
    head, row, end, *left = said.out.splitlines()
    assert head.split()[:3] == ["PROJECT", "HEARD", "TESTED"]
    assert row.split()[:2] == ["fruit", "yes"]
    assert "2 of 20" in row
    assert "live" in row
    assert "Completed" in row
    assert row.split()[-3:] == ["0", "of", "10"]
    assert "Custom Vision retires on 2028-09-25" in end
    assert left[0] == "not kept: fruit: 10 of 10 images: `reactor vision dataset fruit` keeps them"
    assert left[1].startswith("not kept: fruit: Iteration 2, published as live: ")
    assert len(left) == 2
    assert "reactor: other: cannot be read: its training resource has no project" in said.err
    assert "reactor: unset: cannot be read: NOWHERE is not set here" in said.err
    assert run("status", "other") == 1
    assert capsys.readouterr().out == ""


def test_the_status_of_one_project_shows_its_iterations(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with what it reached, what it was exported to, and whether it is backed up."""
    seed_trained(simulators)
    state = told(capsys, "status", "fruit")[0]
    assert (state["hears"], state["published"], state["iterations_at_most"]) == ("no", ["live"], 20)
    first = next(one for one in state["iterations"] if one["name"] == "Iteration 1")
    assert first["exports"] == [{"platform": "ONNX", "flavor": "", "status": "Done"}]
    assert 0 <= first["precision"] <= 1
    assert first["backed_up"] is None
    iteration = first["id"]
    store = clients.account.blobs.get_container_client("backups")
    for name in ("model.zip", "manifest.json"):
        store.upload_blob(f"{FRUIT}/{iteration}/ONNX/default/{name}", b"{}", overwrite=True)
        state = told(capsys, "status", "fruit")[0]
        first = next(one for one in state["iterations"] if one["id"] == iteration)
        assert (first["backed_up"] is not None) == (name == "manifest.json")
    capsys.readouterr()
    assert run("status", "fruit") == 0
    said = capsys.readouterr().out
    assert "none: the app hears nothing; `reactor vision connect` connects it" in said
    assert "SAS" not in said
    assert "sig=" not in json.dumps(state)


@pytest.mark.parametrize(("path", "what"), [("/performance", "measures"), ("/export", "exports")])
def test_what_cannot_be_read_of_an_iteration_hides_nothing_else(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], path: str, what: str
) -> None:
    """It is told, and the rest is shown."""
    seed_trained(simulators)
    refused = {"status": 400, "body": {"code": "BadRequestInvalid", "message": "no"}}
    simulators.vision.fault("error", method="GET", path=path, n=1, **refused)
    assert run("status", "fruit") == 0
    said = capsys.readouterr()
    assert f"the {what} of Iteration " in said.err
    assert "400 BadRequestInvalid" in said.err
    assert "Iteration 1" in said.out
    assert "cannot be read" not in said.err


def test_status_counts_what_is_not_kept(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images that came after the newest data set, and models that are published and not backed up."""
    seed_trained(simulators)
    assert run("dataset", "fruit") == 0
    state = told(capsys, "status", "fruit")[0]
    assert (state["images"], state["images_kept"], state["images_left"]) == (10, 10, 0)
    assert sorted(state["tags"]) == ["apple", "pear"]
    gone = clients.vision.images.page(at(simulators), FRUIT, skip=0, take=1)[0]
    clients.vision.images.delete(at(simulators), FRUIT, [gone.id])
    state = told(capsys, "status", "fruit")[0]
    assert (state["images"], state["images_kept"], state["images_left"]) == (9, 9, 0)
    [tag, *_] = clients.vision.tags.list(at(simulators), FRUIT)
    new = [NewImage("new.png", picture((30, 30, 200)), (tag.id,), ())]
    assert [one.is_kept for one in clients.vision.images.upload(at(simulators), FRUIT, new)] == [True]
    state = told(capsys, "status", "fruit")[0]
    assert (state["images"], state["images_kept"], state["images_left"]) == (10, 9, 1)
    assert run("status", "fruit") == 0
    said = capsys.readouterr().out
    assert "images      9 of 10 kept, 20" in said
    assert "not kept: fruit: 1 of 10 images: `reactor vision dataset fruit` keeps them" in said
    published = next(one for one in state["iterations"] if one["published"])
    store = clients.account.blobs.get_container_client("backups")
    assert f"reactor vision export fruit --iteration {published['id']} --platform ONNX" in said
    for name in ("model.zip", "manifest.json"):
        store.upload_blob(f"{FRUIT}/{published['id']}/ONNX/default/{name}", b"{}", overwrite=True)
    assert run("dataset", "fruit") == 0
    capsys.readouterr()
    assert run("status", "fruit") == 0
    assert "not kept" not in capsys.readouterr().out


def test_where_storage_is_not_known_nothing_is_called_lost_or_kept(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    """A question mark is no zero; the setting that is missing is named."""
    seed_trained(simulators)
    (tmp_path / ".stack/ready.json").unlink()
    for name, value in simulators.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REACTOR_VISION_KEY", KEY)
    assert run("status", FRUIT, "--endpoint", simulators.vision.url) == 0
    said = capsys.readouterr()
    assert "images      ? of 10 kept" in said.out
    assert "backed up   ?" in said.out
    assert "not kept" not in said.out
    assert "set AzureWebJobsStorage or AzureWebJobsStorage__accountName" in said.err


def test_a_project_is_saved_with_a_storage_account_alone(
    settings: dict[str, str],
    simulators: Simulators,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    """No app, no rules file, no container: what is not kept is told, then kept, then told as kept."""
    seed_trained(simulators)
    for file in (".stack/ready.json", "rules.yaml"):
        (tmp_path / file).unlink()
    store = f"saved-{uuid4().hex}"
    names = ("AzureWebJobsStorage", "REACTOR_VISION_BLOB_HOSTS", "REACTOR_POLL_SECONDS", *simulators.environment)
    for name in names:
        monkeypatch.setenv(name, settings[name])
    monkeypatch.setenv("REACTOR_VISION_KEY", KEY)
    monkeypatch.setenv("REACTOR_BACKUP_CONTAINER", store)
    which = (FRUIT, "--endpoint", simulators.vision.url)
    assert run("status", *which) == 0
    said = capsys.readouterr()
    again = f"{FRUIT} --endpoint {simulators.vision.url}"
    assert f"not kept: {FRUIT}: 10 of 10 images: `reactor vision dataset {again}` keeps them" in said.out
    for what in ("dataset", "export", "backup"):
        [hint] = [hint for hint in said.out.split("`") if hint.startswith(f"reactor vision {what} ")]
        assert run(*hint.split()[2:]) == 0
    capsys.readouterr()
    assert run("status", *which) == 0
    said = capsys.readouterr()
    assert "images      10 of 10 kept" in said.out
    assert "not kept" not in said.out
    assert said.err == ""


def test_a_failed_training_says_why(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reason is the preview's."""
    failed = {"id": str(uuid4()), "name": "Iteration 1", "status": "Failed", "trainingErrorDetails": "out of budget"}
    simulators.vision.seed(projects=[{"id": FRUIT, "name": "fruit", "iterations": [failed]}])
    assert run("status", "fruit") == 0
    assert "Iteration 1 failed: out of budget" in capsys.readouterr().out


def test_where_nothing_is_declared_it_says_so(
    clients: Clients, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of nothing helps nobody."""
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n", "utf-8")
    assert run("status") == 2
    assert "rules.yaml declares none" in capsys.readouterr().err
