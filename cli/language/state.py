"""How a replicated Language project stands: its two regions, what differs, what was proven, kept, and expires."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cli.language.project import Here, Side
    from cli.line import Line
    from shared.regions import Region

Standing = Literal["in step", "behind", "maybe behind", "unknown"]


@dataclass(frozen=True)
class DeploymentState:
    """What answers under a name in one region."""

    name: str
    model: str
    """The model's label; its id where the region has no such model any more."""
    model_id: str
    deployed: datetime | None
    expires: datetime | None
    model_expires: datetime | None
    is_declared: bool
    """Whether the rules file names it; a staging slot is none of those."""


@dataclass
class RegionState:
    """The project in one region."""

    host: str
    answers: bool = True
    """Whether its resource answered at all."""
    exists: bool = True
    """Whether it has the project, as far as that is known."""
    problem: str = ""
    """Why the project could not be read there, and what helps."""
    modified: datetime | None = None
    deployments: list[DeploymentState] = field(default_factory=list)


@dataclass(frozen=True)
class BackupState:
    """A whole version of the backups."""

    version: str
    written: datetime
    size: int


@dataclass(frozen=True)
class ExpiryState:
    """Something that expires soon, or has."""

    region: str
    what: str
    item: str
    expires: datetime
    days_left: int


@dataclass
class State:
    """A project."""

    name: str
    project: str = ""
    """What the service calls it."""
    follow: str = ""
    deployments: list[str] = field(default_factory=list)
    regions: dict[str, RegionState] = field(default_factory=dict)
    """By "primary" and "secondary"."""
    standing: Standing = "unknown"
    reasons: list[str] = field(default_factory=list)
    """The reasons for which it is behind, as `ReplicaOutdated` has them."""
    why: list[str] = field(default_factory=list)
    """The same in words; where nobody knows, why not."""
    since: datetime | None = None
    """Since when it is behind, or may be: the oldest difference of all."""
    lag_seconds: int | None = None
    """How long the primary has had something that the secondary has not: the recovery point, were it lost now."""
    replicated: datetime | None = None
    proven: datetime | None = None
    asked: int | None = None
    agreed: float | None = None
    intents: float | None = None
    """The macro F1 of intents in the secondary."""
    primary_intents: float | None = None
    backup: str = ""
    """The version that the secondary serves."""
    looked: datetime | None = None
    """When the app compared it last."""
    busy: str = ""
    """The action, or the command, that brings the project to the secondary just now."""
    backups: list[BackupState] = field(default_factory=list)
    """Newest first."""
    knows_backups: bool = False
    expiries: list[ExpiryState] = field(default_factory=list)
    again: str = ""
    """How it is named to another command."""
    unread: str = ""
    """Why nothing of it could be read."""
    unread_parts: list[str] = field(default_factory=list)
    """What could not be read of it besides."""

    @property
    def is_read(self) -> bool:
        """Whether both regions could be read."""
        return not self.unread and not any(one.problem for one in self.regions.values())

    @property
    def is_wrong(self) -> bool:
        """Whether the secondary is behind, or anything has expired."""
        return self.standing != "in step" or any(one.days_left < 0 for one in self.expiries)


def read_state(here: Here, line: Line | None = None) -> State:
    """Read how a project stands; what is in the way of that is told in it.

    Looked at closely, with a line that says what is waited for, exports are made where only they tell.
    """
    from cli.errors import UsageError
    from cli.language.project import prepare
    from cli.language.standing import compare
    from shared.errors import PermanentError, ReactorError

    state = State(here.name, again=here.words)
    try:
        about = here.about
        state.project, state.follow, state.deployments = about.project, about.follow, list(about.deployments)
        prepare(here, is_needed=False)
        primary, secondary = _region(state, here, "primary"), _region(state, here, "secondary")
        compare(state, here, primary, secondary, line)
        _expiries(state, here, [one for one in (primary, secondary) if one])
        _backups(state, here)
    except PermanentError as problem:
        state.unread = "; ".join(text for text in (problem.reason, problem.remedy) if text)
    except (ReactorError, UsageError) as problem:
        state.unread = str(problem)
    return state


# -- the regions ------------------------------------------------------------------------------------------------------


def _region(state: State, here: Here, side: Side) -> Region | None:
    """Read what a region shows; None where that cannot be read, or it has no such project."""
    from cli.language.waiting import told_of
    from shared.errors import DeniedError, ReactorError, TemporaryError
    from shared.regions import Region, Served

    at, project, language = here.at(side), here.project, here.language
    shown = state.regions[side] = RegionState(at.place)
    try:
        about = language.projects.read(at, project)
        if about is None:
            near, shown.exists = language.projects.near(at, project), False
            has = f'; it has "{near}", and upper and lower case count' if near else ""
            if near or side == "primary":  # a secondary without it is what a replication is for
                shown.problem = f'{at.place} has no project "{project}"{has}'
            return None
        models = {one.id: one for one in language.models.list(at, project)}
        deployments = language.deployments.list(at, project)
    except ReactorError as problem:
        shown.answers = not isinstance(problem, TemporaryError) or isinstance(problem, DeniedError)
        shown.problem = told_of(problem)
        return None
    served = {}
    shown.modified = about.modified
    for one in sorted(deployments, key=lambda one: one.name):
        model = models.get(one.model_id)
        label, expires = (model.label, model.expires) if model else (one.model_id, None)
        is_declared = one.name in here.about.deployments
        shown.deployments.append(
            DeploymentState(one.name, label, one.model_id, one.deployed, one.expires, expires, is_declared)
        )
        if is_declared:
            can_export = model is not None and model.has_snapshot
            served[one.name] = Served(one.model_id, label, can_export, one.deployed, one.expires, expires)
    return Region(side, about.created, about.modified, served)


# -- what expires, and what is kept -----------------------------------------------------------------------------------


def _expiries(state: State, here: Here, regions: list[Region]) -> None:
    from shared.region_news import expiring

    now = datetime.now(UTC)
    found = [
        ExpiryState(one.resource, one.what, one.item, one.expires, one.days_left(now))
        for one in expiring(regions, here.about.expiry, now)
    ]
    state.expiries = sorted(found, key=lambda one: one.expires)


def _backups(state: State, here: Here) -> None:
    """List the whole versions; what hinders that hides nothing else."""
    from cli.language.kept import versions
    from shared.errors import ReactorError

    if here.account is None:
        return
    try:
        found = versions(here.around, here.at("primary").host, here.project)
    except ReactorError as problem:
        state.unread_parts.append(f"backups: {problem.reason}")
        return
    state.backups = [BackupState(one.name, one.written, one.size) for one in found if one.is_whole]
    state.knows_backups = True
