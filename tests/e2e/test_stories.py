"""The stories of the demo, told twice to a running stack: each ends as it must, with its effects done once."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.demo import drill, effects
from dev.demo.ledger import Entry
from dev.demo.stage import Stage, stage
from dev.demo.stories import STORIES
from dev.demo.story import Changed, Story, find, outcome
from dev.simulators.channels import SECRET
from dev.simulators.language import KEY as LANGUAGE_KEY
from dev.simulators.vision import KEY

LOOKED = "language_projects=1 "
"""In the log, whenever the schedule has compared both regions."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that the stack's processes log to."""
    return tmp_path_factory.mktemp("stories")


@pytest.fixture(scope="module")
def played(folder: Path) -> Iterator[Stage]:
    """Tell everything, and again while the first telling is still being answered."""
    with stage(folder) as on:
        on.prepare(STORIES)
        on.tell(STORIES)
        on.tell_again(STORIES)
        on.wait(STORIES)
        yield on


@pytest.fixture(scope="module")
def entries(played: Stage) -> list[Entry]:
    """Give what the reactor wrote down."""
    return played.ledger.entries()


@pytest.mark.guarantee(1, 2)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_story_ends_as_it_must(story: Story, entries: list[Entry]) -> None:
    """Judged once, answered by the right rules, each step and action with its expected end."""
    assert outcome(story, entries) == story.outcome


@pytest.mark.guarantee(3)
def test_every_effect_is_there_once(played: Stage) -> None:
    """Runs, deployments, backups and messages: none is missing, none is there twice, chat included."""
    assert effects.done(played.simulators, played.storage, "backups") == effects.expected(STORIES)


@pytest.mark.guarantee(3)
def test_the_trouble_on_the_way_was_met(played: Stage) -> None:
    """A run whose start was never answered was found, not started again; a throttled deployment was asked for again."""
    assert played.simulators.management.get("/_faults") == []
    assert len(played.simulators.management.seen("POST", "createRun")) == 2
    statuses = [one["status"] for one in played.simulators.management.seen("PUT", "fraud-gbm/deployments")]
    assert statuses[0] == 429
    assert len(statuses) == 2


@pytest.mark.guarantee(2)
def test_nothing_is_left_open(played: Stage, entries: list[Entry]) -> None:
    """Every action ended and said so, and no message waits anywhere."""
    assert played.idle()
    assert all(entry.over for entry in entries)


@pytest.mark.guarantee(6)
def test_no_secret_is_written_down(played: Stage, entries: list[Entry], folder: Path) -> None:
    """Neither the logs nor the records hold a key, a signature or a connection string."""
    logs = "".join(path.read_text("utf-8") for path in folder.glob("*.log"))
    assert "outcome=done" in logs
    written = logs + "".join(f"{entry.event!r}{entry.actions!r}" for entry in entries)
    for secret in (KEY, LANGUAGE_KEY, SECRET, "sig=", "AccountKey", "Bearer "):
        assert secret not in written, secret


def test_a_second_region_is_brought_up_to_date_once(played: Stage, entries: list[Entry]) -> None:
    """The schedule, which looks every five seconds, found one change, and after it was replicated none."""
    (story,) = (story for story in STORIES if isinstance(story.told, Changed))
    outdated = [entry for entry in entries if "ReplicaOutdated" in entry.event.kinds]
    assert outdated == find(story, entries)
    looks = played.logged(LOOKED)
    deadline = time.monotonic() + 30
    while played.logged(LOOKED) < looks + 2:
        assert time.monotonic() < deadline, "the schedule does not look any more"
        time.sleep(0.5)
    assert [entry for entry in played.ledger.entries() if "ReplicaOutdated" in entry.event.kinds] == outdated


def test_predictions_go_on_while_the_primary_is_cut_off(played: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is answered, and rightly: by the secondary while the primary is cut off, and by that before and after."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", played.facts["ca"])
    asked = list(drill.drill(played, lambda _: None))
    assert [one for one in asked if not one.is_right] == []
    assert [one.by for one in asked] == ["primary", *["secondary"] * 4, "primary", "primary"]


def test_every_event_is_delivered(played: Stage) -> None:
    """Event Grid gave nothing up, and needed one attempt for each."""
    deliveries = played.simulators.event_grid.get("/_deliveries")
    assert {delivery["state"] for delivery in deliveries} == {"delivered"}
    assert {len(delivery["attempts"]) for delivery in deliveries} == {1}
