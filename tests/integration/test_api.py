"""What is under `api/…`: the real functions in the local host, real storage, and people whom an issuer signed in."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from cli import recorded
from cli.app import add_options, add_person, connect
from cli.errors import UsageError
from cli.main import main
from dev.azurite import azurite as run_azurite
from dev.process import Child
from dev.simulators.entra import AUDIENCE, CLIENT, LEADS, PERSON
from dev.simulators.remote import Simulators
from dev.simulators.tokens import TENANT
from shared import wiring
from shared.api import Api, Behind
from shared.clients.identity import managed_identity
from shared.defects import DefectError
from shared.settings import Storage
from shared.storage import prepare
from shared.storage.account import Account

REPOSITORY = Path(__file__).parents[2]
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
RULES = f"""
version: 1
workspaces: {{fraud: {WORKSPACE}}}
channels: {{oncall: {{kind: slack, url: "${{SIMULATOR_CHANNELS}}/services/T1/B1/x"}}}}
rules:
  - name: ask
    on: RunFailed
    where: {{data.experimentName: {{StringIn: [ask]}}}}
    do:
      - approval: {{by: [You@example.com, "{LEADS}"], within: 1h}}
      - alert: {{channel: oncall, title: "{{{{ run.id }}}}"}}
  - name: tell
    on: RunFailed
    where: {{data.experimentName: {{StringIn: [tell]}}}}
    do: [alert: {{channel: oncall, title: "{{{{ run.id }}}}"}}]
"""
LEAD, GUEST = "lead@example.com", "guest@example.com"
numbers = count(1)


@dataclass
class Running:
    """A host that runs the app, and the services around it."""

    url: str
    simulators: Simulators
    log: Path

    def get(self, path: str, **options: Any) -> requests.Response:
        """Read."""
        return self.checked(requests.get(f"{self.url}/api/{path}", timeout=30, **options))

    def post(self, path: str, body: Any = None, *, who: str = "", **options: Any) -> requests.Response:
        """Write, as somebody."""
        headers = {"Authorization": f"Bearer {self.token(who)}"} if who else {}
        sent = {"json": body or {"reason": "a test"}, "headers": headers, **options}
        return self.checked(requests.post(f"{self.url}/api/{path}", timeout=30, **sent))

    @staticmethod
    def checked(answer: requests.Response) -> requests.Response:
        """Look at what every answer has: JSON, kept by nobody, and an error has its reason."""
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.ok or answer.json()["error"]["reason"]
        return answer

    def token(self, who: str) -> str:
        """Sign somebody in."""
        form = {"grant_type": "password", "username": who, "scope": f"{AUDIENCE}/.default"}
        url = f"{self.simulators.entra.url}/{TENANT}/oauth2/v2.0/token"
        return str(requests.post(url, data=form, verify=self.simulators.ca, timeout=60).json()["access_token"])

    def event(self, experiment: str) -> str:
        """Announce a failed run, and wait until its event is recorded; gives the event's key."""
        run = f"run_{next(numbers)}"
        event = {
            "id": run,
            "eventType": "Microsoft.MachineLearningServices.RunStatusChanged",
            "topic": WORKSPACE,
            "subject": f"experiments/{experiment}/runs/{run}",
            "eventTime": "2026-01-01T00:00:00Z",
            "data": {"experimentName": experiment, "runId": run, "runStatus": "Failed"},
            "dataVersion": "2",
        }
        webhook = f"{self.url}/runtime/webhooks/EventGrid?functionName=on_ml_event"
        answer = requests.post(webhook, json=[event], headers={"aeg-event-type": "Notification"}, timeout=30)
        assert answer.status_code == 202
        listed = self.get("events", params={"kind": "RunFailed"}).json()["events"]
        return str(next(one["key"] for one in listed if one["subject"].endswith(f"/{run}")))

    def action(self, event: str, *, status: str = "", waits: bool = False) -> str:
        """Wait until the one action of an event has a status, or waits for a person; gives its key."""
        deadline = time.monotonic() + 30
        while True:
            [action] = self.get(f"events/{event}").json()["actions"]
            if action["status"] == status or (waits and "wait" in json.dumps(action)):
                return str(action["key"])
            assert time.monotonic() < deadline, action
            time.sleep(0.1)


