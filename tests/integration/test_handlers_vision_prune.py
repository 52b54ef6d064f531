"""prune.vision over real https against the simulated service."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.errors import PermanentError
from shared.handlers.vision import prune
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.stages import Done, Job, Pending
from shared.storage import prepare
from tests.integration.stages import Bench, clients_of, event_of
from tests.integration.world import Wire, World

COMPLETED = json.loads((Path(__file__).parents[1] / "events/vision_training_completed.json").read_text("utf-8"))
START = datetime(2026, 1, 1, tzinfo=UTC)
Make = Callable[..., Bench]


@pytest.fixture
def project() -> str:
    """Give a project's id."""
    return str(uuid4())


@pytest.fixture
def make(simulators: Simulators, azurite: str, project: str) -> Make:
    """Keep a project with so many iterations, a day apart, the newest last; some of them other than trained."""

    def make(count: int = 4, **others: dict[str, Any]) -> Bench:
        iterations = [trained(number) | others.get(f"n{number}", {}) for number in range(1, count + 1)]
        simulators.vision.seed(projects=[{"id": project, "name": "fruit", "iterations": iterations}])
        declared = {"fruit": {"project": project, "training": {"endpoint": simulators.vision.url, "key": "${KEY}"}}}
        event = json.loads(json.dumps(COMPLETED))
        event["Content"]["projectId"] = project
        clients = clients_of(simulators, azurite, REACTOR_BACKUP_CONTAINER=f"backups-{uuid4().hex}")
        prepare(clients.account, clients.backups._container)
        declarations = Declared.model_validate({"vision": declared})
        return Bench(clients, declarations, event_of(json.dumps(event)), {"KEY": KEY})

    return make


def trained(number: int) -> dict[str, Any]:
    """Describe an iteration that was trained on its own day."""
    at = (START + timedelta(days=number)).isoformat()
    return {"name": f"Iteration {number}", "created": at, "lastModified": at, "trainedAt": at}


def numbers(named: Iterable[Any]) -> list[int]:
    """Give the numbers of iterations."""
    return sorted(int(one["name"].removeprefix("Iteration ")) for one in named)


def there(simulators: Simulators) -> list[int]:
    """Give the iterations that the service still has."""
    (project,) = simulators.vision.state()["projects"]
    return numbers(project["iterations"].values())


def begun(bench: Bench, **given: Any) -> Job:
    """Decide what goes, and give the first look at its going."""
    params = prune.Vision.model_validate({"project": "fruit"} | given)
    done = prune.choose(params, bench.job())
    assert isinstance(done, Done)
    return bench.job("delete", done.result)


# -- what goes --------------------------------------------------------------------------------------------------------


def test_the_newest_stay_and_the_others_go(make: Make, simulators: Simulators, project: str) -> None:
    """Who went and who stayed is in the result, the newest first."""
    told = make(6).run("prune.vision", keep=2)
    assert told.notes[0] == "4 to delete; 2 to keep: 2 among the newest 2"
    assert told.notes[-1] == "Iteration 4, Iteration 3, Iteration 2, Iteration 1 deleted"
    assert [one["name"] for one in told.result["deleted"]] == [f"Iteration {number}" for number in (4, 3, 2, 1)]
    assert numbers(told.result["kept"]) == there(simulators) == [5, 6]
    assert all(set(one) == {"id", "name"} for one in told.result["deleted"] + told.result["kept"])
    assert told.result["project"] == project
    assert set(prune.RESULTS[prune.Vision]) <= told.result.keys()


@pytest.mark.guarantee(3)
def test_a_second_run_does_nothing(make: Make, simulators: Simulators) -> None:
    """It succeeds, so that what follows it in a rule is done."""
    bench = make()
    bench.run("prune.vision", keep=2)
    bench.key = uuid4().hex
    told = bench.run("prune.vision", keep=2)
    assert told.notes == ["0 to delete; 2 to keep: 2 among the newest 2", "nothing deleted"]
    assert told.result["deleted"] == []
    assert len(simulators.vision.seen("DELETE")) == 2


def test_ten_stay_unless_a_rule_says_otherwise(make: Make, simulators: Simulators) -> None:
    """That is half of what a project may have."""
    make(12).run("prune.vision")
    assert there(simulators) == list(range(3, 13))


