"""replicate.vision over real https, from one simulated training resource to another."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

import function_app
from dev.azurite import Azurite
from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.clients.vision import Iteration, Resource, Training
from shared.errors import PermanentError
from shared.events import Event
from shared.handlers import ACTIONS
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.stages import find_handler
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration.stages import Bench, clients_of, event_of
from tests.integration.world import Crash, CrashAt, Delivery, Wire, World, queue_message

STEP = "replicate.vision"
ACCOUNTS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts"
STRIDE = int(os.environ.get("STRIDE", "9"))
"""Beside each write to Custom Vision, every so manieth boundary is crashed at; 1 tries all."""
WRITES = re.compile(r" (POST|PATCH|DELETE) .*/customvision/")
DETECTION = "da2e3a8a-40a5-4171-82f4-58522f70fbc1"
COUNTS = {"images": 8, "tags": 2, "regions": 6, "iterations": 2}
MakeBench = Callable[..., Bench]


@pytest.fixture
def project(simulators: Simulators) -> str:
    """Give the id of a project that detects apples and pears, with two iterations, one of them published."""
    project = str(uuid4())
    seed(simulators, project)
    for resource in (simulators.vision, simulators.vision_replica):
        resource.seed(settings={"import_seconds": 0})
    return project


def seed(simulators: Simulators, project: str, **members: Any) -> None:
    """Keep the project."""
    iterations = [
        {"id": str(uuid4()), "name": "Iteration 1"},
        {"id": str(uuid4()), "name": "Best", "publishName": "live", "originalPublishResourceId": f"{ACCOUNTS}/fruit-p"},
    ]
    images = {"count": 8, "tags": ["apple", "pear"], "untagged": 2}
    whole = {"id": project, "name": "fruit", "description": "Two kinds", "settings": {"domainId": DETECTION}}
    whole |= {"images": images, "iterations": iterations} | members
    simulators.vision.seed(projects=[whole])


def completed(project: str) -> str:
    """Write that a training has ended."""
    content = {"projectId": project, "iterationId": str(uuid4()), "trainingStatus": "TrainingCompleted"}
    return json.dumps({"version": "1.0", "type": "Training", "Content": content})


@pytest.fixture
def storage(storage_emulator: Azurite) -> dict[str, str]:
    """Give the URLs of a queue and a container that are there."""
    name = f"replica-{uuid4().hex}"
    queues = QueueServiceClient.from_connection_string(storage_emulator.app)
    blobs = BlobServiceClient.from_connection_string(storage_emulator.app)
    queues.create_queue(name)
    blobs.create_container(name)
    return {"queue": f"{queues.url.rstrip('/')}/{name}", "container": f"{blobs.url.rstrip('/')}/{name}"}


@pytest.fixture
def make(simulators: Simulators, azurite: str, project: str, storage: dict[str, str]) -> MakeBench:
    """Make the surroundings: the project and its replica are declared, with what a test changes."""

    def make(**changes: Any) -> Bench:
        training = {"endpoint": simulators.vision_replica.url, "key": "${VISION_KEY}"}
        replica = {"training": training, "prediction": f"{ACCOUNTS}/copy-p", **storage} | changes
        fruit: dict[str, Any] = {
            "project": project,
            "training": {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"},
            "replica": {name: value for name, value in replica.items() if value is not None},
        }
        declared = Declared.model_validate({"vision": {"fruit": fruit}})
        event: Event = event_of(completed(project))
        clients = clients_of(simulators, azurite)
        prepare(clients.account, "backups")
        return Bench(clients, declared, event, {"VISION_KEY": KEY})

    return make


def copies(simulators: Simulators) -> list[dict[str, Any]]:
    """List the projects of the replica."""
    found: list[dict[str, Any]] = simulators.vision_replica.state()["projects"]
    return found


# -- a copy -----------------------------------------------------------------------------------------------------------


def test_a_project_is_copied_whole(
    make: MakeBench, simulators: Simulators, project: str, storage: dict[str, str]
) -> None:
    """Images, tags, regions and iterations arrive; the copy is connected, published as the first one is, and marked."""
    bench = make()
    told = bench.run(STEP)
    (copy,) = copies(simulators)
    assert told.result | COUNTS == told.result
    assert (told.result["project"], told.result["copy"], told.result["published"]) == (project, copy["id"], ["live"])
    assert told.result["name"] == copy["name"] == f"fruit (reactor {bench.key[:12]})"
    mark, at = re.escape(f"Two kinds [ML Reactor's copy of {project}, "), r"20..-..-.. ..:.. UTC: "
    assert re.fullmatch(f"{mark}{at}8 images, 2 tags, 6 regions, 2 iterations]", copy["description"])
    assert copy["settings"]["notificationQueueUri"] == storage["queue"]
    assert copy["settings"]["exportModelContainerUri"] == storage["container"]
    published = {one["name"]: one["publishName"] for one in copy["iterations"].values()}
    assert published == {"Iteration 1": None, "Best": "live"}
    (best,) = [one for one in copy["iterations"].values() if one["name"] == "Best"]
    assert best["originalPublishResourceId"] == f"{ACCOUNTS}/copy-p"
    assert copy["id"] in told.result["links"]["studio"]


@pytest.mark.guarantee(6)
def test_the_token_is_nowhere_kept(make: MakeBench, simulators: Simulators) -> None:
    """What the stages hand on, which is recorded, holds nothing of the export's token."""
    told = make().run(STEP)
    assert "prjexp-" not in repr(told)
    assert "sig=" not in repr(told)
    assert len(simulators.vision_replica.seen("POST", "projects/import?token=")) == 1