@pytest.fixture(scope="module")
def host(
    running_simulators: Simulators, emulator_program: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Run the app on a storage account of its own; nothing is swept."""
    folder = tmp_path_factory.mktemp("api")
    ready, rules = folder / "ready.json", folder / "rules.yaml"
    rules.write_text(RULES, "utf-8")
    with run_azurite() as emulator:
        prepare(Account(Storage(connection_string=emulator.app), managed_identity), "backups")
        settings = running_simulators.environment | {
            "AzureWebJobsStorage": emulator.app,
            "PYTHON_THREADPOOL_THREAD_COUNT": "32",
            "REACTOR_RULES": str(rules),
            "REACTOR_SCHEDULE": "0 0 0 1 1 *",
            "REACTOR_POLL_SECONDS": "0.5",
            "REACTOR_AUTHORITY": f"{running_simulators.entra.url}/{TENANT}/v2.0",
            "REACTOR_AUDIENCE": f"{AUDIENCE},{CLIENT}",
            "REACTOR_OPERATORS": PERSON,
            "SIMULATOR_CHANNELS": running_simulators.channels.url,
        }
        ready.write_text(json.dumps({"settings": settings, "stack_pid": os.getpid()}), encoding="utf-8")
        command = [sys.executable, "-m", "dev.host", "--attach", str(ready), "--app", str(REPOSITORY), "--lease", "10"]
        child = Child("host", command, log=folder / "host.log", env={"PYTHONPATH": str(REPOSITORY)})
        try:
            facts = child.wait_for(lambda: (facts := json.loads(ready.read_text())).get("host_pid") and facts)
            yield Running(facts["functions"], running_simulators, folder / "host.log")
        finally:
            child.stop()


@pytest.fixture
def on(host: Running, simulators: Simulators) -> Running:
    """Give the host, with the services around it as at the start."""
    return host


# -- reading ----------------------------------------------------------------------------------------------------------


def test_what_happened_is_listed_and_shown(on: Running) -> None:
    """Newest first, by filter, and one by one; a key may be cut short."""
    event = on.event("tell")
    action = on.action(event, status="succeeded")
    assert on.get(f"events/{event}").json()["key"] == event
    assert on.get(f"events/{event[:12]}").json()["key"] == event
    assert on.get(f"actions/{action.upper()}").json()["rule"] == "tell"
    listed = on.get("actions", params={"rule": "tell", "status": "succeeded"}).json()["actions"]
    assert action in [one["key"] for one in listed]
    assert on.get("events", params={"kind": "ModelRegistered"}).json()["events"] == []


def test_the_function_key_may_be_in_the_query(on: Running) -> None:
    """The host has looked at it; it is no filter, and nobody hears of it again."""
    answer = on.get("events", params={"code": "s3cret-function-key", "clientId": "default"})
    assert answer.status_code == 200
    assert "s3cret" not in answer.text


def test_payloads_are_listed_where_they_are_asked_for(on: Running) -> None:
    """A page of them holds each event's door and message beside what any listing has."""
    event = on.event("tell")
    [listed] = on.get("events", params={"payload": "true", "most": "1"}).json()["events"]
    assert (listed["key"], listed["door"], listed["kinds"]) == (event, "event_grid", ["RunFailed", "RunStatusChanged"])
    assert listed["payload"]["data"]["experimentName"] == "tell"
    detail = on.get(f"events/{event}").json()
    assert {name: detail[name] for name in listed} == listed


def test_a_backtest_asks_the_app_what_came(
    on: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every event that a rule could hear is replayed in the order in which it came, over several pages."""
    monkeypatch.setattr(recorded, "LISTED_AT_ONCE", 3)
    monkeypatch.setattr(recorded, "READ_AT_ONCE", 2)
    before = on.get("events", params={"kind": "RunFailed", "most": "1000"}).json()["events"]
    keys = [on.event(experiment) for experiment in ("tell", "elsewhere", "tell", "ask", "tell")]
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(RULES, "utf-8")
    new.write_text(RULES.replace("StringIn: [tell]", "StringIn: [tell, elsewhere]"), "utf-8")
    command = ["rules", "backtest", "--from", str(old), "--to", str(new), "--app", on.url, "--json"]
    assert main([*command, "--since", "1h", "--fail-on-change"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["events"], told["repeated"], told["out_of_order"]) == (len(before) + len(keys), 0, 0)
    rules = {rule["name"]: rule for rule in told["rules"]}
    assert [rules["tell"][name] for name in ("newly", "no_longer")] == [1, 0]
    assert rules["tell"]["examples"]["newly"][0]["place"] == f"event {keys[1]}"
    assert rules["ask"]["both"] == rules["ask"]["matched"]["to"] >= 1
    last = on.get(f"events/{keys[-1]}").json()["received"]
    assert datetime.fromisoformat(told["last"]) == datetime.fromisoformat(last)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["events", "show", "0" * 32], (1, "no event has this key")),
        (["actions", "approve", "0" * 32, "--reason", "x"], (1, "there is no action 0")),
        (["events", "list", "--kind", "RunFaild"], (2, "did you mean")),
        (["events", "list", "--app", "http://127.0.0.1:9"], (2, "nothing answers")),
    ],
)
def test_a_refusal_is_another_exit_code_than_no_answer(
    arguments: list[str],
    expected: tuple[int, str],
    on: Running,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1 where the app looked at what was named, 2 where it was not understood or not there."""
    monkeypatch.setenv("REACTOR_URL", on.url)
    monkeypatch.setenv("REACTOR_TOKEN", on.token(PERSON))
    code, says = expected
    assert main(arguments) == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("events?payload=perhaps", 400, "payload"),
        ("events?payload=true&most=101", 400, "100"),
        ("events?colour=red", 400, "colour"),
        ("actions?since=yesterdayish", 400, "since"),
        (f"events/{'0' * 32}", 404, "no event"),
        (f"actions/{'0' * 32}", 404, "no action"),
        (f"events/{'0' * 32}?full=1", 400, "full"),
        ("events/not-a-key", 400, "key"),
        ("events?%ed%a0%80=1", 400, '"error"'),
        ("events?kind=%ed%a0%80%00%0a", 400, '"error"'),
        ("events/%2e%2e%2fhealth", 400, "key"),
        (f"events/{'0' * 32}/approve", 404, "nothing is served"),
        (f"actions/{'0' * 32}/approve", 405, "POST"),
    ],
)
def test_what_cannot_be_read_is_refused(on: Running, path: str, status: int, says: str) -> None:
    """The reason says what is wrong, and the field where."""
    answer = on.get(path)
    assert answer.status_code == status
    assert says in answer.text


