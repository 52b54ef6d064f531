"""What each step states that it needs is what it asks the services for: no request is left out, nothing is stated idly.

Requests are seen by the simulators, and are named as Azure's role-based access control names them:
https://learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from cli.rules.roles import covers
from dev.simulators.channels import SECRET
from dev.simulators.language.samples import exported as exported_project
from dev.simulators.remote import Simulators
from shared.clients.vision import Resource
from shared.errors import PermanentError
from shared.handlers import ACTIONS
from shared.handlers.approval import Approval
from shared.handlers.machine_learning.serving import deployment_name
from shared.language_watching import LanguageWatch
from shared.permissions import Permission
from shared.replicas import Options, Trained
from shared.rules import load, templates
from shared.rules.declared import Declared
from shared.rules.grants import EXPORTED, LISTED, NAMED, SHOWN, grants, stated
from shared.stages import Done, Handler, find_handler
from shared.storage import LIMITS_TABLE, prepare
from shared.storage.locks import Locks
from shared.watching import Watch
from tests.integration.stages import Bench, Told, clients_of, event_of

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
WS = f"{SUBSCRIPTION}/resourceGroups/ml-prod/providers/Microsoft.MachineLearningServices/workspaces/fraud"
FACTORY = f"{SUBSCRIPTION}/resourceGroups/data/providers/Microsoft.DataFactory/factories/etl"
PROJECT, ITERATION = "6b1d7c52-0e83-4f6a-9f4e-2c5d8a1b7e90", "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
EVENTS = Path(__file__).parents[1] / "events"
ML = "Microsoft.MachineLearningServices/workspaces"
CV = "Microsoft.CognitiveServices/accounts/CustomVision"
CLU = "Microsoft.CognitiveServices/accounts/Language/analyze-conversations"
MAIL = f"Email{uuid4().hex[:8]}"
"""A Language project; storage remembers one of that name for longer than a test."""
PREDICTION = f"{SUBSCRIPTION}/resourceGroups/ai/providers/Microsoft.CognitiveServices/accounts/fruit-p"
NAMES = re.compile(
    r"(?<=projects)/(?!global/)[^/]+|(?<=models)/[^/:]+|(?<=deployments)/(?!swap/)[^/:]+|(?<=jobs)/[^/:]+"
)
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COMPONENT = "azureml:retrain:4"
SPEC = {"type": "pipeline", "outputs": {"model": {"type": "mlflow_model"}}, "jobs": {"train": {}}}
REGISTRY_MODEL = "azureml://registries/prod/models/fraud-gbm/versions/3"
TAGS = {"stage": "production"}
FLAVORS = {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}}
TWELVE = deployment_name("fraud-gbm", "12", f"{WS}/models/fraud-gbm/versions/12")
CLASSIFIES, DETECTS = "ee85a74c-405e-4adc-bb47-ffa8ca0c9f31", "da2e3a8a-40a5-4171-82f4-58522f70fbc1"
APPLE = {"tagName": "apple", "probability": 0.9}
BOX = {"left": 0, "top": 0, "width": 1, "height": 1}
SEEN: Mapping[str, list[dict[str, Any]]] = {CLASSIFIES: [APPLE], DETECTS: [APPLE | {"boundingBox": BOX}]}
BREACH = {"azureml_modelmonitor_threshold_breached": "it has failed"}
VERBS = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}

BEHIND: Mapping[str, frozenset[str]] = {
    f"{ML}/batchEndpoints/jobs/write": frozenset(
        f"{ML}/{name}"
        for name in (
            *("batchEndpoints/deployments/jobs/read", "batchEndpoints/deployments/jobs/write"),
            *("data/versions/write", "datasets/registered/read", "datasets/registered/write"),
            *("datastores/listsecrets/action", "listStorageAccountKeys/action"),
            *("experiments/runs/submit/action", "experiments/runs/write"),
        )
    ),
}
"""What the service itself asks for when it is asked for something, so that no request of ours shows it.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint
"""
NO_CALL: Mapping[str, str] = {
    "Microsoft.DataFactory/factories/querypipelineruns/read": "querypipelineruns/action",
    "Microsoft.DataFactory/factories/pipelineruns/queryactivityruns/read": "pipelineruns/queryactivityruns/action",
    "Microsoft.DataFactory/factories/pipelineruns/activityruns/read": "pipelineruns/queryactivityruns/action",
}
"""What Data Factory is said to ask for beside an action."""
ELSEWHERE = frozenset({"mail", "topic", "queue", "storage", "second_storage"})
"""What is asked of what is not simulated here."""
NOBODY_ASKS = re.compile(r"/mfeOperationsStatus/|/discovery\Z", re.IGNORECASE)
"""What is read where it may be read, at best, and what everybody may read."""


# -- what a request is ------------------------------------------------------------------------------------------------


def action_of(method: str, url: str) -> str:
    """Name what a request to Resource Manager does: types and verb, without the names."""
    provider, *rest = urlsplit(url).path.strip("/").split("/providers/")[-1].split("/")
    return "/".join((provider, *rest[::2], VERBS[method]))


def data_action_of(method: str, url: str) -> str:
    """Name what a request to the data plane does."""
    path = urlsplit(url).path
    if "/studio/mferp/" in path:
        return action_of(method, path)
    if path.startswith("/studio/"):
        return f"{ML}/experiments/runs/read"
    if path.endswith("/score"):
        return f"{ML}/onlineEndpoints/score/action"
    return f"{ML}/batchEndpoints/jobs/{'write' if method == 'POST' else 'read'}"


def vision_action_of(method: str, url: str) -> str:
    """Name what a request to Custom Vision does: what stands in its path but the ids and names, and the verb."""
    asked = urlsplit(url)
    api, _, path = asked.path.partition("/customvision/")[2].partition("/")[2].partition("/")
    names = [each for each in path.split("/") if not GUID.fullmatch(each)]
    if api == "prediction":  # below what is published under a name
        del names[names.index("iterations") + 1]
    if names[-1] == "train" and "trainingType=Advanced" in asked.query:
        names.append("advanced")
    return "/".join((CV, *names, VERBS[method]))


def language_action_of(method: str, url: str) -> str:
    """Name what a request to Language does: what stands in its path but the names, and the verb."""
    path = urlsplit(url).path
    if path.endswith("/:analyze-conversations"):
        return f"{CLU}/action"
    kinds = NAMES.sub("", path.partition("/analyze-conversations/")[2]).replace(":", "")
    return "/".join((CLU, kinds, VERBS[method]))


class Asked:
    """What was asked of the services since it was made."""

    def __init__(self, simulators: Simulators) -> None:
        vision, language = (
            (simulators.vision, simulators.vision_replica),
            (simulators.language, simulators.language_replica),
        )
        self.services = (simulators.management, simulators.inference, *vision, *language)
        self.before = [len(service.seen()) for service in self.services]

    def __iter__(self) -> Iterator[str]:
        """Give it as actions."""
        management, inference, *others = (
            [one for one in service.seen()[before:] if not NOBODY_ASKS.search(urlsplit(one["url"]).path)]
            for service, before in zip(self.services, self.before, strict=True)
        )
        yield from (action_of(one["method"], one["url"]) for one in management)
        yield from (data_action_of(one["method"], one["url"]) for one in inference)
        yield from (vision_action_of(one["method"], one["url"]) for each in others[:2] for one in each)
        yield from (language_action_of(one["method"], one["url"]) for each in others[2:] for one in each)


# -- what each step does, in all its ways -----------------------------------------------------------------------------

Way = Callable[[Bench, Simulators], object]


def data_factory(bench: Bench, simulators: Simulators) -> None:
    """Run a pipeline to its end; find out why one failed; look for one whose start was not answered; cancel one."""
    bench.event = event_of((EVENTS / "monitor_breach.json").read_text("utf-8"))
    failed = [{"activityName": "train", "status": "Failed", "error": {"errorCode": "1", "message": "no"}}]
    key = {"parameters": {"reactor_action": {"type": "String"}}, "seconds": 0.2}
    pipelines: list[dict[str, Any]] = [
        {"id": f"{FACTORY}/pipelines/retrain", **key},
        {"id": f"{FACTORY}/pipelines/broken", "outcome": "Failed", "activities": failed, **key},
    ]
    simulators.management.seed(pipelines=pipelines, settings={"queued_seconds": 0.1})
    bench.run("run.data_factory", factory="etl", pipeline="retrain")
    tried(bench, "run.data_factory", factory="etl", pipeline="broken")
    bench.key = uuid4().hex
    tried(bench, "run.data_factory", at="end", factory="etl", pipeline="retrain")


def pipeline_job(bench: Bench, simulators: Simulators) -> None:
    """Run a component to its end; find out why one failed; cancel one."""
    bench.event = event_of((EVENTS / "monitor_breach.json").read_text("utf-8"))
    bench.run("run.job", component=COMPONENT, compute="cpu")
    simulators.management.seed(job_outcomes=[{"outcome": "Failed"}])
    bench.key = uuid4().hex
    tried(bench, "run.job", component=COMPONENT, compute="cpu")
    canceled(bench, simulators, "run.job", component=COMPONENT, compute="cpu")


def canceled(bench: Bench, simulators: Simulators, action: str, **params: Any) -> None:
    """Begin a job that takes long, and put it back as where the action failed."""
    simulators.management.seed(settings={"job_seconds": 60})
    bench.key = uuid4().hex
    handler = find_handler(ACTIONS, action)
    stages = {stage.name: stage for stage in handler.stages}
    values = handler.parse(templates.render(defaults(handler) | params, templates.context(bench.event)))
    result: dict[str, Any] = {}
    for name in ("check", "run") if action == "run.job" else ("check", "invoke"):
        progress = stages[name].start(values, bench.job(name, result))
        result |= progress.result if isinstance(progress, Done) else {}
    bench.perform(stages["cancel"], values, Told(result=result))


def defaults(handler: Handler) -> dict[str, Any]:
    """Give the parameters that a rule may leave out, where they are templates."""
    fields = handler.params.model_fields.items()
    return {name: info.default for name, info in fields if isinstance(info.default, str) and not info.is_required()}


def register(bench: Bench, _simulators: Simulators) -> None:
    """Register what a job has written."""
    bench.run("register.model", name="fraud-gbm", **{"from": {"job": "train", "output": "model"}})


def batch(bench: Bench, _simulators: Simulators) -> None:
    """Deploy a model behind a batch endpoint, where there is not even a cluster; a newer one; and a component."""
    cluster = {"size": "STANDARD_DS3_V2", "max_nodes": 2}
    bench.run("deploy.batch_endpoint", endpoint="fraud-batch", compute="new", create_compute=cluster, version="11")
    bench.run("deploy.batch_endpoint", endpoint="fraud-batch", compute="new")
    bench.run("deploy.batch_endpoint", endpoint="train-batch", compute="cpu", component=COMPONENT)


def invoke(bench: Bench, simulators: Simulators) -> None:
    """Score by the default deployment, whose answer is lost, by one that is named, and by a component's; cancel one."""
    given: dict[str, Any] = {
        "endpoint": "fraud-batch",
        "inputs": {"data": {"folder": "azureml://datastores/workspaceblobstore/paths/in/"}},
    }
    simulators.inference.fault("lost_reply", method="POST", path="jobs$")
    bench.run("invoke.batch_endpoint", **given)
    bench.key = uuid4().hex
    tried(bench, "invoke.batch_endpoint", **given, deployment=TWELVE)
    bench.key = uuid4().hex
    tried(bench, "invoke.batch_endpoint", endpoint="train-batch")
    simulators.management.seed(job_outcomes=[{"outcome": "Failed"}])
    bench.key = uuid4().hex
    tried(bench, "invoke.batch_endpoint", **given)
    canceled(bench, simulators, "invoke.batch_endpoint", **given)