def test_what_is_not_declared_is_left_out(make: MakeBench, simulators: Simulators) -> None:
    """Without storage nothing is connected; without a prediction resource the copy is not published, and a note says
    so.
    """
    told = make(queue=None, container=None, prediction=None).run(STEP)
    (copy,) = copies(simulators)
    assert copy["settings"]["notificationQueueUri"] is None
    assert told.result["published"] == []
    assert "live not published: no prediction resource is declared for the replica" in told.notes
    assert "no storage is declared for the replica" in told.notes


def test_a_copy_has_the_name_that_is_wanted(make: MakeBench, simulators: Simulators, project: str) -> None:
    """By default it is the project's, of which only so much is taken as leaves room for the key."""
    bench = make()
    assert bench.run(STEP, name="Standby").result["name"] == f"Standby (reactor {bench.key[:12]})"
    seed(simulators, project, name="f" * 100)
    bench = make()
    assert bench.run(STEP).result["name"] == f"{'f' * 75} (reactor {bench.key[:12]})"
    seed(simulators, project, name="fruit (reactor 0123456789ab 2)")
    bench = make()
    assert bench.run(STEP).result["name"] == f"fruit (reactor {bench.key[:12]})"


# -- check ------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_copied_is_told_before_anything_is_made(
    make: MakeBench, simulators: Simulators, project: str
) -> None:
    """No replica, its own resource as one, another resource's project, a read-only one, a wrong key: each is named."""
    bench = make()
    bench.declared = Declared.model_validate({
        "vision": {"fruit": {"project": project, "training": {"endpoint": simulators.vision.url, "key": KEY}}}
    })  # fmt: skip
    refused(bench, "declared without a replica", "give it `replica`")
    own = {"training": {"endpoint": f"{simulators.vision.url}/", "key": KEY}}
    refused(make(**own), "its own training resource", "declare another")
    refused(make(training={"endpoint": simulators.vision_replica.url, "key": "old"}), "invalid subscription key", "key")
    seed(simulators, project, drModeEnabled=True)
    refused(make(), "copy for disaster recovery itself", "copy the first one")
    seed(simulators, project, status="Failed")
    refused(make(), "is Failed", "import it again")
    bench = make()
    simulators.vision.reset()
    refused(bench, f"no project {project}", "correct the project's id")
    assert copies(simulators) == []
    assert simulators.vision_replica.seen("POST") == []


def refused(bench: Bench, reason: str, remedy: str) -> None:
    """See that the step is refused."""
    with pytest.raises(PermanentError) as problem:
        bench.run(STEP)
    assert reason in problem.value.reason
    assert remedy in problem.value.remedy


