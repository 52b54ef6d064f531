"""What a stage is given when it is performed: its handler, its parameters filled in, and what it may know and use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from shared import parse
from shared.actions import Action, StepState
from shared.errors import PermanentError, TemporaryError
from shared.events import Event, digest
from shared.rules import templates
from shared.stages import Handler, Job, Stage, find_handler
from shared.storage.locks import Locks
from shared.storage.records import Records
from shared.storage.slots import SlotsTable

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.rules import Rules


PATIENT = 3
"""How often what a step looks up is asked for before the step does without."""


SHORTEST_SECRET = 4
"""Characters of a setting's value that are worth hiding: shorter ones stand in any text."""


class Named(dict[str, str]):
    """Settings, where one that is not set is its own name."""

    def __contains__(self, _name: object) -> bool:
        """Say that every setting is there."""
        return True

    def __missing__(self, name: str) -> str:
        """Write the setting as rules do."""
        return f"${{{name}}}"


@dataclass(frozen=True, slots=True)
class Ready:
    """A stage that can be performed."""

    stage: Stage[Any]
    next_stage: str
    within: timedelta | None
    """The stage's own deadline, where it has one."""
    params: Any
    job: Job


class Preparations:
    """Makes stages ready to be performed."""

    def __init__(
        self,
        records: Records,
        locks: Locks,
        slots: SlotsTable,
        *,
        rules: "Callable[[], Rules | None]",
        handlers: Mapping[str, str],
        clients: "Clients",
        values: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._records = records
        self._locks = locks
        self._slots = slots
        self._rules = rules
        self._handlers = handlers
        self._clients = clients
        self._values = values
        self._clock = clock

    def prepare(self, action: Action, state: StepState) -> Ready:
        """Find the stage that is next, and fill in its parameters."""
        event = cache(lambda: self._read_event(action.event))
        handler = find_handler(self._handlers, state.action)
        stage = handler.stage(state.stage)
        state.stage = stage.name
        if state.params is None:
            state.params = self._render(action, state, handler, event)
        params = self._parsed(handler, stage, state.params) if _is_performed(action, stage) else None
        return Ready(
            stage=stage,
            next_stage=handler.stage_after(stage),
            within=stage.within(params) if stage.within and params is not None else None,
            params=params,
            job=self._job(action, state, event),
        )

    def let_go(self, action: Action) -> None:
        """Give back the locks of steps that are over, or begin again; those of an action that ended are free."""
        for state in action.progress if action.is_open else ():
            for what in state.held if state.outcome or not state.stage else ():
                self._locks.let_go(what, action.key, self._clock())

    def undoes(self, action: Action) -> str:
        """Name the stage that undoes what the current step began, "" where none does."""
        if not action.progress or action.progress[-1].outcome:
            return ""
        try:
            return find_handler(self._handlers, action.progress[-1].action).undoes
        except PermanentError:
            return ""

    def settings_of(self, state: StepState) -> Mapping[str, str]:
        """Give the values of settings that a step's parameters name, with those names: a service may say them again."""
        names = templates.named_settings(state.params)
        values = {self._values[name]: f"${{{name}}}" for name in names if name in self._values}
        return {value: name for value, name in values.items() if len(value) >= SHORTEST_SECRET}

    def _render(self, action: Action, state: StepState, handler: Handler, event: Callable[[], Event]) -> dict[str, Any]:
        """Render the step's parameters from the event, the results of the steps before it, and what the step looks up.

        A dry run has no results and looks nothing up: what reads them stays as it is written.
        """
        context = templates.context(
            event(),
            steps=None if action.mode == "dry_run" else _results(action),
            failure=action.failure.model_dump() if action.failure else None,
            action={"key": action.key, "rule": action.rule, "event": action.event},
            digest=[told.model_dump(mode="json") for told in action.digest],
        )
        params = action.todo[action.position].params
        if action.mode == "live" and handler.look_up and handler.offered & templates.roots(params):
            found = handler.look_up(self._job(action, state, event), state.attempts < PATIENT)
            state.memory = {"unread": found["unread"]} if found.get("unread") else {}
            context |= {name: found[name] for name in handler.offered}
        rendered: dict[str, Any] = templates.render(params, context)
        return rendered

    def _parsed(self, handler: Handler, stage: Stage[Any], params: Any) -> BaseModel:
        """Fill in the settings; what undoes does without those that are not set any more, and keeps their names."""
        try:
            return handler.parse(self._resolve(params))
        except PermanentError:
            if stage.effect != "undoes":
                raise
            return handler.parse(templates.resolve(params, Named(self._values)))

    def _resolve(self, value: Any) -> Any:
        return templates.resolve(value, self._values)

    def _read_event(self, key: str) -> Event:
        """Read an event again from its record."""
        record = self._records.read_event(key)
        if record is None:
            raise PermanentError(f"the record of event {key} is gone", remedy="keep records longer (REACTOR_KEEP_DAYS)")
        return parse.PARSERS[record.door](record.payload)

    def _job(self, action: Action, state: StepState, event: Callable[[], Event]) -> Job:
        rules = self._rules()
        if rules is None:
            raise TemporaryError("there is no valid rules file to look declared services up in")
        return Job(
            key=digest(action.key, state.id),
            step=state.id,
            event_key=action.event,
            now=self._clock(),
            starting_at=state.starting_at,
            memory=state.memory,
            result=state.result,
            declared=rules.declared,
            clients=self._clients,
            written=state.params or {},
            event=event,
            steps=_results(action),
            digest=action.digest,
            more=action.more,
            decision=action.decision if action.decision and action.decision.step == state.id else None,
            began=state.began or self._clock(),
            action=action.key,
            rule=action.rule,
            depth=action.depth,
            is_dry_run=action.mode == "dry_run",
            hold=lambda what: self._hold(what, action, state),
            let_go=lambda what: self._let_go(what, action, state),
            refuses=lambda event: rules.refuses(action.rule, event),
            shown=lambda text: without_settings(text, self.settings_of(state)),
            resolve=self._resolve,
            note_begun=lambda token: self._slots.note_depth(token, action.depth + 1, self._clock()),
        )

    def _hold(self, what: str, action: Action, state: StepState) -> str:
        holder = self._locks.hold(what, action.key, self._clock(), self.is_over)
        if not holder and what not in state.held:
            state.held.append(what)
        return holder

    def _let_go(self, what: str, action: Action, state: StepState) -> None:
        self._locks.let_go(what, action.key, self._clock())
        if what in state.held:
            state.held.remove(what)

    def is_over(self, key: str) -> bool:
        """Tell whether an action has ended; one that cannot be read may still go on in another version of the app."""
        try:
            action = self._records.read_action(key)
        except PermanentError:
            return False
        return action is None or not action.is_open


def without_settings(text: str, values: Mapping[str, str]) -> str:
    """Put the names of settings in place of their values."""
    for value, name in values.items():
        text = text.replace(value, name)
    return text


def _is_performed(action: Action, stage: Stage[Any]) -> bool:
    """Tell whether a stage is done, and not only written down as in a dry run."""
    return action.mode == "live" or stage.effect == "decides"


def _results(action: Action) -> dict[str, Any]:
    """Give the results of the steps that succeeded, by id."""
    return {done.id: done.result for done in action.progress if done.outcome == "succeeded"}
