"""Asking a person in a channel, what a gate reads of the service, and a digest's message, over real https."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.simulators.channels import SECRET
from dev.simulators.remote import Simulators
from shared.actions import Decision, Person, Status
from shared.errors import PermanentError
from shared.handlers import ACTIONS
from shared.policy import Told
from shared.rules.declared import Declared
from shared.stages import Done, End, Pending, Progress, Waiting, find_handler
from tests.integration.stages import Bench, clients_of, event_of

WS = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ml-prod/providers/"
    "Microsoft.MachineLearningServices/workspaces/fraud"
)
REGISTERED = (Path(__file__).parents[1] / "events/model_registered.json").read_text("utf-8")
LEAD = Person(id="0a", name="lead@example.com")


@pytest.fixture
def bench(simulators: Simulators, azurite: str) -> Bench:
    """Answer the registration of version 12, with a channel of each sort that asks."""
    simulators.management.seed(models=[{"id": f"{WS}/models/fraud-gbm/versions/12", "tags": {"stage": "staging"}}])
    base = simulators.channels.url
    channels: dict[str, Any] = {
        "hook": {"kind": "webhook", "url": f"{base}/hooks/a", "secret": "${HOOK_SECRET}"},
        "mail": {"kind": "email", "to": ["lead@example.com"], "endpoint": base, "sender": "r@example.com"},
    }
    declared = Declared.model_validate({"workspaces": {"fraud": WS}, "channels": channels})
    return Bench(clients_of(simulators, azurite), declared, event_of(REGISTERED), {"HOOK_SECRET": SECRET})


def perform(bench: Bench, stage: str, values: dict[str, Any], action: str = "approval", **changes: Any) -> Progress:
    """Perform one stage once, as it is told by its job."""
    handler = find_handler(ACTIONS, action)
    params, chosen = handler.parse(values), handler.stage(stage)
    job = replace(bench.job(), **changes)
    return chosen.find(params, job) or chosen.start(params, job)


ASK = {"by": ["ml-leads"], "within": "2h", "title": "Approve?", "text": "Deploy fraud-gbm:12"}


def test_a_person_is_told_what_and_how(bench: Bench, simulators: Simulators) -> None:
    """The message says what there is to decide, by whom, until when, and with which commands."""
    asked = perform(bench, "ask", ASK | {"channel": "hook"})
    assert isinstance(asked, Done)
    assert asked.announces == "ApprovalRequested"
    expires = datetime.fromisoformat(asked.result["expires"])
    assert timedelta(hours=1, minutes=59) < expires - datetime.now(UTC) <= timedelta(hours=2)
    (message,) = simulators.channels.get("/_inbox")
    text = json.loads(message["body"])["data"]["text"]
    assert text.startswith("Deploy fraud-gbm:12\n\nUntil ")
    assert f"it can be decided by ml-leads:\nreactor actions approve {bench.key} --reason …\n" in text


def test_a_mail_is_waited_for(bench: Bench) -> None:
    """Where the question goes by mail, the time to answer runs once it went out."""
    handler, params = find_handler(ACTIONS, "approval"), ASK | {"channel": "mail"}
    asked = perform(bench, "ask", params)
    assert isinstance(asked, Pending)
    watch, until = handler.stage("ask").watch, datetime.now(UTC) + timedelta(seconds=20)
    assert watch is not None
    while isinstance(asked, Pending) and datetime.now(UTC) < until:
        asked = watch(handler.parse(params), bench.job())
    assert isinstance(asked, Done)
    assert asked.announces == "ApprovalRequested"


def test_nobody_need_be_told(bench: Bench, simulators: Simulators) -> None:
    """Without a channel it only waits."""
    assert isinstance(perform(bench, "ask", ASK), Done)
    assert simulators.channels.get("/_inbox") == []


@pytest.mark.parametrize(("verdict", "wanted"), [("approved", Done), ("rejected", End)])
def test_the_answer_is_taken(bench: Bench, verdict: Any, wanted: type) -> None:
    """An approval goes on with who and why, a rejection ends the action."""
    decision = Decision(verdict=verdict, step="approval", by=LEAD, at=datetime.now(UTC), reason="since")
    expires = {"expires": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    came = perform(bench, "wait", ASK, decision=decision, result=expires)
    assert isinstance(came, wanted)
    assert not isinstance(came, Done) or (came.result["by"], came.result["reason"]) == ("lead@example.com", "since")
    assert not isinstance(came, End) or (came.status, came.reason) == (
        Status.REJECTED,
        "rejected by lead@example.com: since",
    )


def test_it_expires(bench: Bench) -> None:
    """Until its time it sleeps, and then it ends as expired."""
    soon, past = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (60, -1))
    assert perform(bench, "wait", ASK, result={"expires": soon.isoformat()}) == Waiting(soon, "waits for ml-leads")
    ended = perform(bench, "wait", ASK, result={"expires": past.isoformat()})
    assert ended == End(Status.EXPIRED, "nobody decided within 2h")


# -- gates ------------------------------------------------------------------------------------------------------------


def test_a_gate_reads_the_model_of_now(bench: Bench) -> None:
    """What the event told is old: a gate asks the service, and says what it found."""
    stale = perform(bench, "", {"where": {"live.model.tags.stage": {"StringIn": ["production"]}}}, "gate")
    assert stale == End(Status.SKIPPED, 'live.model.tags.stage StringIn ["production"]: it is "staging"')
    holds = {"live.model.tags.stage": {"StringIn": ["staging"]}, "live.model.archived": {"BoolEquals": False}}
    assert isinstance(perform(bench, "", {"where": holds}, "gate"), Done)


def test_a_gate_finds_nothing_of_a_model_that_is_gone(bench: Bench, simulators: Simulators) -> None:
    """A model that is not there any more holds nothing, and the action is skipped."""
    where = {"where": {"live.model.version": {"StringIn": ["99"]}}, "version": "99"}
    assert perform(bench, "", where, "gate") == End(Status.SKIPPED, 'live.model.version StringIn ["99"]: it is missing')


def test_a_gate_without_a_model_says_what_to_give(bench: Bench) -> None:
    """Where the event tells of no model and the step names none, that is the rule's mistake."""
    event = json.loads(REGISTERED)
    one = event[0] if isinstance(event, list) else event
    one |= {"eventType": "Microsoft.MachineLearningServices.RunCompleted", "subject": "experiments/e/runs/r"}
    one["data"] = {"experimentId": "e", "experimentName": "x", "runId": "r", "runType": "t"}
    bench.event = event_of(json.dumps(one))
    with pytest.raises(PermanentError, match="the event tells of no model"):
        perform(bench, "", {"where": {"live.model.version": {"StringIn": ["1"]}}}, "gate")


