"""What is generated is current: `python -m dev.reference` (or `make docs`) writes it anew."""

import re
from datetime import timedelta
from typing import Any

import pytest

from cli.rules import catalogue
from cli.samples import SAMPLES, TIME, message, read
from dev.reference import FILES, ROOT, current, filled
from shared.actions import Action, Failure, Status, StepState
from shared.events import Event
from shared.outcomes import on_the_way, outcome
from shared.policy import Expectation
from shared.rules.kinds import ENVELOPE, KINDS, NAMESPACES, WORKSPACE

NOT_IN_THE_SAMPLE = {
    "DriftDetected": "data.dataDriftId data.dataDriftName data.baseDatasetId data.targetDatasetId data.driftCoefficient"
    " data.startTime data.endTime",
    "RunStatusChanged": "drift.monitor drift.signal drift.coefficient drift.features drift.generation",
    "ExportFailed": "data.modelUri",
    "NotificationMissed": "data.trainingStatus",
}
"""Fields that an event of the kind may have, and the one that is shown has not."""


@pytest.mark.parametrize("name", FILES)
def test_what_is_generated_is_current(name: str) -> None:
    """Each file is as the code would write it now; `python -m dev.reference` does."""
    assert (ROOT / name).read_text("utf-8") == current(name), "run: python -m dev.reference"


def test_marks_and_parts_have_to_fit() -> None:
    """A part that the page has no mark for is an error, and so is a mark that nothing fills."""
    page = "a\n<!-- generated: x -->\nold\n<!-- end of x -->\nb\n"
    assert filled(page, {"x": lambda: "new"}) == "a\n<!-- generated: x -->\n\nnew\n\n<!-- end of x -->\nb\n"
    for parts in ({}, {"x": str, "y": str}):
        with pytest.raises(ValueError, match="do not fit"):
            filled(page, parts)


def test_every_kind_is_in_the_catalogue() -> None:
    """Words and names are those of the rules, in their order."""
    assert list(catalogue.KINDS) == list(KINDS)
    assert set(catalogue.NAMESPACES) == NAMESPACES
    assert set(catalogue.FIELDS) >= {*ENVELOPE, *(f"workspace.{name}" for name in WORKSPACE)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_is_described_and_shown(kind: str) -> None:
    """What rules know a kind to have is described, and is in its sample but for what is listed above."""
    event = read(message(kind))
    spaces = {"data": event.data, **event.facts} if KINDS[kind].family != "own" else event.facts
    known = {f"{space}.{name}" for space, names in KINDS[kind].fields.items() for name in names}
    shown = {f"{space}.{name}" for space, values in spaces.items() for name in values}
    assert known | shown <= set(catalogue.FIELDS)
    if known:
        assert known - shown == set(NOT_IN_THE_SAMPLE.get(kind, "").split())
        assert shown <= known


def action(kind: str, **more: Any) -> Action:
    """Make the action that a sample of our own tells of."""
    told = message(kind).sample.facts["action"]
    approval = StepState(
        id="approval",
        action="approval",
        params={"by": ["a"], "within": "1h"},
        result={"expires": "x"},
        stage="wait",
    )
    return Action(
        **{name: told[name] for name in ("key", "rule", "event", "kinds", "source", "subject", "reason")},
        status=Status(told["status"]),
        rules_hash="",
        mode="live",
        depth=0,
        created=TIME,
        due=TIME,
        steps=[],
        on_failure=[],
        progress=[approval] if kind.startswith("Approval") else [],
        **more,
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].family == "own"])
def test_our_own_samples_tell_what_the_reactor_tells(kind: str) -> None:
    """The fields of each are those of the event that is made of such an action."""
    more: dict[str, Any] = {"failure": Failure(step="a", reason="b")} if kind == "ActionFailed" else {}
    if kind == "ExpectationMissed":
        more["expect"] = Expectation(kind="ExportCompleted", within=timedelta(hours=2))
    made = action(kind, **more)
    if kind in {"ApprovalRequested", "ApprovalGranted"}:
        result = {"at": "x"} if kind == "ApprovalGranted" else {}
        announced: Event | None = on_the_way(made, made.progress[-1], kind, result, TIME)
    else:
        announced = outcome(made)
    assert announced is not None
    assert announced.kinds == {kind}
    facts = read(message(kind)).facts
    assert {name: set(values) for name, values in announced.facts.items()} == {
        name: set(values) for name, values in facts.items()
    }


TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "object": (dict,),
    "list": (list,),
    "true": (bool,),
    "null": (type(None),),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_types_that_are_told_are_those_of_the_samples(kind: str) -> None:
    """Each value that is shown is of the type that its field is said to have."""
    event = read(message(kind))
    for space, values in {"data": event.data, **event.facts}.items():
        for name, value in values.items():
            words = re.findall(r"^list|^\w+|(?<=or )null", catalogue.FIELDS[f"{space}.{name}"].type)
            assert any(isinstance(value, TYPES[word]) for word in words), f"{space}.{name}"


def test_the_page_shows_each_kind_in_each_envelope() -> None:
    """A heading for each kind, and its samples under it: two of Event Grid's, one of all else."""
    page = (ROOT / "docs/events.md").read_text("utf-8")
    for kind in KINDS:
        under = re.search(rf"^## {kind}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert under, kind
        assert under[1].count("```json") == {"event_grid": 2}.get(SAMPLES[kind].door, 1)
