"""invoke.batch_endpoint over real https against the simulated service."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.remote import Simulators
from shared.actions import Status
from shared.clients.machine_learning.batch import BatchSettings
from shared.clients.machine_learning.scoring import Input, Invocation, Output
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.events import digest
from shared.handlers import ACTIONS
from shared.handlers.machine_learning.invoke import LOOKS, UNSEEN
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.stages import Done, Pending, find_handler
from shared.storage import prepare
from tests.integration.stages import Bench, Told, clients_of, event_of
from tests.integration.test_decisions import ME
from tests.integration.world import Wire, World

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
REGISTERED = (Path(__file__).parents[1] / "events/model_registered.json").read_text("utf-8")
MODEL, COMPONENT = f"{WS}/models/fraud-gbm/versions/12", f"{WS}/components/retrain/versions/4"
NO_OUTPUT = f"{WS}/components/tidy/versions/1"
DATA = {"data": {"folder": "azureml://datastores/workspaceblobstore/paths/days/"}}
ACTION = "invoke.batch_endpoint"
INVOKED = "/nightly/jobs"
LISTED = "/batchEndpoints/nightly/jobs"


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Give an endpoint "nightly" with deployments of a model, the default one, and of pipeline components."""
    spec = {
        "inputs": {"data": {"type": "uri_folder"}, "lr": {"type": "number", "default": "0.1"}},
        "outputs": {"model": {"type": "mlflow_model"}},
    }
    simulators.management.seed(
        models=[{"id": MODEL}],
        computes=[{"id": f"{WS}/computes/cpu"}],
        components=[{"id": COMPONENT, "componentSpec": spec}, {"id": NO_OUTPUT, "componentSpec": {"type": "pipeline"}}],
        settings={"provisioning_seconds": 0.01, "queued_seconds": 0.05, "job_seconds": 0.2, "page_size": 2},
    )
    declared = Declared(workspaces={"fraud": WS})
    bench = Bench(clients_of(simulators, azurite), declared, event_of(REGISTERED))
    batch = bench.clients.machine_learning.batch
    batch.put_endpoint(WS, "nightly", "westeurope")
    cpu = f"{WS}/computes/cpu"
    for name, settings in {
        "gbm": BatchSettings(compute_id=cpu, model_id=MODEL),
        "train": BatchSettings(compute_id=cpu, component_id=COMPONENT),
        "tidy": BatchSettings(compute_id=cpu, component_id=NO_OUTPUT),
    }.items():
        settled(lambda: batch.endpoint(WS, "nightly"))
        batch.put_deployment(WS, "nightly", name, "westeurope", settings)
        settled(partial(batch.deployment, WS, "nightly", name))
    batch.set_default(WS, "nightly", "gbm", instead_of="")
    settled(lambda: batch.endpoint(WS, "nightly"))
    return bench


def settled(read: Callable[[], Any]) -> None:
    """Wait until something is provisioned."""
    until = time.monotonic() + 10
    while (found := read()) is None or found.state != "Succeeded":
        assert time.monotonic() < until, found
        time.sleep(0.02)


def posted(simulators: Simulators) -> list[dict[str, Any]]:
    """Read the bodies of the invocations."""
    return [json.loads(one["body"])["properties"] for one in simulators.inference.seen("POST", INVOKED)]


def jobs(simulators: Simulators) -> list[dict[str, Any]]:
    """Read the jobs that there are."""
    return list(simulators.inference.state()["batch_jobs"].values())


def failure(bench: Bench, **params: Any) -> PermanentError:
    """Perform the step, which fails, and give the error."""
    with pytest.raises(PermanentError) as caught:
        bench.run(ACTION, **{"endpoint": "nightly", "inputs": DATA, **params})
    return caught.value


# -- a model ----------------------------------------------------------------------------------------------------------


