"""The workspace that `reactor ml` works on, and as whom.

In Azure that is whoever is signed in, on the local stack the identity that the stack gives its app.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from cli.local_stack import READY, add_ready, read_ready

if TYPE_CHECKING:
    from shared.clients import Clients
    from shared.clients.machine_learning import MachineLearning
    from shared.rules.declared import Declared
    from shared.settings import Settings
    from shared.storage.account import Account

RULES = "rules.yaml"
NO_STORAGE = {"AzureWebJobsStorage__accountName": "none"}
"""For the settings of who only talks to Machine Learning: nothing of the app's storage is touched then."""
SDK_SETTINGS = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "REQUESTS_CA_BUNDLE")
"""What the Azure SDKs read from the environment themselves, to reach and trust the local stack."""
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
    facts = _stack(options)
    values = {**os.environ, **(facts["settings"] if facts else {})}
    wanted = options.workspace or os.environ.get("REACTOR_WORKSPACE", "")
    workspace = wanted if wanted.startswith("/") else _declared(wanted, options, facts, values)
    return _open(_checked(workspace), values, facts)


def _stack(options: Namespace) -> Mapping[str, Any] | None:
    """Read what the local stack says of itself, where that is meant."""
    from shared.settings import STORAGE_PREFIX

    is_elsewhere = any(name.startswith((STORAGE_PREFIX, "REACTOR_URL")) for name in os.environ)
    if not options.ready and (is_elsewhere or not READY.exists()):
        return None
    facts = read_ready(options.ready)
    if not isinstance(facts.get("settings"), dict):
        raise UsageError("the local stack is of another version; start it again: `make run`")
    return facts


def _open(workspace: str, values: Mapping[str, str], facts: Mapping[str, Any] | None) -> Here:
    import logging

    from shared.clients import Clients
    from shared.clients.identity import managed_identity, operator
    from shared.errors import SettingsError
    from shared.settings import STORAGE_PREFIX, Settings
    from shared.storage.account import Account

    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what the SDKs have to say is in what is raised
    if facts:
        os.environ.update({name: str(values[name]) for name in SDK_SETTINGS if name in values})
    has_storage = any(name.startswith(STORAGE_PREFIX) for name in values)
    try:
        settings = Settings.read(values if has_storage else {**values, **NO_STORAGE})
    except SettingsError as error:
        raise UsageError(error.reason) from error
    credential = managed_identity if facts else operator
    return Here(
        workspace=workspace,
        clients=Clients(settings, credential),
        settings=settings,
        account=Account(settings.storage, operator) if has_storage else None,
        is_local=facts is not None,
    )


# -- the rules file ---------------------------------------------------------------------------------------------------


def _checked(workspace: str) -> str:
    from pydantic import ValidationError

    from shared.rules.declared import Declared

    try:
        Declared(workspaces={"it": workspace})
    except ValidationError as problem:
        raise UsageError(f"--workspace: {problem.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    return workspace


def _declared(name: str, options: Namespace, facts: Mapping[str, Any] | None, values: Mapping[str, str]) -> str:
    """Look a name up among what the rules file declares, with its settings filled in; "" means the only one."""
    from shared.handlers import ACTIONS
    from shared.rules import RulesError, load, templates
    from shared.rules.problems import did_you_mean

    text, origin = _rules(options, facts, values)
    try:
        workspaces = load(text, ACTIONS, origin).declared.workspaces
    except RulesError:
        raise UsageError(f"{origin} has errors: `reactor rules check {origin}` lists them") from None
    if not name and len(workspaces) != 1:
        raise UsageError(f"{WHICH}; {origin} declares {', '.join(workspaces) or 'none'}")
    if name and name not in workspaces:
        known = ", ".join(workspaces) or "none"
        raise UsageError(f'{origin} declares no workspace "{name}"{did_you_mean(name, workspaces)}; declared: {known}')
    return str(templates.resolve(workspaces[name] if name else next(iter(workspaces.values())), values))


def _rules(options: Namespace, facts: Mapping[str, Any] | None, values: Mapping[str, str]) -> tuple[str, str]:
    """Read the rules file, and say what it is called."""
    from cli import app_storage
    from cli.documents import read
    from shared.storage.rules_store import is_blob

    if options.rules:
        return read(options.rules), str(options.rules)
    origin = values.get("REACTOR_RULES") or RULES
    if facts or is_blob(origin):
        text = (app_storage.of_stack(facts) if facts else app_storage.find(options)).rules()
        if text is None:
            raise UsageError(f"{WHICH}; there are no rules at {origin}")
        return text, origin
    if not Path(origin).is_file():
        raise UsageError(f"{WHICH}; there is no {origin} here")
    return read(Path(origin)), origin
