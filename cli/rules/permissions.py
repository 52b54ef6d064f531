"""`reactor rules permissions`: what the app has to be allowed for a rules file, on what, and by which roles."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.documents import print_json, read
from cli.tables import BOLD, DIM, Cell, Column, Paint, clean, count, painter, room, table

if TYPE_CHECKING:
    from shared.rules.grants import Grant, Use

Json = dict[str, Any]

NAMES = {
    "mail": "the Communication Services resource",
    "topic": "the topic",
    "queue": "the queue",
    "registry": "each registry that models come from",
    "storage": "the storage account",
    "second_storage": "the storage account of the second container",
    "vision": "the training resource",
    "vision_replica": "the replica's training resource",
    "language": "the primary Language resource",
    "language_secondary": "the secondary Language resource",
}
"""What is called so where the rules file does not say its id."""


def add_command(commands: Any, default: Path) -> None:
    """Add the command to those of `reactor rules`."""
    one = commands.add_parser(
        "permissions", help="say what the app has to be allowed for a rules file, and by which roles"
    )
    one.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=default,
        metavar="FILE",
        help="the rules file; default: rules.yaml; - for stdin",
    )
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=run)


def run(options: Namespace) -> int:
    """Print what is needed on each thing; 1 where the file is not in order."""
    from shared.handlers import ACTIONS
    from shared.rules import RulesError, load
    from shared.rules.grants import grants

    try:
        rules = load(read(options.file), ACTIONS, str(options.file))
    except RulesError as error:
        print(error, file=sys.stderr)
        return 1
    found = grants(rules, ACTIONS)
    if options.json:
        print_json([plain(grant) for grant in found])
        return 0
    for grant in found:
        print("\n".join(_shown(grant, painter())))
    needs = (
        "the app needs nothing but its own storage" if not found else f"{count(len(found), 'scope')} to give roles on"
    )
    print(f"{options.file}: {needs}")
    return 0


def plain(grant: Grant) -> Json:
    """Give what is needed on one thing as plain data."""
    from cli.rules.roles import covering

    return {
        "scope": grant.scope,
        "name": grant.name,
        "id": grant.id,
        "actions": [_action(action, uses, is_data=False) for action, uses in grant.actions.items()]
        + [_action(action, uses, is_data=True) for action, uses in grant.data_actions.items()],
        "roles": [
            {"name": role.name, "id": role.id} for role in covering(grant.scope, grant.actions, grant.data_actions)
        ],
        "custom_role": custom_role(grant),
    }


def custom_role(grant: Grant) -> Json:
    """Write the definition of a role that allows just what is needed, as `az role definition create` takes it.

    https://learn.microsoft.com/azure/role-based-access-control/custom-roles
    """
    name = grant.name or grant.scope
    return {
        "Name": f"ML Reactor: {grant.scope} {name}" if grant.name else f"ML Reactor: {grant.scope}",
        "IsCustom": True,
        "Description": f"What the steps of an ML Reactor's rules need on {grant.scope} {name}.",
        "Actions": sorted(grant.actions),
        "NotActions": [],
        "DataActions": sorted(grant.data_actions),
        "NotDataActions": [],
        "AssignableScopes": [_assignable(grant)],
    }


def _assignable(grant: Grant) -> str:
    """Give the resource's id; where only a URL of it is known, or not even that, say whose id has to be put in."""
    if grant.id and grant.scope not in NAMES:
        return grant.id
    return f"<the resource id of {NAMES.get(grant.scope, grant.scope)}{f' at {grant.id}' if grant.id else ''}>"


def _action(action: str, uses: list[Use], *, is_data: bool) -> Json:
    return {
        "action": action,
        "data": is_data,
        "optional": all(use.optional for use in uses),
        "uses": [{"rule": use.rule, "step": use.step, "why": use.why} for use in uses],
    }


def _shown(grant: Grant, paint: Paint) -> Iterator[str]:
    """Write what is needed on one thing for people."""
    told = plain(grant)
    where = clean(grant.id or NAMES.get(grant.scope, ""))
    yield f"{paint(BOLD, clean(' '.join(filter(None, (grant.scope, grant.name)))))}  {paint(DIM, where)}"
    roles = " and ".join(f"{role['name']} ({role['id']})" for role in told["roles"])
    yield f"  {f'built-in: {roles}' if roles else 'no built-in role allows all of it'}"
    rows = [
        [Cell(f"  {one['action']}"), Cell(("optional: " if one["optional"] else "") + _used(one["uses"]))]
        for one in told["actions"]
    ]
    yield from table([Column("  ACTION", 40), Column("FOR", 20, is_prose=True)], rows, room(), paint)
    yield "  a role of its own:"
    yield from (f"  {line}" for line in json.dumps(told["custom_role"], indent=2, ensure_ascii=False).splitlines())
    yield ""


def _used(uses: list[Json]) -> str:
    """Name the rules and steps that need it, each rule once."""
    by_rule: dict[str, list[str]] = {}
    for use in uses:
        by_rule.setdefault(use["rule"], []).append(use["step"] or "the schedule")
    return "; ".join(f"{rule}: {', '.join(dict.fromkeys(steps))}" for rule, steps in by_rule.items())
