"""Whatever dies while a Language project is brought somewhere: it is trained and swapped once, and ends as it should.

The reactor, its handlers and clients are the real ones, over real tables and blobs and over HTTP to the simulated
services; the clock is the test's.
"""

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

import function_app
from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from shared.actions import Action, Status
from shared.clients.identity import managed_identity
from shared.settings import Settings
from shared.settle import Timing
from shared.storage import prepare
from shared.storage.account import Account
from shared.storage.language_backups import LanguageBackups
from shared.storage.replicas import Replicas
from tests.integration.language_stories import UNCOUNTED, Mail
from tests.integration.making import registered
from tests.integration.world import LEASE, Crash, CrashAt, Delivery, Wire, World, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
STRIDE = int(os.environ.get("STRIDE", "90"))
"""Beside each write to the service, every so manieth boundary is crashed at; 1 tries all."""
WRITES = re.compile(r" (PUT|DELETE|POST|PATCH) .*/language/authoring/.*(?<!:export)$")
DEPLOYS = re.compile(r" (PUT|DELETE) .*/language/authoring/")
TIMING = Timing(lease=LEASE, poll=timedelta(seconds=0.2), deadline=timedelta(hours=24))
"""The service's clock is the real one: ours must not run away from it while nothing has gone wrong."""
HOST = "127.0.0.1"

RULES = """
version: 1
workspaces: {{fraud: {workspace}}}
language:
  mail-bot:
    project: {project}
    primary: {{endpoint: "{primary}", key: "${{LANGUAGE_KEY}}"}}
    secondary: {{endpoint: "{secondary}", key: "${{LANGUAGE_KEY}}"}}
    deployments: [production]
rules:
  - name: work
    on: ModelRegistered
    do: [{do}]
"""
NONSENSE = {"predictions": [{"category": "Nonsense", "confidenceScore": 1.0}]}
OLD = {"label": "v1", "id": "v1-old"}
Check = Callable[[Mail, Action], None]


def replicated(mail: Mail, action: Action) -> None:
    """See that the new model was trained once and swapped in once, and that all of it was written down."""
    assert action.status is Status.SUCCEEDED, action.reason
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert mail.serving(mail.secondary)["production-next"] == "v1-old"
    assert _done(mail, ":train") == 1
    assert _done(mail, ":swap") == 1
    account = Account(Settings.read({"AzureWebJobsStorage": mail.storage}).storage, managed_identity)
    kept, _ = Replicas(account).read(HOST, mail.name, HOST)
    assert kept is not None
    assert kept.secondary_models == {"production": mail.serving(mail.secondary)["production"]}
    versions = LanguageBackups(account, Settings.read({"AzureWebJobsStorage": mail.storage})).versions(HOST, mail.name)
    assert [one.name for one in versions if one.is_whole] == [kept.version]


def refused(mail: Mail, action: Action) -> None:
    """See that what serves is what served, and that the slot is named."""
    assert action.status is Status.FAILED
    assert "answers 0 of 5" in action.reason
    assert "production-next stays" in action.reason
    assert mail.serving(mail.secondary)["production"] == "v1-old"
    assert _done(mail, ":train") == 1
    assert _done(mail, ":swap") == 0


def put_back(mail: Mail, action: Action) -> None:
    """See that what served before was deployed again, after what was deployed without a slot did not answer well."""
    assert action.status is Status.FAILED
    assert "answers 0 of 5" in action.reason
    assert "the secondary serves what it served" in action.reason
    assert mail.serving(mail.secondary) == {"production": "v1-old"}
    assert _done(mail, ":train") == 1


def _done(mail: Mail, what: str) -> int:
    """Count what was begun, whether or not its answer arrived."""
    return len([one for one in mail.secondary.seen("POST", what) if one["status"] == 202])


@dataclass(frozen=True)
class Story:
    """What a rule does, what is different about the second region, and what must come of it."""

    do: str
    check: Check
    settings: dict[str, Any] = field(default_factory=dict)
    writes: re.Pattern[str] = WRITES
    """The requests that are all crashed at; what comes before them is the same in each story."""


STORIES = {
    "replicated": Story("replicate.language: {project: mail-bot}", replicated),
    "refused": Story(
        "replicate.language: {project: mail-bot}",
        refused,
        NONSENSE,
        DEPLOYS,
    ),
    "put back": Story("replicate.language: {project: mail-bot, staging: ''}", put_back, NONSENSE, DEPLOYS),
}


def begin(mail: Mail, story: Story) -> None:
    """Have the first region serve a newer model than the second one, which nobody has replicated yet."""
    mail.simulators.reset()
    mail.begin(models=["v2"], deployments={"production": "v2"})
    there = {"exported": exported(mail.name), "models": [OLD], "deployments": {"production": "v1"}}
    mail.secondary.seed(projects=[there], settings=story.settings)


def play(world: World, event: str) -> Action:
    """Bring the event until it is acknowledged, let everything follow from it, and give its action."""
    for _ in range(10):
        try:
            with world.wire.watched():
                function_app.on_ml_message(queue_message(Delivery("e", event, world.now, world.now)))
        except Crash:
            continue
        break
    world.run()
    record = world.records.read_event(world.event_key(event))
    assert record is not None
    action = world.records.read_action(record.plan[0].key)
    assert action is not None
    return action


@pytest.mark.guarantee(2, 3)
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_at_any_boundary(
    name: str, simulators: Simulators, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before or after a request is survived: it ends as if there had been none."""
    story, wire = STORIES[name], Wire()
    settings = Settings.read({"AzureWebJobsStorage": azurite, "LANGUAGE_KEY": KEY, **UNCOUNTED})
    prepare(Account(settings.storage, managed_identity), settings.backup_container)

    def crashing_at(number: int) -> list[str]:
        mail = Mail(simulators, azurite)
        begin(mail, story)
        rules = RULES.format(
            workspace=WS, project=mail.name, primary=mail.primary.url, secondary=mail.secondary.url, do=story.do
        )
        world = World(settings, rules, wire, timing=TIMING)
        world.install(monkeypatch)
        crash = CrashAt(number)
        world.wire.boundary = crash
        action = play(world, registered(f"m-{uuid.uuid4().hex[:8]}", topic=WS))
        world.wire.boundary = lambda _where: None
        try:
            assert list(world.records.list_open()) == []
            assert world.poisoned == 0
            story.check(mail, action)
        except AssertionError as error:
            raise AssertionError(f"crash at {number}, {crash.seen[number - 1]}: {error}") from error
        return crash.seen

    boundaries = crashing_at(0)
    writes = [at for at, where in enumerate(boundaries, 1) if story.writes.search(where)]
    chosen = {at for at in range(1, len(boundaries) + 1) if at % STRIDE == 0} | set(writes)
    assert len(writes) >= 2
    for number in sorted(chosen):
        crashing_at(number)