def test_a_training_under_way_is_waited_for(make: MakeBench, simulators: Simulators, project: str) -> None:
    """A copy in the midst of a training would lack its iteration."""
    simulators.vision.seed(settings={"training_seconds": 1})
    seed(simulators, project, images={"count": 40, "tags": ["apple", "pear"]})
    bench = make()
    started = bench.clients.vision.iterations.train(Resource(simulators.vision.url, KEY), project, Training())
    assert isinstance(started, Iteration)
    told = bench.run(STEP)
    assert "waits for Iteration" in told.notes[0]
    assert told.wake_on[0].startswith(f"training:{project}/")
    assert told.result["iterations"] == 3


def test_two_actions_copy_one_after_the_other(make: MakeBench, simulators: Simulators) -> None:
    """A second action waits until the first is over, so that neither prunes what the other is making."""
    first, second = make(), make()
    seen: list[str] = []

    def meanwhile(stage: str) -> None:
        if stage == "import":
            handler = find_handler(ACTIONS, STEP)
            progress = handler.stages[0].start(handler.parse({"project": "fruit"}), second.job())
            seen.append(getattr(progress, "note", ""))

    first.before_stage = meanwhile
    first.run(STEP)
    assert seen == [f"action {first.key[:8]} is copying the project"]
    second.run(STEP)
    assert len(copies(simulators)) == 2


# -- imports that go wrong --------------------------------------------------------------------------------------------


@pytest.mark.guarantee(3)
@pytest.mark.parametrize("kind", ["lost_reply", "unavailable", "drop"])
def test_an_import_that_was_not_answered_is_not_made_twice(make: MakeBench, simulators: Simulators, kind: str) -> None:
    """It is found by the key in its name where it was made, and made where it was not."""
    simulators.vision_replica.fault(kind, method="POST", path="import")
    told = make().run(STEP)
    assert len(told.troubles) == 1
    assert len(copies(simulators)) == 1
    assert told.result | COUNTS == told.result


def test_an_import_that_fails_is_made_once_more(make: MakeBench, simulators: Simulators) -> None:
    """The failed copy is deleted; the second one has a name of its own, and is whole."""
    simulators.vision_replica.seed(settings={"import_outcome": "Failed"})
    bench = make()

    def recover(stage: str) -> None:
        if stage == "again":
            simulators.vision_replica.seed(settings={"import_outcome": "Succeeded"})

    bench.before_stage = recover
    told = bench.run(STEP)
    (copy,) = copies(simulators)
    assert copy["name"] == told.result["name"] == f"fruit (reactor {bench.key[:12]} 2)"
    assert "the import has failed, and is made once more" in told.notes
    assert told.result | COUNTS == told.result


def test_an_import_that_fails_twice_says_what_arrived(make: MakeBench, simulators: Simulators) -> None:
    """The service gives no reason, so counts are told; nothing of it is left."""
    simulators.vision_replica.seed(settings={"import_outcome": "Failed"})
    bench = make()
    with pytest.raises(PermanentError) as problem:
        bench.run(STEP)
    assert "failed twice" in problem.value.reason
    assert "of 8 images, 2 tags, 6 regions, 2 iterations 4 images and 2 tags arrived" in problem.value.reason
    assert "F0: 5,000 images" in problem.value.remedy
    assert bench.told.undone == "the copy that is not whole is deleted"
    assert copies(simulators) == []


def test_a_copy_that_lacks_something_fails_and_names_the_numbers(make: MakeBench, simulators: Simulators) -> None:
    """An import that succeeded without all images is no copy."""
    simulators.vision_replica.seed(settings={"lose_images": 3})
    bench = make()
    with pytest.raises(PermanentError) as problem:
        bench.run(STEP)
    assert "5 of 8 images, 2 of 2 tags, 5 of 6 regions, 2 of 2 iterations" in problem.value.reason
    assert copies(simulators) == []


def test_a_project_that_grew_meanwhile_is_compared_as_it_is_by_now(
    make: MakeBench, simulators: Simulators, project: str
) -> None:
    """What was exported need not be what was counted: a copy as large as the project is now is whole, too."""
    bench = make()

    def count_less(stage: str) -> None:
        if stage == "compare":
            bench.told.result["exported"] = COUNTS | {"images": 7}

    bench.before_stage = count_less
    assert bench.run(STEP).result["images"] == 8


