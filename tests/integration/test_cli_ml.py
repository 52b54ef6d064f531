"""`reactor ml` against the simulated services: what it does, what it says, and how it ends."""

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli import steps
from cli.main import main
from dev.simulators.remote import Simulators
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.handlers.machine_learning.serving import deployment_name
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.locks import Locks

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
TWELVE = deployment_name("fraud-gbm", "12", f"{WS}/models/fraud-gbm/versions/12")
DATA = "azureml://datastores/workspaceblobstore/paths/days/"
RULES = f"version: 1\nworkspaces: {{fraud: {WS}}}\nrules: []\n"


@pytest.fixture
def clients(simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clients:
    """Run the commands in a folder where a local stack says that it runs, with a workspace, a model and a cluster."""
    for name in ("REACTOR_URL", "REACTOR_WORKSPACE", "AzureWebJobsStorage"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(steps, "FIRST_WAIT", 0.05)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    settings = {
        "AzureWebJobsStorage": azurite,
        "REACTOR_ARM_ENDPOINT": simulators.management.url,
        "REACTOR_ML_HOSTS": "127.0.0.1",
        "REACTOR_RULES": "rules.yaml",
        "REACTOR_POLL_SECONDS": "0.1",
        "REACTOR_LEASE_SECONDS": "10",
        **simulators.environment,
    }
    (tmp_path / "rules.yaml").write_text(RULES, "utf-8")
    (tmp_path / ".stack").mkdir()
    facts = {"functions": "http://127.0.0.1:1", "app": str(tmp_path), "settings": settings}
    (tmp_path / ".stack/ready.json").write_text(json.dumps(facts), "utf-8")
    simulators.management.seed(
        models=[{"id": f"{WS}/models/fraud-gbm/versions/12", "tags": {"stage": "production"}}],
        computes=[{"id": f"{WS}/computes/cpu"}],
        settings={"provisioning_seconds": 0.05, "queued_seconds": 0.05, "job_seconds": 0.2},
    )
    made = Clients(Settings.read(settings), managed_identity)
    prepare(made.account, "backups")
    return made


def run(*arguments: str) -> int:
    """Run a command of `reactor ml` and give how it ends."""
    try:
        return main(["ml", *arguments])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run a command that ends well and give what it says to programs."""
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Sit at a terminal and answer."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(text))


def deploy(*more: str) -> int:
    """Deploy the model."""
    return run("batch", "deploy", "nightly", "--model", "fraud-gbm:12", "--compute", "cpu", *more)


# -- the whole walkthrough --------------------------------------------------------------------------------------------


def test_the_walkthrough_of_batch_scoring(
    clients: Clients, simulators: Simulators, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Compute, code, model, environment, data, endpoint, job, results, and delete: from nothing to nothing."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/score.py").write_text("def init(): ...\n", "utf-8")
    (tmp_path / "gbm").mkdir()
    (tmp_path / "gbm/model.pkl").write_bytes(b"gbm")
    (tmp_path / "days").mkdir()
    (tmp_path / "days/one.csv").write_text("1\n", "utf-8")
    (tmp_path / "conda.yaml").write_text("dependencies: [python=3.11]\n", "utf-8")
    assert run("compute", "create", "cluster", "--size", "Standard_DS3_v2", "--max-nodes", "4") == 0
    assert run("datastore", "show") == 0
    assert run("code", "upload", "score:1", "code") == 0
    assert run("model", "upload", "gbm:1", "gbm", "--tag", "stage=trial") == 0
    assert run("environment", "create", "gbm-env:1", "--image", "mcr.microsoft.com/x:1", "--conda", "conda.yaml") == 0
    assert run("data", "create", "days:1", "days") == 0
    made = ["--code", "score:1", "--scoring-script", "score.py", "--environment", "gbm-env:1"]
    assert run("batch", "deploy", "nightly", "--model", "gbm:1", "--compute", "cluster", *made) == 0
    assert run("batch", "show", "nightly") == 0
    job = told(capsys, "batch", "invoke", "nightly", "--input", "azureml:days:1", "--follow")["job"]
    assert run("batch", "results", job, "--to", "scores") == 0
    assert (tmp_path / "scores/predictions.csv").read_text("utf-8").startswith("one.csv,")
    assert run("batch", "delete", "nightly", "--yes") == 0
    assert clients.machine_learning.batch.endpoint(WS, "nightly") is None


# -- batch ------------------------------------------------------------------------------------------------------------


def test_a_deployment_is_told_stage_by_stage(clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe, each change is a line on stderr; what is live is on stdout."""
    assert deploy() == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"nightly: {TWELVE} is ready; default: {TWELVE}\n")
    stages = [line.split(":")[0] for line in said.err.splitlines()]
    assert list(dict.fromkeys(stages)) == ["model", "compute", "turn", "endpoint", "deployment", "default"]
    assert "\033" not in said.err


def test_each_option_of_a_deployment_arrives(clients: Clients, simulators: Simulators) -> None:
    """What the step knows, the command knows."""
    simulators.management.seed(
        models=[{"id": f"{WS}/models/own/versions/1", "modelType": "custom_model"}],
        codes=[{"id": f"{WS}/codes/score/versions/1"}],
        environments=[{"id": f"{WS}/environments/env/versions/1"}],
    )
    options = (
        "--model own:1 --compute gpu --create-compute Standard_NC6 --max-nodes 2 --idle 10m --priority LowPriority "
        "--code score:1 --scoring-script score.py --environment env:1 --variable A=1 --variable B=x=y --instances 2 "
        "--mini-batch-size 5 --error-threshold 3 --max-retries 1 --retry-timeout 90s --output-action SummaryOnly "
        "--output-file s.csv --concurrency 2 --logging-level Debug --no-default"
    )
    assert run("batch", "deploy", "nightly", *options.split()) == 0
    properties = json.loads(simulators.management.seen("PUT", "/deployments/")[-1]["body"])["properties"]
    assert properties["environmentVariables"] == {"A": "1", "B": "x=y"}
    assert properties["resources"] == {"instanceCount": 2}
    assert properties["retrySettings"] == {"maxRetries": 1, "timeout": "PT90S"}
    assert [properties[name] for name in ("miniBatchSize", "errorThreshold", "outputAction", "outputFileName")] == [
        5, 3, "SummaryOnly", "s.csv",
    ]  # fmt: skip
    assert (properties["maxConcurrencyPerInstance"], properties["loggingLevel"]) == (2, "Debug")
    cluster = json.loads(simulators.management.seen("PUT", "/computes/gpu")[0]["body"])["properties"]["properties"]
    assert (cluster["vmSize"], cluster["vmPriority"]) == ("Standard_NC6", "LowPriority")
    endpoint = clients.machine_learning.batch.endpoint(WS, "nightly")
    assert endpoint is not None
    assert endpoint.default == ""


def test_a_job_is_started_and_followed_later(clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --follow the command says how to go on, and those commands do."""
    assert deploy() == 0
    capsys.readouterr()
    assert run("batch", "invoke", "nightly", "--input", DATA) == 0
    said = capsys.readouterr().out
    job = said.split("reactor ml job follow ")[1].split("`")[0]
    assert run("batch", "results", job) == 1
    assert f"`reactor ml job follow {job}` waits" in capsys.readouterr().err
    assert run("job", "follow", job) == 0
    assert f"{job}: Completed" in capsys.readouterr().out
    assert run("batch", "results", job, "--to", "scores") == 0
    assert "scores/predictions.csv" in capsys.readouterr().out
    assert run("batch", "results", job, "--to", "scores") == 1
    assert "is there already: name another folder" in capsys.readouterr().err


def test_each_option_of_an_invocation_arrives(clients: Clients, simulators: Simulators) -> None:
    """Place, file, deployment, and what is said in place of the deployment's settings."""
    assert deploy() == 0
    options = (
        f"--input in=file:{DATA}one.csv --deployment {TWELVE} --output-datastore workspaceblobstore "
        "--output-path scores/day --output-file one.csv --mini-batch-size 5 --error-threshold -1 --max-retries 2 "
        "--retry-timeout 30s"
    )
    assert run("batch", "invoke", "nightly", *options.split()) == 0
    (asked,) = simulators.inference.seen("POST", "/nightly/jobs")
    body = json.loads(asked["body"])["properties"]
    assert body["inputData"] == {"in": {"jobInputType": "UriFile", "uri": f"{DATA}one.csv"}}
    assert "/scores/day/" in body["outputData"]["score"]["uri"]
    assert body["outputData"]["score"]["uri"].endswith("/one.csv")
    assert (body["miniBatchSize"], body["errorThreshold"], body["outputFileName"]) == (5, -1, "one.csv")
    assert body["retrySettings"] == {"maxRetries": 2, "timeout": "PT30S"}


def test_a_component_is_deployed_and_invoked_with_literals(clients: Clients, simulators: Simulators) -> None:
    """Texts are literals, and each output has a type."""
    spec = {
        "inputs": {"data": {"type": "uri_folder"}, "lr": {"type": "number"}},
        "outputs": {"m": {"type": "uri_file"}},
    }
    simulators.management.seed(components=[{"id": f"{WS}/components/retrain/versions/4", "componentSpec": spec}])
    assert run("batch", "deploy", "training", "--component", "retrain:4", "--compute", "cpu") == 0
    options = ["--input", f"data={DATA}", "--input", "lr=0.3", "--output", "m=file", "--experiment", "e", "--follow"]
    assert run("batch", "invoke", "training", *options) == 0
    (asked,) = simulators.inference.seen("POST", "/training/jobs")
    body = json.loads(asked["body"])["properties"]
    assert body["inputData"]["lr"] == {"jobInputType": "Literal", "value": "0.3"}
    assert body["outputData"]["m"]["jobOutputType"] == "UriFile"
    assert body["properties"] == {"experimentName": "e"}


def test_an_invocation_that_is_not_answered_starts_no_second_job(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it started is looked for, and followed."""
    assert deploy() == 0
    simulators.inference.fault("lost_reply", method="POST", path="jobs$")
    assert run("batch", "invoke", "nightly", "--input", DATA, "--follow") == 0
    assert len(simulators.inference.state()["batch_jobs"]) == 1


def test_an_invocation_that_never_arrived_is_not_repeated(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is to be seen of it after a while, a person decides."""
    assert deploy() == 0
    simulators.inference.fault("drop", method="POST", path="jobs$")
    assert run("batch", "invoke", "nightly", "--input", DATA) == 1
    assert "nothing is to be seen that it started" in capsys.readouterr().err
    assert simulators.inference.state()["batch_jobs"] == {}


@pytest.mark.parametrize("options", [("--instances", "0"), ("--component", "retrain")])
def test_an_option_that_does_not_fit_is_one_of_the_commands(
    options: tuple[str, str], clients: Clients, capsys: pytest.CaptureFixture[str], simulators: Simulators
) -> None:
    """It ends with 2 as every wrong use does, and speaks of no rule: there is none."""
    what = () if options[0] == "--component" else ("--model", "fraud-gbm:12")
    assert run("batch", "deploy", "nightly", *what, "--compute", "cpu", *options) == 2
    said = capsys.readouterr().err
    assert options[0].removeprefix("--")[:8] in said
    assert "rule" not in said
    assert simulators.management.seen("PUT") == []


def test_an_invocation_that_was_never_asked_for_says_that_nothing_began(
    clients: Clients, capsys: pytest.CaptureFixture[str], simulators: Simulators, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to look for a job where not even the endpoint could be read."""
    monkeypatch.setattr("cli.steps.MOST_TROUBLES", 1)
    simulators.management.fault("error", method="GET", path="batchEndpoints/nightly", status=503, body="busy", n=9)
    assert run("batch", "invoke", "nightly", "--input", DATA) == 1
    assert "nothing was started" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], simulators: Simulators
) -> None:
    """Nothing is called off by it."""
    assert deploy() == 0
    simulators.management.seed(settings={"job_seconds": 20})

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.steps.time.sleep", stop)
    capsys.readouterr()
    assert run("batch", "invoke", "nightly", "--input", DATA, "--follow") == 130
    assert "the job goes on: `reactor ml job follow batchjob-" in capsys.readouterr().err
    assert simulators.management.seen("POST", "/cancel") == []


def test_an_endpoint_is_shown(clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    """Its deployments, the default among them, and what they hold."""
    assert deploy() == 0
    capsys.readouterr()
    assert run("batch", "show", "nightly") == 0
    said = capsys.readouterr().out
    assert "nightly: Succeeded, in fraud" in said
    assert [word for word in said.splitlines()[-1].split() if word][:4] == [
        TWELVE, "default", "Succeeded", "fraud-gbm:12",
    ]  # fmt: skip
    assert told(capsys, "batch", "show", "nightly")["default"] == TWELVE


def test_a_delete_is_asked_for(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], simulators: Simulators
) -> None:
    """Without a terminal --yes is needed; a no leaves everything; a yes deletes."""
    assert deploy() == 0
    assert run("batch", "delete", "nightly") == 2
    assert "Say --yes" in capsys.readouterr().err
    answers(monkeypatch, "n\n")
    assert run("batch", "delete", "nightly") == 1
    assert f"and its 1 deployment ({TWELVE})?" in capsys.readouterr().err
    assert simulators.management.seen("DELETE") == []
    answers(monkeypatch, "y\n")
    assert run("batch", "delete", "nightly") == 0
    assert run("batch", "show", "nightly") == 1
    assert "batch endpoint nightly is not there, in workspace fraud" in capsys.readouterr().err


def test_a_failed_deployment_says_why(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service's words, a remedy, no traceback."""
    simulators.management.seed(
        provisioning=[{"name": TWELVE, "outcome": "Failed", "code": "ImageBuildFailure", "message": "conda failed"}]
    )
    assert deploy() == 1
    said = capsys.readouterr().err
    assert "is Failed: ImageBuildFailure: conda failed" in said
    assert "Traceback" not in said


def test_an_endpoint_that_an_action_works_on_is_waited_for(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the app's storage is at hand, its locks are heeded."""
    locks, key = Locks(clients.account), "ab" * 16
    held = f"{WS}/batchEndpoints/nightly"
    locks.hold(held, key, datetime.now(UTC), lambda _key: False)
    over = iter([False, False, True])
    monkeypatch.setattr(steps.Steps, "_is_over", lambda _self, _key: next(over))
    assert deploy() == 0
    assert "turn: action abababab is working on the endpoint" in capsys.readouterr().err


# -- online -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def canary(clients: Clients, simulators: Simulators) -> dict[str, int]:
    """Give an online endpoint that a new deployment has taken over; give the traffic of before."""
    before = {"blue": 100}
    models = [{"id": f"{WS}/models/fraud-gbm/versions/{version}"} for version in (11, 12)]
    simulators.management.seed(
        models=models,
        online_endpoints=[
            {
                "id": f"{WS}/onlineEndpoints/fraud",
                "traffic": {"green": 100},
                "tags": {"reactor-previous-traffic": json.dumps(before)},
                "deployments": [
                    {"name": "blue", "model": f"{WS}/models/fraud-gbm/versions/11"},
                    {"name": "green", "model": f"{WS}/models/fraud-gbm/versions/12"},
                ],
            }
        ],
    )
    return before


def traffic(clients: Clients) -> dict[str, int]:
    """Read who answers."""
    endpoint = clients.machine_learning.online.endpoint(WS, "fraud")
    assert endpoint is not None
    return dict(endpoint.traffic)


def test_an_online_endpoint_is_shown(
    clients: Clients, canary: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Who answers, with what, and what was before."""
    assert run("online", "show", "fraud") == 0
    said = capsys.readouterr().out
    assert "before that  blue 100 %; `reactor ml rollback fraud` goes back to it" in said
    rows = {line.split()[0]: line for line in said.splitlines() if " % " in line and not line.startswith("  ")}
    assert "100 %" in rows["green"]
    assert "fraud-gbm:12" in rows["green"]
    assert told(capsys, "online", "show", "fraud")["traffic"] == {"green": 100}


def test_a_rollback_gives_the_traffic_back_and_can_be_taken_back(
    clients: Clients, canary: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before and after are shown; the traffic of before the rollback is what the next one goes back to."""
    assert run("rollback", "fraud", "--yes") == 0
    said = capsys.readouterr()
    assert "now   green 100 %" in said.err
    assert "then  blue 100 %" in said.err
    assert said.out == "fraud: blue 100 %\n"
    assert traffic(clients) == canary
    assert run("rollback", "fraud", "--yes") == 0
    assert traffic(clients) == {"green": 100}


def test_a_rollback_is_asked_for(
    clients: Clients, canary: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A no changes nothing."""
    answers(monkeypatch, "\n")
    assert run("rollback", "fraud") == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert traffic(clients) == {"green": 100}


def test_a_rollback_to_who_is_gone_is_refused(
    clients: Clients, canary: dict[str, int], simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody would answer: it is said which deployment is missing."""
    simulators.management.seed(remove=[f"{WS}/onlineEndpoints/fraud/deployments/blue"])
    assert run("rollback", "fraud", "--yes") == 1
    assert "deployment blue is not there any more" in capsys.readouterr().err
    assert traffic(clients) == {"green": 100}


def test_a_rollback_waits_for_no_action(
    clients: Clients, canary: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where an action works on the endpoint, calling that off is the way back."""
    Locks(clients.account).hold(f"{WS}/onlineEndpoints/fraud", "ef" * 16, datetime.now(UTC), lambda _key: False)
    monkeypatch.setattr(steps.Steps, "_is_over", lambda _self, _key: False)
    assert run("rollback", "fraud", "--yes") == 1
    assert "reactor actions cancel efefefef" in capsys.readouterr().err
    assert traffic(clients) == {"green": 100}
    Locks(clients.account).let_go(f"{WS}/onlineEndpoints/fraud", "ef" * 16, datetime.now(UTC))


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_that_failed_says_why(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """`follow` ends with 1, `show` with 0; both tell the step's own words."""
    error = {"code": "UserError", "message": "no column amount"}
    children = [{"name": "train", "status": "Failed", "error": error}]
    simulators.management.seed(
        jobs=[{"id": f"{WS}/jobs/keen_owl", "status": "Failed", "error": error, "children": children}]
    )
    assert run("job", "show", "keen_owl") == 0
    assert "no column amount" in capsys.readouterr().out
    assert run("job", "follow", "keen_owl") == 1
    assert "keen_owl: Failed" in capsys.readouterr().out
    assert "no column amount" in told(capsys, "job", "show", "keen_owl")["error"]


def test_a_job_is_canceled(clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]) -> None:
    """And waited for; one that has ended is left alone."""
    simulators.management.seed(jobs=[{"id": f"{WS}/jobs/keen_owl", "status": "Running"}])
    assert run("job", "cancel", "keen_owl") == 0
    assert capsys.readouterr().out == "job keen_owl is Canceled\n"
    assert run("job", "cancel", "keen_owl") == 0
    assert "is Canceled already" in capsys.readouterr().out
    assert run("job", "show", "dull_owl") == 1
    assert "job dull_owl is not there" in capsys.readouterr().err


# -- assets -----------------------------------------------------------------------------------------------------------


def test_a_compute_is_made_once_and_shown(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is there is left as it is."""
    for _ in range(2):
        assert run("compute", "create", "gpu", "--size", "Standard_NC6", "--idle", "10m") == 0
    assert len(simulators.management.seen("PUT", "/computes/gpu")) == 1
    assert "is there already" in capsys.readouterr().out
    assert told(capsys, "compute", "show", "gpu")["size"].lower() == "standard_nc6"
    assert run("compute", "show", "tpu") == 1


def test_a_model_is_tagged(clients: Clients, capsys: pytest.CaptureFixture[str]) -> None:
    """Tags are set and removed, the others stay."""
    assert run("model", "tag", "fraud-gbm:12", "owner=risk", "--remove", "stage") == 0
    assert capsys.readouterr().out == "fraud-gbm:12: owner=risk\n"
    assert told(capsys, "model", "show", "fraud-gbm:12")["tags"] == {"owner": "risk"}
    assert run("model", "show", "fraud-gbm") == 0
    assert "owner=risk" in capsys.readouterr().out
    assert run("model", "tag", "fraud-gbm:99", "a=b") == 1


def test_the_same_code_is_uploaded_once(
    clients: Clients, simulators: Simulators, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a version, the content is the version."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/score.py").write_text("1\n", "utf-8")
    for _ in range(2):
        assert run("code", "upload", "score", "code") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    (tmp_path / "code/score.py").write_text("2\n", "utf-8")
    assert run("code", "upload", "score", "code") == 0
    assert capsys.readouterr().out.strip() != first


# -- where, and as whom -----------------------------------------------------------------------------------------------


def test_a_workspace_is_found_by_name_by_id_and_by_itself(
    clients: Clients, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only one declared is meant where none is named; a wrong name is answered with the right one."""
    for options in ([], ["--workspace", "fraud"], ["--workspace", WS], ["--rules", "rules.yaml"]):
        assert run("compute", "show", "cpu", *options) == 0
    assert run("compute", "show", "cpu", "--workspace", "fruad") == 2
    assert 'no workspace "fruad" (did you mean "fraud"?)' in capsys.readouterr().err
    monkeypatch.setenv("REACTOR_WORKSPACE", WS)
    Path("rules.yaml").unlink()
    assert run("compute", "show", "cpu") == 0


def test_a_workspace_that_the_identity_may_not_read(
    clients: Clients, simulators: Simulators, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal is one sentence, after some patience; no traceback."""
    simulators.management.seed(forbidden=[{"path": "computes", "n": 50}])
    assert deploy() == 1
    said = capsys.readouterr().err
    assert "the role may not have propagated yet, or be missing" in said
    assert "Traceback" not in said
