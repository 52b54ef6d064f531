"""What the schedule tells of two regions: since when they differ, whether that is news, and what expires."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from shared import region_news, regions
from shared.region_news import Expiring
from shared.regions import Comparison, Export, Places, Region, Served, Sighting
from shared.replicas import Difference, Kept, Options, Side, Wanted

NOW = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
PLACES = Places("mail-bot", "EmailApp", "language/we.example/EmailApp", "we.example", "ne.example")
OPTIONS = Options(mode="advanced")
WANTED = Wanted(("production",), "deployed", OPTIONS)
KEPT = Kept(
    name="mail-bot",
    project="EmailApp",
    hashes={"v1": "h1"},
    working_hash="w1",
    primary_modified=NOW - 10 * DAY,
    primary_models={"production": "v1-a"},
    secondary_modified=NOW - 9 * DAY,
    secondary_models={"production": "v1-b"},
    secondary_hash="h1",
    training=OPTIONS,
    version="1",
    replicated=NOW - 9 * DAY,
    proven=NOW - 9 * DAY,
)


def region(side: Side = "primary", *, modified: datetime | None = NOW - DAY, **served: Served) -> Region:
    """Give what a region shows."""
    return Region(side, NOW - 99 * DAY, modified, served)


def serving(model: str, label: str = "v1", *, since: timedelta = DAY, can_export: bool = True) -> Served:
    """Give what a region answers under a name."""
    return Served(model, label, can_export, NOW - since, NOW + 200 * DAY, None)


def comparison(primary: Region, secondary: Region | None = None, kept: Kept | None = KEPT) -> Comparison:
    """Compare two regions."""
    return Comparison(kept, primary, secondary or region("secondary", production=serving("v1-b")), WANTED)


def differing(reason: str) -> list[Difference]:
    """Give a difference."""
    return [Difference(reason, reason)]  # type: ignore[arg-type] # a reason


def test_only_what_serves_anew_is_exported() -> None:
    """A model that serves as it did holds what was replicated; one that cannot be exported holds who knows what."""
    primary = region(
        production=serving("v1-a"),
        canary=serving("v2-a", "v2"),
        beta=serving("v2-a", "v2"),
        old=serving("v0-x", "v0", can_export=False),
    )
    asks, known = comparison(primary).asks(["primary"], None)
    assert [(ask.key, ask.of) for ask in asks] == [("primary/v2", "v2-a")]
    assert known == {"v1": "h1", "v0": "unknown of v0-x"}


def test_a_project_without_a_time_is_another_one_at_each_look() -> None:
    """What an export told is known for as long as the project was not changed; where that is not said, for a look."""
    secondary = region("secondary", modified=None)
    about = comparison(region(production=serving("v1-a")), secondary)
    found = {about.asks(["secondary"], looked)[0][0].of for looked in (None, NOW, NOW + DAY, NOW)}
    assert len(found) == 3


@pytest.mark.parametrize(
    ("reason", "kept", "since"),
    [
        ("missing", KEPT, 99 * DAY),
        ("never_replicated", None, 99 * DAY),
        ("changed", KEPT, 3 * DAY),
        ("edited", KEPT, 2 * DAY),
        ("deployments", KEPT, 4 * DAY),
        ("config", KEPT, timedelta()),
    ],
)
def test_since_when_it_is_so(reason: str, kept: Kept | None, since: timedelta) -> None:
    """Each difference has a time of its own in what the regions show."""
    primary = region(production=serving("v2-a", "v2", since=3 * DAY), other=serving("v1-c", since=DAY))
    secondary = region("secondary", modified=NOW - 2 * DAY, production=serving("v9", "v9", since=4 * DAY))
    about = comparison(primary, secondary, kept)
    assert about.since(differing(reason), Sighting(), NOW) == NOW - since


@pytest.mark.parametrize(
    ("reasons", "earlier", "lagging"),
    [
        (["edited"], 9 * DAY, None),
        (["deployments", "config", "unreadable"], None, None),
        (["changed", "edited"], None, 3 * DAY),
        (["changed", "edited"], 5 * DAY, 5 * DAY),
        (["missing"], None, 99 * DAY),
    ],
)
def test_the_recovery_point_is_of_what_the_primary_has_alone(
    reasons: list[str], earlier: timedelta | None, lagging: timedelta | None
) -> None:
    """A secondary that was edited ten days ago lags for as long as the primary's change is there."""
    primary = region(production=serving("v2-a", "v2", since=3 * DAY))
    secondary = region("secondary", modified=NOW - 10 * DAY, production=serving("v9", "v9", since=8 * DAY))
    about = comparison(primary, secondary)
    before = NOW - earlier if earlier else None
    seen = Sighting(since=NOW - 10 * DAY, lagging=before, replicated=KEPT.proven)
    found = about.lagging([one for reason in reasons for one in differing(reason)], seen, NOW)
    assert found == (NOW - lagging if lagging else None)


def test_what_was_seen_earlier_counts_until_it_is_replicated() -> None:
    """A later change does not make the first one younger; a replication in between does."""
    about = comparison(region(production=serving("v2-a", "v2", since=DAY)))
    earlier = Sighting(since=NOW - 5 * DAY, replicated=KEPT.proven)
    assert about.since(differing("changed"), earlier, NOW) == NOW - 5 * DAY
    before = earlier.model_copy(update={"replicated": NOW - 30 * DAY})
    assert about.since(differing("changed"), before, NOW) == NOW - DAY


