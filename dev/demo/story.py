"""What a story is made of, how it is told, and how what came of it is found in the records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dev.demo.ledger import Entry
from shared.actions import Action

GROUP = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers"
WORKSPACE = f"{GROUP}/Microsoft.MachineLearningServices/workspaces/fraud"

MODEL_REGISTERED = "Microsoft.MachineLearningServices.ModelRegistered"
RUN_COMPLETED = "Microsoft.MachineLearningServices.RunCompleted"
RUN_STATUS_CHANGED = "Microsoft.MachineLearningServices.RunStatusChanged"
DATASET_DRIFT = "Microsoft.MachineLearningServices.DatasetDriftDetected"


# -- what must come of a story ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What one rule did: its steps with what came of each, and what came of it all."""

    rule: str
    steps: tuple[str, ...]
    """Such as "alert succeeded"."""
    status: str


@dataclass(frozen=True)
class Outcome:
    """How an event was judged, and the answers to it: first those of the rules, then those to the rules' own ends."""

    event: Literal["planned", "parked", "refused", "unplanned", "ignored", "missing"]
    answers: tuple[Answer, ...] = ()
    because: str = ""
    """A part of the reason that must be recorded."""
    times: int = 1
    """How many events it was taken for, told twice as it is."""


def succeeded(rule: str, *actions: str) -> Answer:
    """Expect every step of a rule to succeed."""
    return Answer(rule, tuple(f"{action} succeeded" for action in actions), "succeeded")


# -- how a story is told ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """An event that Event Grid is given to deliver."""

    event: Mapping[str, Any]


@dataclass(frozen=True)
class Queued:
    """A text that somebody puts on the queue ml-events."""

    text: str


@dataclass(frozen=True)
class Acted:
    """Something that is done in Custom Vision, which then writes to the queue vision-notifications."""

    act: Literal["connect", "train"]


@dataclass(frozen=True)
class Followed:
    """A notification that Custom Vision sends by itself, for something that the reactor started."""

    type: Literal["Training", "Export"]
    project: str


@dataclass(frozen=True)
class Changed:
    """A model that somebody trains and deploys in the primary of a Language project: the schedule has to see it."""


type Told = Published | Queued | Acted | Followed | Changed
"""How a story may be told."""


@dataclass(frozen=True)
class Story:
    """One thing that happens."""

    name: str
    kind: str
    """What the reactor must take the event for; "" where it takes it for nothing."""
    about: str
    """What it is about, for people, in a few words."""
    told: Told
    known_by: str
    """The id of its event's record, or type and source; what is in its text, where it is no event."""
    outcome: Outcome
    effects: Sequence[str] = field(default=())
    """What must have been done to the services, once each, in the words of `effects.py`."""
    chapter: str = ""
    """The chapter that it belongs to, beside being one of its own."""
    follows: str = ""
    """The story that it comes of by itself."""


def machine_learning(
    number: int, type: str, subject: str, data: Mapping[str, Any], *, of: str = WORKSPACE
) -> Published:
    """Write an event of Azure Machine Learning as its system topic publishes it."""
    event = {
        "id": event_id(number),
        "topic": of,
        "subject": subject,
        "eventType": type,
        "eventTime": f"2026-03-02T08:{number:02}:04.1184021Z",
        "data": data,
        "dataVersion": "2",
        "metadataVersion": "1",
    }
    return Published(event)


def event_id(number: int) -> str:
    """Give the id of the event with this number."""
    return f"7b0f6a0e-2c35-4f0a-9a55-{number:012}"


def registered(number: int, name: str, version: int, tags: Mapping[str, str], *, of: str = WORKSPACE) -> Published:
    """Tell that a model was registered."""
    data = {"modelName": name, "modelVersion": str(version), "modelTags": dict(tags), "modelProperties": {}}
    return machine_learning(number, MODEL_REGISTERED, f"models/{name}:{version}", data, of=of)


def run_status(number: int, run: Any, experiment: str, status: str, tags: Mapping[str, str]) -> Published:
    """Tell that a run's status changed."""
    data = {
        "experimentId": "5f0c2d3e-9a41-4c6e-8f57-2b8d1c3e4f50",
        "experimentName": experiment,
        "runId": run,
        "runType": "azureml.PipelineRun",
        "runTags": dict(tags),
        "runProperties": {"azureml.runsource": "azureml.PipelineRun"},
        "createdBy": "Ada Lovelace",
        "runStatus": status,
    }
    return machine_learning(number, RUN_STATUS_CHANGED, f"experiments/5f0c2d3e/runs/{run}", data)


# -- what came of a story ---------------------------------------------------------------------------------------------


def find(story: Story, entries: Iterable[Entry]) -> list[Entry]:
    """Find a story's entries: one, unless it has not come yet, or a duplicate was taken for something new."""
    return [entry for entry in entries if is_about(story, entry)]


def is_about(story: Story, entry: Entry) -> bool:
    """Tell whether an event is this story's."""
    event = entry.event
    if event.door == "own":
        return isinstance(story.told, Changed) and story.known_by == f"{event.type} {event.source}"
    if event.status == "parked":
        return story.known_by in event.payload
    return story.known_by in (event.id, f"{event.type} {event.source}")


def actions(entry: Entry, entries: Iterable[Entry]) -> Iterator[Action]:
    """List the actions that an event led to, each followed by those that its own end led to."""
    chained = {each.event.subject: each for each in entries if each.event.door == "own"}
    for action in entry.actions:
        yield action
        if end := chained.get(f"actions/{action.key}"):
            yield from actions(end, entries)


def outcome(story: Story, entries: Sequence[Entry]) -> Outcome:
    """Say what came of a story, in the terms of what must come of it."""
    found = find(story, entries)
    if not found:
        return Outcome("missing", times=0)
    answers = [answer(action) for entry in found for action in actions(entry, entries)]
    event = found[0].event
    kept = story.outcome.because if story.outcome.because in event.reason else event.reason
    return Outcome(event.status, tuple(answers), kept, len(found))


def answer(action: Action) -> Answer:
    """Say what came of an action."""
    steps = tuple(f"{state.action} {state.outcome or 'open'}" for state in action.progress)
    return Answer(action.rule, steps, action.status.value)


def is_over(story: Story, entries: Sequence[Entry]) -> bool:
    """Tell whether nothing more will come of a story."""
    found = find(story, entries)
    keys = {f"actions/{action.key}" for entry in found for action in actions(entry, entries)}
    ends = [entry for entry in entries if entry.event.subject in keys and entry.event.door == "own"]
    return bool(found) and all(entry.over for entry in (*found, *ends))