# -- deciding ---------------------------------------------------------------------------------------------------------


def test_an_action_is_approved_once_by_who_is_named(on: Running) -> None:
    """A member of the group approves, somebody else may not, and nobody approves again."""
    event = on.event("ask")
    action = on.action(event, waits=True)
    refused = on.post(f"actions/{action}/approve", {"reason": "let me"}, who=GUEST)
    assert (refused.status_code, GUEST in refused.text) == (403, True)
    approved = on.post(f"actions/{action[:10]}/approve", {"reason": "looks fine"}, who=LEAD)
    assert approved.status_code == 200
    assert approved.json()["decision"]["by"]["name"] == LEAD
    assert approved.json()["decision"]["reason"] == "looks fine"
    assert on.post(f"actions/{action}/reject", who=PERSON).status_code == 409
    on.action(event, status="succeeded")


def test_an_action_is_rejected(on: Running) -> None:
    """By an address, in whatever case; a reason is asked of nobody."""
    event = on.event("ask")
    action = on.action(event, waits=True)
    assert on.post(f"actions/{action}/reject", who=PERSON).json()["decision"]["verdict"] == "rejected"
    on.action(event, status="rejected")


def test_operators_alone_cancel(on: Running) -> None:
    """Who may approve may not cancel for that."""
    event = on.event("ask")
    action = on.action(event, waits=True)
    refused = on.post(f"actions/{action}/cancel", {"reason": "x"}, who=LEAD)
    assert (refused.status_code, "REACTOR_OPERATORS" in refused.text) == (403, True)
    canceled = on.post(f"actions/{action}/cancel", {"reason": "wrong model"}, who=PERSON)
    assert canceled.json()["canceled"]["reason"] == "wrong model"
    on.action(event, status="canceled")


