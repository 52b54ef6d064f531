"""Predictions that go on while a region does not: the primary answers, and where it keeps failing the secondary does.

A breaker counts calls that the primary failed. After some in a row it opens: the secondary is asked first, so that no
caller waits for what does not answer. After a while one call probes the primary; if it answers, all is as before.

It needs nothing of the reactor, and can be used in an app of one's own; many threads may share one:

    predictions = Predictions(Service(DefaultAzureCredential))  # Service() where both resources have keys
    failover = Failover(predictions, Resource("https://mail-we.…"), Resource("https://mail-ne.…"))
    answered = failover.guess("EmailApp", "production", "Read my mail")
    answered.prediction.intent, answered.by

Each region has `within` seconds for a call, whatever it does: hangs, drips, or fails and is asked once more.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Literal, Protocol

from shared.clients.language.faults import fault_of
from shared.clients.language.predictions import Prediction
from shared.clients.language.resource import Resource
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError

By = Literal["primary", "secondary"]
WITHIN = 5.0
"""Seconds that each region has for a call."""


class Guesses(Protocol):
    """Whoever asks a resource, as `Predictions` does."""

    def guess(
        self, at: Resource, project: str, deployment: str, text: str, *, language: str = "", within: float = WITHIN
    ) -> Prediction:
        """Ask a deployment what a text means, and have the answer within so many seconds."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether the primary is asked first. A value: each method gives the breaker that follows, the clock is given."""

    failures: int = 3
    """Calls in a row that the primary must fail before it opens."""
    open_for: float = 60.0
    """Seconds until the primary is tried again."""
    patience: float = 60.0
    """Seconds until a probe that nobody heard of again is given up, where `open_for` is shorter."""
    failed: int = 0
    opened: float | None = None
    """When it opened, None while it is closed."""
    probing: float | None = None
    """When a call went to try the primary again."""

    def state(self, now: float) -> Literal["closed", "open", "half-open"]:
        """Say whether it is closed, open, or open for long enough that the primary may be tried again."""
        if self.opened is None:
            return "closed"
        return "half-open" if now >= self.opened + self.open_for else "open"

    def begin(self, now: float) -> "tuple[Breaker, By]":
        """Begin a call: give who is asked first. Of the calls while it is half-open one probes the primary.

        A probe that nobody heard of again is given up after a while.
        """
        state = self.state(now)
        if state == "closed":
            return self, "primary"
        is_probed = self.probing is not None and now < self.probing + max(self.open_for, self.patience)
        if state == "open" or is_probed:
            return self, "secondary"
        return replace(self, probing=now), "primary"

    def worked(self) -> "Breaker":
        """Note that the primary answered."""
        return replace(self, failed=0, opened=None, probing=None)

    def broke(self, now: float) -> "Breaker":
        """Note that the primary failed a call; where it is open already the time begins anew."""
        failed = self.failed + 1
        opened = now if self.opened is not None or failed >= self.failures else None
        return replace(self, failed=failed, opened=opened)

    def over(self, probe: float) -> "Breaker":
        """Note that the probe of that time is over, whatever it told; another call may be one."""
        return replace(self, probing=None) if self.probing == probe else self


@dataclass(frozen=True, slots=True)
class Answered:
    """A prediction, and who made it."""

    prediction: Prediction
    by: By
    host: str
    tried: tuple[str, ...] = field(default=())
    """What went wrong before, each with who failed."""