def test_a_state_is_all_that_differs() -> None:
    """Another model, other content, other options or another replication is another state; the time is not."""
    primary, changed = region(production=serving("v2-a", "v2")), differing("changed")
    first = comparison(primary)
    hashes: Mapping[Side, Mapping[str, str]] = {"primary": {"v2": "h2"}}
    options = OPTIONS.model_copy(update={"mode": "standard"})
    states = {
        first.state(changed, hashes),
        first.state(changed, {"primary": {"v2": "h3"}}),
        first.state(differing("edited"), hashes),
        comparison(region(production=serving("v3-a", "v3"))).state(changed, hashes),
        comparison(primary, kept=KEPT.model_copy(update={"proven": NOW})).state(changed, hashes),
        Comparison(KEPT, primary, None, WANTED).state(changed, hashes),
        Comparison(KEPT, primary, first.secondary, Wanted(("production",), "deployed", options)).state(changed, hashes),
    }
    assert len(states) == 7
    later = comparison(region(modified=NOW, production=serving("v2-a", "v2", since=HOUR)))
    assert later.state(changed, hashes) in states
    assert first.state([], hashes) == ""


@pytest.mark.parametrize(
    ("state", "told", "ago", "every", "is_news"),
    [
        ("a", "", HOUR, HOUR, True),
        ("a", "b", HOUR, HOUR, True),
        ("a", "a", 23 * HOUR, HOUR, False),
        ("a", "a", DAY, HOUR, True),
        ("a", "a", DAY, 2 * DAY, False),
        ("a", "a", 2 * DAY, 2 * DAY, True),
        ("", "a", 2 * DAY, HOUR, False),
    ],
)
def test_what_is_news(state: str, told: str, ago: timedelta, every: timedelta, *, is_news: bool) -> None:
    """Another state at once, the same one after a day, or after a check where those are further apart."""
    seen = Sighting(told=told, told_at=NOW - ago)
    assert region_news.is_news(state, seen, every, NOW) == is_news


@pytest.mark.parametrize(
    ("seen", "is_due"),
    [
        (None, True),
        (Sighting(), True),
        (Sighting(looked=NOW - DAY), True),
        (Sighting(looked=NOW - 23 * HOUR), False),
        (Sighting(looked=NOW - HOUR, exports={"primary/v2": Export(url="u", of="v2-a", started=NOW)}), True),
        (Sighting(looked=NOW - 3 * DAY, not_before=NOW + HOUR), False),
        (Sighting(looked=NOW - 3 * DAY, not_before=NOW), True),
    ],
)
def test_when_it_is_looked_at(seen: Sighting | None, *, is_due: bool) -> None:
    """As often as `check` says, in each round while something is exported, and not for an hour where that failed."""
    assert regions.is_due(seen, DAY, NOW) == is_due


def test_the_event_is_the_same_until_a_look_was_whole() -> None:
    """A crash tells it again under the same key, with a lag that has grown; a later look tells it anew."""

    def event(looked: datetime | None, later: timedelta = timedelta()) -> tuple[str, int]:
        made = region_news.outdated(
            PLACES,
            differing("changed"),
            state="s",
            since=NOW - 2 * DAY,
            lagging=NOW - DAY,
            seen=Sighting(looked=looked),
            now=NOW + later,
            follow="deployed",
        )
        return made.key, made.facts["replica"]["lag_seconds"]

    first, again = event(NOW - DAY), event(NOW - DAY, HOUR)
    assert first[0] == again[0] != event(NOW)[0]
    assert (first[1], again[1]) == (86_400, 90_000)


def test_where_nothing_lags_the_lag_is_none() -> None:
    """An edit of ten days ago makes no recovery point, whenever the event is made."""
    made = region_news.outdated(
        PLACES,
        differing("edited"),
        state="s",
        since=NOW - 10 * DAY,
        lagging=None,
        seen=Sighting(),
        now=NOW,
        follow="deployed",
    )
    about = made.facts["replica"]
    assert (about["lag_seconds"], about["since"]) == (0, (NOW - 10 * DAY).isoformat())


def test_what_expires_is_told_once_a_week_and_for_each_date() -> None:
    """The event's key follows the weeks that are left and the date, and not the day."""

    def key(days: int, moved: int = 0) -> str:
        each = Expiring("secondary", "deployment", "production", NOW + (30 + moved) * DAY)
        return region_news.near_expiry(PLACES, each, NOW + days * DAY).key

    assert key(3) == key(9) != key(10)
    assert key(3) != key(3, moved=1)
    assert Expiring("primary", "model", "v1", NOW - HOUR).days_left(NOW) == -1


def test_what_is_within_the_time_is_listed() -> None:
    """Of both regions, deployments by name and models by label; what says no date never expires."""
    soon = Served("v1-a", "v1", can_export=True, since=None, expires=NOW + 10 * DAY, model_expires=NOW + 5 * DAY)
    late = Served("v1-b", "v1", can_export=True, since=None, expires=NOW + 60 * DAY + HOUR, model_expires=None)
    found = region_news.expiring([region(production=soon), region("secondary", production=late)], 60 * DAY, NOW)
    assert [each.key for each in found] == ["primary/deployment/production", "primary/model/v1"]
    assert len(region_news.expiring([region("secondary", production=late)], 61 * DAY, NOW)) == 1
