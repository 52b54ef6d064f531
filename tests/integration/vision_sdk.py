"""Microsoft's own client of Custom Vision, pointed at the simulator, and pictures to train with.

    def test_the_lab(simulators: Simulators) -> None:
        trainer, predictor = training_client(simulators.vision), prediction_client(simulators.vision)
        trainer.create_project("fruit")

It speaks v3.4-preview for training and v3.1 for predictions, with keys only.
https://learn.microsoft.com/python/api/overview/azure/cognitiveservices-vision-customvision-readme
"""

import io
import random
import time
from typing import Any

from azure.cognitiveservices.vision.customvision import prediction, training
from msrest.authentication import ApiKeyCredentials
from PIL import Image, ImageDraw

from dev.simulators.remote import Remote
from dev.simulators.vision import KEY, PREDICTION_KEY

__all__ = ["COLOURS", "draw", "models", "prediction_client", "prediction_models", "trained", "training_client"]

models: Any = training.models
"""The client is not annotated, so what it takes and gives is Any."""
prediction_models: Any = prediction.models

COLOURS = {"apple": (196, 38, 44), "banana": (228, 206, 64), "orange": (236, 132, 28)}
PATIENCE = 20.0


def training_client(at: Remote, key: str = KEY) -> Any:
    """Make a client of a training resource."""
    client: Any = training.CustomVisionTrainingClient
    return client(at.url, credentials({"Training-key": key}))


def prediction_client(at: Remote, key: str = PREDICTION_KEY) -> Any:
    """Make a client of the prediction resource at the same address."""
    client: Any = prediction.CustomVisionPredictionClient
    return client(at.url, credentials({"Prediction-key": key}))


def credentials(headers: dict[str, str]) -> Any:
    """Give a key as the clients take it."""
    keys: Any = ApiKeyCredentials
    return keys(in_headers=headers)


def trained(trainer: Any, project: str, iteration: Any) -> Any:
    """Wait until a training is over, as the lab does."""
    deadline = time.monotonic() + PATIENCE
    while iteration.status not in {"Completed", "Failed"}:
        assert time.monotonic() < deadline, f"it is still {iteration.status}"
        time.sleep(0.05)
        iteration = trainer.get_iteration(project, iteration.id)
    return iteration


def draw(
    fruit: str, number: int = 0, *, box: tuple[float, float, float, float] | None = None, format: str = "PNG"
) -> bytes:
    """Paint a fruit: all of the picture, or within a box (left, top, width, height) on a pale ground."""
    shade = random.Random(f"{fruit}{number}")
    red, green, blue = (max(0, min(255, part + shade.randint(-12, 12))) for part in COLOURS[fruit])
    width, height = 64, 48
    image = Image.new("RGB", (width, height), (240, 240, 236) if box else (red, green, blue))
    if box:
        left, top, wide, high = box
        corners = (left * width, top * height, (left + wide) * width - 1, (top + high) * height - 1)
        ImageDraw.Draw(image).rectangle(corners, fill=(red, green, blue))
    image.putpixel((0, 0), (number % 256, number // 256, 7))
    held = io.BytesIO()
    image.save(held, format)
    return held.getvalue()
