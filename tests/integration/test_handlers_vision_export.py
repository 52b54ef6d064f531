"""export.vision over real https against the simulated service."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dev.simulators.remote import Simulators
from dev.simulators.vision import KEY
from shared.errors import PermanentError, TemporaryError
from shared.handlers.vision import export
from shared.parse import wake_tokens
from shared.planner import REPEAT_WINDOW
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.stages import Done, Job, Pending
from shared.storage import prepare
from tests.integration.stages import Bench, Told, clients_of, event_of
from tests.integration.test_limits import deliver_all
from tests.integration.world import Wire, World

COMPLETED = json.loads((Path(__file__).parents[1] / "events/vision_training_completed.json").read_text("utf-8"))
GENERAL = "ee85a74c-405e-4adc-bb47-ffa8ca0c9f31"
FOUR = ["CoreML", "ONNX", "OpenVino", "TensorFlow"]
LITE, NORMAL = "TensorFlow/TensorFlowLite", "TensorFlow/TensorFlowNormal"
Make = Callable[..., Bench]


@pytest.fixture
def iteration() -> str:
    """Give the id of an iteration, and of the project that it is of."""
    return str(uuid4())


@pytest.fixture
def make(simulators: Simulators, azurite: str, iteration: str) -> Make:
    """Keep a project whose one iteration is trained, and make what answers the notification of that."""

    def make(*exports: dict[str, Any], **given: Any) -> Bench:
        one = {"id": iteration, "name": "Iteration 3", "exportable": True, "exportableTo": FOUR, "exports": exports}
        simulators.vision.seed(projects=[{"id": iteration, "name": "fruit", "iterations": [one | given]}])
        training = {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"}
        declared = {"fruit": {"project": iteration, "training": training}}
        event = json.loads(json.dumps(COMPLETED))
        event["Content"] |= {"projectId": iteration.upper(), "iterationId": iteration}
        clients = clients_of(simulators, azurite, REACTOR_BACKUP_CONTAINER=f"backups-{uuid4().hex}")
        clients.account.blobs.create_container(clients.backups._container)
        return Bench(
            clients,
            Declared.model_validate({"vision": declared}),
            event_of(json.dumps(event)),
            {"VISION_KEY": KEY},
        )

    return make


def asked(simulators: Simulators) -> list[str]:
    """Give what was asked for, in order: the queries."""
    return [one["url"].partition("?")[2] for one in simulators.vision.seen("POST", "/export")]


def step(*platforms: str, **more: Any) -> export.Vision:
    """Make the step's parameters, as they are once they are filled in."""
    return export.Vision.model_validate({"project": "fruit", "iteration": str(uuid4()), "platforms": platforms} | more)


def looked(bench: Bench, memory: Any = None, *, in_container: bool = False) -> Job:
    """Give a look at the stage that exports, after its check."""
    iteration = bench.event.facts["vision"]["iteration"]
    result = {"project": iteration, "iteration": iteration, "name": "Iteration 3", "in_container": in_container}
    return bench.job("export", result, memory)


# -- what goes well ---------------------------------------------------------------------------------------------------


def test_each_platform_is_exported_and_followed_to_its_end(make: Make, simulators: Simulators, iteration: str) -> None:
    """What later steps need is in the result, and no secret."""
    told = make().run("export.vision", platforms=["ONNX", "TensorFlow/TensorFlowLite"])
    assert told.result == {
        "project": iteration,
        "iteration": iteration,
        "name": "Iteration 3",
        "in_container": False,
        "links": {"studio": f"https://www.customvision.ai/projects/{iteration}"},
        "exports": [
            {"platform": "ONNX", "flavor": None, "status": "Done"},
            {"platform": "TensorFlow", "flavor": "TensorFlowLite", "status": "Done"},
        ],
    }
    assert told.notes[-1] == "Iteration 3 is exported to ONNX, TensorFlow/TensorFlowLite"
    assert asked(simulators) == ["platform=ONNX", "platform=TensorFlow&flavor=TensorFlowLite"]
    assert told.troubles == []


@pytest.mark.guarantee(6)
def test_no_link_to_a_model_is_kept(make: Make) -> None:
    """A SAS is a secret, and stays with the client."""
    assert "sig=" not in repr(make().run("export.vision", platforms=["ONNX"]))