def test_a_gate_decides_by_steps_and_templates(bench: Bench) -> None:
    """Results of earlier steps are read by their path; a dry run, which has none, goes on."""
    where = {"where": {"steps.score.auc": {"NumberGreaterThan": 0.9}}, "reason": "too weak"}
    ended = perform(bench, "", where, "gate", steps={"score": {"auc": 0.8}})
    assert ended == End(Status.SKIPPED, "too weak: steps.score.auc NumberGreaterThan 0.9: it is 0.8")
    assert isinstance(perform(bench, "", where, "gate", is_dry_run=True), Done)
    unfilled = {"where": {"model.version": {"StringIn": ["{{ steps.score.version }}"]}}}
    assert isinstance(perform(bench, "", unfilled, "gate", is_dry_run=True), Done)


# -- digests ----------------------------------------------------------------------------------------------------------


def test_a_digests_message_lists_its_events(bench: Bench, simulators: Simulators) -> None:
    """Each event has a line with its time, and those beyond are counted."""
    time = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    told = tuple(Told(key=f"{n}", kind="RunFailed", subject=f"runs/{n}", source=WS, time=time) for n in range(2))
    alert = {"channel": "hook", "title": "failed", "text": "Runs failed."}
    assert isinstance(perform(bench, "", alert, "alert", digest=told, more=3), Done)
    (message,) = simulators.channels.get("/_inbox")
    assert json.loads(message["body"])["data"]["text"].splitlines() == [
        "Runs failed.",
        "",
        "5 events:",
        "- 2026-11-22 08:00:00Z RunFailed runs/0",
        "- 2026-11-22 08:00:00Z RunFailed runs/1",
        "- and 3 more",
    ]