def test_a_full_replica_is_told(make: MakeBench, simulators: Simulators) -> None:
    """The tier's limit is named, and no copy is looked for in vain for long."""
    others = [{"id": str(uuid4()), "name": f"other {number}"} for number in range(2)]
    simulators.vision_replica.seed(projects=others, settings={"tier": "F0"})
    bench = make()
    refused(bench, "BadRequestExceedProjectLimit", "2 in F0 and 100 in S0")
    assert bench.told.undone == "no copy is left"
    assert len(copies(simulators)) == 2


def test_a_replica_that_is_nearly_full_is_told_where_all_copies_are_kept(
    make: MakeBench, simulators: Simulators
) -> None:
    """The note comes before the copy that finds no room; where old copies go, there is nothing to tell."""
    others = [{"id": str(uuid4()), "name": f"other {number}"} for number in range(90)]
    simulators.vision_replica.seed(projects=others[1:])
    assert make().run(STEP).notes[0] == "2 iterations, 1 of them published"
    told = make().run(STEP)  # of 89 and a copy
    assert told.notes[0].endswith(
        "; the replica has 90 of 100 projects at most, and every copy is kept: `keep` says how many"
    )
    assert make().run(STEP, keep=1).notes[0] == "2 iterations, 1 of them published"


def test_a_copy_that_somebody_deletes_is_not_waited_for(make: MakeBench, simulators: Simulators) -> None:
    """What is not there after several looks is gone, and the step says so."""
    simulators.vision_replica.seed(settings={"import_seconds": 60})
    bench = make()

    def delete(stage: str) -> None:
        if stage == "import":
            at = Resource(simulators.vision_replica.url, KEY)
            bench.clients.vision.projects.delete(at, bench.told.result["copy"])

    bench.before_stage = delete
    refused(bench, "is not there any more", "who deleted it")
    assert bench.told.notes.count("the copy is not shown yet") > 2


def test_a_copy_that_nobody_was_told_of_is_deleted_too(make: MakeBench, simulators: Simulators) -> None:
    """Where the step fails after an import that was not answered, what it made is found by its name."""
    simulators.vision_replica.fault("lost_reply", method="POST", path="import")
    refusal = {"code": "BadRequestOdd", "message": "No."}
    simulators.vision_replica.fault("error", status=400, body=refusal, method="GET", path="projects$", skip=2)
    bench = make()
    refused(bench, "BadRequestOdd", "")
    assert bench.told.undone == "the copy that is not whole is deleted"
    assert copies(simulators) == []


# -- storage and names ------------------------------------------------------------------------------------------------


def test_storage_that_is_refused_leaves_the_whole_copy(make: MakeBench, simulators: Simulators) -> None:
    """The remedy names the role of the replica's own identity; what was copied is kept."""
    simulators.vision_replica.seed(settings={"roles_missing": ["queue"]})
    bench = make()
    refused(bench, "BadRequestInvalidUri", "Storage Queue Data Contributor")
    (copy,) = copies(simulators)
    assert bench.told.undone == f"the copy {copy['id']} is whole, and kept"


def test_a_prediction_resource_that_is_refused_leaves_the_whole_copy(make: MakeBench, simulators: Simulators) -> None:
    """Where the declared resource is not one to publish to, the remedy says which id is meant."""
    simulators.vision_replica.seed(settings={"prediction_resources": [f"{ACCOUNTS}/another"]})
    bench = make()
    refused(bench, "BadRequestInvalidPublishTarget", "ARM id of the prediction resource")
    assert len(copies(simulators)) == 1


# -- older copies -----------------------------------------------------------------------------------------------------


def test_older_copies_are_kept_as_many_as_wanted(make: MakeBench, simulators: Simulators) -> None:
    """The oldest go, published or not, where the new one has their names; 0 keeps them all."""
    made = [make().run(STEP).result["copy"] for _ in range(3)]
    told = make().run(STEP, keep=1)
    assert set(told.result["pruned"]) == set(made[:2])
    assert {one["id"] for one in copies(simulators)} == {made[2], told.result["copy"]}