def gate(bench: Bench, simulators: Simulators) -> None:
    """Ask for a tag; compare with what is live behind an endpoint of either kind, and with what is published."""
    bench.run("gate", where={"live.model.tags.stage": {"StringIn": ["production"]}})
    for endpoint in ("fraud", "fraud-batch"):
        tried(bench, "gate", metric="auc", at_least=0.5, better_than="live", endpoint=endpoint)
    fruit(simulators)
    bench.run(
        "gate",
        metric="recall",
        project="fruit",
        iteration=ITERATION,
        better_than="live",
        publish_name="live",
        at_least=0.1,
    )


def online(bench: Bench, simulators: Simulators) -> None:
    """Deploy step by step beside what serves, under each way to sign in; put back what fails."""
    step: dict[str, Any] = {"wait": "1s", "traffic": [50, 100], "sample": {"input_data": [[1]]}}
    for mode in ("AADToken", "Key", "AMLToken"):
        name = f"fraud-{mode.lower()}"
        serve(simulators, name, authMode=mode)
        bench.key = uuid4().hex
        tried(bench, "deploy.online_endpoint", endpoint=name, **step)
    serve(simulators, "fraud-broken")
    broken = {"name": TWELVE, "outcome": "Failed", "code": "ResourceNotReady", "message": "it crashed"}
    simulators.management.seed(provisioning=[broken])
    bench.key = uuid4().hex
    tried(bench, "deploy.online_endpoint", endpoint="fraud-broken", **step)
    tried(bench, "deploy.online_endpoint", endpoint="fraud-new", model_id=REGISTRY_MODEL, **step)