def test_a_model_scores_and_the_result_says_where(bench: Bench, simulators: Simulators) -> None:
    """The job of the default deployment is followed to its end; its file is below the step's own folder."""
    told = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    (job,) = jobs(simulators)
    assert told.result["job"] == job["name"]
    assert told.result["status"] == "Completed"
    assert told.result["deployment"] == "gbm"
    assert told.result["output"].endswith(f"/paths/reactor/nightly/{bench.key}/predictions.csv")
    assert told.result["outputs"]["score"].endswith(f"/{bench.key}/predictions.csv")
    assert told.result["links"]["studio"].startswith("https://ml.azure.com/")
    assert f"run:{WS.lower()}/{job['name']}" in told.wake_on


def test_each_setting_arrives(bench: Bench, simulators: Simulators) -> None:
    """Data, place, file, and what is said instead of the deployment's settings, in the service's own words."""
    bench.run(
        ACTION,
        endpoint="nightly",
        inputs={"in": {"file": "https://acct.blob.core.windows.net/days/one.csv"}},
        output={"datastore": "workspaceblobstore", "path": "scores/day", "file": "one.csv"},
        mini_batch_size=5,
        error_threshold=-1,
        max_retries=2,
        retry_timeout="90s",
    )
    (body,) = posted(simulators)
    assert body["inputData"] == {
        "in": {"jobInputType": "UriFile", "uri": "https://acct.blob.core.windows.net/days/one.csv"}
    }
    uri = f"azureml://datastores/workspaceblobstore/paths/scores/day/{bench.key}/one.csv"
    assert body["outputData"] == {"score": {"jobOutputType": "UriFile", "uri": uri}}
    assert body["outputFileName"] == "one.csv"
    assert (body["miniBatchSize"], body["errorThreshold"]) == (5, -1)
    assert body["retrySettings"] == {"maxRetries": 2, "timeout": "PT90S"}


def test_a_named_deployment_and_a_registered_asset(bench: Bench, simulators: Simulators) -> None:
    """The deployment goes as a header, the asset as its ARM id."""
    simulators.management.seed(
        data=[{"id": f"{WS}/data/days/versions/3", "dataType": "uri_folder", "dataUri": DATA["data"]["folder"]}]
    )
    bench.run(ACTION, endpoint="nightly", deployment="gbm", inputs={"data": {"data": "azureml:days:3"}})
    (asked,) = simulators.inference.seen("POST", INVOKED)
    headers = {name.lower(): value for name, value in asked["headers"].items()}
    assert headers["azureml-model-deployment"] == "gbm"
    assert json.loads(asked["body"])["properties"]["inputData"]["data"]["uri"] == f"{WS}/data/days/versions/3"


@pytest.mark.parametrize(
    ("params", "why", "remedy"),
    [
        ({"inputs": DATA | {"lr": 0.3}}, "takes no literals: lr", "pipeline components"),
        ({"inputs": {}}, "takes one input, not 0", "give one"),
        ({"inputs": DATA | {"more": DATA["data"]}}, "takes one input, not 2", "give one"),
        ({"outputs": {"model": "folder"}}, "writes one file", "`output`"),
        ({"endpoint": "daily"}, "batch endpoint daily is not there", "deploy"),
        ({"deployment": "other"}, "has no deployment other", "deploy it"),
    ],
)
def test_what_cannot_be_invoked_starts_nothing(
    params: dict[str, Any], why: str, remedy: str, bench: Bench, simulators: Simulators
) -> None:
    """It is said before anything is asked of the data plane, with what helps."""
    error = failure(bench, **params)
    assert why in error.reason
    assert remedy in error.remedy
    assert simulators.inference.seen("POST") == []


def test_without_a_default_deployment_one_must_be_named(bench: Bench, simulators: Simulators) -> None:
    """An endpoint that nobody answers at is a failure with a remedy."""
    bench.clients.machine_learning.batch.put_endpoint(WS, "empty", "westeurope")
    error = failure(bench, endpoint="empty")
    assert "no default deployment" in error.reason
    assert "name a deployment" in error.remedy


