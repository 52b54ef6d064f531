"""What the app has to be allowed for the rules of a file, by what is declared there. Pure.

Each step states what it needs (`PERMISSIONS` of its module); here that meets the things that a rule's steps name, or
that its events come from.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel

from shared.actions import Step
from shared.permissions import CHANNELS, Permission, Scope
from shared.rules import templates
from shared.rules.declared import Declared, Email, EventGridTopic, LanguageProject, Names, Queue, Route, VisionProject
from shared.rules.heard import compares, looks_at
from shared.rules.heard import listens as follows
from shared.rules.kinds import KINDS
from shared.rules.parameters import parameters
from shared.rules.rule import Rule
from shared.rules.wanted import KIND, is_by_name, listens

if TYPE_CHECKING:
    from shared.rules.match import Rules

Section = Literal["workspaces", "factories", "vision", "language"]

SECTIONS: Mapping[Scope, Section] = {
    "workspace": "workspaces",
    "endpoint": "workspaces",
    "subscription": "workspaces",
    "registry": "workspaces",
    "factory": "factories",
    "vision": "vision",
    "vision_prediction": "vision",
    "vision_replica": "vision",
    "language": "language",
    "language_secondary": "language",
    "storage": "vision",
}
"""Kind of thing to the section where it, or what it belongs to, is declared."""
PARAMETERS: Mapping[Section, str] = {
    "workspaces": "workspace",
    "factories": "factory",
    "vision": "project",
    "language": "project",
}
"""Section to what a step calls that of its names which it is about; left out, that is where the event comes from."""
SUBSCRIPTION = re.compile(r"/subscriptions/[^/]+", re.IGNORECASE)
MODELS = "Microsoft.MachineLearningServices/workspaces/models"
NAMED = Permission("workspace", (f"{MODELS}/versions/read",), f"to look for tags that were set later ({KIND})")
LISTED = Permission("workspace", (f"{MODELS}/read",), f"to list the models, of which no name is said ({KIND})")
ITERATIONS = "Microsoft.CognitiveServices/accounts/CustomVision/projects/iterations"
MISSED = Permission(
    "vision",
    (f"{ITERATIONS}/read", f"{ITERATIONS}/export/read"),
    "to look for what ended without a notification (NotificationMissed)",
    is_data=True,
    optional=True,
)
LANGUAGE = "Microsoft.CognitiveServices/accounts/Language/analyze-conversations/projects"
BOTH_REGIONS: tuple[Scope, ...] = ("language", "language_secondary")
SHOWN = tuple(
    Permission(
        scope,
        (f"{LANGUAGE}/read", f"{LANGUAGE}/models/read", f"{LANGUAGE}/deployments/read"),
        "to look at both regions (ReplicaOutdated, DeploymentNearExpiry)",
        is_data=True,
    )
    for scope in BOTH_REGIONS
)
EXPORTED = tuple(
    Permission(
        scope,
        tuple(f"{LANGUAGE}/export/{what}" for what in ("action", "jobs/read", "jobs/result/read")),
        "to compare what both regions hold (ReplicaOutdated)",
        is_data=True,
    )
    for scope in BOTH_REGIONS
)


@dataclass(frozen=True, slots=True)
class Use:
    """What an action is needed for."""

    rule: str
    step: str
    """Its id; "" where it is no step but the schedule that needs it."""
    why: str
    optional: bool
    """Whether the step does without, and says so."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the app has to be allowed on one thing."""

    scope: Scope
    name: str
    """As the rules file calls it, or what it belongs to; "" where the file does not name it."""
    id: str
    """Its ARM id, or the URL that is known of it, with `${NAME}` as it is written; "" where the file does not say."""
    actions: dict[str, list[Use]] = field(default_factory=dict)
    data_actions: dict[str, list[Use]] = field(default_factory=dict)

    def add(self, permission: Permission, use: Use) -> None:
        """Note that a permission is used."""
        actions = self.data_actions if permission.is_data else self.actions
        for action in permission.actions:
            uses = actions.setdefault(action, [])
            if use not in uses:
                uses.append(use)


