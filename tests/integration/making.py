"""Worlds with scripted steps: rules are written below the same declarations, and events are told to the doors."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from shared.actions import Action
from shared.events import digest
from shared.settings import Settings
from shared.storage import prepare
from shared.storage.account import Account
from tests.integration import scripted
from tests.integration.world import Wire, World

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
RULES = """
version: 1
workspaces: {fraud: /subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud}
vision:
  fruit:
    project: 00000000-0000-0000-0000-00000000000a
    training: {endpoint: "https://fruit.invalid", key: "${VISION_KEY}"}
rules:
"""
Make = Callable[..., World]


@pytest.fixture
def make(azurite: str, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a world with these rules below the declarations, on clean tables."""
    settings = Settings.read({"AzureWebJobsStorage": azurite, "VISION_KEY": "a-secret-key", "TOLD": "a-secret-word"})
    account = Account(settings.storage, lambda _client: pytest.fail("a connection string needs no credential"))
    prepare(account, settings.backup_container)

    def make(rules: str, declarations: str = RULES) -> World:
        world = World(settings, declarations + rules, Wire(), scripted.ACTIONS)
        world.install(monkeypatch)
        return world

    return make


def registered(name: str, **changes: Any) -> str:
    """Write the registration of a model."""
    event = {
        "id": name,
        "topic": WORKSPACE,
        "subject": f"models/{name}:1",
        "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
        "eventTime": "2026-11-22T08:15:04Z",
        "data": {"modelName": name, "modelVersion": "1", "modelTags": {}, "modelProperties": {}},
    }
    return json.dumps(event | changes)


def training() -> tuple[str, str]:
    """Write the notification of a training, and name its iteration."""
    iteration = str(uuid.uuid4())
    content = {
        "projectId": "00000000-0000-0000-0000-00000000000A",
        "iterationId": iteration,
        "trainingStatus": "TrainingCompleted",
    }
    return json.dumps({"version": "1.0", "type": "Training", "Content": content}), iteration


def exported() -> tuple[str, str]:
    """Write the notification of an export, and name its iteration."""
    iteration = str(uuid.uuid4())
    content = {
        "projectId": "00000000-0000-0000-0000-00000000000A",
        "iterationId": iteration,
        "exportStatus": "ExportCompleted",
        "modelUri": f"https://models.blob.core.windows.net/exports/{iteration}-TensorFlow-Lite",
    }
    return json.dumps({"version": "1.0", "type": "Export", "Content": content}), iteration


def unique() -> str:
    """Name a model nobody has named."""
    return f"m-{uuid.uuid4().hex[:12]}"


def action_of(world: World, event: str, rule: str = "work") -> Action:
    """Read the action by which a rule answers an event."""
    key = digest("action", world.event_key(event), rule)
    action = world.records.read_action(key)
    assert action is not None
    return action


def told(world: World, event: str) -> Action:
    """Bring an event to its door, let everything follow, and return the action of the rule "work"."""
    world.reactor.receive("event_grid", event)
    world.run()
    return action_of(world, event)