@pytest.mark.guarantee(7)
def test_a_scoring_uri_elsewhere_sees_no_token(simulators: Simulators, azurite: str, bench: Bench) -> None:
    """A host that the settings do not allow is refused before any request, with the setting named."""
    clients = clients_of(simulators, azurite, REACTOR_ML_HOSTS="*.inference.ml.azure.com")
    error = failure(Bench(clients, bench.declared, bench.event))
    assert "REACTOR_ML_HOSTS" in error.remedy
    assert simulators.inference.seen() == []


# -- a pipeline component ---------------------------------------------------------------------------------------------


def test_a_component_takes_literals_and_writes_below_the_key(bench: Bench, simulators: Simulators) -> None:
    """Literals travel as text, outputs below the step's own folder, and the experiment is ours to name."""
    inputs = DATA | {"lr": 0.3}
    told = bench.run(
        ACTION, endpoint="nightly", deployment="train", inputs=inputs, outputs={"model": "mlflow_model"},
        experiment="retrain",
    )  # fmt: skip
    (body,) = posted(simulators)
    assert body["inputData"]["lr"] == {"jobInputType": "Literal", "value": "0.3"}
    assert body["properties"] == {"experimentName": "retrain"}
    assert body["outputData"]["model"]["jobOutputType"] == "MLFlowModel"
    assert told.result["outputs"]["model"].endswith(f"/{bench.key}/model")


def test_an_output_that_is_left_out_is_the_components_own(bench: Bench, simulators: Simulators) -> None:
    """What the component declares goes below the step's folder, so that its job can be found again."""
    bench.run(ACTION, endpoint="nightly", deployment="train", inputs=DATA)
    (body,) = posted(simulators)
    assert body["outputData"]["model"]["uri"].endswith(f"/{bench.key}/model")
    assert body["outputData"]["model"]["jobOutputType"] == "MLFlowModel"


def test_a_component_without_outputs_runs_at_least_once(bench: Bench, simulators: Simulators) -> None:
    """Its job cannot be found again, and the record says so."""
    told = bench.run(ACTION, endpoint="nightly", deployment="tidy")
    assert any("at least once" in note for note in told.notes)
    assert told.result["status"] == "Completed"


def test_an_input_that_the_component_does_not_have(bench: Bench, simulators: Simulators) -> None:
    """It is named, beside those that there are."""
    error = failure(bench, deployment="train", inputs=DATA | {"rate": 1})
    assert "has no input rate: it has data, lr" in error.reason
    assert simulators.inference.seen("POST") == []


def test_an_input_that_is_needed_is_asked_for_beforehand(bench: Bench, simulators: Simulators) -> None:
    """A component's input that is neither given, nor optional, nor has a default is named, and nothing is started."""
    error = failure(bench, deployment="train", inputs={"lr": 0.3})
    assert "component retrain:4 needs the input data" in error.reason
    assert error.remedy
    assert simulators.inference.seen("POST") == []


# -- at most once -----------------------------------------------------------------------------------------------------


@pytest.mark.guarantee(3)
def test_a_lost_reply_starts_no_second_job(bench: Bench, simulators: Simulators) -> None:
    """The job of the start that was not answered is found by where it writes, on whichever page it is."""
    for _ in range(3):  # others, so that ours is not on the first page alone
        Bench(bench.clients, bench.declared, bench.event).run(ACTION, endpoint="nightly", inputs=DATA)
    simulators.inference.fault("lost_reply", method="POST", path="jobs$")
    told = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    assert any("may have been started" in trouble or "did not answer" in trouble for trouble in told.troubles)
    assert len([job for job in jobs(simulators) if bench.key in str(job["properties"]["outputData"])]) == 1


@pytest.mark.guarantee(3)
def test_a_second_action_with_the_same_key_finds_the_first_ones_job(bench: Bench, simulators: Simulators) -> None:
    """As after a crash between the start and its record."""
    first = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    bench.starting_at = bench.job().now
    second = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    assert second.result["job"] == first.result["job"]
    assert len(jobs(simulators)) == 1