def grants(rules: Rules, actions: Mapping[str, str]) -> tuple[Grant, ...]:
    """Say what the app has to be allowed on what, for all rules that are not off."""
    found: dict[tuple[Scope, str], Grant] = {}
    for rule in rules.rules:
        if rule.mode == "off":
            continue
        for step, permission in _needed(rule, actions):
            use = Use(rule.name, step.id if step else "", permission.why, permission.optional)
            for name, id_ in _places(rule, step, permission, rules.declared, actions):
                grant = found.setdefault((permission.scope, id_.lower()), Grant(permission.scope, name, id_))
                grant.add(permission, use)
    return tuple(found.values())


def stated(target: str) -> tuple[Permission, ...]:
    """Give what the step behind "module:Params" states."""
    module = importlib.import_module(target.partition(":")[0])
    needed: Mapping[type, tuple[Permission, ...]] = getattr(module, "PERMISSIONS", {})
    return needed.get(parameters(target).model, ())


def _needed(rule: Rule, actions: Mapping[str, str]) -> Iterator[tuple[Step | None, Permission]]:
    """Give what each step of a rule needs, and what the schedule needs for the rule."""
    behind_channels = {permission.scope for permission in CHANNELS.values()}
    for step in (*rule.do, *rule.on_failure):
        if step.action in actions:
            wanted = (one for one in stated(actions[step.action]) if one.scope not in behind_channels)
            needed = (one for one in wanted if not one.given or one.given in step.params)
            yield from ((step, one) for one in needed if _is_about(rule, step, one.scope))
            if "channels" in dict(_given(step, actions)):
                yield from ((step, one) for one in CHANNELS.values())
    if listens(rule):
        yield None, NAMED
        if not is_by_name(rule):
            yield None, LISTED
    if follows(rule):
        yield None, MISSED
    yield from ((None, one) for one in (*SHOWN, *EXPORTED))


def _is_about(rule: Rule, step: Step, scope: Scope) -> bool:
    """Tell whether a step can come to such a thing: it says which, or the rule's events come from where it is."""
    section = SECTIONS.get(scope)
    if section is None or section in {"factories", "language"} or PARAMETERS[section] in step.params:
        return True
    families = {KINDS[kind].family for kind in rule.kinds}
    return section in families or "own" in families


# -- which thing ------------------------------------------------------------------------------------------------------