def test_its_notification_wakes_it(make: Make, iteration: str) -> None:
    """What the service's message says to those who wait is what it waits for."""
    told = make().run("export.vision", platforms=["ONNX"])
    content = {"projectId": iteration.upper(), "iterationId": iteration.upper(), "exportStatus": "ExportCompleted"}
    message = {"version": "1.0", "type": "Export", "Content": content}
    assert wake_tokens(event_of(json.dumps(message))) == (told.wake_on[0],)


@pytest.mark.guarantee(3)
def test_what_is_there_is_not_asked_for(make: Make, simulators: Simulators) -> None:
    """Whatever case it is written in, and whether or not its flavor is null."""
    bench = make({"platform": "onnx"}, {"platform": "TensorFlow", "flavor": "TENSORFLOWLITE"})
    told = bench.run("export.vision", platforms=["ONNX", "tensorflow/TensorFlowLite", "onnx"])
    assert asked(simulators) == []
    assert len(told.result["exports"]) == 2
    told = bench.run("export.vision", platforms=["ONNX/OnnxFloat16"])
    assert asked(simulators) == ["platform=ONNX&flavor=OnnxFloat16"]


def test_what_is_under_way_is_waited_for(make: Make, simulators: Simulators) -> None:
    """Somebody else asked for it: it is theirs and ours."""
    bench = make({"platform": "ONNX", "status": "Exporting"})
    params, job = step("ONNX"), looked(bench)
    assert export.find(params, job) is None
    pending = export.advance(params, job)
    assert isinstance(pending, Pending)
    assert pending.note == "ONNX is Exporting"
    assert asked(simulators) == []


def test_that_it_is_queued_already_is_no_error(make: Make, simulators: Simulators) -> None:
    """The listing lags behind: the service refuses a second one, and that is all right."""
    bench = make({"platform": "ONNX", "status": "Exporting"})
    simulators.vision.fault("lag", method="GET", path="/export$")
    pending = export.advance(step("ONNX"), looked(bench))
    assert isinstance(pending, Pending)
    assert pending.note == "ONNX is asked for"
    simulators.vision.fault("lag", method="GET", path="/export$")
    pending = export.advance(step("ONNX"), looked(bench, pending.memory))
    assert isinstance(pending, Pending)
    assert pending.note == "ONNX is not listed yet"
    assert len(asked(simulators)) == 1


def test_what_has_failed_before_is_asked_for_once(make: Make, simulators: Simulators) -> None:
    """An export of yesterday that failed may work today."""
    bench = make({"platform": "ONNX", "status": "Failed"})
    told = bench.run("export.vision", platforms=["ONNX"])
    assert told.result["exports"][0]["status"] == "Done"
    assert asked(simulators) == ["platform=ONNX"]


@pytest.mark.parametrize(("again", "count"), [(False, 0), (True, 1)])
def test_a_newer_version_is_only_exported_where_it_is_wanted(
    again: bool,  # noqa: FBT001 # a parameter of the test
    count: int,
    make: Make,
    simulators: Simulators,
) -> None:
    """Custom Vision says that a platform has changed; what is kept is good enough unless the rule says otherwise."""
    told = make({"platform": "ONNX", "newerVersionAvailable": True}).run(
        "export.vision", platforms=["ONNX"], again=again
    )
    assert len(asked(simulators)) == count
    assert told.result["exports"] == [{"platform": "ONNX", "flavor": None, "status": "Done"}]


@pytest.mark.guarantee(3)
def test_a_lost_reply_exports_once(make: Make, simulators: Simulators) -> None:
    """What was asked for is found, whatever became of the answer."""
    simulators.vision.fault("lost_reply", method="POST", path="/export")
    told = make().run("export.vision", platforms=["ONNX"])
    assert told.troubles
    assert asked(simulators) == ["platform=ONNX"]
    assert told.result["exports"][0]["status"] == "Done"


def test_a_service_that_is_busy_is_asked_again(make: Make, simulators: Simulators) -> None:
    """A throttled or failing service costs time and nothing else."""
    simulators.vision.fault("throttle", method="POST", path="/export")
    simulators.vision.fault("unavailable", method="POST", path="/export")
    told = make().run("export.vision", platforms=["ONNX"])
    assert ["retry after 1 second" in trouble for trouble in told.troubles] == [True, False]
    assert told.result["exports"][0]["status"] == "Done"


# -- flavors of one platform ------------------------------------------------------------------------------------------