def serve(simulators: Simulators, name: str, **more: Any) -> None:
    """Put an online endpoint there by which version 11 serves, beside a deployment that has no traffic."""
    model = f"{WS}/models/fraud-gbm/versions/11"
    deployments = [{"name": "blue", "model": model}, {"name": "idle", "model": model}]
    endpoint = {"id": f"{WS}/onlineEndpoints/{name}", "traffic": {"blue": 100}, "deployments": deployments}
    simulators.management.seed(online_endpoints=[endpoint | more])


def told_of(bench: Bench, simulators: Simulators) -> None:
    """Tell of a run, a drift, a model and a deployment; of a training and an export."""
    fruit(simulators)
    about_models = ("run_failed", "monitor_breach", "model_registered", "model_deployed")
    for name in (*about_models, "vision_training_failed", "vision_export_failed"):
        bench.event = event_of((EVENTS / f"{name}.json").read_text("utf-8"))
        tried(bench, "alert", channel="chat", title="a", text="{{ error }} {{ links }}")


def fruit(simulators: Simulators, **given: Any) -> None:
    """Keep a project that can be trained, with two iterations, of which the older one is published."""
    old = {"name": "Iteration 1", "created": "2026-01-01T00:00:00Z", "trainedAt": "2026-01-01T00:00:00Z"}
    old |= {"publishName": "live", "originalPublishResourceId": PREDICTION}
    exports = [{"platform": "ONNX", "bytes": 100}]
    new = {"id": ITERATION, "name": "Iteration 9", "created": "2026-02-01T00:00:00Z", "exports": exports}
    images = {"count": 20, "tags": ["apple", "pear"]}
    simulators.vision.seed(
        projects=[{"id": PROJECT, "images": images, "iterations": [old, new]} | given],
        settings={"training_seconds": 0, "export_seconds": 0, "artifacts": True},
    )