def test_what_is_in_use_stays(make: Make, simulators: Simulators) -> None:
    """Published, in training, or never trained: none of that is deleted, however old."""
    others = {"n1": {"publishName": "live"}, "n2": {"status": "Training"}, "n3": {"status": "New"}}
    told = make(6, **others).run("prune.vision", keep=1)
    assert told.notes[0] == "2 to delete; 4 to keep: 1 among the newest 1, 2 not trained yet, 1 published"
    assert there(simulators) == [1, 2, 3, 6]


def test_failed_ones_go_but_for_the_newest(make: Make, simulators: Simulators) -> None:
    """They count for the service, and not for what is kept; why the last one failed can still be asked."""
    failed = {"status": "Failed", "exportable": False}
    make(6, n2=failed, n5=failed, n6=failed).run("prune.vision", keep=2)
    assert there(simulators) == [3, 4, 6]


def test_only_what_is_old_enough_goes(make: Make, simulators: Simulators) -> None:
    """By when it was trained; where nobody knows, which is the year 1 on the wire, it stays."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    others = {"n2": {"trainedAt": yesterday}, "n3": {"trainedAt": None, "created": "0001-01-01T00:00:00Z"}}
    told = make(5, **others).run("prune.vision", keep=1, older_than="7d")
    assert told.notes[0] == "2 to delete; 3 to keep: 1 among the newest 1, 2 not older than 7d"
    assert there(simulators) == [2, 3, 5]


def test_only_what_is_backed_up_goes(make: Make, simulators: Simulators, project: str) -> None:
    """A backup counts once it is whole; what cannot be exported can never be backed up."""
    ids = [str(uuid4()) for _ in range(3)]
    others: dict[str, Any] = {f"n{number}": {"id": id_} for number, id_ in enumerate(ids, 1)}
    bench = make(5, **others, n4={"exportable": False})
    store = bench.clients.account.blobs.get_container_client(bench.clients.backups._container)
    for id_, names in ((ids[0], ("model.zip", "manifest.json")), (ids[1], ("model.zip",))):
        for name in names:
            store.upload_blob(f"{project}/{id_}/ONNX/default/{name}", b"{}")
    told = bench.run("prune.vision", keep=1, only_backed_up=True)
    assert told.notes[0] == "2 to delete; 3 to keep: 1 among the newest 1, 2 not backed up"
    assert there(simulators) == [2, 3, 5]


# -- while it goes ----------------------------------------------------------------------------------------------------


def test_a_few_go_at_a_time(make: Make, simulators: Simulators) -> None:
    """No function runs for long; the next look is due at once."""
    bench = make(6)
    params = prune.Vision(project="fruit", keep=1)
    job = begun(bench, keep=1)
    assert prune.find(params, job) is None
    pending = prune.delete(params, job)
    assert isinstance(pending, Pending)
    assert (pending.after, pending.note) == (0, "2 of 5 iterations to delete")
    assert there(simulators) == [1, 2, 6]


def test_what_was_published_meanwhile_stays(make: Make, simulators: Simulators, project: str) -> None:
    """Each is read again right before it goes."""
    bench = make(3)
    job = begun(bench, keep=1)
    first, second = (one["id"] for one in job.result["chosen"])
    publish(simulators, project, second)
    done = prune.delete(prune.Vision(project="fruit", keep=1), job)
    assert isinstance(done, Done)
    assert [one["url"] for one in simulators.vision.seen("DELETE") if second in one["url"]] == []
    assert [one["id"] for one in done.result["deleted"]] == [first]
    assert numbers(done.result["kept"]) == there(simulators) == [1, 3]
    assert done.note == "Iteration 2 deleted; Iteration 1 is in use by now"


def publish(simulators: Simulators, project: str, iteration: str) -> None:
    """Have an iteration published."""
    (one,) = simulators.vision.state()["projects"]
    kept = [held | {"publishName": "live"} if id_ == iteration else held for id_, held in one["iterations"].items()]
    simulators.vision.seed(projects=[{"id": project, "name": "fruit", "iterations": kept}])


def test_what_is_published_in_that_very_moment_stays(make: Make, simulators: Simulators, project: str) -> None:
    """The service refuses to delete it, and that is no failure of ours."""
    bench = make(2)
    job = begun(bench, keep=1)
    (only,) = (one["id"] for one in job.result["chosen"])
    (one,) = simulators.vision.state()["projects"]
    shown = {name: value for name, value in one["iterations"][only].items() if name not in {"exports", "performance"}}
    publish(simulators, project, only)
    simulators.vision.fault("error", method="GET", path=f"/iterations/{only}$", status=200, body=shown)
    done = prune.delete(prune.Vision(project="fruit", keep=1), job)
    assert isinstance(done, Done)
    assert (done.result["deleted"], there(simulators)) == ([], [1, 2])


def test_another_refusal_is_one(make: Make, simulators: Simulators) -> None:
    """What the service says, it says to the operator."""
    body = {"code": "BadRequestNotSupported", "message": "not today"}
    simulators.vision.fault("error", method="DELETE", path="/iterations/", status=400, body=body)
    with pytest.raises(PermanentError, match="not today"):
        make().run("prune.vision", keep=1)


@pytest.mark.guarantee(3)
def test_what_is_gone_is_done(make: Make, simulators: Simulators) -> None:
    """A reply that was lost, and somebody who was quicker, come to the same."""
    simulators.vision.fault("lost_reply", method="DELETE", path="/iterations/")
    simulators.vision.fault("throttle", method="DELETE", path="/iterations/", skip=1)
    told = make().run("prune.vision", keep=1)
    assert len(told.troubles) == 2
    assert numbers(told.result["deleted"]) == [1, 2, 3]
    assert there(simulators) == [4]


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_project_of_another_resource_is_told(make: Make, simulators: Simulators, project: str) -> None:
    """Nothing is deleted anywhere."""
    bench = make()
    simulators.vision.reset()
    with pytest.raises(PermanentError, match=f"has no project {project}"):
        bench.run("prune.vision")


def test_a_setting_that_another_step_needs_may_be_missing(make: Make, simulators: Simulators) -> None:
    """The keys of the prediction resource and of the replica are for those who publish and copy."""
    bench = make()
    declared = bench.declared.model_dump(exclude_none=True)
    account = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/fruit"
    declared["vision"]["fruit"] |= {
        "prediction": {"resource": account, "endpoint": "https://fruit.example", "key": "${NOT_SET}"},
        "replica": {"training": {"endpoint": "${NOT_SET}", "key": "${NOT_SET}"}},
    }
    bench.declared = Declared.model_validate(declared)
    bench.run("prune.vision", keep=3)
    assert there(simulators) == [2, 3, 4]


def test_a_key_that_was_rotated_is_told(make: Make) -> None:
    """With the remedy."""
    bench = make()
    bench.values = {"KEY": "an-older-key"}
    with pytest.raises(PermanentError, match="401") as failed:
        bench.run("prune.vision")
    assert "current key" in failed.value.remedy


@pytest.mark.parametrize("given", [{"keep": 0}, {"keep": 20}, {"older_than": "soon"}])
def test_parameters_are_checked(given: dict[str, Any]) -> None:
    """At least one stays; and twenty would be all that a project may have."""
    with pytest.raises(ValueError, match=next(iter(given))):
        prune.Vision.model_validate(given)


@pytest.mark.parametrize("mode", ["live", "dry_run"])
def test_a_dry_run_deletes_nothing(
    mode: str, make: Make, simulators: Simulators, azurite: str, project: str, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one request is made; live, the rule does as it says."""
    bench = make()
    settings = Settings.read({"AzureWebJobsStorage": azurite, "KEY": KEY})
    prepare(bench.clients.account, settings.backup_container)
    rule = {"name": "work", "on": "TrainingCompleted", "mode": mode, "do": [{"prune.vision": {"keep": 3}}]}
    declared = {"fruit": {"project": project, "training": {"endpoint": simulators.vision.url, "key": "${KEY}"}}}
    world = World(settings, json.dumps({"version": 1, "vision": declared, "rules": [rule]}), Wire())
    world.install(monkeypatch)
    event = json.loads(json.dumps(bench.event.payload))
    event["Content"]["iterationId"] = str(uuid4())
    world.reactor.receive("vision_notification", json.dumps(event))
    world.run()
    assert bool(simulators.vision.seen()) is (mode == "live")
    assert there(simulators) == ([2, 3, 4] if mode == "live" else [1, 2, 3, 4])