def test_flavors_of_one_platform_follow_each_other(make: Make, simulators: Simulators) -> None:
    """In the project's container they have one name: the next is asked for once the one before has ended."""
    simulators.vision.seed(settings={"export_seconds": 60})
    bench = make()
    params = step(LITE, NORMAL, "ONNX")
    pending = export.advance(params, looked(bench))
    assert isinstance(pending, Pending)
    assert pending.note == f"{LITE} is asked for; {NORMAL} waits for {LITE}; ONNX is asked for"
    assert asked(simulators) == ["platform=TensorFlow&flavor=TensorFlowLite", "platform=ONNX"]


def test_without_a_container_the_next_flavor_follows_at_once(make: Make, simulators: Simulators) -> None:
    """Each has a name of its own then."""
    told = make().run("export.vision", platforms=[LITE, NORMAL])
    assert told.result["in_container"] is False
    assert [one["flavor"] for one in told.result["exports"]] == ["TensorFlowLite", "TensorFlowNormal"]
    assert asked(simulators)[-1] == "platform=TensorFlow&flavor=TensorFlowNormal"


def test_flavors_in_a_container_are_some_time_apart(make: Make, simulators: Simulators) -> None:
    """The first can be backed up meanwhile, and the second's notification is no repetition of the first's."""
    bench = make({"platform": "TensorFlow", "flavor": "TensorFlowLite"})
    ended = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
    job = looked(bench, {"begun": {LITE: ended.isoformat()}, "ended": {LITE: ended.isoformat()}}, in_container=True)
    pending = export.advance(step(LITE, NORMAL), replace(job, now=ended + timedelta(minutes=11)))
    assert isinstance(pending, Pending)
    assert pending.note == f"{NORMAL} waits until 08:27: in the container it replaces {LITE}"
    assert pending.memory == job.memory
    assert asked(simulators) == []
    export.advance(step(LITE, NORMAL), replace(job, now=ended + timedelta(minutes=12)))
    assert asked(simulators) == ["platform=TensorFlow&flavor=TensorFlowNormal"]
    assert timedelta(minutes=1) < export.APART - REPEAT_WINDOW


def test_a_flavor_that_was_there_before_makes_way(make: Make, simulators: Simulators) -> None:
    """Nobody is about to back it up."""
    bench = make({"platform": "TensorFlow", "flavor": "TensorFlowLite"})
    export.advance(step(LITE, "TensorFlow"), looked(bench, in_container=True))
    assert asked(simulators) == ["platform=TensorFlow"]


# -- what is refused --------------------------------------------------------------------------------------------------


def refused(bench: Bench, *platforms: str) -> PermanentError:
    """Have the step fail, and give why."""
    with pytest.raises(PermanentError) as failed:
        bench.run("export.vision", platforms=list(platforms))
    return failed.value


def test_an_export_that_fails_is_named(make: Make, simulators: Simulators) -> None:
    """The others are waited for and named too; what failed is not tried over and over."""
    bench = make({"platform": "ONNX"})
    simulators.vision.seed(settings={"export_outcome": "Failed"})
    failure = refused(bench, "ONNX", LITE, "CoreML")
    named = f"{LITE}, CoreML failed, without a reason; ONNX is done"
    assert failure.reason == f"the export of Iteration 3 to {named}"
    assert "replay" in failure.remedy
    assert len(asked(simulators)) == 2


def test_a_flavor_that_failed_keeps_no_other_waiting(make: Make, simulators: Simulators) -> None:
    """There is nothing of it in the container."""
    bench = make({"platform": "TensorFlow", "flavor": "TensorFlowLite", "status": "Failed"})
    now = datetime.now(UTC).isoformat()
    job = looked(bench, {"begun": {LITE: now}, "ended": {LITE: now}}, in_container=True)
    assert isinstance(export.advance(step(LITE, NORMAL), job), Pending)
    assert asked(simulators) == ["platform=TensorFlow&flavor=TensorFlowNormal"]


def test_a_domain_that_is_not_compact_says_which_are(make: Make, simulators: Simulators) -> None:
    """The remedy is another domain, and another training."""
    bench = make(exportable=False, exportableTo=[], domainId=GENERAL)
    failure = refused(bench, "ONNX")
    assert failure.reason == 'Iteration 3 cannot be exported: its domain "General" is not compact'
    assert "General (compact)" in failure.remedy
    assert "train again" in failure.remedy
    simulators.vision.fault("error", n=9, path="/domains", status=403, body="no")
    failure = refused(bench, "ONNX")
    assert failure.reason == "Iteration 3 cannot be exported: its domain is not compact"
    assert "General (compact)" in failure.remedy
    assert asked(simulators) == []