@pytest.mark.guarantee(3)
def test_an_unanswered_start_is_looked_for_on_every_page(bench: Bench, simulators: Simulators) -> None:
    """However the service sorts them; before the first start nothing is looked for."""
    bench.run(ACTION, endpoint="nightly", inputs=DATA)
    for _ in range(4):
        Bench(bench.clients, bench.declared, bench.event).run(ACTION, endpoint="nightly", inputs=DATA)
    handler, told = find_handler(ACTIONS, ACTION), Told()
    bench.perform(handler.stage("check"), params_of(), told)
    job = bench.job("step", told.result)
    assert handler.stage("invoke").find(params_of(), job) is None
    assert simulators.inference.seen("GET", LISTED) == []
    found = handler.stage("invoke").find(params_of(), replace(job, starting_at=job.now))
    assert isinstance(found, Done)
    assert len(simulators.inference.seen("GET", LISTED)) == 3


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_listing_that_cannot_be_read_holds_back_no_invocation(
    status: int, bench: Bench, simulators: Simulators
) -> None:
    """Nothing was started, so that nothing has to be looked for."""
    simulators.inference.fault("error", method="GET", path=LISTED, status=status, body="no", n=99)
    told = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    assert told.result["status"] == "Completed"
    assert told.troubles == []


@pytest.mark.guarantee(3)
@pytest.mark.parametrize("status", [403, 404, 500])
def test_where_the_endpoints_jobs_cannot_be_listed_those_of_the_workspace_are(
    status: int, bench: Bench, simulators: Simulators
) -> None:
    """The job of a start that was not answered is found there, and canceled there, too."""
    simulators.management.seed(settings={"job_seconds": 30})
    simulators.inference.fault("error", method="GET", path=LISTED, status=status, body="no", n=99)
    simulators.inference.fault("lost_reply", method="POST", path="jobs$")
    told = started(bench)
    assert [job["name"] for job in jobs(simulators)] == [told.result["job"]]
    name = told.result.pop("job")
    bench.perform(find_handler(ACTIONS, ACTION).stage("cancel"), params_of(), told)
    assert told.notes[-1] == f"job {name} was canceled"


@pytest.mark.guarantee(3)
def test_a_job_that_is_not_listed_yet_is_not_found_and_that_is_no_error(bench: Bench, simulators: Simulators) -> None:
    """The listing lags: `find` says that nothing is there, and the reactor looks twice before it starts again."""
    told = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    simulators.inference.fault("lag", path=LISTED)
    stage = find_handler(ACTIONS, ACTION).stage("invoke")
    params = find_handler(ACTIONS, ACTION).parse({"workspace": WS, "endpoint": "nightly", "inputs": DATA})
    bench.starting_at = bench.job().now
    assert stage.named_by == "service"
    assert stage.find(params, bench.job("step", told.result)) is None
    assert stage.find(params, bench.job("step", told.result)) == Done(
        {"job": told.result["job"]}, f"job {told.result['job']} started"
    )


def test_what_an_invocation_asks_of_the_service(bench: Bench, simulators: Simulators) -> None:
    """Four requests start a job, and each look at it is one more."""
    services = (simulators.management, simulators.inference)
    handler, told = find_handler(ACTIONS, ACTION), Told()
    before = sum(len(service.seen()) for service in services)
    bench.perform(handler.stage("check"), params_of(), told)
    bench.perform(handler.stage("invoke"), params_of(), told)
    assert sum(len(service.seen()) for service in services) - before == 4
    handler.stage("run").start(params_of(), bench.job("step", told.result))
    assert sum(len(service.seen()) for service in services) - before == 5


@pytest.mark.parametrize("fault", [{"kind": "throttle", "retry_after": 1}, {"kind": "drop"}, {"kind": "unavailable"}])
def test_trouble_at_the_start_ends_in_one_job(fault: dict[str, Any], bench: Bench, simulators: Simulators) -> None:
    """Whatever the first attempt meets, there is one job in the end."""
    simulators.inference.fault(**fault, method="POST", path="jobs$")
    bench.run(ACTION, endpoint="nightly", inputs=DATA)
    assert len(jobs(simulators)) == 1