def trained(bench: Bench, simulators: Simulators) -> None:
    """Train a project to its end; train it as advanced; find out why a training failed."""
    fruit(simulators)
    bench.run("train.vision", project="fruit")
    tried(bench, "train.vision", project="fruit", type="advanced", budget="1h")
    simulators.vision.seed(settings={"training_outcome": "Failed"})
    tried(bench, "train.vision", project="fruit", force=True)


def published(bench: Bench, simulators: Simulators) -> None:
    """Publish an iteration, tried out with images of the project, with one by its URL, and one that does not answer."""
    given: dict[str, Any] = {"project": "fruit", "iteration": ITERATION, "name": "live"}
    for domain in (CLASSIFIES, DETECTS):
        fruit(simulators, settings={"domainId": domain})
        simulators.vision.seed(settings={"predictions": SEEN[domain]})
        bench.key = uuid4().hex
        bench.run("publish.vision", **given, samples=1, probability=0)
        simulators.vision.seed(settings={"artifacts": False})
        at = Resource(simulators.vision.url)
        given |= {"sample": bench.clients.vision.images.page(at, PROJECT, skip=0, take=1)[0].url, "expects": "apple"}
        bench.key = uuid4().hex
        bench.run("publish.vision", **given)
        del given["sample"], given["expects"]
    fruit(simulators)
    simulators.vision.seed(settings={"predictions": [APPLE], "publish_delay_seconds": 60})
    bench.key = uuid4().hex
    tried(bench, "publish.vision", **given | {"name": "new", "within": "1s", "samples": 1, "probability": 0})


def exports(bench: Bench, simulators: Simulators) -> None:
    """Export an iteration; find out which domains can be exported."""
    fruit(simulators)
    given: dict[str, Any] = {"project": "fruit", "iteration": ITERATION, "platforms": ["TensorFlow"]}
    bench.run("export.vision", **given)
    fruit(simulators, iterations=[{"id": ITERATION, "exportable": False}])
    tried(bench, "export.vision", **given)


