"""Finds what a step names among what the rules file declares: nothing else ever sees our tokens or our messages."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from shared.errors import PermanentError
from shared.rules import pairs, templates
from shared.rules.declared import Channel, Declared, LanguageProject, Route, VisionProject
from shared.stages import Job


def workspace(job: Job, given: str) -> str:
    """Return the ARM id of a declared workspace, from its name or its id in any casing."""
    return _arm_id(job, "workspaces", given)


def factory(job: Job, given: str) -> str:
    """Return the ARM id of a declared factory, from its name or its id in any casing."""
    return _arm_id(job, "factories", given)


def vision(job: Job, given: str, *, needs: str = "") -> tuple[str, VisionProject]:
    """Return a declared Custom Vision project and its id in one spelling, from its name or its id in any spelling.

    Of `prediction` and `replica` it has what it `needs`: the settings of the other need not be there.
    """
    for name, declared in job.declared.vision.items():
        if given == name or guid(given) == guid(_known(job, declared.project)):
            filled = filled_in(core(declared, needs), job.resolve, "vision", name)
            return guid(filled.project), filled
    raise _not_declared("Custom Vision project", given, job.declared.vision)


def core(project: VisionProject, needs: str = "") -> VisionProject:
    """Leave out of a declared project what is not needed of `prediction` and `replica`."""
    return project.model_copy(update={part: None for part in ("prediction", "replica") if part != needs})


def language(job: Job, given: str) -> tuple[str, LanguageProject]:
    """Return a declared Language project, with its name, from that name or from the project's own.

    With none given it is the one that the event is about, else the only one that is declared.
    """
    wanted = given or _of_event(job)
    for name, declared in job.declared.language.items():
        if wanted in (name, _known(job, declared.project)) or (not wanted and len(job.declared.language) == 1):
            filled = filled_in(declared, job.resolve, "language", name)
            if problem := clash(job.declared, name, lambda value: _known(job, value)):
                raise PermanentError(problem, remedy="correct the rules file, or the settings that its endpoints name")
            return name, filled
    if wanted:
        raise _not_declared("Language project", wanted, job.declared.language)
    names = ", ".join(job.declared.language) or "none"
    raise PermanentError(
        f"this event is about no Language project, and there are several to choose from: {names}",
        remedy="say `project` in the step",
    )


def clash(declared: Declared, name: str, fill: Callable[[str], str]) -> str:
    """Say which other Language project a declared one is in the way of, by what the settings say; "" for none."""
    all_ = (pairs.pair(other, project, fill) for other, project in declared.language.items())
    found = [one for one in all_ if one is not None]
    found.sort(key=lambda one: one.name == name)  # what is wrong is said of the last
    return next((words for about, words in pairs.clashes(found) if about == name), "")


def _of_event(job: Job) -> str:
    """Give the name of the Language project that the event is about, "" where it is about none."""
    facts = job.event().facts
    told = facts.get("replica") or facts.get("expiry") or {}
    return str(told.get("name") or "")


def channel(job: Job, name: str) -> Channel:
    """Return a declared channel with its settings filled in; a route is followed to the channel it picks."""
    found, target = _channel(job, name), name
    if isinstance(found, Route):
        target = _picked(job, name, found)
        found = _channel(job, target)
    if isinstance(found, Route):
        raise PermanentError(f'the route "{name}" leads to a route', remedy="let it lead to channels of other kinds")
    return filled_in(found, job.resolve, "channels", target)


def guid(text: str) -> str:
    """Spell a GUID with dashes and in lower case; anything else stays as it is."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


def _known(job: Job, value: str) -> str:
    """Fill settings in; "" where one is not set, so that one declaration does not hide those after it."""
    try:
        return str(job.resolve(value))
    except PermanentError:
        return ""


def filled_in[D: BaseModel](declared: D, resolve: Callable[[Any], Any], *where: str) -> D:
    """Fill in the settings of what is declared at a place; PermanentError where one is not set, or does not fit."""
    return _checked(type(declared), resolve(declared.model_dump()), *where)


def _checked[D: BaseModel](shape: type[D], values: Any, *where: str) -> D:
    """Check what the settings made of a declaration; PermanentError names each field that is wrong, never its value."""
    try:
        return shape.model_validate(values)
    except ValidationError as problem:
        wrong = "; ".join(f"{'.'.join([*where, *map(str, item['loc'])])}: {item['msg']}" for item in problem.errors())
        words = f"a setting does not fit where the rules file uses it: {wrong}"
        raise PermanentError(words, remedy="correct the setting") from None


def _channel(job: Job, name: str) -> Channel:
    if name not in job.declared.channels:
        raise _not_declared("channel", name, job.declared.channels)
    return job.declared.channels[name]


def _picked(job: Job, name: str, route: Route) -> str:
    target = route.picks(templates.context(job.event()))
    if target is None:
        raise PermanentError(
            f'channel "{name}" leads nowhere for the {route.by} of this event', remedy="give the route an `otherwise`"
        )
    return target


def _arm_id(job: Job, section: Literal["workspaces", "factories"], given: str) -> str:
    declared: Mapping[str, str] = getattr(job.declared, section)
    for name, arm_id in declared.items():
        if given == name or given.lower() == _known(job, arm_id).lower():
            resolved = str(job.resolve(arm_id))
            _checked(Declared, {section: {name: resolved}})
            return resolved
    raise _not_declared({"workspaces": "workspace", "factories": "factory"}[section], given, declared)


def _not_declared(what: str, given: str, declared: Mapping[str, object]) -> PermanentError:
    names = ", ".join(declared) or "none"
    return PermanentError(
        f'the {what} "{given}" is not declared; declared: {names}', remedy="declare it in the rules file"
    )
