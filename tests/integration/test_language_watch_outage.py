"""What was known to differ between two regions stands while one of them cannot be read, with its recovery point."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.language_stories import EDIT, Mail
from tests.integration.test_language_watch import Make, facts, learn, mail, make, sweep, told
from tests.integration.test_language_watch_unread import BACK, FAILING, GONE
from tests.integration.world import World

__all__ = ["mail", "make"]
"""Fixtures."""
HOUR = 3600


def announced(world: World, rounds: int, **later: float) -> list[tuple[list[str], int]]:
    """Let the schedule come some times, and give the reasons of what it tells, and the lag in hours."""
    found = [facts(world, action) for _ in range(rounds) for action in sweep(world, **later)]
    return [(about["reasons"], round(about["lag_seconds"] / HOUR)) for about in found]


def test_an_outage_of_the_primary_begins_no_lag_anew(make: Make, mail: Mail) -> None:
    """Just then the recovery point is asked for: it grows, each day, and goes on from there once all is back."""
    world = make(check="1h")
    learn(mail)
    assert announced(world, 2, hours=1) == [(["changed"], 2)]
    mail.primary.seed(**GONE)
    found = announced(world, 10, hours=6)
    assert found == [(["changed"], 26), (["changed", "unreadable"], 32), (["changed", "unreadable"], 56)]
    mail.primary.seed(**BACK)
    assert announced(world, 2, hours=1) == [(["changed"], 64)]


@pytest.mark.parametrize("reason", ["edited", "missing", "deployments"])
def test_what_is_wrong_with_a_secondary_is_not_told_again_for_an_outage(make: Make, mail: Mail, reason: str) -> None:
    """It is down for half a day: it is as it was, and its owner has heard of that."""
    world = make(check="1h")
    exported = mail.project(mail.secondary)["exported"]
    other = {"exported": exported, "models": ["v9"], "deployments": {"production": "v9"}}
    done: dict[str, Callable[[], Any]] = {
        "edited": lambda: mail.edit(mail.secondary),
        "missing": lambda: mail.secondary.seed(delete=[mail.name]),
        "deployments": lambda: mail.secondary.seed(projects=[other]),
    }
    done[reason]()
    assert told(world, 3, hours=1) == [reason]
    mail.secondary.seed(**GONE)
    assert told(world, 4, hours=3) == []
    learn(mail)
    reasons = [reason] if reason == "missing" else ["changed", reason]
    assert [one for one, _ in announced(world, 2, hours=1)] == [reasons]
    mail.secondary.seed(**BACK)
    assert told(world, 3, hours=1) == []


def test_a_change_after_an_outage_makes_the_first_one_no_younger(make: Make, mail: Mail) -> None:
    """The working copy is edited, the primary goes down for half a day, and is edited again."""
    mail.bench(follow="working_copy").run("replicate.language")
    world = make(check="1h", follow="working_copy")
    mail.edit(mail.primary)
    assert announced(world, 2, hours=1) == [(["changed"], 2)]
    mail.primary.seed(**GONE)
    assert announced(world, 3, hours=4) == []
    ahead = (world.now - datetime.now(UTC)).total_seconds()
    mail.primary.seed(settings={"cut_off": "", "clock_seconds": ahead})
    mail.primary.seed(edits=[{"project": mail.name, "utterances": [EDIT | {"text": "one more"}]}])
    assert announced(world, 3, hours=1) == [(["changed"], 16)]


def test_what_was_seen_before_a_replication_stands_no_more(make: Make, mail: Mail) -> None:
    """The edit that was told is replaced: a secondary that is down since then is as it was replicated."""
    world = make(check="1h")
    mail.edit(mail.secondary)
    assert told(world, 2) == ["edited"]
    mail.bench().run("replicate.language", overwrite_edits=True)
    mail.secondary.seed(**GONE)
    assert told(world, 15, hours=3) == ["unreadable"]


def test_what_cannot_be_exported_any_more_is_as_it_was(make: Make, mail: Mail) -> None:
    """The primary's model is trained again under its label, and then no export of it succeeds: it still differs."""
    world = make(check="1h")
    learn(mail, "v1")
    assert told(world, 2, hours=1) == ["changed"]
    mail.learn("v1")
    mail.primary.seed(**FAILING)
    assert announced(world, 3, hours=2) == [(["changed"], 6)], "another model, and a change since the first one"


def test_a_working_copy_that_cannot_be_exported_is_no_change(make: Make, mail: Mail) -> None:
    """It has another time, and nobody knows what it holds."""
    mail.bench(follow="working_copy").run("replicate.language")
    world = make(check="1h", follow="working_copy")
    mail.edit(mail.primary)
    mail.primary.seed(**FAILING)
    assert told(world, 4, hours=2) == []


def test_a_fresh_change_is_no_older_for_an_edit_of_long_ago(make: Make, mail: Mail) -> None:
    """The lag is the recovery point, and the edit counts in `since` alone."""
    world = make(check="1h")
    mail.edit(mail.secondary)
    assert announced(world, 4, hours=48) == [(["edited"], 0)] * 3
    mail.primary.seed(settings={"clock_seconds": (world.now - datetime.now(UTC)).total_seconds()})
    learn(mail)
    (action,) = [action for _ in range(2) for action in sweep(world, hours=1)]
    about = facts(world, action)
    assert (about["reasons"], round(about["lag_seconds"] / HOUR)) == (["changed", "edited"], 2)
    assert world.now - datetime.fromisoformat(about["since"]) > timedelta(days=8)