def test_a_platform_that_there_is_none_of_is_named(make: Make, simulators: Simulators) -> None:
    """What there is instead is named too."""
    failure = refused(make(), "ONNX", "VAIDK", "openvino")
    assert failure.reason == "platforms: Iteration 3 cannot be exported to VAIDK"
    assert failure.remedy == "it can be exported to CoreML, ONNX, OpenVino, TensorFlow"
    assert asked(simulators) == []


def test_a_flavor_that_the_service_does_not_know_is_named(make: Make, simulators: Simulators) -> None:
    """Flavors are not ours to check: the service's words go with the platform that they are about."""
    body = {"code": "BadRequestExportPlatformNotSupportedForAdvancedTraining", "message": "not this one"}
    simulators.vision.fault("error", method="POST", path="/export", status=400, body=body)
    failure = refused(make(), "ONNX/Onnx99")
    assert failure.reason.startswith("ONNX/Onnx99: Custom Vision answered 400 BadRequestExportPlatformNotSupported")
    assert "choose a platform" in failure.remedy


def test_an_iteration_that_failed_is_not_exported(make: Make) -> None:
    """There is no model."""
    assert "nothing to export" in refused(make(status="Failed"), "ONNX").reason


def test_an_iteration_that_is_deleted_under_our_feet_is_told(make: Make, simulators: Simulators) -> None:
    """There is nothing left to wait for."""
    bench = make()

    def before_stage(name: str) -> None:
        if name == "export":
            (project,) = simulators.vision.state()["projects"]
            simulators.vision.seed(projects=[{"id": project["id"], "name": "fruit"}])

    bench.before_stage = before_stage
    failure = refused(bench, "ONNX")
    assert "NotFoundIteration" in failure.reason
    assert "check the iteration's id" in failure.remedy


def test_an_iteration_in_training_is_waited_for(make: Make, iteration: str) -> None:
    """Its notification may be ahead of what the service shows."""
    pending = export.check(step("ONNX", iteration=iteration), make(status="Training").job())
    assert isinstance(pending, Pending)
    assert pending.wake_on == f"training:{iteration}/{iteration}"


def test_an_iteration_that_is_gone_is_told(make: Make) -> None:
    """So is one that is none."""
    bench = make()
    with pytest.raises(PermanentError, match="project fruit has no iteration"):
        bench.run("export.vision", platforms=["ONNX"], iteration=str(uuid4()))
    with pytest.raises(PermanentError, match="is no iteration's id"):
        bench.run("export.vision", platforms=["ONNX"], iteration="Iteration 3")


def test_a_project_of_another_resource_is_told(make: Make, simulators: Simulators, iteration: str) -> None:
    """The remedy names the resource and the id."""
    bench = make()
    simulators.vision.reset()
    failure = refused(bench, "ONNX")
    assert failure.reason == f"the training resource at 127.0.0.1 has no project {iteration}"
    assert "training resource" in failure.remedy


@pytest.mark.guarantee(6)
def test_a_key_that_was_rotated_is_told(make: Make) -> None:
    """Neither key is."""
    bench = make()
    bench.values = {"VISION_KEY": "an-older-key"}
    failure = refused(bench, "ONNX")
    assert "401" in failure.reason
    assert "current key" in failure.remedy
    assert "an-older-key" not in failure.reason + failure.remedy


@pytest.mark.guarantee(7)
def test_a_project_that_is_not_declared_is_not_asked_for(make: Make, simulators: Simulators) -> None:
    """No request leaves."""
    bench = make()
    with pytest.raises(PermanentError, match="is not declared"):
        bench.run("export.vision", platforms=["ONNX"], project=str(uuid4()))
    assert simulators.vision.seen() == []


def test_a_service_that_talks_nonsense_is_asked_again(make: Make, simulators: Simulators) -> None:
    """What cannot be read is no reason to give up."""
    simulators.vision.fault("error", method="GET", path="/export", status=200, body='{"value": 7}')
    with pytest.raises(TemporaryError, match="unexpected"):
        export.advance(step("ONNX"), looked(make()))


