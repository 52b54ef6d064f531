"""What a test can set of a Language resource, and its limits; the top of this package says what each setting means."""

from collections.abc import Mapping
from typing import Any

SETTINGS: Mapping[str, Any] = {
    "authoring": True,
    "rate_limited": False,
    "token_role": "owner",
    "key_role": "owner",
    "denied_status": 401,
    "job_seconds": 0.2,
    "train_seconds": 0.5,
    "outcomes": {},
    "job_days": 7,
    "job_hidden_seconds": 0.0,
    "retry_after": None,
    "busy_status": 400,
    "clock_seconds": 0.0,
    "config_versions": [],
    "model_days": 365,
    "deployment_days": 730,
    "evaluation": None,
    "predictions": None,
    "cut_off": "",
    "cut_off_of": "runtime",
    "page_size": 100,
    "shuffled": False,
}

VERSIONS = ("2023-04-01", "2025-11-01")
NEWEST = VERSIONS[-1]
CONFIG_VERSION = "2022-09-01"
ROLES = ("none", "reader", "writer", "owner")
KINDS = ("export", "import", "train", "deploy", "swap", "delete_deployment", "delete_project", "load_snapshot")
"""The kinds of job."""
STATUSES = ("notStarted", "running", "succeeded", "failed", "cancelled", "cancelling", "partiallyCompleted")


class Limits:
    """What the service allows.

    https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
    """

    PROJECTS = 500
    MODELS = 10
    DEPLOYMENTS = 10
    UTTERANCES = 50_000
    INTENTS = 500
    ENTITIES = 350
    AUTHORING_TEXT = 500
    PREDICTION_TEXT = 1000
    NAME = 50
    WRITES = 10
    READS = 100
    PREDICTIONS = 1000
    WINDOW = 60
    """Seconds that the three above count."""