def test_a_copy_that_alone_has_a_name_is_not_pruned(make: MakeBench, simulators: Simulators, project: str) -> None:
    """Nothing is published of the new copy: who asks the replica is answered by the old one, until a newer one is."""
    old = make().run(STEP).result["copy"]
    bare = make(prediction=None).run(STEP).result["copy"]
    seed(simulators, project, iterations=[{"id": str(uuid4()), "name": name} for name in ("Iteration 1", "Best")])
    told = make().run(STEP, keep=0)
    assert told.result["published"] == []
    told = make(prediction=None).run(STEP, keep=1)
    assert {old, bare} - {one["id"] for one in copies(simulators)} == {bare}
    assert told.result["pruned"] == [bare]
    assert told.notes[-1].endswith("; 1 older copy deleted; what alone is published as live stays")
    seed(simulators, project)
    told = make().run(STEP, keep=1)
    assert old in told.result["pruned"]  # the name is the new copy's by now


def standby(bench: Bench, simulators: Simulators, copy: str) -> Bench:
    """Declare a copy as a project of its own."""
    told = bench.declared.model_dump()
    training = {"endpoint": simulators.vision_replica.url, "key": "${VISION_KEY}"}
    told["vision"]["standby"] = {"project": copy, "training": training}
    bench.declared = Declared.model_validate(told)
    return bench


@pytest.mark.guarantee(4)
@pytest.mark.parametrize("spelled", [str.upper, "${{STANDBY}}".format])
def test_a_copy_that_is_declared_is_not_pruned(
    make: MakeBench, simulators: Simulators, spelled: Callable[[str], str]
) -> None:
    """It stands in by now: whoever deleted it would delete a project that people use."""
    first, second = (make().run(STEP).result for _ in range(2))
    bench = standby(make(), simulators, spelled(first["copy"]))
    bench.values = {**bench.values, "STANDBY": first["copy"]}
    told = bench.run(STEP, keep=1)
    assert told.result["pruned"] == []
    assert told.notes[-1].endswith(f'0 older copies deleted; {first["name"]} stays: it is declared as "standby"')
    told = standby(make(), simulators, str(uuid4())).run(STEP, keep=1)
    assert set(told.result["pruned"]) == {first["copy"], second["copy"]}


@pytest.mark.guarantee(4)
@pytest.mark.parametrize(("values", "why"), [({}, "STANDBY"), ({"STANDBY": "x"}, "vision.standby.project is no")])
def test_nothing_is_pruned_where_a_declared_project_is_not_known(
    make: MakeBench, simulators: Simulators, values: dict[str, str], why: str
) -> None:
    """A setting is missing, or is no id: any copy might be the one that is meant, and the note says so."""
    for _ in range(2):
        make().run(STEP)
    bench = standby(make(), simulators, "${STANDBY}")
    bench.values = {**bench.values, **values}
    told = bench.run(STEP, keep=1)
    assert len(copies(simulators)) == 3
    assert why in told.notes[-1].partition("; an older copy was not deleted: ")[2]


@pytest.mark.guarantee(4)
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, "1 older copy deleted"),
        ({"images": {"count": 9, "tags": ["apple", "pear"], "untagged": 2}}, "and has 9 images, 2 tags"),
        ({"iterations": []}, "and has 8 images, 2 tags, 6 regions, 0 iterations"),
        ({"lastModified": "2099-01-01T00:00:00Z"}, "it was changed on 2099-01-01, after it was made"),
        ({"description": "[ML Reactor's copy of {}]"}, "its mark does not say what was in it"),
        ({"description": "[ML Reactor's copy of {}, 2026-99-01 10:00 UTC: 1 image]"}, "does not say what was in it"),
    ],
)
def test_a_copy_that_was_used_is_not_pruned(
    make: MakeBench, simulators: Simulators, project: str, changed: dict[str, Any], why: str
) -> None:
    """Somebody taught it more, or changed it: what was added is nowhere else. One that is as it was goes."""
    first = make().run(STEP).result
    make().run(STEP)
    (copy,) = [one for one in copies(simulators) if one["id"] == first["copy"]]
    whole = {name: copy[name] for name in ("id", "name", "description", "settings", "created", "lastModified")}
    whole |= {"images": {"count": 8, "tags": ["apple", "pear"], "untagged": 2}, "iterations": [{}, {}]}
    as_told = {name: value.format(project) if isinstance(value, str) else value for name, value in changed.items()}
    simulators.vision_replica.seed(projects=[whole | as_told])
    told = make().run(STEP, keep=1)
    assert (told.result["pruned"] == []) is bool(changed)
    assert (f"{first['name']} stays: " in told.notes[-1]) is bool(changed)
    assert why in told.notes[-1]