@pytest.mark.parametrize("given", [[], [""], ["/x"], ["ONNX/"], ["a/b/c"]])
def test_platforms_are_checked_where_they_are_written(given: list[str]) -> None:
    """A platform, or a platform and a flavor; at least one."""
    with pytest.raises(ValueError, match="platforms"):
        step(*given)
    assert step("{{ steps.a.platform }}/ONNX10").platforms == ["{{ steps.a.platform }}/ONNX10"]


# -- a whole action ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["live", "dry_run"])
def test_a_rule_exports_what_was_trained(
    mode: str,
    make: Make,
    simulators: Simulators,
    azurite: str,
    iteration: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a dry run nothing is touched: not one request is made."""
    bench = make()
    simulators.vision.seed(settings={"export_seconds": 0})
    settings = Settings.read({"AzureWebJobsStorage": azurite, "VISION_KEY": KEY})
    prepare(bench.clients.account, settings.backup_container)
    training = {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"}
    rule = {"name": "work", "on": "TrainingCompleted", "mode": mode, "do": [{"export.vision": {"platforms": ["ONNX"]}}]}
    rules = {"version": 1, "vision": {"fruit": {"project": iteration, "training": training}}, "rules": [rule]}
    world = World(settings, json.dumps(rules), Wire())
    world.install(monkeypatch)
    world.reactor.receive("vision_notification", json.dumps(bench.event.payload))
    world.run()
    assert asked(simulators) == (["platform=ONNX"] if mode == "live" else [])
    assert bool(simulators.vision.seen()) is (mode == "live")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_both_flavors_are_backed_up_by_another_rule(
    make: Make, simulators: Simulators, azurite: str, iteration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each notification has its export kept, though both say the same; then the next flavor takes the blob's name."""
    bench = make()
    account = bench.clients.account
    name = uuid4().hex
    account.blobs.create_container(name)
    account.queues.create_queue(name)
    container, queue = f"{account.blobs.url.rstrip('/')}/{name}", f"{account.queues.url.rstrip('/')}/{name}"
    trained = {"id": iteration, "exportableTo": FOUR}
    uris = {"exportModelContainerUri": container, "notificationQueueUri": queue}
    simulators.vision.seed(
        projects=[{"id": iteration, "name": "fruit", "settings": uris, "iterations": [trained]}],
        settings={"export_seconds": 0},
    )
    store = bench.clients.backups._container
    settings = Settings.read(
        {
            "AzureWebJobsStorage": azurite,
            "VISION_KEY": KEY,
            "REACTOR_BACKUP_CONTAINER": store,
            "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
        }
    )
    prepare(account, store)
    training = {"endpoint": simulators.vision.url, "key": "${VISION_KEY}"}
    rules = [
        {"name": "export", "on": "TrainingCompleted", "do": [{"export.vision": {"platforms": [LITE, NORMAL]}}]},
        {"name": "keep", "on": "ExportCompleted", "do": ["backup.vision_export"]},
    ]
    declared = {"fruit": {"project": iteration, "training": training, "container": container}}
    world = World(settings, json.dumps({"version": 1, "vision": declared, "rules": rules}), Wire())
    world.install(monkeypatch)
    world.reactor.receive("vision_notification", json.dumps(bench.event.payload))
    began, told = world.now, 0
    while list(world.records.list_open()):
        assert world.now < began + timedelta(minutes=20), asked(simulators)
        deliver_all(world)
        sent = simulators.vision.state()["sent"]
        for message in sent[told:]:
            world.reactor.receive("vision_notification", json.dumps(message))
        if told == len(sent) and world.queue:
            world.now = max(world.now, min(waiting.visible for waiting in world.queue))
        told = len(sent)
    assert len(asked(simulators)) == told == 2
    kept = list(bench.clients.backups.own.list(iteration, iteration))
    assert [(one.flavor, one.is_whole) for one in kept] == [("TensorFlowLite", True), ("TensorFlowNormal", True)]
    assert len(list(account.blobs.get_container_client(name).list_blobs())) == 1


def test_the_step_says_what_it_gives(make: Make) -> None:
    """Every result that templates may ask for is there."""
    told: Told = make().run("export.vision", platforms=["ONNX"])
    assert {path.partition(".")[0] for path in export.RESULTS[export.Vision]} <= told.result.keys()


def test_what_is_done_is_found_without_asking(make: Make, iteration: str) -> None:
    """A second message, or a replay, goes on from what is there."""
    found = export.find(step("ONNX"), looked(make({"platform": "ONNX"})))
    assert isinstance(found, Done)
