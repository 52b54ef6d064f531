"""The Custom Vision project that `reactor vision` works on, its resource, and as whom.

A project is named as the rules file declares it, or by its id with the endpoint of its training resource; the key is
never an option of a command, but a setting that the command is told the name of.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from cli.local_stack import READY, add_ready
from cli.surroundings import RULES, Surroundings, look_around
from cli.vision.given import (
    KEY_SETTING,
    NOBODY,
    PREDICTION_KEY_SETTING,
    filled,
    filled_in,
    prediction_of,
    project_of,
    resource_of,
    said_again,
    written,
)

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.vision import Resource, Vision
    from shared.rules.declared import Declared, VisionProject
    from shared.settings import Settings
    from shared.storage.account import Account

PROJECT_SETTING = "REACTOR_VISION_PROJECT"
NAME, KEY = re.compile(r"[A-Za-z_]\w{0,79}"), re.compile(r"[A-Za-z0-9]{32,}")
WHICH = (
    "which project? Name one that the rules file declares, or give its id with --endpoint, the endpoint of its training"
    " resource"
)


@dataclass(frozen=True)
class Here:
    """Where a command works: one project."""

    name: str
    """As the rules file calls it, or its id."""
    declared: Declared
    """The project alone, as a rules file would declare it, with `${NAME}` where its settings are."""
    around: Surroundings
    options: str = ""
    """The options by which a command found it, to be given again: each with a space before it."""
    asked_at: str = ""
    """The same for the prediction resource."""

    @property
    def words(self) -> str:
        """Name it as every command of `reactor vision` takes it."""
        return f"{self.name}{self.options}"

    def asks(self, published: str) -> str:
        """Write the command that asks what is published."""
        prediction = self.declared.vision[self.name].prediction
        is_known = prediction is not None and prediction.endpoint is not None
        asked_at = self.asked_at or ("" if is_known else " --prediction-endpoint URL")
        return f"reactor vision predict FILE --project {self.words} --name {published}{asked_at}"

    @cached_property
    def about(self) -> VisionProject:
        """The project with its settings filled in; UsageError names those that are not set."""
        return filled_in(self.declared.vision[self.name], self.around.values, self.name)

    @cached_property
    def core(self) -> VisionProject:
        """The same without what it is published on and copied to: fewer settings have to be known here."""
        core = self.declared.vision[self.name].model_copy(update={"prediction": None, "replica": None})
        return filled_in(core, self.around.values, self.name)

    @property
    def project(self) -> str:
        """Its id, dashed and in lower case."""
        from shared.handlers.declared import guid

        return guid(self.core.project)

    @property
    def at(self) -> Resource:
        """Its training resource."""
        from shared.clients.vision import Resource

        return Resource.of(self.core.training)

    @property
    def given(self) -> Mapping[str, str]:
        """How a step names it."""
        return {"project": self.name}

    @property
    def clients(self) -> Clients:
        """The services."""
        return self.around.clients

    @property
    def vision(self) -> Vision:
        """Custom Vision."""
        return self.clients.vision

    @property
    def settings(self) -> Settings:
        """The app's settings, as far as they are known here."""
        return self.around.settings

    @property
    def account(self) -> Account | None:
        """The storage of the app, where it is known."""
        return self.around.account

    @property
    def is_local(self) -> bool:
        """Whether this is the local stack."""
        return self.around.is_local


# -- options ----------------------------------------------------------------------------------------------------------


def add_project(
    parser: ArgumentParser, *, is_option: bool = False, otherwise: str = f"{PROJECT_SETTING}, else the only one"
) -> None:
    """Let a command say which project it means: as its first argument, or as --project where that is something else.

    `otherwise` says which one is meant where none is named; "" where one has to be.
    """
    says = "its name in the rules file, or its id with --endpoint" + (f"; default: {otherwise}" if otherwise else "")
    if is_option:
        parser.add_argument("--project", metavar="NAME|ID", default="", help=says)
    else:
        parser.add_argument("project", metavar="PROJECT", nargs="?" if otherwise else None, default="", help=says)
    add_resource(parser)
    add_rules(parser)


def add_resource(parser: ArgumentParser) -> None:
    """Let a command say which training resource it means."""
    parser.add_argument("--endpoint", metavar="URL", help="the training resource's endpoint, for a project by its id")
    parser.add_argument(
        "--key-setting",
        metavar="NAME",
        type=setting_name,
        help=f"the environment variable that holds the resource's key; default: {KEY_SETTING} for a project by its id, "
        "and where that is not set, who is signed in",
    )


def add_prediction(parser: ArgumentParser) -> None:
    """Let a command say which prediction resource it means, for a project by its id."""
    parser.add_argument(
        "--prediction", metavar="ID", help="the prediction resource's ARM id, for a project by its id: to publish"
    )
    parser.add_argument("--prediction-endpoint", metavar="URL", help="its endpoint: to have it predict")
    parser.add_argument(
        "--prediction-key-setting",
        metavar="NAME",
        type=setting_name,
        help=f"the environment variable that holds its key; default: {PREDICTION_KEY_SETTING}",
    )


