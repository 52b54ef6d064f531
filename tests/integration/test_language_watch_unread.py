"""A Language project of which one region cannot be read: the other one is judged, and after a day rules hear of it."""

import logging
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared import language_watching
from shared.storage.rates import LIMITS, Rates
from tests.integration.language_stories import EDIT, Mail
from tests.integration.test_language_watch import EXPIRING, Make, day, facts, learn, mail, make, sweep, told

__all__ = ["mail", "make"]
"""Fixtures."""
GONE = {"settings": {"cut_off": "unavailable", "cut_off_of": "all"}}
BACK = {"settings": {"cut_off": ""}}
FAILING: dict[str, Any] = {"settings": {"outcomes": {"export": [{"status": "failed"}] * 99}}}


@pytest.mark.parametrize("trouble", [GONE, FAILING])
def test_a_secondary_that_cannot_be_read_hides_no_change_of_the_primary(
    make: Make, mail: Mail, trouble: dict[str, Any]
) -> None:
    """It is down, or cannot be exported after an edit: what the primary serves by now is announced."""
    world = make(check="1h")
    mail.edit(mail.secondary)
    mail.secondary.seed(**trouble)
    learn(mail)
    first = [facts(world, action) for _ in range(8) for action in sweep(world, minutes=31)]
    assert [about["reasons"] for about in first] == [["changed"]]


def test_a_primary_that_cannot_be_read_hides_no_edit_of_the_secondary(make: Make, mail: Mail) -> None:
    """What somebody changed in the second region is announced while the first one is down."""
    world = make(check="1h")
    mail.edit(mail.secondary)
    mail.primary.seed(**GONE)
    assert told(world, 8, minutes=31) == ["edited"]


@pytest.mark.parametrize("which", ["primary", "secondary"])
def test_what_cannot_be_compared_for_a_day_is_told(make: Make, mail: Mail, which: str) -> None:
    """Nothing else differs, as far as anybody knows: a rule hears once a day that nobody can tell."""
    world = make()
    region = mail.primary if which == "primary" else mail.secondary
    region.seed(**GONE)
    assert told(world, 11, hours=2) == []
    found = [facts(world, action) for _ in range(30) for action in sweep(world, hours=1)]
    assert [about["reason"] for about in found] == ["unreadable", "unreadable"]
    assert f"the {which} could not be compared for a day: " in found[0]["details"]
    assert [about["lag_seconds"] for about in found] == [0, 0], "nothing is known to lag"
    region.seed(**BACK)
    assert told(world, 3, hours=25) == []


@pytest.mark.parametrize("regions", ["primary", "primary and secondary"])
def test_a_primary_project_that_is_gone_is_told_at_once(make: Make, mail: Mail, regions: str) -> None:
    """It answers, and has no such project: a rule hears of that, and of nothing that would have to come from there."""
    world = make(check="5m")
    mail.primary.seed(delete=[mail.name])
    if "secondary" in regions:
        mail.secondary.seed(delete=[mail.name])
    found = [facts(world, action) for _ in range(3) for action in sweep(world)]
    assert [about["reasons"] for about in found] == [["unreadable"]]
    assert found[0]["details"].startswith("the primary could not be compared: the primary, 127.0.0.1, has no project")


def test_a_project_that_is_back_is_looked_at_as_often_as_ever(make: Make, mail: Mail) -> None:
    """Its `check` is short: what is in the primary again is compared then, and not an hour later."""
    world = make(check="5m")
    mail.primary.seed(delete=[mail.name])
    assert told(world, 2) == ["unreadable"]
    mail.begin(models=["v7"], deployments={"production": "v7"})
    assert told(world, 2) == ["changed"]


def test_a_region_that_answers_again_soon_is_told_of_by_nobody(make: Make, mail: Mail) -> None:
    """It is down for half an hour: the look is made once it is back, and finds what is to be found."""
    world = make()
    learn(mail)
    mail.secondary.seed(**GONE)
    assert told(world, 5) == []
    mail.secondary.seed(**BACK)
    assert told(world, 2) == ["changed"]


