"""Whatever dies while a Language project is brought somewhere: it is trained and swapped once, and ends as it should.

The reactor, its handlers and clients are the real ones, over real tables and blobs and over HTTP to the simulated
services; the clock is the test's.
"""

import json
import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from shared.storage.language_backups import LanguageBackups, LanguageManifest
from shared.storage.replicas import Replicas
from tests.integration.language_stories import EDIT, UNCOUNTED, Mail, keep_version
from tests.integration.making import registered
from tests.integration.world import LEASE, Crash, CrashAt, Delivery, Wire, World, queue_message

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

WS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/fraud"
STRIDE = int(os.environ.get("STRIDE", "0"))
"""Beside the writes of a story, every so manieth boundary is crashed at; 1 tries all.

By default these are few, and of the first story alone: the others differ from it only in their writes.
"""
FEW = 150
WRITES = re.compile(r" (PUT|DELETE|POST|PATCH) .*/language/authoring/.*(?<!:export)$")
DEPLOYS = re.compile(r" (PUT|DELETE|POST) .*/language/authoring/.*/deployments/")
REPLACES = re.compile(r" (PUT .*/(primary|secondary)\.json|POST .*:import)$")
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
SOON = (datetime.now(UTC) + timedelta(days=10)).date().isoformat()
KEPT = "20260101T000000Z-before"
"""A version that is brought back."""
Check = Callable[[Mail, Action], None]


def replicated(mail: Mail, action: Action) -> None:
    """See that the new model was trained once and swapped in once, and that all of it was written down."""
    assert action.status is Status.SUCCEEDED, action.reason
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert mail.serving(mail.secondary)["production-next"] == "v1-old"
    assert _done(mail, ":train") == 1
    assert _done(mail, ":swap") == 1
    kept, _ = Replicas(_account(mail)).read(HOST, mail.name, HOST)
    assert kept is not None
    assert kept.secondary_models == {"production": mail.serving(mail.secondary)["production"]}
    assert [one.version for one in _versions(mail)] == [kept.version]


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


def renewed(mail: Mail, action: Action) -> None:
    """See that what was about to expire serves the new model by a date of its own, trained once."""
    assert action.status is Status.SUCCEEDED, action.reason
    assert mail.labels(mail.secondary)["production"] == "v2"
    assert mail.project(mail.secondary)["deployments"]["production"]["deploymentExpirationDate"] > SOON
    assert _done(mail, ":train") == 1
    assert _done(mail, ":swap") <= 1


def restored(mail: Mail, action: Action) -> None:
    """See that the version of the backups was trained once and swapped in once."""
    assert action.status is Status.SUCCEEDED, action.reason
    assert mail.labels(mail.secondary)["production"] == "v1"
    assert mail.serving(mail.secondary)["production-next"] == "v0-old"
    assert _done(mail, ":train") == 1
    assert _done(mail, ":swap") == 1


def edits_kept(mail: Mail, action: Action) -> None:
    """See that what was edited by hand is in the one version that there is, and was replaced."""
    replicated(mail, action)
    (version,) = _versions(mail)
    assert EDIT["text"] in _texts(mail, version, "secondary.json")
    assert EDIT["text"] not in mail.texts(mail.secondary)


def edits_back(mail: Mail, action: Action) -> None:
    """See that edits that were kept are in the primary, imported once, and that what was there is a version now."""
    assert action.status is Status.SUCCEEDED, action.reason
    assert EDIT["text"] not in mail.texts(mail.primary)
    assert len([one for one in mail.primary.seen("POST", ":import") if one["status"] == 202]) == 1
    assert _done(mail, ":train") == 0
    ours, before = _versions(mail)
    assert before.version == KEPT
    assert EDIT["text"] in _texts(mail, ours, "primary.json")


def _account(mail: Mail) -> Account:
    return Account(Settings.read({"AzureWebJobsStorage": mail.storage}).storage, managed_identity)


def _backups(mail: Mail) -> LanguageBackups:
    return LanguageBackups(_account(mail), Settings.read({"AzureWebJobsStorage": mail.storage}))


def _versions(mail: Mail) -> list[LanguageManifest]:
    """Read the manifests of the whole versions, the newest first."""
    store = _backups(mail)
    found = (store.manifest(HOST, mail.name, one.name) for one in store.versions(HOST, mail.name))
    return [one for one in found if one is not None]


def _texts(mail: Mail, version: LanguageManifest, name: str) -> set[str]:
    """Give the utterances that a file of a version holds."""
    content = json.loads(_backups(mail).read(version, name))
    return {one["text"] for one in content["assets"]["utterances"]}


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
    before: Callable[[Mail], None] = lambda _mail: None
    """What else has happened before."""


def expiring(mail: Mail) -> None:
    """Have what the second region serves expire soon."""
    mail.secondary.seed(
        deployments=[{"project": mail.name, "name": "production", "model": OLD["label"], "expires": SOON}]
    )


def kept(mail: Mail) -> None:
    """Have a version in the backups, and the second region serve something older."""
    keep_version(_backups(mail), mail.name, KEPT)
    there = {"exported": exported(mail.name), "models": [{"label": "v0", "id": "v0-old"}]}
    mail.secondary.seed(projects=[there | {"deployments": {"production": "v0"}}])


def edited(mail: Mail) -> None:
    """Have somebody edit the second region."""
    mail.edit(mail.secondary)


def edits(mail: Mail) -> None:
    """Have edits in the backups, and others, which are kept nowhere, in the first region."""
    keep_version(_backups(mail), mail.name, KEPT, edits=True)
    mail.edit(mail.primary)


STORIES = {
    "replicated": Story("replicate.language: {project: mail-bot}", replicated),
    "refused": Story(
        "replicate.language: {project: mail-bot}",
        refused,
        NONSENSE,
        DEPLOYS,
    ),
    "put back": Story("replicate.language: {project: mail-bot, staging: ''}", put_back, NONSENSE, DEPLOYS),
    "renewed": Story("replicate.language: {project: mail-bot}", renewed, writes=DEPLOYS, before=expiring),
    "restored": Story(
        f"restore.language: {{project: mail-bot, to: secondary, version: {KEPT}}}",
        restored,
        writes=DEPLOYS,
        before=kept,
    ),
    "edits kept": Story(
        "replicate.language: {project: mail-bot, overwrite_edits: true}", edits_kept, writes=REPLACES, before=edited
    ),
    "edits back": Story(
        f"restore.language: {{project: mail-bot, to: primary, version: {KEPT}, edits: true, overwrite_edits: true}}",
        edits_back,
        writes=REPLACES,
        before=edits,
    ),
}


def begin(mail: Mail, story: Story) -> None:
    """Have the first region serve a newer model than the second one, which nobody has replicated yet."""
    mail.simulators.reset()
    mail.begin(models=["v2"], deployments={"production": "v2"})
    there = {"exported": exported(mail.name), "models": [OLD], "deployments": {"production": "v1"}}
    mail.secondary.seed(projects=[there], settings=story.settings)
    story.before(mail)


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
    stride = STRIDE or (FEW if story.writes is WRITES else len(boundaries) + 1)
    chosen = {*range(stride, len(boundaries) + 1, stride), *writes}
    assert len(writes) >= 2
    for number in sorted(chosen):
        crashing_at(number)
