"""The workspace that `reactor ml` works on, and as whom.

In Azure that is whoever is signed in, on the local stack the identity that the stack gives its app.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import UsageError
from cli.local_stack import READY, add_ready
from cli.surroundings import RULES, Surroundings, look_around

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.machine_learning import MachineLearning
    from shared.rules.declared import Declared
    from shared.settings import Settings
    from shared.storage.account import Account

WHICH = "which workspace? Give --workspace (its ARM id, or its name in the rules file), or set REACTOR_WORKSPACE"


@dataclass(frozen=True, slots=True)
class Here:
    """Where a command works."""

    workspace: str
    """The ARM id."""
    clients: Clients
    settings: Settings
    account: Account | None
    """The storage of the app, where it is known: actions hold their locks there."""
    is_local: bool

    @property
    def name(self) -> str:
        """The workspace's name."""
        return self.workspace.rsplit("/", 1)[-1]

    @property
    def declared(self) -> Declared:
        """The workspace, as a rules file would declare it."""
        from shared.rules.declared import Declared

        return Declared(workspaces={"here": self.workspace})

    @property
    def given(self) -> Mapping[str, str]:
        """How a step names it."""
        return {"workspace": self.workspace}

    @property
    def ml(self) -> MachineLearning:
        """Machine Learning."""
        return self.clients.machine_learning


def add_workspace(parser: ArgumentParser) -> None:
    """Let a command say which workspace it means."""
    parser.add_argument(
        "--workspace",
        metavar="NAME|ID",
        help="its ARM id, or its name in the rules file; default: REACTOR_WORKSPACE, else the only one declared",
    )
    parser.add_argument(
        "--rules", type=Path, metavar="FILE", help=f"where the name is declared; default: REACTOR_RULES, else {RULES}"
    )
    add_ready(parser, f"that of {READY}, where no app is in the environment")


def find(options: Namespace) -> Here:
    """Find the workspace; UsageError says what is missing."""
    around = look_around(options)
    wanted = options.workspace or around.values.get("REACTOR_WORKSPACE", "")
    workspace = _checked(wanted if wanted.startswith("/") else _declared(wanted, options, around))
    return Here(workspace, around.clients, around.settings, around.account, around.is_local)


# -- the rules file ---------------------------------------------------------------------------------------------------


def _checked(workspace: str) -> str:
    from pydantic import ValidationError

    from shared.rules.declared import Declared

    try:
        Declared(workspaces={"it": workspace})
    except ValidationError as problem:
        raise UsageError(f"--workspace: {problem.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    return workspace


def _declared(name: str, options: Namespace, around: Surroundings) -> str:
    """Look a name up among what the rules file declares, with its settings filled in; "" means the only one."""
    from shared.rules import templates
    from shared.rules.problems import did_you_mean

    rules, origin = around.rules(options)
    if rules is None:
        raise UsageError(f"{WHICH}; there are no rules at {origin}")
    workspaces = rules.declared.workspaces
    if not name and len(workspaces) != 1:
        raise UsageError(f"{WHICH}; {origin} declares {', '.join(workspaces) or 'none'}")
    if name and name not in workspaces:
        known = ", ".join(workspaces) or "none"
        raise UsageError(f'{origin} declares no workspace "{name}"{did_you_mean(name, workspaces)}; declared: {known}')
    return str(templates.resolve(workspaces[name] if name else next(iter(workspaces.values())), around.values))