def pruned(bench: Bench, simulators: Simulators) -> None:
    """Delete an iteration."""
    fruit(simulators, iterations=[{"name": f"Iteration {n}", "created": f"2026-01-0{n}T00:00:00Z"} for n in (1, 2)])
    bench.run("prune.vision", project="fruit", keep=1)


def exported(bench: Bench, simulators: Simulators) -> None:
    """Back up what was exported."""
    fruit(simulators)
    prepare(bench.clients.account, "backups")
    simulators.vision.seed(settings={"artifacts": False})
    bench.run("backup.vision_export", project="fruit", iteration=ITERATION)


def forgotten(bench: Bench, simulators: Simulators) -> None:
    """Look which backups are old."""
    fruit(simulators)
    prepare(bench.clients.account, "backups")
    bench.run("prune.backups", project="fruit")


def kept(bench: Bench, simulators: Simulators) -> None:
    """Keep the images of a project."""
    fruit(simulators)
    prepare(bench.clients.account, "backups")
    bench.run("backup.vision_dataset", project="fruit")


def copied(bench: Bench, simulators: Simulators) -> None:
    """Copy a project, and then once more, so that the first copy is deleted; and one of which something gets lost."""
    fruit(simulators)
    for resource in (simulators.vision, simulators.vision_replica):
        resource.seed(settings={"import_seconds": 0})
    for _ in range(3):
        bench.key = uuid4().hex
        bench.run("replicate.vision", project="fruit", keep=1)
    simulators.vision_replica.seed(settings={"import_outcome": "Failed"})
    bench.key = uuid4().hex
    tried(bench, "replicate.vision", project="fruit")


def mail(bench: Bench, simulators: Simulators) -> None:
    """Have a Language project that its primary serves, and room for the backups."""
    prepare(bench.clients.account, "backups")
    at_once = {"job_seconds": 0, "train_seconds": 0}
    project = {"exported": exported_project(MAIL), "models": ["v1"], "deployments": {"production": "v1"}}
    simulators.language.seed(projects=[project], settings=at_once)
    simulators.language_replica.seed(settings=at_once)


def ready(bench: Bench, simulators: Simulators) -> None:
    """Bring a Language project to its second region: as new, in place of another, and where that region is full."""
    for is_full in (False, False, True):
        if is_full:
            full(bench, simulators)
        bench.key = uuid4().hex
        bench.run("replicate.language", project="mail-bot", force=True)


def full(bench: Bench, simulators: Simulators) -> None:
    """Have ten models in the second region, one of which a replication trained that nobody needs any more."""
    models = [{"label": f"old{number}", "id": f"old{number}"} for number in range(10)]
    project = {"exported": exported_project(MAIL), "models": models, "deployments": {"production": "old9"}}
    simulators.language_replica.seed(projects=[project])
    host = str(urlsplit(simulators.language.url).hostname)
    ours = Trained(label="old0", model="old0", hash="", left="", options=Options(mode="advanced"))
    bench.clients.replicas.note_training(host, MAIL, host, ours)


def brought_back(bench: Bench, simulators: Simulators) -> None:
    """Bring a backup back to either region, to one where there is nothing any more too."""
    simulators.language.seed(delete=[MAIL])
    for to in ("primary", "secondary", "primary"):
        bench.key = uuid4().hex
        bench.run("restore.language", project="mail-bot", to=to)


def backed_up(bench: Bench, simulators: Simulators) -> None:
    """Have a backup of a Language project."""
    mail(bench, simulators)
    bench.run("backup.language", project="mail-bot")


def deployed(bench: Bench, simulators: Simulators) -> None:
    """Have two batch endpoints and an online one there already."""
    bench.run("deploy.batch_endpoint", endpoint="fraud-batch", compute="cpu")
    bench.run("deploy.batch_endpoint", endpoint="train-batch", compute="cpu", component=COMPONENT)
    serve(simulators, "fraud")