def setting_name(text: str) -> str:
    """Take the name of an environment variable; what may be a key itself is refused, and not shown."""
    if not NAME.fullmatch(text) or KEY.fullmatch(text):
        raise ArgumentTypeError(
            "give the name of an environment variable that holds the key; a key on a command line is seen by everybody"
        )
    return text


def add_rules(parser: ArgumentParser) -> None:
    """Let a command say where projects are declared."""
    parser.add_argument(
        "--rules", type=Path, metavar="FILE", help=f"where the name is declared; default: REACTOR_RULES, else {RULES}"
    )
    add_ready(parser, f"that of {READY}, where no app is in the environment")


# -- finding ----------------------------------------------------------------------------------------------------------


def find(options: Namespace, *, is_whole: bool = True) -> Here:
    """Find the project, declared or by its id; UsageError says what is missing.

    Where only its `core` is needed, the settings of the rest may be missing.
    """
    around = look_around(options)
    wanted = options.project or around.values.get(PROJECT_SETTING, "")
    here = _by_id(wanted, options, around) if options.endpoint else _declared(wanted, options, around)
    assert here.about if is_whole else here.core  # says what is missing before anything is done
    return here


def find_all(options: Namespace) -> list[Here]:
    """Find the project that is named, else all that are declared; what is missing for one is said when it is used."""
    if options.project or options.endpoint:
        return [find(options, is_whole=False)]
    around = look_around(options)
    rules, origin = around.rules(options)
    projects = rules.declared.vision if rules else {}
    if not projects:
        raise UsageError(f"{WHICH}; {origin} declares none" if rules else f"{WHICH}; there is no {origin} here")
    return [_here(name, _with_key(one, options.key_setting), around, options) for name, one in projects.items()]


def find_resource(options: Namespace) -> tuple[Surroundings, Resource, str]:
    """Find a training resource: --endpoint, else that of the project --beside, else the only one that is declared.

    Gives how a rules file would write it, too.
    """
    from shared.clients.vision import Resource

    around = look_around(options)
    if options.endpoint or (around.is_local and not options.beside):
        given = resource_of(options, around)
        made = filled_in(project_of(NOBODY, training=given), around.values, "--endpoint").training
        return around, Resource.of(made), written(given)
    here = _declared(options.beside or "", options, around, "--endpoint names the training resource")
    return around, here.at, written(here.declared.vision[here.name].training.model_dump(exclude_none=True))


def _by_id(wanted: str, options: Namespace, around: Surroundings) -> Here:
    """Make a declaration of what the options say."""
    from shared.rules.declared import GUID

    if not wanted:
        raise UsageError("--endpoint: give the project's id too")
    if not GUID.match(wanted):
        raise UsageError(f'--endpoint is for a project by its id, and "{wanted}" is none')
    parts: dict[str, Any] = {"training": resource_of(options, around)}
    if prediction := prediction_of(options, around):
        parts["prediction"] = prediction
    return _here(wanted, project_of(wanted, **parts), around, options)


def _declared(wanted: str, options: Namespace, around: Surroundings, otherwise: str = WHICH) -> Here:
    """Look a name or an id up among what the rules file declares; "" means the only one."""
    from shared.handlers.declared import guid
    from shared.rules.declared import GUID
    from shared.rules.problems import did_you_mean

    rules, origin = around.rules(options)
    projects = rules.declared.vision if rules else {}
    known = f"{origin} declares {', '.join(projects) or 'none'}" if rules else f"there is no {origin} here"
    if not wanted and len(projects) != 1:
        raise UsageError(f"{otherwise}; {known}")
    name = wanted or next(iter(projects))
    if name not in projects:
        ids = {guid(filled(one.project, around.values)): known for known, one in projects.items()}
        name = ids.get(guid(wanted), "")
    if name:
        return _here(name, _with_key(projects[name], options.key_setting), around, options)
    if GUID.match(wanted):
        if around.is_local:
            return _by_id(wanted, options, around)
        raise UsageError(f"{origin} declares no project {wanted}; give --endpoint, that of its training resource")
    raise UsageError(f'there is no project "{wanted}"{did_you_mean(wanted, projects)}; {known}')


def _with_key(project: VisionProject, key_setting: str | None) -> VisionProject:
    if not key_setting:
        return project
    training = project.training.model_copy(update={"key": f"${{{key_setting}}}"})
    return project.model_copy(update={"training": training})


def _here(name: str, project: VisionProject, around: Surroundings, options: Namespace) -> Here:
    from shared.rules.declared import Declared

    again = said_again(options, "rules", "endpoint", "key_setting")
    asked_at = said_again(options, "prediction_endpoint", "prediction_key_setting")
    return Here(name, Declared(vision={name: project}), around, again, asked_at)
