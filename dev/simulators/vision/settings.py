"""What a test can set of a Custom Vision resource; the top of this package says what each of them means."""

from collections.abc import Mapping
from typing import Any

SETTINGS: Mapping[str, Any] = {
    "tier": "S0",
    "rate_limited": False,
    "training_seconds": 0.5,
    "training_outcome": "Completed",
    "training_error": "Not enough images for training",
    "performance": None,
    "predictions": None,
    "publish_delay_seconds": 0.0,
    "prediction_resources": [],
    "export_seconds": 0.5,
    "export_bytes": 2048,
    "export_outcome": "Done",
    "import_seconds": 0.5,
    "import_outcome": "Succeeded",
    "lose_images": 0,
    "token_seconds": 86_400,
    "sas_seconds": 300,
    "artifacts": False,
    "image_status": {},
    "status_code_of_partial": 207,
    "unique_names": True,
    "retired_domains": [],
    "roles_missing": [],
    "multi_service": False,
    "test_blob_seconds": 0.0,
    "message_encoding": "plain",
    "blob_name": "{projectId} - {iterationId}.{platformType}",
    "notify": True,
}


class Limits:
    """What a price tier allows.

    https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
    """

    PROJECTS: Mapping[str, int] = {"F0": 2, "S0": 100}
    IMAGES: Mapping[str, int] = {"F0": 5_000, "S0": 100_000}
    TAGS: Mapping[str, int] = {"F0": 50, "S0": 500}
    ITERATIONS = 20
    IMAGES_PER_TAG: Mapping[str, int] = {"Classification": 5, "ObjectDetection": 15}
    REGIONS_PER_IMAGE = 300
    TAGS_PER_IMAGE = 100
    TRAINING_BYTES = 6 * 1024 * 1024
    PREDICTION_BYTES = 4 * 1024 * 1024
    SIDE = 10_240
    ASPECT = 25
    BATCH = 64
    TAGS_PER_BATCH = 20
    PAGE = 256
