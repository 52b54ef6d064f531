"""Drives a step's stages against real clients, as the reactor does: find, start, watch, with records left out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dev.simulators.remote import Simulators
from shared import parse, policy
from shared.actions import Decision
from shared.clients import Clients
from shared.clients.identity import managed_identity
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.events import Event
from shared.handlers import ACTIONS
from shared.rules import templates
from shared.rules.declared import Declared
from shared.settings import Settings
from shared.stages import Done, End, Handler, Job, Later, Pending, Stage, find_handler
from shared.storage.locks import Locks

PATIENCE = 30.0
"""Seconds until a step is taken to hang."""
BETWEEN = 0.01
"""Seconds between two looks: what is simulated is mostly over at once."""
ENDED: set[str] = set()
"""The keys of the actions that were performed to their end: what they held is free."""


@dataclass
class Told:
    """What a step's stages said on the way."""

    result: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    wake_on: list[str] = field(default_factory=list)
    later: list[Later] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    end: End | None = None
    """How the action ended, where that was no failure."""
    undone: str = ""
    """What the stage that undoes said, where it was performed."""


@dataclass
class Bench:
    """One step's surroundings: what is declared, the event that is answered, the app's settings."""

    clients: Clients
    declared: Declared
    event: Event
    values: Mapping[str, str] = field(default_factory=dict)
    key: str = field(default_factory=lambda: uuid4().hex)
    event_key: str = ""
    """The key of the event's record, where it is not the event's own."""
    before_stage: Callable[[str], None] = lambda _name: None
    digest: Sequence[policy.Told] = ()
    refuses: Callable[[Event], str] = lambda _event: ""
    more: int = 0
    decision: Decision | None = None
    starting_at: datetime | None = None
    """When a start was about to be made of which nothing is known: as after a crash."""
    told: Told = field(default_factory=Told)
    """What the last step said, also where it failed."""

    def run(self, action: str, **params: Any) -> Told:
        """Perform a step to its end; parameters that are left out are the rendered defaults.

        Where it fails or ends, and something was begun, the stage that undoes is performed before that is told.
        """
        handler = find_handler(ACTIONS, action)
        defaults = {
            name: info.default
            for name, info in handler.params.model_fields.items()
            if not info.is_required() and isinstance(info.default, str)
        }
        context = templates.context(self.event)
        values = templates.resolve(templates.render(defaults | params, context), self.values)
        parsed, self.told = handler.parse(values), Told()
        began: set[str] = set()
        try:
            self._walk(handler, parsed, self.told, began)
        except PermanentError:
            self._undo(handler, parsed, began)
            raise
        else:
            if self.told.end:
                self._undo(handler, parsed, began)
        finally:
            ENDED.add(self.key)
        return self.told

    def _walk(self, handler: Handler, params: Any, told: Told, began: set[str]) -> None:
        name = handler.stages[0].name
        while name and not told.end:
            stage = handler.stage(name)
            self.before_stage(stage.name)
            began.add(stage.effect)
            name = self.perform(stage, params, told) or handler.stage_after(stage)

    def _undo(self, handler: Handler, params: Any, began: set[str]) -> None:
        if handler.undoes and "acts" in began:
            self.before_stage(handler.undoes)
            self.perform(handler.stage(handler.undoes), params, self.told)
            self.told.undone = self.told.notes[-1]

    def perform(self, stage: Stage[Any], params: Any, told: Told) -> str:
        """Perform one stage to its end; temporary errors are tried again. Return the stage it turns to, if it says."""
        memory: dict[str, Any] = {}
        starting_at = self.starting_at
        started, until, began = False, time.monotonic() + PATIENCE, datetime.now(UTC)
        while time.monotonic() < until:
            job = replace(self.job(stage.name, told.result, memory, began), starting_at=starting_at)
            try:
                if started and stage.watch:
                    progress = stage.watch(params, job)
                else:
                    progress = stage.find(params, job) or stage.start(params, job)
            except TemporaryError as trouble:
                told.troubles.append(trouble.reason)
                if isinstance(trouble, UnansweredError) and stage.named_by == "service":
                    starting_at = job.now
                time.sleep(BETWEEN)
                continue
            if isinstance(progress, End):
                told.end = progress
                return ""
            told.notes.append(progress.note)
            if isinstance(progress, Done):
                told.result |= progress.result
                told.announced += [progress.announces] if progress.announces else []
                told.later += [progress.later] if progress.later else []
                return progress.next
            started = True
            if isinstance(progress, Pending):
                memory |= progress.memory
                told.wake_on.append(progress.wake_on)
            time.sleep(BETWEEN)
        raise AssertionError(f"stage {stage.name} hangs: {told.notes[-1:]}, {told.troubles[-1:]}")

    def job(
        self,
        step: str = "step",
        result: Mapping[str, Any] | None = None,
        memory: Any = None,
        began: datetime | None = None,
    ) -> Job:
        """Make what a stage's functions are told."""
        return Job(
            key=self.key,
            step=step,
            now=datetime.now(UTC),
            starting_at=self.starting_at,
            memory=memory or {},
            result=result or {},
            declared=self.declared,
            clients=self.clients,
            event_key=self.event_key or self.event.key,
            written={},
            event=lambda: self.event,
            steps={},
            digest=self.digest,
            more=self.more,
            decision=self.decision,
            began=began or datetime.now(UTC),
            action=self.key,
            rule="rule",
            depth=0,
            is_dry_run=False,
            hold=lambda what: self.locks.hold(what, self.key, datetime.now(UTC), ENDED.__contains__),
            let_go=lambda what: self.locks.let_go(what, self.key, datetime.now(UTC)),
            refuses=self.refuses,
            shown=str,
            resolve=lambda value: templates.resolve(value, self.values),
        )

    @property
    def locks(self) -> Locks:
        """The locks of the app's own storage."""
        return Locks(self.clients.account)


def clients_of(simulators: Simulators, storage: str, **values: str) -> Clients:
    """Make the app's clients, pointed at the simulators and at Azurite."""
    return Clients(
        Settings.read(
            {
                "AzureWebJobsStorage": storage,
                "REACTOR_ARM_ENDPOINT": simulators.management.url,
                "REACTOR_ML_HOSTS": "127.0.0.1",
                "REACTOR_VISION_BLOB_HOSTS": "127.0.0.1",
                "REACTOR_LANGUAGE_READS": "100000",  # both regions have one host here: uncounted
                "REACTOR_LANGUAGE_WRITES": "100000",
                **values,
            }
        ),
        managed_identity,
    )


def event_of(text: str) -> Event:
    """Read an event from the wire."""
    return parse.vision_notification(text) if '"Content"' in text else parse.event_grid(text)
