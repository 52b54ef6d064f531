"""A Language project whose second region falls behind: the schedule finds out, and the rules for it act."""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.simulators.language import KEY
from dev.simulators.remote import Simulators
from shared import parse
from shared.actions import Action
from shared.clients.language import Resource, Training
from shared.handlers import ACTIONS
from shared.settings import Settings
from shared.storage.locks import Locks
from tests.integration import scripted
from tests.integration.language_stories import UNCOUNTED, Mail
from tests.integration.world import Crash, CrashAt, Wire, World

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
"""A process that dies closes its sockets; here it only seems to die."""

OUTDATED = """scripted: {name: x, says: "{{ replica.reason }}"}"""
EXPIRING = """scripted: {name: x, says: "{{ expiry.resource }} {{ expiry.what }} {{ expiry.item }}"}"""
TEACHING = [{"text": "archive the note of Lee", "intent": "Archive", "dataset": "Train"}]
"""What somebody labels."""
STRIDE = int(os.environ.get("STRIDE", "6"))
"""Every so manieth boundary is crashed at; 1 tries all."""
Make = Callable[..., World]


@pytest.fixture
def mail(simulators: Simulators, azurite: str) -> Mail:
    """Give a project that its primary serves, and that was replicated to the second region."""
    mail = Mail(simulators, azurite)
    mail.begin()
    mail.bench().run("replicate.language")
    return mail


