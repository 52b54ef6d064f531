"""A rules file that is broken when the host starts, mended, and broken again."""

import shutil
import time
from pathlib import Path

import pytest
import requests

from dev.demo.stage import RULES, Stage, stage
from dev.demo.stories import STORIES
from dev.demo.story import outcome

BROKEN = "version: 1\nrules:\n  - name: deploy\n    on: ModelRegisterd\n    do: [deploy.batch_endpoint]\n"
FIRST, LATER = (next(story for story in STORIES if story.name == name) for name in ("recovery", "failed-run"))


@pytest.mark.guarantee(1, 5)
def test_a_bad_rules_file_never_takes_the_app_down(tmp_path: Path) -> None:
    """Without a good one events wait, and are planned once there is one; later the last good one stays live."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(BROKEN, "utf-8")
    with stage(tmp_path, rules=rules, allow_bad_rules=True) as on:
        on.prepare([])
        on.tell([FIRST])
        waits(on)
        assert requests.get(f"{on.functions}/api/health", timeout=30).status_code == 200
        assert "rules.yaml outcome=invalid" in (tmp_path / "stack.log").read_text("utf-8")

        shutil.copy(RULES, rules)
        restart(on)  # rather than wait for a minute, after which a running host looks again
        on.wait([FIRST])
        assert outcome(FIRST, on.ledger.entries()) == FIRST.outcome

        rules.write_text(BROKEN, "utf-8")
        restart(on)
        on.tell([LATER])
        on.wait([LATER])
        assert outcome(LATER, on.ledger.entries()) == LATER.outcome
        assert "outcome=kept_last_good" in (tmp_path / "host-3.log").read_text("utf-8")


def waits(on: Stage) -> None:
    """See that the event is recorded, and that nothing comes of it through more than a sweep."""
    deadline = time.monotonic() + 20
    while not on.ledger.entries():
        assert time.monotonic() < deadline, "the event is not recorded"
        time.sleep(0.2)
    time.sleep(6)
    (entry,) = on.ledger.entries()
    assert (entry.event.status, entry.event.reason) == ("unplanned", "there is no valid rules file")
    assert [row.what for row in on.ledger.open()] == ["event"]


def restart(on: Stage) -> None:
    """Have another host take over."""
    on.kill_host()
    on.start_host()
