"""The stories of the demo, told twice to a running stack: each ends as it must, with its effects done once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.demo import effects
from dev.demo.ledger import Entry
from dev.demo.stage import Stage, stage
from dev.demo.stories import STORIES
from dev.demo.story import Story, outcome
from dev.simulators.channels import SECRET
from dev.simulators.vision import KEY


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
    for secret in (KEY, SECRET, "sig=", "AccountKey", "Bearer "):
        assert secret not in written, secret


def test_every_event_is_delivered(played: Stage) -> None:
    """Event Grid gave nothing up, and needed one attempt for each."""
    deliveries = played.simulators.event_grid.get("/_deliveries")
    assert {delivery["state"] for delivery in deliveries} == {"delivered"}
    assert {len(delivery["attempts"]) for delivery in deliveries} == {1}