ASK = Approval(by=["ada@example.com"], channel="chat")
PREPARED: Mapping[str, Way] = {
    **dict.fromkeys(("invoke.batch_endpoint", "gate", "retire.online_deployment"), deployed),
    "backup.language": mail,
    "replicate.language": mail,
    "restore.language": backed_up,
}
"""What is there before a step begins."""
WAYS: Mapping[str, Way] = {
    "run.data_factory": data_factory,
    "run.job": pipeline_job,
    "register.model": register,
    "deploy.batch_endpoint": batch,
    "invoke.batch_endpoint": invoke,
    "deploy.online_endpoint": online,
    "retire.online_deployment": lambda bench, _: bench.run(
        "retire.online_deployment", endpoint="fraud", deployments=["idle"]
    ),
    "train.vision": trained,
    "publish.vision": published,
    "export.vision": exports,
    "prune.vision": pruned,
    "prune.backups": forgotten,
    "backup.vision_dataset": kept,
    "replicate.vision": copied,
    "backup.language": lambda bench, _: bench.run("backup.language", project="mail-bot"),
    "replicate.language": ready,
    "restore.language": brought_back,
    "gate": gate,
    "backup.vision_export": exported,
    "alert": told_of,
    "approval": lambda bench, _: find_handler(ACTIONS, "approval").stages[0].start(ASK, bench.job()),
    "forward": lambda bench, _: bench.run("forward", to="hook"),
}


def tried(bench: Bench, action: str, *, at: str = "", **params: Any) -> None:
    """Perform a step that may fail, or that is called off at a stage: what it asked for counts all the same."""

    def before_stage(name: str) -> None:
        if name == at:
            raise PermanentError("called off")

    bench.before_stage = before_stage
    with suppress(PermanentError):
        bench.run(action, **params)
    bench.before_stage = lambda _name: None


def project_at(simulators: Simulators) -> dict[str, Any]:
    """Declare the project with its prediction resource and its replica; nothing has a key."""
    return {
        "project": PROJECT,
        "training": {"endpoint": simulators.vision.url},
        "prediction": {"resource": PREDICTION, "endpoint": simulators.vision.url},
        "replica": {"training": {"endpoint": simulators.vision_replica.url}, "prediction": PREDICTION},
    }


def mail_at(simulators: Simulators) -> dict[str, Any]:
    """Declare the Language project in its two regions; nothing has a key."""
    return {
        "project": MAIL,
        "primary": {"endpoint": simulators.language.url},
        "secondary": {"endpoint": simulators.language_replica.url},
        "deployments": ["production"],
    }


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Give a world in which there is something of everything."""
    simulators.management.seed(
        models=[
            {"id": f"{WS}/models/fraud-gbm/versions/{version}", "tags": TAGS, "createdAt": at, "flavors": FLAVORS}
            for version, at in (("11", "2026-02-01T08:15:04Z"), ("12", "2026-03-02T08:15:04Z"))
        ],
        computes=[{"id": f"{WS}/computes/cpu"}],
        components=[{"id": f"{WS}/components/retrain/versions/4", "componentSpec": SPEC}],
        jobs=[
            {"id": f"{WS}/jobs/calm_fox_7", "status": "Failed", "tags": BREACH},
            {"id": f"{WS}/jobs/train", "status": "Completed", "metrics": {"auc": 0.93}},
        ],
        settings={"provisioning_seconds": 0.1, "queued_seconds": 0.1, "job_seconds": 0.2},
    )
    declared = Declared.model_validate(
        {
            "workspaces": {"fraud": WS},
            "factories": {"etl": FACTORY},
            "vision": {"fruit": project_at(simulators)},
            "language": {"mail-bot": mail_at(simulators)},
            "channels": {
                "chat": {"kind": "slack", "url": f"{simulators.channels.url}/services/T0/B0/secret"},
                "hook": {"kind": "webhook", "url": f"{simulators.channels.url}/hooks/a", "secret": SECRET},
            },
        }
    )
    event = event_of((EVENTS / "model_registered.json").read_text("utf-8"))
    clients = clients_of(simulators, azurite)
    clients.account.tables.create_table_if_not_exists(LIMITS_TABLE)
    return Bench(clients, declared, event)


# -- the tests --------------------------------------------------------------------------------------------------------


def not_covered(used: Iterable[str], action: str) -> list[str]:
    """List what a step asked for and does not state."""
    patterns = [pattern for permission in stated(ACTIONS[action]) for pattern in permission.actions]
    return sorted({one for one in used if not covers(patterns, one)})


def idle(used: Iterable[str], action: str) -> list[str]:
    """List what a step states, and says that it cannot do without, and never asked for."""
    used = set(used)
    lower = {one.lower() for one in used}
    behind = {each.lower() for one, implied in BEHIND.items() if one.lower() in lower for each in implied}
    ours = [one for one in stated(ACTIONS[action]) if one.scope not in ELSEWHERE]
    needed = {each for permission in ours if not permission.optional for each in permission.actions}
    never = (one for one in needed if one.lower() not in behind and not any(covers((one,), each) for each in used))
    return sorted(one for one in never if one not in NO_CALL)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_step_asks_for_what_it_states_and_for_nothing_else(action: str, bench: Bench, simulators: Simulators) -> None:
    """Each request is covered by what is stated, and what is stated as needed is asked for in one way or another."""
    if action in PREPARED:
        PREPARED[action](bench, simulators)
    asked = Asked(simulators)
    bench.key = uuid4().hex
    WAYS[action](bench, simulators)
    used = set(asked)
    assert not_covered(used, action) == []
    assert idle(used, action) == []


TAGGED = """version: 1
workspaces: {{fraud: {workspace}}}
channels: {{hook: {{kind: webhook, url: "https://hook.example"}}}}
rules:
  - {{name: a, on: ModelTagged, where: {{model.name: {where}}}, do: [forward: {{to: hook}}]}}
