"""The host is killed while the stories are answered, at moments that a seed decides: the same table comes out."""

import random
import time
from pathlib import Path

import pytest

from dev.demo import effects
from dev.demo.stage import stage
from dev.demo.stories import STORIES
from dev.demo.story import outcome

LONGEST = 3.0
"""Seconds between a start and the next death: most of what is to be done is done in that time."""


@pytest.mark.guarantee(1, 2, 3)
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_host_loses_and_doubles_nothing(seed: int, tmp_path: Path) -> None:
    """SIGKILL, everything told again to nobody, another host, SIGKILL, another host."""
    choice = random.Random(seed)
    with stage(tmp_path) as on:
        on.prepare(STORIES)
        on.tell(STORIES)
        time.sleep(choice.uniform(0, LONGEST))
        on.kill_host()
        on.tell_again(STORIES)
        on.start_host()
        time.sleep(choice.uniform(0, LONGEST))
        on.kill_host()
        on.start_host()
        on.wait(STORIES)

        entries = on.ledger.entries()
        assert {story.name: outcome(story, entries) for story in STORIES} == {
            story.name: story.outcome for story in STORIES
        }
        must = effects.expected(STORIES)
        assert effects.differences(must, effects.done(on.simulators, on.storage, "backups")) == ([], [])
        assert all(entry.over for entry in entries)