def test_what_expires_is_told_of_the_region_that_can_be_read(make: Make, mail: Mail) -> None:
    """The primary is down; and what was told of a region is not told again when that comes back."""
    world = make("DeploymentNearExpiry", EXPIRING)
    for region in (mail.primary, mail.secondary):
        region.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(47)}])
    assert sorted(told(world, 1)) == ["primary deployment production", "secondary deployment production"]
    mail.primary.seed(**GONE)
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(20)}])
    world.now += timedelta(hours=20)
    assert told(world, 8, hours=1) == ["secondary deployment production"]
    mail.primary.seed(**BACK)
    assert told(world, 2, hours=2) == []


def test_what_expires_is_told_while_an_export_fails(make: Make, mail: Mail) -> None:
    """An edit that cannot be exported keeps no date from being told."""
    world = make("[ReplicaOutdated, DeploymentNearExpiry]", """scripted: {name: x, says: "{{ kinds }}"}""")
    mail.edit(mail.secondary)
    mail.secondary.seed(
        **FAILING, deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(40)}]
    )
    assert [*map(list, told(world, 3))] == [["DeploymentNearExpiry"]]


def test_an_export_that_is_never_over_hides_nothing_of_the_other_region(make: Make, mail: Mail) -> None:
    """The secondary's hangs: after an hour the primary's change is announced without it."""
    world = make(check="1h")
    mail.edit(mail.secondary)
    mail.secondary.seed(settings={"job_seconds": 10**6})
    learn(mail)
    assert told(world, 6, minutes=31) == ["changed"]


def test_an_expired_deployment_of_the_secondary_is_outdated(make: Make, mail: Mail) -> None:
    """It serves what was replicated, and answers no more: that is no secondary that is ready."""
    world = make()
    mail.secondary.seed(deployments=[{"project": mail.name, "name": "production", "model": "v1", "expires": day(-9)}])
    (action,) = [action for _ in range(3) for action in sweep(world)]
    about = facts(world, action)
    assert (about["reason"], about["reasons"]) == ("deployments", ["deployments"])
    assert "production has expired there" in about["details"]
    assert world.now - datetime.fromisoformat(about["since"]) > timedelta(days=7)
    assert about["lag_seconds"] == 0, "the primary has nothing that is not there"


def test_all_reasons_are_told(make: Make, mail: Mail) -> None:
    """What matters most stands first; a rule for edits hears of them whatever else there is."""
    on = "ReplicaOutdated, where: {replica.reasons: {StringIn: [edited]}}"
    world = make(on, """scripted: {name: x, says: "{{ replica.reasons }}"}""")
    learn(mail)
    mail.secondary.seed(edits=[{"project": mail.name, "utterances": [EDIT]}])
    assert [*map(list, told(world, 2))] == [["changed", "edited"]]


# -- what a look costs ------------------------------------------------------------------------------------------------


def test_a_look_leaves_half_of_the_requests_to_others(
    make: Make, mail: Mail, caplog: pytest.LogCaptureFixture, azurite: str
) -> None:
    """Where others have asked much already it is put off, which is no error; they can go on."""
    world = make()
    rates = Rates(world.clients.account, LIMITS)
    world.clients.language._rates = rates
    world.clients.language._service._rates = rates
    place = f"127.0.0.1:{mail.primary.url.rpartition(':')[2]}"
    for _ in range(49):
        assert rates.take(place, "GET") == 0
    before = len(mail.primary.seen())
    with caplog.at_level(logging.INFO, logger="reactor"):
        assert told(world, 2) == []
    assert len(mail.primary.seen()) == before + 1, "the fiftieth"
    lines = [record for record in caplog.records if "language_project=mail-bot" in record.message]
    assert {(record.levelname, "outcome=later" in record.message) for record in lines} == {("INFO", True)}
    assert rates.take(place, "GET") == 0


def test_a_round_that_is_over_begins_no_request(
    make: Make, mail: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A region that takes all the time of a round is told of as one that does not answer."""
    world = make()
    monkeypatch.setattr(language_watching, "WHILE", timedelta())
    before = len(mail.primary.seen())
    with caplog.at_level(logging.ERROR, logger="reactor"):
        assert told(world, 2) == []
    assert len(mail.primary.seen()) == before
    assert any("take longer than" in record.message for record in caplog.records)