@pytest.fixture
def make(azurite: str, mail: Mail, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a world with a rule about the project."""
    settings = Settings.read({"AzureWebJobsStorage": azurite, "LANGUAGE_KEY": KEY, **UNCOUNTED})

    def make(on: str = "ReplicaOutdated", do: str = OUTDATED, key: str = "${LANGUAGE_KEY}", **changes: Any) -> World:
        changes = {"deployments": "[production]", **changes}
        more = "".join(f"    {name}: {value}\n" for name, value in changes.items() if name != "mode")
        text = (
            f"version: 1\nlanguage:\n  mail-bot:\n    project: {mail.name}\n"
            f'    primary: {{endpoint: "{mail.primary.url}", key: "{key}"}}\n'
            f'    secondary: {{endpoint: "{mail.secondary.url}", key: "{key}"}}\n'
            f"{more}rules:\n"
            f"  - {{name: work, on: {on}, mode: {changes.get('mode', 'live')}, do: [{do}]}}\n"
        )
        world = World(settings, text, Wire(), {**ACTIONS, **scripted.ACTIONS})
        world.install(monkeypatch)
        return world

    return make


def sweep(world: World, **later: float) -> list[Action]:
    """Let the schedule come again, and give the actions that it led to."""
    world.now += timedelta(**(later or {"minutes": 5}))
    world.reactor.sweep()
    rows = [row for row in world.records.list_open() if row.what == "action"]
    world.run()
    found = [world.records.read_action(row.key) for row in rows]
    return [action for action in found if action is not None]


def told(world: World, rounds: int = 3, **later: float) -> list[str]:
    """Let the schedule come some times, and give what steps said that answered what it found."""
    found = [action for _ in range(rounds) for action in sweep(world, **later)]
    return [action.progress[0].result["said"] for action in found]


def facts(world: World, action: Action) -> dict[str, Any]:
    """Give the facts of the event that an action answers."""
    record = world.records.read_event(action.event)
    assert record is not None
    (found,) = parse.own(record.payload).facts.values()
    return dict(found)


def learn(mail: Mail, label: str = "v2") -> None:
    """Label more in the primary, and train and deploy that there, as its owner does."""
    project = mail.project(mail.primary)["exported"]
    project["assets"]["utterances"] += [
        {"language": "en-us", "entities": [], **one, "text": label} for one in TEACHING[:1]
    ]
    project["assets"]["intents"] = [
        *(one for one in project["assets"]["intents"] if one["category"] != "Archive"),
        {"category": "Archive"},
    ]
    models = [{"label": label, "trained": datetime.now(UTC).isoformat()}]
    mail.primary.seed(projects=[{"exported": project, "models": models, "deployments": {"production": label}}])


# -- out of date ------------------------------------------------------------------------------------------------------


def test_what_was_replicated_is_up_to_date(make: Make, mail: Mail) -> None:
    """Nothing is announced and nothing exported: ids and times are those that were noted."""
    world = make()
    before = mail.posts(mail.primary, ":export"), mail.posts(mail.secondary, ":export")
    assert told(world) == []
    assert (mail.posts(mail.primary, ":export"), mail.posts(mail.secondary, ":export")) == before


def test_a_new_model_in_the_primary_is_noticed(make: Make, mail: Mail) -> None:
    """Its snapshot is exported in one round and compared in the next; the event tells since when it serves."""
    world = make()
    learn(mail)
    before = mail.posts(mail.primary, ":export")
    assert sweep(world) == []
    assert mail.posts(mail.primary, ":export") == before + 1
    (action,) = sweep(world)
    assert mail.posts(mail.primary, ":export") == before + 1
    about = facts(world, action)
    deployed = mail.project(mail.primary)["deployments"]["production"]["lastDeployedDateTime"]
    assert about["since"] == datetime.fromisoformat(deployed).isoformat()
    seconds = (world.now - datetime.fromisoformat(deployed)).total_seconds()
    assert about["lag_seconds"] == pytest.approx(seconds, abs=120)
    assert (about["name"], about["reason"], about["follow"]) == ("mail-bot", "changed", "deployed")
    assert about["details"] == "the primary serves v2, which was not replicated"


def test_deployments_that_exchange_their_models_are_noticed(make: Make, mail: Mail) -> None:
    """Both contents are there already: the secondary's deployments are exchanged too, and nothing is trained."""
    names, bench = ["production", "staging"], mail.bench()
    at, language = Resource(mail.primary.url, KEY), bench.clients.language
    mail.primary.seed(edits=[{"project": mail.name, "utterances": TEACHING}])
    language.models.train(at, mail.name, Training("v2", "advanced"))
    language.deployments.deploy(at, mail.name, "staging", "v2")
    mail.bench(deployments=names).run("replicate.language")
    trained, before = mail.posts(mail.secondary, ":train"), mail.labels(mail.secondary)
    language.deployments.swap(at, mail.name, *names)
    world = make(deployments=str(names))
    assert told(world) == ["changed"]
    mail.bench(deployments=names).run("replicate.language")
    assert {name: before[name] for name in names} == {"production": "v1", "staging": "v2"}
    assert {name: mail.labels(mail.secondary)[name] for name in names} == {"production": "v2", "staging": "v1"}
    assert mail.posts(mail.secondary, ":train") == trained
    assert told(world, 3, hours=25) == []


def test_a_deployment_that_the_primary_deleted_is_noticed(make: Make, mail: Mail) -> None:
    """Whoever declared it is told; what the secondary serves stays."""
    world, bench = make(), mail.bench()
    bench.clients.language.deployments.delete(Resource(mail.primary.url, KEY), mail.name, "production")
    actions = [action for _ in range(3) for action in sweep(world)]
    (about,) = (facts(world, action) for action in actions)
    assert (about["reason"], about["details"]) == ("changed", "the primary serves nothing as production any more")


def test_a_model_that_holds_the_same_is_no_change(make: Make, mail: Mail) -> None:
    """The primary was trained anew from what it was trained from: another id and other times, and nothing to do."""
    world = make()
    project = mail.project(mail.primary)["exported"]
    mail.primary.seed(
        projects=[
            {"exported": project, "models": [{"label": "v1", "id": "v1-anew"}], "deployments": {"production": "v1"}}
        ]
    )
    assert told(world, 4) == []
    exports = mail.posts(mail.primary, ":export")
    assert told(world, 3, hours=25) == []
    assert mail.posts(mail.primary, ":export") == exports


def test_labelling_in_the_primary_is_its_own_matter(make: Make, mail: Mail) -> None:
    """With `follow: deployed` what is half done does not count; with `working_copy` it does."""
    world = make()
    mail.primary.seed(edits=[{"project": mail.name, "utterances": TEACHING}])
    assert told(world) == []
    other = make(follow="working_copy")
    other.now = world.now + timedelta(hours=25)
    assert told(other) == ["changed"]


def test_a_secondary_that_was_edited_by_hand_is_noticed(make: Make, mail: Mail) -> None:
    """Its own export tells, and not its time."""
    world = make()
    mail.secondary.seed(edits=[{"project": mail.name, "utterances": TEACHING}])
    assert told(world) == ["edited"]


def test_an_edit_that_was_taken_back_is_none(make: Make, mail: Mail) -> None:
    """The time has changed and the content has not; it is exported once, and known from then on."""
    world = make()
    texts = [one["text"] for one in TEACHING]
    mail.secondary.seed(edits=[{"project": mail.name, "utterances": TEACHING}])
    mail.secondary.seed(edits=[{"project": mail.name, "forget": texts}])
    project = mail.project(mail.secondary)["exported"]
    project["assets"]["intents"] = [one for one in project["assets"]["intents"] if one["category"] != "Archive"]
    models = [{"label": "v1", "id": mail.serving(mail.secondary)["production"]}]
    mail.secondary.seed(projects=[{"exported": project, "models": models, "deployments": {"production": "v1"}}])
    before = mail.posts(mail.secondary, ":export")
    assert told(world, 4, hours=13) == []
    assert mail.posts(mail.secondary, ":export") == before + 1


@pytest.mark.parametrize(
    ("done", "reason"),
    [({"delete": True}, "missing"), ({"models": ["v9"], "deployments": {"production": "v9"}}, "deployments")],
)
def test_what_somebody_did_in_the_second_region_is_noticed(
    make: Make, mail: Mail, done: dict[str, Any], reason: str
) -> None:
    """A project that was deleted there, and a deployment that serves what was not replicated."""
    world = make()
    if "delete" in done:
        mail.secondary.seed(delete=[mail.name])
    else:
        mail.secondary.seed(projects=[{"exported": mail.project(mail.secondary)["exported"], **done}])
    assert told(world) == [reason]


def test_other_training_options_are_noticed(make: Make, mail: Mail) -> None:
    """They are in no export: the rules file says them, and what was replicated is remembered with them."""
    world = make(training="{evaluation: {train: 70, test: 30}}")
    assert told(world) == ["config"]


def test_a_project_that_was_never_replicated_is_noticed_at_once(make: Make, mail: Mail) -> None:
    """Nothing has to be exported for that; all there is, is not replicated."""
    mail.name += "2"
    mail.begin(created="2026-01-02T00:00:00Z")
    world = make()
    (action,) = sweep(world)
    assert facts(world, action)["reason"] == "missing"
    assert facts(world, action)["since"] == "2026-01-02T00:00:00+00:00"
    assert facts(world, action)["lag_seconds"] > timedelta(days=1).total_seconds()
    assert mail.posts(mail.primary, f"{mail.name}/:export") == 0


def test_a_state_is_told_once_a_day(make: Make, mail: Mail) -> None:
    """Sweeps, and a shorter check, do not repeat it; another state is told with the next check."""
    world = make(check="1h")
    learn(mail)
    assert told(world, 20, minutes=30) == ["changed"]
    assert told(world, 1, hours=15) == ["changed"]
    mail.secondary.seed(delete=[mail.name])
    assert told(world, 3, minutes=61) == ["missing"]


def test_the_recovery_point_is_that_of_the_oldest_change(make: Make, mail: Mail) -> None:
    """A second change does not make a replica younger; a replication does."""
    world = make(check="1h")
    learn(mail)
    sweep(world)
    (first,) = sweep(world)
    learn(mail, "v3")
    (second,) = [action for _ in range(3) for action in sweep(world, minutes=61)]
    assert facts(world, second)["since"] == facts(world, first)["since"]
    assert facts(world, second)["lag_seconds"] > facts(world, first)["lag_seconds"]


def test_a_change_is_noticed_and_replicated(make: Make, mail: Mail) -> None:
    """The rule brings the second region up to date, and the checks after that find nothing."""
    world = make(do="replicate.language")
    learn(mail)
    assert sweep(world) == []
    (action,) = sweep(world)
    assert (action.status, action.reason) == ("succeeded", "")
    assert mail.texts(mail.primary) == mail.texts(mail.secondary)
    assert [action for _ in range(3) for action in sweep(world, hours=25)] == []


def test_nothing_is_said_while_it_is_being_replicated(make: Make, mail: Mail) -> None:
    """Whoever holds the project is changing it: it is looked at once that is over."""
    world = make()
    mail.secondary.seed(delete=[mail.name])
    locks, what = Locks(world.clients.account), f"language:127.0.0.1/{mail.name}"
    locks.hold(what, "somebody", world.now, lambda _key: False, timedelta(hours=1))
    assert told(world) == []
    assert told(world, 1, hours=1) == ["missing"]


# -- exports ----------------------------------------------------------------------------------------------------------


def test_an_export_is_started_once(make: Make, mail: Mail) -> None:
    """While it runs, rounds only look at it."""
    world = make()
    learn(mail)
    mail.primary.seed(settings={"job_seconds": 3600})
    before = mail.posts(mail.primary, ":export")
    assert told(world, 5) == []
    assert mail.posts(mail.primary, ":export") == before + 1


def test_an_export_that_expired_is_begun_anew(make: Make, mail: Mail) -> None:
    """It was done, and is gone before anybody read it."""
    world = make()
    learn(mail)
    mail.primary.seed(settings={"outcomes": {"export": ["expired"]}})
    before = mail.posts(mail.primary, ":export")
    assert told(world, 4) == ["changed"]
    assert mail.posts(mail.primary, ":export") == before + 2


def test_an_export_that_fails_is_told_and_tried_in_an_hour(
    make: Make, mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the service's reason, and nothing is announced that nobody knows."""
    world = make()
    learn(mail, "v1")
    errors = [{"code": "InternalServerError", "message": "out of paper"}]
    mail.primary.seed(settings={"outcomes": {"export": [{"status": "failed", "errors": errors}]}})
    before = mail.posts(mail.primary, ":export")
    with caplog.at_level(logging.ERROR, logger="reactor"):
        assert told(world, 5) == []
    (line,) = [record.message for record in caplog.records if "not_looked" in record.message]
    assert "its export from the primary, 127.0.0.1, ended as failed" in line
    assert "out of paper" in line
    assert mail.posts(mail.primary, ":export") == before + 1
    assert told(world, 2, hours=1) == ["changed"]


def test_another_label_is_a_change_whatever_is_exported(make: Make, mail: Mail) -> None:
    """The primary's export fails and goes on failing: what it serves was not replicated all the same."""
    world = make()
    learn(mail)
    mail.primary.seed(settings={"outcomes": {"export": [{"status": "failed"}] * 9}})
    assert told(world, 5, hours=1) == ["changed"]


def test_a_model_of_which_nothing_can_be_exported_is_a_change(make: Make, mail: Mail) -> None:
    """The primary serves it and it is another one: replicating will say what is to be done."""
    world = make()
    project = mail.project(mail.primary)["exported"]
    models = [{"label": "v2", "snapshot": False}]
    mail.primary.seed(projects=[{"exported": project, "models": models, "deployments": {"production": "v2"}}])
    assert told(world, 1) == ["changed"]


def test_a_crash_before_it_is_remembered_announces_it_once(make: Make, mail: Mail) -> None:
    """The process dies after the event was announced: the next look announces the same event."""
    world = make()
    sweep(world)
    mail.secondary.seed(delete=[mail.name])
    world.now += timedelta(hours=25)
    with world.wire.dying("before PUT", "RowKey='regions')"):
        world.reactor.sweep()
    found = [action for _ in range(3) for action in sweep(world)]
    assert len({action.key for action in found}) == 1


def test_whatever_dies_it_is_told_once(make: Make, mail: Mail) -> None:
    """The process dies at a request of the rounds that find an edit: each edit is announced, and none twice."""
    world = make()
    sweep(world)
    crash = CrashAt(0)
    while crash.number <= len(crash.seen):
        text = f"read note number {crash.number}"
        mail.secondary.seed(edits=[{"project": mail.name, "utterances": [{"text": text, "intent": "Read"}]}])
        world.now += timedelta(hours=25)
        world.wire.boundary = crash = CrashAt(crash.number + STRIDE)
        for _ in range(2):
            with suppress(Crash), world.wire.watched():
                world.reactor.sweep()
            world.now += timedelta(minutes=5)
        world.wire.boundary = lambda _where: None
        found = [action for _ in range(3) for action in sweep(world)]
        assert len({action.key for action in found}) == 1, crash.seen[-1]
    assert len(crash.seen) > 30


# -- what expires -----------------------------------------------------------------------------------------------------


def day(days: int) -> str:
    """Give a date so many days from now, and some hours, as the service writes dates."""
    return (datetime.now(UTC) + timedelta(days=days, hours=12)).date().isoformat()


def test_what_expires_is_told_of_once_a_week(make: Make, mail: Mail) -> None:
    """A deployment in either region, and the model behind it; again in the next week, and with another date."""
    world = make("DeploymentNearExpiry", EXPIRING)
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(40)}])
    (action,) = sweep(world)
    about = facts(world, action)
    assert (about["resource"], about["what"], about["item"]) == ("secondary", "deployment", "production")
    assert about["days_left"] in {39, 40}
    assert told(world, 2, hours=25) == []
    assert told(world, 5, hours=25) == ["secondary deployment production"]
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(20)}])
    assert told(world, 2, hours=25) == ["secondary deployment production"]