def test_operators_alone_replay(on: Running) -> None:
    """The reason is recorded, and asking twice is asking once."""
    event = on.event("tell")
    on.action(event, status="succeeded")
    body = {"reason": "the channel was down", "rules": "now", "again": True}
    assert on.post(f"events/{event}/replay", body, who=LEAD).status_code == 403
    first = on.post(f"events/{event}/replay", body, who=PERSON).json()
    assert [(one["rule"], one["outcome"]) for one in first["replayed"]] == [("tell", "started")]
    key = first["replayed"][0]["action"]
    assert on.get(f"actions/{key}").json()["replay"]["reason"] == "the channel was down"
    assert on.post(f"events/{event}/replay", body | {"again": False}, who=PERSON).json()["replayed"][0]["action"] == key


def test_groups_that_were_left_out_are_told_of(on: Running) -> None:
    """Who is in too many groups hears why they cannot decide, and what helps."""
    action = on.action(on.event("ask"), waits=True)
    on.simulators.entra.seed(claims={"groups": None, "_claim_names": {"groups": "src1"}})
    error = on.post(f"actions/{action}/approve", who=LEAD).json()["error"]
    assert "could not be read" in error["reason"]
    assert "app role" in error["remedy"]
    assert "could not be read" in on.post(f"actions/{action}/cancel", who=LEAD).json()["error"]["reason"]
    on.simulators.entra.seed(claims={"roles": ["someone", PERSON]})
    assert on.post(f"actions/{action}/approve", who=LEAD).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        ("", "no token"),
        ("Basic eW91OnB3", "Bearer"),
        ("Bearer a.b.c", "JSON Web Token"),
        ("Bearer é", "JSON Web Token"),
    ],
)
def test_nobody_writes_unsigned(on: Running, authorization: str, says: str) -> None:
    """The function key alone is not enough, and the answer says why."""
    headers = {"Authorization": authorization.encode()} if authorization else {}
    answer = on.post(f"actions/{'0' * 32}/approve", {}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')
    assert says in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("actions/{none}/approve", b'{"reason": "x"}', 404, "no action"),
        ("actions/{none}/approve", b"{}", 400, "reason"),
        ("events/{none}/replay", b'{"reason": "x", "rules": "now"}', 404, "no event"),
        ("events/{event}/replay", b'{"rules": "now"}', 400, '"field":"reason"'),
        ("events/{event}/replay", b'{"reason": "", "rules": "now"}', 400, '"field":"reason"'),
        ("events/{event}/replay", b'{"reason": "x", "rules": "later"}', 400, '"field":"rules"'),
        ("events/{event}/replay", b'{"reason": "x", "rules": "now", "again": "yes"}', 400, '"field":"again"'),
        ("events/{event}/replay", b'{"reason": "x", "rules": "now", "rule": "ghost"}', 400, "ghost"),
        ("events/{event}/replay", b'{"reason": "x", "rules": "now", "force": true}', 400, '"field":"force"'),
        ("events/{event}/replay", b'{"a\\nb\\ud83d": 1, "reason": "x", "rules": "now"}', 400, '"error"'),
        ("events/{event}/replay", b'{"a\\nb": 1, "reason": "x", "rules": "now"}', 400, '"field":"a b"'),
        ("events/{event}/replay", b'{"reason": "\\udc00", "rules": "now", "rule": "\\ud800"}', 400, '"error"'),
        ("events/{event}/replay", b"[]", 400, "object"),
        ("events/{event}/replay", b"\xff{", 400, "JSON"),
        ("events/{event}/replay", b"[" * 60_000, 400, "JSON"),
        ("events/{event}/replay", b" " * 66_000, 413, "larger"),
        ("events/{event}/replay?rules=now", b"{}", 400, '"field":"rules"'),
        ("events/{event}", b"{}", 405, "GET"),
        ("events", b"{}", 405, "GET"),
        ("actions/{none}/explode", b"{}", 404, "nothing is served"),
    ],
)
def test_what_cannot_be_done_is_refused(on: Running, path: str, body: bytes, status: int, says: str) -> None:
    """Whatever is in a body, the answer says what is wrong with it."""
    path = path.format(none="0" * 32, event=on.event("tell"))
    answer = on.post(path, who=PERSON, json=None, data=body)
    assert answer.status_code == status
    assert says in answer.text


def test_nothing_of_a_token_is_logged(on: Running) -> None:
    """Neither when it counts nor when it does not."""
    token = on.token(GUEST)
    for one in (token, token[:-42]):
        on.post(f"actions/{'0' * 32}/approve", headers={"Authorization": f"Bearer {one}"})
    log = on.log.read_text("utf-8")
    assert "outcome=refused" in log
    assert not [piece for piece in token.split(".") if piece[:30] in log]