def test_only_whole_copies_of_this_project_are_pruned(make: MakeBench, simulators: Simulators, project: str) -> None:
    """Nothing goes that lacks our suffix or our mark, or is of another project."""
    suffix, mark = "(reactor 0123456789ab)", f"[ML Reactor's copy of {project}]"
    others = [
        {"name": "somebody's", "description": mark},
        {"name": f"fruit {suffix}", "description": "Two kinds"},
        {"name": f"fruit {suffix} too", "description": mark},
        {"name": f"fruit 2 {suffix}", "description": f"[ML Reactor's copy of {uuid4()}]"},
    ]
    simulators.vision_replica.seed(projects=[{"id": str(uuid4()), **one} for one in others])
    make().run(STEP)
    told = make().run(STEP, keep=1)
    assert told.result["pruned"] == []
    assert len(copies(simulators)) == 6


def test_an_older_copy_that_cannot_be_deleted_is_no_failure(make: MakeBench, simulators: Simulators) -> None:
    """The new copy is whole: what is wrong with an old one is a note."""
    make().run(STEP)
    make().run(STEP)
    refusal = {"code": "BadRequestCannotDelete", "message": "No."}
    simulators.vision_replica.fault("error", status=400, body=refusal, method="DELETE", path=r"projects/[^/]+$")
    told = make().run(STEP, keep=1)
    assert "an older copy was not deleted: Custom Vision answered 400 BadRequestCannotDelete" in told.notes[-1]
    assert f" iterations copied to {told.result['name']} ({told.result['copy']}); " in told.notes[-1]


# -- a crash at every boundary ----------------------------------------------------------------------------------------

RULES = """
version: 1
vision:
  fruit:
    project: {project}
    training: {{endpoint: "{vision}", key: "${{VISION_KEY}}"}}
    replica:
      training: {{endpoint: "{replica}", key: "${{VISION_KEY}}"}}
      prediction: {prediction}
      container: {container}
      queue: {queue}
rules:
  - name: stand-by
    on: TrainingCompleted
    do: [replicate.vision: {{keep: 1}}]
"""


@pytest.mark.guarantee(1, 2, 3)
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fate", [({}, 1), ({"lose_images": 1}, 0), ({"import_outcome": "Failed"}, 0)])
def test_a_crash_at_any_boundary_leaves_one_copy_at_most(
    simulators: Simulators,
    azurite: str,
    storage: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    fate: tuple[dict[str, Any], int],
) -> None:
    """Whatever dies, there is one whole copy in the end, or none where it cannot be whole."""
    settings, left = fate
    values = {"AzureWebJobsStorage": azurite, "VISION_KEY": KEY}
    read, wire = Settings.read(values), Wire()
    prepare(Account(read.storage, lambda _client: None), read.backup_container)  # type: ignore[arg-type,return-value] # a connection string needs no credential

    def crashing_at(number: int) -> list[str]:
        crash, project = CrashAt(number), str(uuid4())
        for resource in (simulators.vision, simulators.vision_replica):
            resource.reset()
        seed(simulators, project)
        simulators.vision_replica.seed(settings={"import_seconds": 0, **settings})
        urls = {"vision": simulators.vision.url, "replica": simulators.vision_replica.url}
        rules = RULES.format(project=project, prediction=f"{ACCOUNTS}/copy-p", **urls, **storage)
        world = World(read, rules, wire)
        world.install(monkeypatch)
        wire.boundary = crash
        message = Delivery("v1", completed(project), visible=datetime.now(UTC), sent=datetime.now(UTC))
        for _ in range(3):
            try:
                with wire.watched():
                    function_app.on_vision_notification(queue_message(message))
            except Crash:
                continue
            break
        world.run()
        wire.boundary = lambda _where: None
        where = crash.seen[number - 1] if number else "no crash"
        found = copies(simulators)
        assert len(found) == left, f"crash at {number}, {where}: {found}"
        assert all(one["image_count"] == 8 for one in found), where
        assert all("live" in repr(one["iterations"]) for one in found), where
        assert world.poisoned == 0, where
        return crash.seen

    boundaries = crashing_at(0)
    chosen = [at for at, where in enumerate(boundaries, 1) if at % STRIDE == 0 or WRITES.search(where)]
    assert len(chosen) > 10
    for number in chosen:
        crashing_at(number)