def test_what_expires_later_or_is_not_declared_is_not_told_of(make: Make, mail: Mail) -> None:
    """`expiry` says how long before; a deployment that is not named is somebody else's."""
    world = make("DeploymentNearExpiry", EXPIRING, expiry="10d")
    mail.primary.seed(
        deployments=[
            {"project": mail.name, "name": "production", "model": "v1", "expires": day(20)},
            {"project": mail.name, "name": "testing", "model": "v1", "expires": day(2)},
        ]
    )
    assert told(world) == []
    assert told(world, 1, days=11) == ["primary deployment production"]


def test_a_model_that_expires_is_told_of_by_its_label(make: Make, mail: Mail) -> None:
    """No other deployment can be made of it from then on."""
    world = make("DeploymentNearExpiry", EXPIRING)
    project = mail.project(mail.primary)["exported"]
    models = [{"label": "v1", "expires": day(-2)}]
    mail.primary.seed(projects=[{"exported": project, "models": models, "deployments": {"production": "v1"}}])
    (action,) = sweep(world)
    assert action.progress[0].result["said"] == "primary model v1"
    assert facts(world, action)["days_left"] < 0
    assert mail.posts(mail.primary, ":export") == 2, "a rule for expiries alone has nothing compared"


# -- who is looked at, and when ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("on", "mode"), [("ModelRegistered", "live"), ("ReplicaOutdated", "off")])
def test_nobody_listens_and_nothing_is_asked(make: Make, mail: Mail, on: str, mode: str) -> None:
    """Without a rule for it, or with one that is off, neither region is asked."""
    world = make(on, mode=mode, do='scripted: {name: x, says: "-"}')
    before = len(mail.primary.seen()), len(mail.secondary.seen())
    sweep(world)
    assert (len(mail.primary.seen()), len(mail.secondary.seen())) == before


def test_it_is_looked_at_as_often_as_it_says(make: Make, mail: Mail) -> None:
    """Between two checks no request is made; a check takes three of each region."""
    world = make(check="6h")
    sweep(world)
    before = len(mail.primary.seen()), len(mail.secondary.seen())
    told(world, 3, hours=1)
    assert (len(mail.primary.seen()), len(mail.secondary.seen())) == before
    sweep(world, hours=3)
    assert len(mail.primary.seen()) == before[0] + 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"key": "an-old-key"}, "key"),
        ({"project": True}, 'has no project "email'),
    ],
)
def test_what_cannot_be_looked_at_is_told_once_an_hour(
    make: Make, mail: Mail, given: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A key that was rotated, a name in other letters: the log has it with the remedy; what is not there is news."""
    if "project" in given:
        mail.name = mail.name.lower()
    world = make(key=given.get("key", "${LANGUAGE_KEY}"))
    with caplog.at_level(logging.ERROR, logger="reactor"):
        assert told(world, 6) == (["unreadable"] if "project" in given else [])
    (line,) = [record.message for record in caplog.records if "not_looked" in record.message]
    assert "language_project=mail-bot" in line
    assert words in line
    assert "an-old-key" not in line