def test_a_scoring_timeout_is_an_unanswered_start(bench: Bench, simulators: Simulators) -> None:
    """A gateway's timeout says nothing about whether a job began, so it is looked for."""
    simulators.inference.fault("error", method="POST", path="jobs$", status=504, body="upstream request timeout")
    handler = find_handler(ACTIONS, ACTION)
    params, told = handler.parse({"workspace": WS, "endpoint": "nightly", "inputs": DATA}), Told()
    bench.perform(handler.stage("check"), params, told)
    with pytest.raises(UnansweredError, match="may have been started"):
        handler.stage("invoke").start(params, bench.job("step", told.result))


def test_a_policy_that_refuses_us_is_waited_for(bench: Bench, simulators: Simulators) -> None:
    """The data plane's refusals are plain text; the record has them, and it is tried again."""
    simulators.inference.seed(denied=[{"path": "/jobs", "n": 1}])
    told = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    assert any("denied by policy" in trouble for trouble in told.troubles)


# -- its end ----------------------------------------------------------------------------------------------------------


def test_a_job_that_fails_says_which_step_and_why(bench: Bench, simulators: Simulators) -> None:
    """The run history's words are in the reason, the studio's page in the remedy."""
    error = {"code": "UserError", "message": "no column amount in day-7.csv"}
    simulators.management.seed(job_outcomes=[{"job": "batchjob", "outcome": "Failed", "error": error}])
    told = failure(bench)
    assert "is Failed" in told.reason
    assert "no column amount" in told.reason
    assert "ml.azure.com" in told.remedy


def test_an_output_that_is_there_already_fails_with_its_name(bench: Bench, simulators: Simulators) -> None:
    """Who fixes the place by hand gets the service's refusal, which names it."""
    bench.run(ACTION, endpoint="nightly", inputs=DATA)
    (job,) = jobs(simulators)
    place = job["properties"]["outputData"]["score"]["uri"]
    client = bench.clients.machine_learning
    uri = f"azureml://{place.lstrip('/')}"
    endpoint = client.batch.endpoint(WS, "nightly")
    assert endpoint is not None
    again = client.scoring.invoke(
        endpoint.scoring_uri,
        Invocation(
            inputs={"data": Input("UriFolder", DATA["data"]["folder"])}, outputs={"score": Output("UriFile", uri)}
        ),
    )
    handler = find_handler(ACTIONS, ACTION)
    params = handler.parse({"workspace": WS, "endpoint": "nightly", "inputs": DATA})
    with pytest.raises(PermanentError, match="path already exists"):
        bench.perform(handler.stage("run"), params, Told(result={"workspace": WS, "job": again.name}))


def test_a_job_that_is_gone_is_a_failure(bench: Bench, simulators: Simulators) -> None:
    """It is waited for a while: what was just started may not be seen yet."""
    handler = find_handler(ACTIONS, ACTION)
    params = handler.parse({"workspace": WS, "endpoint": "nightly", "inputs": DATA})
    result = {"workspace": WS, "endpoint": "nightly", "job": "batchjob-0"}
    stage = handler.stage("run")
    with pytest.raises(TemporaryError, match="cannot be seen yet"):
        stage.start(params, bench.job("step", result))
    job = bench.job("step", result, {"seen": (bench.job().now - UNSEEN * 2).isoformat()})
    assert stage.watch is not None
    with pytest.raises(PermanentError, match="is gone"):
        stage.watch(params, job)


def test_how_long_it_may_take_is_the_steps_own(bench: Bench) -> None:
    """A week, where nothing is said."""
    handler = find_handler(ACTIONS, ACTION)
    within = handler.stage("run").within
    assert within is not None
    assert within(handler.parse({"workspace": WS, "endpoint": "nightly"})).days == 7
    assert within(handler.parse({"workspace": WS, "endpoint": "nightly", "within": "3h"})).seconds == 3 * 3600


# -- called off -------------------------------------------------------------------------------------------------------