class Failover:
    """Asks the primary, and the secondary where that fails; safe to share between threads."""

    def __init__(
        self,
        predictions: Guesses,
        primary: Resource,
        secondary: Resource,
        breaker: Breaker | None = None,
        *,
        within: float = WITHIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._predictions = predictions
        self._resources: dict[By, Resource] = {"primary": primary, "secondary": secondary}
        self._breaker = breaker or Breaker()
        self._within = within
        self._clock = clock
        self._lock = Lock()

    @property
    def breaker(self) -> Breaker:
        """The breaker as it is now."""
        return self._breaker

    def guess(self, project: str, deployment: str, text: str, *, language: str = "") -> Answered:
        """Ask what a text means: the primary, once more where it fails and there is time, then the secondary.

        While the breaker is open the secondary is asked first. What is surely the caller's own fault, such as a text
        that is too long, is raised at once; what may be (`faults`), such as a project that is not there, is asked of
        the other region, too: where that refuses it in the same way, the primary's refusal is raised.
        TemporaryError, else PermanentError, where neither answers.
        """
        with self._lock:
            self._breaker, first = self._breaker.begin(self._clock())
            probe = self._breaker.probing if first == "primary" else None
        ask = partial(self._predictions.guess, project=project, deployment=deployment, text=text, language=language)
        try:
            return self._answered(("primary", "secondary") if first == "primary" else ("secondary", "primary"), ask)
        finally:
            if probe is not None:
                self._note(lambda breaker: breaker.over(probe))

    def _answered(self, order: tuple[By, By], ask: Callable[..., Prediction]) -> Answered:
        """Ask one after the other."""
        refusals: dict[By, ReactorError] = {}
        tried: list[str] = []
        for by in order:
            found = self._tried(by, ask, tried, again=by == order[0] == "primary")
            if isinstance(found, Prediction):
                if by == "primary":
                    self._note(Breaker.worked)
                elif "primary" in refusals and fault_of(refusals["primary"]) == "either":
                    self._note(self._broke)  # what it refuses is no fault of the caller's
                return Answered(found, by, self._resources[by].host, tuple(tried))
            fault = fault_of(found)
            if fault == "caller":
                raise found
            if by == "primary" and fault == "region":
                self._note(self._broke)
            refusals[by] = found
        raise _refused(refusals, tried)

    def _tried(
        self, by: By, ask: Callable[..., Prediction], tried: list[str], *, again: bool
    ) -> Prediction | ReactorError:
        """Ask one region, once more where it may help and half of the time is left; an error is told, and given."""
        until = self._clock() + self._within
        while True:
            try:
                return ask(self._resources[by], within=until - self._clock())
            except ReactorError as problem:
                tried.append(f"{by}: {problem.reason}")
                if not again or not _may_go_by(problem) or until - self._clock() < self._within / 2:
                    return problem
                again = False

    def _broke(self, breaker: Breaker) -> Breaker:
        return breaker.broke(self._clock())

    def _note(self, follows: Callable[[Breaker], Breaker]) -> None:
        """Have the breaker that follows, of the one that there is by now."""
        with self._lock:
            self._breaker = follows(self._breaker)


def _may_go_by(problem: ReactorError) -> bool:
    """Tell whether it is worth asking at once again: not where it says the same again, or asks to be left alone."""
    return isinstance(problem, TemporaryError) and not isinstance(problem, DeniedError) and not problem.after


def _refused(refusals: dict[By, ReactorError], tried: list[str]) -> ReactorError:
    """Say why neither region answers; what both refuse in the same way is told as the primary tells it."""
    primary, secondary = refusals["primary"], refusals["secondary"]
    code = getattr(primary, "code", "")
    faults = {fault_of(primary), fault_of(secondary)}
    if faults == {"either"} and code.lower() == getattr(secondary, "code", "").lower():
        return primary
    words = f"neither region answers: {'; '.join(dict.fromkeys(tried))}"
    told = [getattr(problem, "remedy", "") for problem in (primary, secondary)]
    remedy = "; ".join(dict.fromkeys(one for one in told if one))
    afters = [one.after for one in (primary, secondary) if isinstance(one, TemporaryError) and one.after]
    if isinstance(primary, DeniedError) and isinstance(secondary, DeniedError):
        return DeniedError(words, after=min(afters, default=None), remedy=remedy)
    if isinstance(primary, TemporaryError) or isinstance(secondary, TemporaryError):
        return TemporaryError(words, after=min(afters, default=None))
    return PermanentError(words, remedy=remedy, code=code)
