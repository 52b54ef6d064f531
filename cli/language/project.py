"""The Language project that `reactor language` works on, its two regions, and as whom.

A project is named as the rules file declares it, or as the service calls it; keys are settings that the file names.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cli.errors import UsageError
from cli.local_stack import READY, add_ready
from cli.surroundings import RULES, Surroundings, look_around
from cli.vision.given import filled, filled_in, said_again

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.language import Language, Resource
    from shared.language_pairs import Pair
    from shared.rules.declared import Declared, LanguageProject
    from shared.settings import Settings
    from shared.storage.account import Account

Side = Literal["primary", "secondary"]
WHICH = "which project? Name one that the rules file declares under `language`"
NO_STORAGE = (
    "the app's storage is not known here: set AzureWebJobsStorage or AzureWebJobsStorage__accountName; "
    "no app need run, a storage account is enough"
)


@dataclass(frozen=True)
class Here:
    """Where a command works: one project in its two regions."""

    name: str
    """As the rules file calls it."""
    declared: Declared
    """The project alone, as the rules file declares it, with `${NAME}` where its settings are."""
    around: Surroundings
    options: str = ""
    """The options by which a command found it, to be given again: each with a space before it."""

    @property
    def words(self) -> str:
        """Name it as every command of `reactor language` takes it."""
        return f"{self.name}{self.options}"

    @cached_property
    def about(self) -> LanguageProject:
        """The project with its settings filled in; UsageError names those that are not set."""
        return filled_in(self.declared.language[self.name], self.around.values, self.name)

    @property
    def project(self) -> str:
        """What the service calls it."""
        return self.about.project

    @cached_property
    def pair(self) -> Pair:
        """The project as the app's schedule looks at it."""
        from shared.language_pairs import Pair

        return Pair(self.clients, self.name, self.about)

    def at(self, side: Side) -> Resource:
        """Give the resource of a region."""
        return self.pair.at[side]

    @property
    def given(self) -> Mapping[str, str]:
        """How a step names it."""
        return {"project": self.name}

    @property
    def clients(self) -> Clients:
        """The services."""
        return self.around.clients

    @property
    def language(self) -> Language:
        """Azure AI Language."""
        return self.clients.language

    @property
    def settings(self) -> Settings:
        """The app's settings, as far as they are known here."""
        return self.around.settings

    @property
    def account(self) -> Account | None:
        """The storage of the app, where it is known."""
        return self.around.account


# -- options ----------------------------------------------------------------------------------------------------------


def add_project(
    parser: ArgumentParser, *, is_option: bool = False, otherwise: str = "the only one that is declared"
) -> None:
    """Let a command say which project it means: as its first argument, or as --project where that is something else.

    `otherwise` says which one is meant where none is named; "" where one has to be.
    """
    says = "its name in the rules file" + (f"; default: {otherwise}" if otherwise else "")
    if is_option:
        parser.add_argument("--project", metavar="NAME", default="", help=says)
    else:
        parser.add_argument("project", metavar="PROJECT", nargs="?" if otherwise else None, default="", help=says)
    parser.add_argument(
        "--rules", type=Path, metavar="FILE", help=f"where the name is declared; default: REACTOR_RULES, else {RULES}"
    )
    add_ready(parser, f"that of {READY}, where no app is in the environment")


# -- finding ----------------------------------------------------------------------------------------------------------


def find(options: Namespace) -> Here:
    """Find the declared project that is meant; UsageError says what is missing."""
    around = look_around(options)
    projects, known = declared_in(around, options)
    name = named(options.project, projects, around)
    if not name and options.project:
        from shared.rules.problems import did_you_mean

        raise UsageError(f'there is no project "{options.project}"{did_you_mean(options.project, projects)}; {known}')
    if not name:
        raise UsageError(f"{WHICH}; {known}")
    here = _here(name, projects[name], around, options)
    assert here.about  # says what is missing before anything is done
    return here


def find_all(options: Namespace) -> list[Here]:
    """Find the project that is named, else all that are declared; what is missing for one is said when it is used."""
    if options.project:
        return [find(options)]
    around = look_around(options)
    projects, known = declared_in(around, options)
    if not projects:
        raise UsageError(f"{WHICH}; {known}")
    return [_here(name, one, around, options) for name, one in projects.items()]


def declared_in(around: Surroundings, options: Namespace) -> tuple[Mapping[str, LanguageProject], str]:
    """Give the projects that the rules file declares, and say which those are."""
    rules, origin = around.rules(options)
    if rules is None:
        return {}, f"there is no {origin} here"
    return rules.declared.language, f"{origin} declares {', '.join(rules.declared.language) or 'none'}"


def named(wanted: str, projects: Mapping[str, LanguageProject], around: Surroundings) -> str:
    """Find the declared name that is meant, by itself or by what the service calls it; "" for none.

    Where nothing is wanted it is the only one.
    """
    if not wanted:
        return next(iter(projects)) if len(projects) == 1 else ""
    if wanted in projects:
        return wanted
    return next((name for name, one in projects.items() if filled(one.project, around.values) == wanted), "")


def _here(name: str, project: LanguageProject, around: Surroundings, options: Namespace) -> Here:
    from shared.rules.declared import Declared

    return Here(name, Declared(language={name: project}), around, said_again(options, "rules", "ready"))


def prepare(here: Here, *, is_needed: bool = True) -> None:
    """Make the table and the container that are missing; UsageError where the storage is needed and not known.

    Who may not make them may find them there.
    """
    from shared.errors import DeniedError
    from shared.storage import LIMITS_TABLE
    from shared.storage.exceptions import translated

    if here.account is None:
        if is_needed:
            raise UsageError(NO_STORAGE)
        return
    places = here.around.places
    try:
        with translated("Storage", "same"):
            here.account.tables.create_table_if_not_exists(LIMITS_TABLE)
        if is_needed:
            places.make_container(places.container_url(here.settings.backup_container))
    except DeniedError:
        return