def test_the_command_reads_and_decides(on: Running, tmp_path: Path) -> None:
    """By what the stack's ready file says, and as whom one asks to be."""
    tenant = f"{on.simulators.entra.url}/{TENANT}/v2.0"
    facts = {"functions": on.url, "ca": on.simulators.ca, "issuer": tenant, "person": LEAD}
    file = tmp_path / "ready.json"
    file.write_text(json.dumps(facts | {"settings": {"REACTOR_AUDIENCE": f"{AUDIENCE},{CLIENT}"}}), "utf-8")
    event = on.event("ask")
    action = on.action(event, waits=True)
    parser = argparse.ArgumentParser()
    add_options(parser)
    add_person(parser)
    guest = connect(parser.parse_args(["--ready", str(file), "--as", GUEST]), {})
    with pytest.raises(UsageError, match=f"{GUEST} may not decide this"):
        guest.post(f"actions/{action}/approve", {"reason": "let me"})
    lead = connect(parser.parse_args(["--ready", str(file)]), {})
    assert lead.post(f"actions/{action}/approve", {"reason": "fine"})["decision"]["by"]["name"] == LEAD
    on.action(event, status="succeeded")
    assert lead.get("actions", rule="ask", status="succeeded", most=1)["actions"][0]["key"] == action


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(azurite: str, simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Give what makes an app of this process, of these settings."""

    def make(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        wiring._app.cache_clear()

    make(
        AzureWebJobsStorage=azurite,
        REACTOR_AUTHORITY=f"{simulators.entra.url}/{TENANT}/v2.0",
        REACTOR_AUDIENCE=f"{AUDIENCE},{CLIENT}",
        REACTOR_OPERATORS="",
    )
    yield make
    wiring._app.cache_clear()


def asked(method: str, *, token: str = "") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Ask this process's app to list events, or to cancel an action: status, headers, error."""
    what, route = ("events", {}) if method == "GET" else ("actions", {"key": "0" * 32, "verb": "cancel"})
    headers = {"authorization": f"Bearer {token}"} if token else {}
    reply = wiring.api().answer(method, what, route, query={}, headers=headers, body=b"")
    return reply.status, dict(reply.headers), json.loads(reply.body).get("error")


def test_a_programming_error_is_raised_without_secrets(on: Running, caplog: pytest.LogCaptureFixture) -> None:
    """The host answers 500; what went wrong is logged, and no token."""
    token = on.token(PERSON)

    def broken() -> Behind:
        raise ValueError(f"with Bearer {token}")

    with pytest.raises(DefectError, match=r"ValueError: with Bearer\*\*\*$"):
        Api(broken).answer("GET", "events", {}, query={}, headers={}, body=b"")
    assert "api=events outcome=programming_error" in caplog.text
    assert token[:40] not in caplog.text


def test_without_operators_nobody_cancels(app: Callable[..., None], on: Running) -> None:
    """The answer names the setting."""
    status, _, error = asked("POST", token=on.token(PERSON))
    assert (status, "REACTOR_OPERATORS is empty" in error["reason"]) == (403, True)


def test_without_an_authority_nobody_signs_in(app: Callable[..., None], on: Running) -> None:
    """The answer names the setting, and reading goes on."""
    app(REACTOR_AUTHORITY="", REACTOR_AUDIENCE="")
    status, _, error = asked("POST", token=on.token(PERSON))
    assert (status, "REACTOR_AUTHORITY is not set" in error["reason"]) == (503, True)


def test_an_authority_that_is_down_is_no_refusal(app: Callable[..., None], on: Running) -> None:
    """The answer is 503, and says that it is for now."""
    token = on.token(PERSON)
    on.simulators.entra.fault("throttle", path="openid-configuration", retry_after=7)
    status, headers, error = asked("POST", token=token)
    assert (status, headers["Retry-After"]) == (503, "7")
    assert "the authority answered 429" in error["reason"]


def test_an_app_without_settings_says_so(app: Callable[..., None]) -> None:
    """As on the health page."""
    app(AzureWebJobsStorage="")
    status, _, error = asked("GET")
    assert (status, "AzureWebJobsStorage" in error["reason"]) == (503, True)