"""


@pytest.mark.parametrize(
    ("where", "needed"),
    [
        ("{StringIn: [fraud-gbm]}", NAMED.actions),
        ("{StringBeginsWith: [fraud]}", (*LISTED.actions, *NAMED.actions)),
    ],
)
def test_looking_for_tags_asks_for_what_is_stated(
    where: str, needed: tuple[str, ...], bench: Bench, simulators: Simulators
) -> None:
    """A model that is named takes reading its versions; where none is, the workspace's models are listed too."""
    rules = load(TAGGED.format(workspace=WS, where=where), ACTIONS, "rules.yaml")
    asked = Asked(simulators)
    Watch(
        clients=bench.clients,
        rules=lambda: rules,
        announce=lambda _event, _at: None,
        clock=lambda: datetime.now(UTC),
    ).look()
    assert set(asked) == set(needed)
    (grant,) = grants(rules, ACTIONS)
    assert set(grant.actions) == set(needed)


COMPARED = """version: 1
language:
  {kind}:
    project: {project}
    primary: {{endpoint: "{primary}"}}
    secondary: {{endpoint: "{secondary}"}}
    deployments: [production]
channels: {{hook: {{kind: webhook, url: "https://hook.example"}}}}
rules:
  - {{name: a, on: {kind}, do: [forward: {{to: hook}}]}}
"""


@pytest.mark.parametrize(
    ("kind", "needed"), [("DeploymentNearExpiry", SHOWN[:1]), ("ReplicaOutdated", (SHOWN[0], EXPORTED[0]))]
)
def test_comparing_two_regions_asks_for_what_is_stated(
    kind: str, needed: tuple[Permission, ...], bench: Bench, simulators: Simulators
) -> None:
    """Both are read, and exported where that is to be compared; nothing else is asked of either."""
    mail(bench, simulators)
    bench.run("replicate.language", project="mail-bot")
    edits = [{"project": MAIL, "utterances": [{"text": "archive it", "intent": "Archive", "dataset": "Train"}]}]
    simulators.language_replica.seed(edits=edits)
    places = {"primary": simulators.language.url, "secondary": simulators.language_replica.url}
    rules = load(COMPARED.format(project=MAIL, kind=kind, **places), ACTIONS, "rules.yaml")
    asked, told = Asked(simulators), list[str]()
    watch = LanguageWatch(
        clients=bench.clients,
        locks=Locks(bench.clients.account),
        is_over=lambda _key: True,
        rules=lambda: rules,
        values={},
        announce=lambda event, _at: told.extend(event.kinds),
        clock=lambda: datetime.now(UTC),
    )
    for _ in range(2):
        watch.look()
    assert told == ([kind] if kind == "ReplicaOutdated" else [])
    assert set(asked) == {action for one in needed for action in one.actions}
    granted = {grant.id: set(grant.data_actions) for grant in grants(rules, ACTIONS)}
    assert granted == {place: set(asked) for place in places.values()}
