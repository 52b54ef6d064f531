"""The chapter about Custom Vision: a project is connected, trains, goes live where it is better, and is kept."""

from typing import Any

from dev.demo.ml_stories import BREACH as OTHER_BREACH
from dev.demo.story import (
    GROUP,
    Acted,
    Answer,
    Followed,
    Outcome,
    Story,
    event_id,
    run_status,
    succeeded,
)

CHAPTER = "vision"
PROJECT = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
UNRIPE = "6d1f3c52-0b7e-4a55-8a4e-5d2f9c1b7e10"
LIVE = "5b0c9a51-7d3e-4c86-9f0a-1e2d3c4b5a69"
ITERATION = "8d8ac610-566d-4ef0-9c22-186b2a5ed793"
PREDICTION = f"{GROUP}/Microsoft.CognitiveServices/accounts/fruit-Prediction"
EXPORT_BYTES = 300_000

BREACH = {name: text.replace("prices", "fruit").replace("REGION", "colour") for name, text in OTHER_BREACH.items()}
SHOP = ("gate", "publish.vision", "export.vision")


def of(type: str, project: str = PROJECT) -> str:
    """Say by what the event of a notification is known."""
    return f"CustomVision.{type} customvision/{project}"


VISION_STORIES = (
    Story(
        "connected", "ConnectionTested", "fruit",
        Acted("connect"), of("ConnectionTest"),
        Outcome("planned"),
        (),
        CHAPTER,
    ),
    Story(
        "harvest", "DriftDetected", "signal=fruit_data_drift",
        run_status(31, "ripe_fig_1", "fruit", "Failed", BREACH), event_id(31),
        Outcome("planned", (succeeded("learn-again", "train.vision"),)),
        ("iteration of fruit Completed",),
        CHAPTER,
    ),
    Story(
        "trained", "TrainingCompleted", "fruit, as it was asked to",
        Followed("Training", PROJECT), of("Training"),
        Outcome("planned", (succeeded("to-the-shop", *SHOP), succeeded("pass-on-trainings", "forward"))),
        ("shop of fruit answers with the new iteration", "topic received CustomVision.Training"),
        CHAPTER,
        follows="harvest",
    ),
    Story(
        "exported", "ExportCompleted", "fruit, 300 kB",
        Followed("Export", PROJECT), of("Export"),
        Outcome("planned", (succeeded("keep-exports", "backup.vision_export"),)),
        ("backup of fruit: ONNX/default as it was exported",),
        CHAPTER,
        follows="harvest",
    ),
    Story(
        "unripe", "TrainingCompleted", "veg, recall 0.4",
        Acted("train"), of("Training", UNRIPE),
        Outcome("planned", (Answer("to-the-shop", ("gate open",), "skipped"),
                            succeeded("pass-on-trainings", "forward"))),
        ("topic received CustomVision.Training",),
        CHAPTER,
    ),
)  # fmt: skip
"""Each is told twice, as those of the other chapters are; what Custom Vision itself tells, once it has told it."""


def projects(queue: str) -> list[dict[str, Any]]:
    """Seed a project with images and a model that is live, and another one whose training was in vain."""
    live = {
        "id": LIVE,
        "publishName": "shop",
        "originalPublishResourceId": PREDICTION,
        "performance": {"precision": 0.7, "recall": 0.7, "averagePrecision": 0.7},
        "created": "2026-01-05T08:00:00Z",
        "trainedAt": "2026-01-05T08:20:00Z",
    }
    fruit = {
        "id": PROJECT,
        "name": "fruit",
        "settings": {"notificationQueueUri": queue},
        "tags": ["apple", "banana"],
        "images": {"count": 20, "tags": ["apple", "banana"], "size": [64, 64]},
        "iterations": [live],
    }
    poor = {"id": ITERATION, "performance": {"precision": 0.5, "recall": 0.4, "averagePrecision": 0.45}}
    veg = {"id": UNRIPE, "name": "veg", "settings": {"notificationQueueUri": queue}, "iterations": [poor]}
    return [fruit, veg]
