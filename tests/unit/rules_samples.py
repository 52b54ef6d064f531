"""Small events and parameter models for the tests of the rules."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events import Event, announce
from shared.rules import Names, Rules, load

WORKSPACE = "/subscriptions/1/resourceGroups/ml/providers/Microsoft.MachineLearningServices/workspaces/Fraud-Prod"
PROJECT = "0b1c2d3e-0000-4000-8000-00000000000a"


class Strict(BaseModel):
    """Takes no parameter that it does not know."""

    model_config = ConfigDict(extra="forbid")


class Say(Strict):
    """Says something in a channel."""

    channel: Annotated[str, Names("channels")]
    title: str = "{{ subject }}"
    times: int = 1
    how: Literal["loud", "soft"] = "soft"
    also: list[Annotated[str, Names("channels")]] = Field(default_factory=list)


class Train(Strict):
    """Trains something."""

    factory: Annotated[str, Names("factories")] = "etl"
    inputs: dict[str, Any] = Field(default_factory=dict)
    model: str = "{{ model.name }}"


class Replicate(Strict):
    """Replicates something."""

    project: Annotated[str, Names("language")] = ""


class Nothing(Strict):
    """Takes nothing."""


ACTIONS = {
    name: f"{__name__}:{model}" for name, model in {"say": "Say", "train": "Train", "nothing": "Nothing"}.items()
}
SPENDING = ACTIONS | dict.fromkeys(("run.data_factory", "deploy.model"), ACTIONS["nothing"])
"""With steps whose names say that they cost something."""

HEAD = f"""version: 1
workspaces:
  fraud: {WORKSPACE}
factories:
  etl: /subscriptions/1/resourceGroups/ml/providers/Microsoft.DataFactory/factories/etl
vision:
  fruit:
    project: {PROJECT}
    training: {{endpoint: "https://fruit.example", key: "${{VISION_KEY}}"}}
channels:
  oncall: {{kind: teams, url: "${{TEAMS_URL}}"}}
  mail: {{kind: smtp, to: [a@example.com], host: mail.example, sender: b@example.com}}
rules:
"""


def rules(*texts: str, head: str = HEAD) -> Rules:
    """Load rules below a head that declares something of everything."""
    return load(head + "".join(f"  - {text.strip()}\n" for text in texts), ACTIONS, "rules.yaml")


def rule(name: str, on: str = "ModelRegistered", more: str = "", do: str = "[nothing]") -> str:
    """Write a rule in one line."""
    return f"{{name: {name}, on: {on}{', ' if more else ''}{more}, do: {do}}}"


def event(
    *kinds: str,
    data: Mapping[str, Any] | None = None,
    source: str = WORKSPACE,
    door: str = "event_grid",
    **facts: Mapping[str, Any],
) -> Event:
    """Make an event by hand."""
    return Event(
        door=door,
        type=f"Microsoft.MachineLearningServices.{kinds[0] if kinds else 'Unknown'}",
        kinds=frozenset(kinds),
        id="e1",
        source=source,
        subject="models/fraud:12",
        time=datetime(2026, 3, 2, 8, 15, tzinfo=UTC),
        data=data or {},
        facts=facts,
        payload={},
    )


def model_registered(name: str = "fraud", **tags: str) -> Event:
    """Make an event of a registered model."""
    data = {"modelName": name, "modelVersion": "12", "modelTags": tags}
    return event("ModelRegistered", data=data, model={"name": name, "version": "12"})


def action_failed(rule_name: str) -> Event:
    """Make the outcome of a rule's action."""
    return announce(
        "ActionFailed",
        id="a1",
        time=datetime(2026, 3, 2, tzinfo=UTC),
        facts={"action": {"rule": rule_name}, "failure": {"step": "train", "reason": "no quota"}},
    )