def _places(
    rule: Rule, step: Step | None, permission: Permission, declared: Declared, actions: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Give the things, by name and id, that a permission is needed on."""
    named = dict(_given(step, actions)) if step else {}
    if permission in CHANNELS.values():
        yield from _behind(named.get("channels", []), declared, permission)
    elif permission.scope in IDS:
        section = SECTIONS[permission.scope]
        said = named.get(section, [])
        for name in _names(said, _ids(declared, section), rule) if step else _looked_at(rule, permission, declared):
            if at := IDS[permission.scope](getattr(declared, section)[name]):
                yield name, at
    elif permission.scope == "second_storage":
        url = str(step.params.get(permission.given, "")) if step else ""
        if url and "sig=" not in url:
            yield "", url
    elif permission.scope in SECTIONS and permission.scope != "registry":
        section = SECTIONS[permission.scope]
        ids = _ids(declared, section)
        for name in _names(named.get(section, []), ids, rule):
            yield name, _subscription(ids[name]) if permission.scope == "subscription" else ids[name]
    else:
        yield "", ""


def _container(project: VisionProject) -> str:
    return project.container if project.container and "sig=" not in project.container else ""


def _training(project: VisionProject) -> str:
    return "" if project.training.key else project.training.endpoint


def _prediction(project: VisionProject) -> str:
    """Give the ARM id of a prediction resource that is asked, without a key."""
    about = project.prediction
    return about.resource if about and about.endpoint and not about.key else ""


def _replica(project: VisionProject) -> str:
    return project.replica.training.endpoint if project.replica and not project.replica.training.key else ""


def _primary(project: LanguageProject) -> str:
    return "" if project.primary.key else project.primary.endpoint


def _secondary(project: LanguageProject) -> str:
    return "" if project.secondary.key else project.secondary.endpoint


IDS: Mapping[Scope, Callable[[Any], str]] = {
    "vision": _training,
    "vision_prediction": _prediction,
    "vision_replica": _replica,
    "storage": _container,
    "language": _primary,
    "language_secondary": _secondary,
}
"""Kind of thing to where it is for a project; "" where a key or a SAS opens it, or there is none."""


def _given(step: Step, actions: Mapping[str, str]) -> Iterator[tuple[str, list[Any]]]:
    """Give what a step says, by the section that it takes names from."""
    said: dict[str, list[Any]] = {}
    for section, value in _said(parameters(actions[step.action]).model, step.params):
        said.setdefault(section, []).extend(value if isinstance(value, list) else [value])
    yield from said.items()


def _said(model: type[BaseModel], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give the values that are declared names, with their section; parts of the parameters are looked into."""
    for name, info in model.model_fields.items():
        value = values.get(info.alias or name, info.get_default(call_default_factory=True))
        inner = [*info.metadata, *_within(info.annotation)]
        yield from ((each.section, value) for each in inner if isinstance(each, Names))
        for part in inner:
            if isinstance(part, type) and issubclass(part, BaseModel) and isinstance(value, Mapping):
                yield from _said(part, value)


def _within(annotation: Any) -> Iterator[Any]:
    """Give the types, and what is said of them, inside a type such as `Asking | None`."""
    yield annotation
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _within(argument)


def _ids(declared: Declared, section: Section) -> dict[str, str]:
    if section == "vision":
        return {name: project.training.endpoint for name, project in declared.vision.items()}
    if section == "language":
        return {name: project.project for name, project in declared.language.items()}
    return dict(getattr(declared, section))


def _names(said: Iterable[Any], ids: Mapping[str, str], rule: Rule) -> list[str]:
    """Find the declared names that a step means; where the event says it, all that the rule hears of."""
    known = [value for value in said if isinstance(value, str) and value]
    if known and not any(templates.is_template(value) for value in known):
        return [name for name in ids if name in known or ids[name].lower() in map(str.lower, known)]
    return [name for name in ids if name in rule.sources] or list(ids)


def _looked_at(rule: Rule, permission: Permission, declared: Declared) -> Iterable[str]:
    """Name the projects that the schedule looks at for a rule, with such a permission."""
    if permission in SHOWN:
        return sorted(looks_at(rule, declared))
    if permission in EXPORTED:
        return sorted(compares(rule, declared))
    return _names([], _ids(declared, "vision"), rule)


def _subscription(arm_id: str) -> str:
    found = SUBSCRIPTION.match(arm_id)
    return found[0] if found else f"the subscription of {arm_id}"


def _behind(said: Iterable[Any], declared: Declared, permission: Permission) -> Iterator[tuple[str, str]]:
    """Give the channels, a route's own too, in which the app sends by its identity."""
    waiting = [name for name in said if name in declared.channels]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        channel = declared.channels[name]
        if isinstance(channel, Route):
            targets = [*channel.begins_with.values(), *([channel.otherwise] if channel.otherwise else [])]
            waiting += [target for target in targets if target in declared.channels]
        elif CHANNELS.get(channel.kind) == permission:
            if isinstance(channel, Email) or (isinstance(channel, EventGridTopic) and not channel.key):
                yield name, channel.endpoint
            elif isinstance(channel, Queue) and "sig=" not in channel.url:
                yield name, channel.url
