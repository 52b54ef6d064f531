"""What happens in the demo, and what must come of each story: one table, for the demo and for the tests.

The messages have the wire's own shapes; see tests/events for more of them.
"""

from dev.demo.language_stories import LANGUAGE_STORIES
from dev.demo.ml_stories import CHAPTER, ML_STORIES
from dev.demo.story import (
    DATASET_DRIFT,
    GROUP,
    RUN_STATUS_CHANGED,
    WORKSPACE,
    Answer,
    Outcome,
    Queued,
    Story,
    event_id,
    machine_learning,
    registered,
    run_status,
    succeeded,
)
from dev.demo.vision_stories import VISION_STORIES

STRANGER = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/somebody-elses"
FACTORY = f"{GROUP}/Microsoft.DataFactory/factories/etl"

BREACH = {
    "azureml_modelmonitor_threshold_breached": (
        "The signal 'credit_data_drift' has failed due to one or more features violating metric thresholds.\n"
        "The feature names and their corresponding computed metric values violating the threshold are \n"
        '[\'{"group":"BILL_AMT1","metric_value":0.42,"metric_name":"normalized_wasserstein_distance",'
        '"threshold_value":0.1}\']\n'
    )
}
DRIFT = {
    "dataDriftId": "4e694bf5-712e-4e40-b06a-d2a2755212d4",
    "dataDriftName": "loans",
    "runId": "loans_1550564444",
    "baseDatasetId": "3c56d136-0f64-4657-a0e8-5162089a88a3",
    "targetDatasetId": "d7e74d2e-c972-4266-b5fb-6c9c182d2a74",
    "driftCoefficient": 0.8350346,
    "startTime": "2026-02-24T00:00:00+00:00",
    "endTime": None,
}
RETRAINED = Outcome("planned", (succeeded("retrain-on-drift", "run.data_factory", "alert"),))
PRODUCTION = {"stage": "production"}

STORIES: tuple[Story, ...] = (
    *VISION_STORIES,
    *LANGUAGE_STORIES,
    Story(
        "model", "ModelRegistered", "fraud-gbm:12, tagged",
        registered(1, "fraud-gbm", 12, PRODUCTION), event_id(1),
        Outcome("planned", (succeeded("deploy-production", "deploy.batch_endpoint"),)),
        ("deployment of fraud-gbm:12 Succeeded", "default of fraud-gbm is fraud-gbm:12"),
        CHAPTER,
    ),
    Story(
        "untagged", "ModelRegistered", "credit:3, untagged",
        registered(2, "credit", 3, {}), event_id(2),
        Outcome("planned"),
    ),
    Story(
        "broken", "ModelRegistered", "credit:9, cannot be built",
        registered(3, "credit", 9, PRODUCTION), event_id(3),
        Outcome(
            "planned",
            (
                Answer("deploy-production", ("deploy.batch_endpoint failed",), "failed"),
                succeeded("alert-on-failure", "alert"),
            ),
        ),
        ("deployment of credit:9 Failed", "webhook pager: deploy-production failed"),
    ),
    Story(
        "drift", "DriftDetected", "signal=loans_data_drift",
        machine_learning(4, DATASET_DRIFT, "datadrift/4e694bf5/run/loans_1550564444", DRIFT), event_id(4),
        RETRAINED,
        (
            "pipeline run of retrain for loans_1550564444",
            "teams oncall: Retrained after loans_data_drift of loans_1550564444",
        ),
    ),
    Story(
        "breach", "DriftDetected", "signal=credit_data_drift",
        run_status(5, "calm_fox_7", "credit", "Failed", BREACH), event_id(5),
        RETRAINED,
        ("pipeline run of retrain for calm_fox_7", "teams oncall: Retrained after credit_data_drift of calm_fox_7"),
    ),
    Story(
        "recovery", "DriftRecovered", "signal=credit_data_drift",
        run_status(6, "calm_fox_7", "credit", "Completed", BREACH), event_id(6),
        Outcome("planned", (succeeded("tell-of-recovery", "alert"),)),
        ("teams oncall: credit_data_drift is over",),
    ),
    Story(
        "failed-run", "RunFailed", "fraud-train keen_owl_x1",
        run_status(7, "keen_owl_x1", "fraud-train", "Failed", {}), event_id(7),
        Outcome("planned", (succeeded("tell-of-failed-runs", "alert"),)),
        ("mail fraud@example.com: fraud-train failed",),
    ),
    Story(
        "stranger", "ModelRegistered", "by a stranger",
        registered(8, "fraud-gbm", 13, PRODUCTION, of=STRANGER), event_id(8),
        Outcome("refused", because="somebody-elses"),
    ),
    Story(
        "malformed", "", "whose run id is a number",
        Queued('{"id": "9", "eventType": "' + RUN_STATUS_CHANGED + '", "topic": "' + WORKSPACE + '", '
               '"data": {"runId": 42, "runStatus": "Failed"}}'), '"runId": 42',
        Outcome("parked", because="data.runId"),
    ),
    *ML_STORIES,
)  # fmt: skip
"""Everything that happens; each is told twice."""
