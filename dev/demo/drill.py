"""The primary of a Language project is cut off while an app goes on asking: the secondary answers, and then it is over.

`reactor language drill` does the same to a project of one's own, and cuts off nobody but itself.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dev.demo.language_stories import ASKED, DEPLOYMENT, PROJECT
from dev.demo.stage import Stage
from shared.clients.language import Answered, Breaker, Failover, Predictions, Resource, Service
from shared.errors import ReactorError

OPEN_FOR = 1.0
"""Seconds until the primary is tried again, where an app takes a minute."""
FAILS = Breaker().failures


@dataclass(frozen=True)
class Asked:
    """What the app asked, and what it was told."""

    text: str
    intent: str
    """What it means."""
    answered: Answered | None
    problem: str
    ms: int
    by: str
    """Who has to answer."""

    @property
    def is_right(self) -> bool:
        """Whether it was answered by who has to answer it, and rightly."""
        found = self.answered
        return found is not None and (found.by, found.prediction.intent) == (self.by, self.intent)


def drill(on: Stage, say: Callable[[str], None]) -> Iterator[Asked]:
    """Ask on and on, while the primary is there, is cut off, and is there again; `say` is told which of these it is."""
    os.environ["REQUESTS_CA_BUNDLE"] = on.facts["ca"]
    facts, key = on.facts, on.facts["settings"]["SIMULATOR_LANGUAGE_KEY"]
    first, second = Resource(facts["language"], key), Resource(facts["language_replica"], key)
    app = Failover(Predictions(Service()), first, second, Breaker(open_for=OPEN_FOR))
    texts = iter(ASKED)
    yield _ask(app, *next(texts), by="primary")
    on.simulators.language.seed(settings={"cut_off": "refused"})
    say("the primary is cut off: it closes every connection")
    try:
        for _ in range(FAILS):
            yield _ask(app, *next(texts), by="secondary")
        say(f"after {FAILS} calls that failed there, the primary is not asked any more")
        yield _ask(app, *next(texts), by="secondary")
    finally:
        on.simulators.language.seed(settings={"cut_off": ""})
    say(f"the primary is there again, and tried {OPEN_FOR:g} s later")
    time.sleep(OPEN_FOR)
    for asked in texts:
        yield _ask(app, *asked, by="primary")


def _ask(app: Failover, text: str, language: str, intent: str, *, by: str) -> Asked:
    began, answered, problem = time.monotonic(), None, ""
    try:
        answered = app.guess(PROJECT, DEPLOYMENT, text, language=language)
    except ReactorError as error:
        problem = error.reason
    return Asked(text, intent, answered, problem, round((time.monotonic() - began) * 1000), by)
