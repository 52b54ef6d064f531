"""Stories of Azure Machine Learning for the tests that crash: what is there, and what must come of it."""

import json
from typing import Any

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml/providers"
WORKSPACE = f"{SUBSCRIPTION}/Microsoft.MachineLearningServices/workspaces/fraud"

RULES = """
  - name: go-live
    on: ModelRegistered
    where: {{data.modelTags.stage: {{StringIn: [live]}}}}
    do:
      - gate: {{metric: auc, at_least: 0.8, better_than: live}}
      - deploy.online_endpoint: {{endpoint: "{{{{ model.name }}}}", traffic: [10, 100], wait: 1m, keep_old: 1h,
                                 check: {{from: none}}, sample: {{input_data: [[1]]}}}}
    on_failure: [alert: {{channel: hook, title: "{{{{ model.name }}}} stays as it was"}}]
  - name: train
    on: RunStatusChanged
    where: {{run.experiment: {{StringIn: [train-me]}}, run.status: {{StringIn: [Completed]}}}}
    do:
      - run.job: {{id: train, component: "retrain:3", outputs: {{model: {{type: mlflow_model}}}}}}
      - register.model:
          name: trained
          version: "{{{{ run.id }}}}"
          from: {{job: "{{{{ steps.train.job }}}}", output: model}}
  - name: score
    on: RunStatusChanged
    where: {{run.experiment: {{StringIn: [score-me]}}, run.status: {{StringIn: [Completed]}}}}
    do: [invoke.batch_endpoint: {{endpoint: nightly, inputs: {{data: {{folder: "azureml://datastores/workspaceblobstore/paths/y"}}}}}}]
"""
"""Written for `str.format`, below those of the other stories."""


def model(name: str, version: int, auc: float, made: str) -> dict[str, Any]:
    """Seed a version of a model."""
    return {
        "id": f"{WORKSPACE}/models/{name}/versions/{version}",
        "tags": {"stage": "live"},
        "properties": {"auc": str(auc)},
        "flavors": {"python_function": {}},
        "createdAt": made,
    }


def served(name: str) -> dict[str, Any]:
    """Seed an endpoint where the first version has all traffic."""
    deployments = [{"name": "first", "model": f"{WORKSPACE}/models/{name}/versions/1"}]
    return {"id": f"{WORKSPACE}/onlineEndpoints/{name}", "traffic": {"first": 100}, "deployments": deployments}


MANAGEMENT: dict[str, Any] = {
    "models": [
        model("good", 1, 0.8, "2026-01-01T00:00:00Z"),
        model("good", 2, 0.9, "2026-02-01T00:00:00Z"),
        model("bad", 1, 0.8, "2026-01-01T00:00:00Z"),
        model("bad", 2, 0.9, "2026-02-01T00:00:00Z"),
        model("nightly", 1, 0.9, "2026-01-01T00:00:00Z"),
    ],
    "online_endpoints": [served("good"), served("bad")],
    "components": [
        {
            "id": f"{WORKSPACE}/components/retrain/versions/3",
            "componentSpec": {"outputs": {"model": {"type": "mlflow_model"}}},
        }
    ],
    "batch_endpoints": [
        {
            "id": f"{WORKSPACE}/batchEndpoints/nightly",
            "default": "first",
            "deployments": [
                {
                    "name": "first",
                    "model": f"{WORKSPACE}/models/nightly/versions/1",
                    "compute": f"{WORKSPACE}/computes/cpu",
                }
            ],
        }
    ],
    "logs": [{"name": "bad-v2", "content": "ValueError: no", "containerType": "InferenceServer"}],
    "settings": {"job_seconds": 0},
}
INFERENCE: dict[str, Any] = {"scoring": [{"deployment": "^bad-v2", "status": 424, "body": "no"}]}


def live(resources: dict[str, Any], name: str) -> dict[str, int]:
    """Say which versions of a model have which share of the traffic of the endpoint of its name."""
    shown = {id.lower(): one for id, one in resources.items()}
    endpoint = f"{WORKSPACE}/onlineEndpoints/{name}".lower()
    return {
        shown[f"{endpoint}/deployments/{deployment}"]["properties"]["model"].rpartition("/")[2]: share
        for deployment, share in shown[endpoint]["properties"]["traffic"].items()
        if share
    }


def deployed(resources: dict[str, Any], name: str) -> set[str]:
    """List the versions that are deployed to an endpoint."""
    return {
        one["properties"]["model"].rpartition("/")[2]
        for id, one in resources.items()
        if f"/onlineendpoints/{name}/deployments/" in id.lower()
    }


def jobs(resources: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    """List the jobs whose names begin so."""
    return [one for one in resources.values() if "/jobs/" in one["id"].lower() and one["name"].startswith(prefix)]


def trained(resources: dict[str, Any], event: str) -> list[str]:
    """List the models that were registered for a run."""
    run = json.loads(event)["data"]["runId"]
    return [id for id in resources if id.lower().endswith(f"/models/trained/versions/{run}".lower())]