def test_a_job_that_runs_is_canceled(bench: Bench, simulators: Simulators) -> None:
    """The last stage asks for it once, and waits until the job has ended."""
    simulators.management.seed(settings={"job_seconds": 30})
    told = started(bench)
    bench.perform(find_handler(ACTIONS, ACTION).stage("cancel"), params_of(), told)
    assert told.notes[-1] == f"job {told.result['job']} was canceled"
    assert len(simulators.management.seen("POST", "/cancel")) == 1
    run = bench.clients.machine_learning.jobs.read(WS, told.result["job"])
    assert run is not None
    assert run.status == "Canceled"


def test_the_job_of_a_start_that_was_not_answered_is_canceled_too(bench: Bench, simulators: Simulators) -> None:
    """It is looked for, as nobody knows its name."""
    simulators.management.seed(settings={"job_seconds": 30})
    told = started(bench)
    name = told.result.pop("job")
    bench.perform(find_handler(ACTIONS, ACTION).stage("cancel"), params_of(), told)
    assert told.notes[-1] == f"job {name} was canceled"


def test_what_never_began_needs_no_canceling(bench: Bench, simulators: Simulators) -> None:
    """It is looked for a few times, as it may be listed late."""
    handler, told = find_handler(ACTIONS, ACTION), Told()
    bench.perform(handler.stage("check"), params_of(), told)
    bench.perform(handler.stage("cancel"), params_of(), told)
    assert len(simulators.inference.seen("GET", LISTED)) == LOOKS
    assert simulators.management.seen("POST", "/cancel") == []


def test_a_job_that_had_completed_is_left_alone(bench: Bench, simulators: Simulators) -> None:
    """The note says that it had."""
    told = bench.run(ACTION, endpoint="nightly", inputs=DATA)
    bench.perform(find_handler(ACTIONS, ACTION).stage("cancel"), params_of(), told)
    assert told.notes[-1] == f"job {told.result['job']} had completed"


RULES = f"""
version: 1
workspaces: {{fraud: {WS}}}
rules:
  - name: score
    on: ModelRegistered
    do: [invoke.batch_endpoint: {{endpoint: nightly, inputs: {{data: {{folder: "{DATA["data"]["folder"]}"}}}}}}]
"""


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_action_that_is_called_off_takes_its_job_with_it(
    bench: Bench, simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole of it, by a rule: the action ends as canceled, and the job is."""
    simulators.management.seed(settings={"job_seconds": 30})
    prepare(bench.clients.account, "backups")
    values = {"AzureWebJobsStorage": azurite, "REACTOR_ARM_ENDPOINT": simulators.management.url}
    world = World(Settings.read(values | {"REACTOR_ML_HOSTS": "127.0.0.1"}), RULES, Wire())
    world.install(monkeypatch)
    event = json.dumps(json.loads(REGISTERED)[0] | {"id": bench.key})
    world.reactor.receive("event_grid", event)
    key = digest("action", world.event_key(event), "score")
    while not jobs(simulators):
        message = min(world.queue, key=lambda waiting: waiting.visible)
        world.now = max(world.now, message.visible)
        world.deliver(message)
    world.reactor.decisions.cancel(key, ME, "the wrong day")
    world.run()
    action = world.records.read_action(key)
    assert action is not None
    assert action.status is Status.CANCELED
    (job,) = jobs(simulators)
    assert action.reason.endswith(f"job {job['name']} was canceled")
    assert job["properties"]["status"] == "Canceled"
    assert len(simulators.inference.seen("POST", INVOKED)) == 1


def params_of() -> Any:
    """Give the parameters of a plain step."""
    return find_handler(ACTIONS, ACTION).parse({"workspace": WS, "endpoint": "nightly", "inputs": DATA})


def started(bench: Bench) -> Told:
    """Perform the step until its job runs."""
    handler, told = find_handler(ACTIONS, ACTION), Told()
    bench.perform(handler.stage("check"), params_of(), told)
    bench.perform(handler.stage("invoke"), params_of(), told)
    progress = handler.stage("run").start(params_of(), bench.job("step", told.result))
    assert isinstance(progress, Pending)
    return told
