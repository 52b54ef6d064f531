"""The chapter about Azure Machine Learning: models go live step by step or not at all, are trained again, and score."""

from typing import Any

from dev.demo.story import (
    WORKSPACE,
    Answer,
    Outcome,
    Story,
    event_id,
    registered,
    run_status,
    succeeded,
)

CHAPTER = "ml"
LIVE = {"stage": "live"}
ROLLOUT = ("gate", "deploy.online_endpoint")

BREACH = {
    "azureml_modelmonitor_threshold_breached": (
        "The signal 'prices_data_drift' has failed due to one or more features violating metric thresholds.\n"
        "The feature names and their corresponding computed metric values violating the threshold are \n"
        '[\'{"group":"REGION","metric_value":0.31,"metric_name":"jensen_shannon_distance","threshold_value":0.1}\']\n'
    )
}

ML_STORIES = (
    Story(
        "canary", "ModelRegistered", "churn:7, auc 0.94",
        registered(21, "churn", 7, LIVE), event_id(21),
        Outcome("planned", (succeeded("go-live", *ROLLOUT),)),
        ("online deployment of churn:7 Succeeded", "traffic of churn: churn:7 100 %"),
        CHAPTER,
    ),
    Story(
        "rollback", "ModelRegistered", "offers:5, answers with 500",
        registered(22, "offers", 5, LIVE), event_id(22),
        Outcome(
            "planned",
            (
                Answer("go-live", ("gate succeeded", "deploy.online_endpoint failed"), "failed"),
                succeeded("alert-on-failure", "alert"),
            ),
        ),
        (
            "online deployment of offers:4 Succeeded",
            "traffic of offers: offers:4 100 %",
            "webhook pager: go-live failed",
        ),
        CHAPTER,
    ),
    Story(
        "worse", "ModelRegistered", "margin:6, auc 0.71",
        registered(23, "margin", 6, LIVE), event_id(23),
        Outcome("planned", (Answer("go-live", ("gate open",), "skipped"),)),
        (),
        CHAPTER,
    ),
    Story(
        "retrain", "DriftDetected", "signal=prices_data_drift",
        run_status(24, "wise_elk_3", "prices", "Failed", BREACH), event_id(24),
        Outcome("planned", (succeeded("train-again", "run.job", "register.model", "alert"),)),
        (
            "job of retrain_prices:3 for wise_elk_3 Completed",
            "model prices registered for wise_elk_3",
            "teams oncall: prices was trained again after prices_data_drift",
        ),
        CHAPTER,
    ),
    Story(
        "score", "RunStatusChanged", "features of the night",
        run_status(25, "mild_yak_9", "nightly-features", "Completed", {}), event_id(25),
        Outcome("planned", (succeeded("score-nightly", "invoke.batch_endpoint"),)),
        ("batch job of nightly Completed",),
        CHAPTER,
    ),
)  # fmt: skip
"""Each is told twice, as those of the other chapters are."""


def model_of(name: str, version: int, auc: float, made: str) -> dict[str, Any]:
    """Seed a model that says how good it is."""
    return {
        "id": f"{WORKSPACE}/models/{name}/versions/{version}",
        "tags": LIVE,
        "properties": {"auc": str(auc)},
        "flavors": {"python_function": {"data": {"loader_module": "mlflow.sklearn"}}},
        "createdAt": made,
    }


def served(name: str, version: int) -> dict[str, Any]:
    """Seed an online endpoint where one version has all traffic."""
    deployment = f"{name}-v{version}"
    model = f"{WORKSPACE}/models/{name}/versions/{version}"
    return {
        "id": f"{WORKSPACE}/onlineEndpoints/{name}",
        "traffic": {deployment: 100},
        "deployments": [{"name": deployment, "model": model, "createdAt": "2026-01-10T08:00:00Z"}],
    }


COMPONENT = {
    "inputs": {"monitor_run": {"type": "string"}, "rate": {"type": "number", "default": "0.1"}},
    "outputs": {"model": {"type": "mlflow_model"}},
}
MANAGEMENT: dict[str, Any] = {
    "models": [
        model_of("churn", 6, 0.92, "2026-01-10T08:00:00Z"),
        model_of("churn", 7, 0.94, "2026-03-02T08:00:00Z"),
        model_of("offers", 4, 0.90, "2026-01-10T08:00:00Z"),
        model_of("offers", 5, 0.93, "2026-03-01T08:00:00Z"),
        model_of("margin", 6, 0.71, "2026-03-02T08:00:00Z"),
        model_of("nightly", 1, 0.90, "2026-01-10T08:00:00Z"),
    ],
    "components": [{"id": f"{WORKSPACE}/components/retrain_prices/versions/3", "componentSpec": COMPONENT}],
    "jobs": [
        {"id": f"{WORKSPACE}/jobs/wise_elk_3", "status": "Failed", "tags": BREACH, "experimentName": "prices"},
    ],
    "traffic_seen": [
        {"deployment": "churn-v7", "requests": 80, "failures": 0, "latency_ms": 40},
        {"deployment": "offers-v5", "requests": 60, "failures": 9, "status": 500, "latency_ms": 60},
    ],
    "logs": [{"name": "offers-v5", "content": "ValueError: OFFER_AGE is missing", "containerType": "InferenceServer"}],
    "batch_endpoints": [
        {
            "id": f"{WORKSPACE}/batchEndpoints/nightly",
            "default": "nightly-v1",
            "deployments": [
                {
                    "name": "nightly-v1",
                    "model": f"{WORKSPACE}/models/nightly/versions/1",
                    "compute": f"{WORKSPACE}/computes/cpu",
                }
            ],
        }
    ],
    "settings": {"job_seconds": 2},
}
"""What the chapter needs to be there."""
SERVED = {"canary": served("churn", 6), "rollback": served("offers", 4)}
"""Story to the endpoint that serves before it begins."""
