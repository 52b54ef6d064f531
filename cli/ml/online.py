"""`reactor ml online show` and `reactor ml rollback`: who answers at an online endpoint, and back to who did before."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.ml.workspace import Here, add_workspace, find

if TYPE_CHECKING:
    from shared.clients.machine_learning.online import OnlineDeployment, OnlineEndpoint

PREVIOUS = "reactor-previous-traffic"
"""The endpoint's tag with the traffic that the last deployment took over from, as JSON."""


def add_commands(groups: Any) -> None:
    """Add `reactor ml online …` and `reactor ml rollback` to the parser."""
    online = groups.add_parser("online", help="online endpoints: who answers")
    commands = online.add_commands("VERB")
    one = commands.add_parser("show", help="tell of an endpoint: its deployments, their traffic, models and states")
    one.add_argument("endpoint", metavar="ENDPOINT")
    one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(show))

    one = groups.add_parser("rollback", help="give an online endpoint's traffic back to who had it before")
    one.add_argument("endpoint", metavar="ENDPOINT")
    one.add_argument("--yes", action="store_true", help="do not ask")
    add_workspace(one)
    one.set_defaults(run=reported(rollback))


# -- show -------------------------------------------------------------------------------------------------------------


def show(options: Namespace) -> int:
    """Print an endpoint and its deployments."""
    from dataclasses import asdict

    from cli.documents import print_json
    from cli.tables import painter, room

    here = find(options)
    endpoint, deployments = _read(here, options.endpoint)
    if options.json:
        print_json(asdict(endpoint) | {"deployments": [asdict(one) for one in deployments]})
        return 0
    print(f"{endpoint.name}: {endpoint.state}, {endpoint.auth_mode}, in {here.name}")
    print(f"  scoring URI  {endpoint.scoring_uri or '-'}")
    if previous := _previous(endpoint):
        print(f"  before that  {_told(previous)}; `reactor ml rollback {endpoint.name}` goes back to it")
    for line in _table(endpoint, deployments, painter(), room()):
        print(line)
    return 0


def _table(endpoint: OnlineEndpoint, deployments: Sequence[OnlineDeployment], paint: Any, width: int) -> Iterator[str]:
    from cli.ml.telling import asset, state
    from cli.tables import Cell, Column, table

    if not deployments:
        yield "it has no deployments"
        return
    columns = [
        *(Column("DEPLOYMENT"), Column("TRAFFIC"), Column("MIRROR"), Column("STATE")),
        *(Column("MODEL", 16), Column("RUNS ON", 12), Column("MADE")),
    ]
    rows = [
        [
            Cell(one.name),
            Cell(_percent(endpoint.traffic, one.name)),
            Cell(_percent(endpoint.mirror, one.name)),
            state(one.state),
            Cell(asset(one.model_id)),
            Cell(f"{one.instance_count} × {one.instance_type}" if one.instance_type else "-"),
            Cell(f"{one.created_at:%Y-%m-%d %H:%M}" if one.created_at else "-"),
        ]
        for one in deployments
    ]
    yield from table(columns, rows, width, paint)


def _percent(traffic: Mapping[str, int], name: str) -> str:
    return f"{traffic.get(name.lower(), 0)} %"


def _told(traffic: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {share} %" for name, share in sorted(traffic.items()) if share) or "nobody"


def _read(here: Here, name: str) -> tuple[OnlineEndpoint, list[OnlineDeployment]]:
    from cli.ml.telling import there

    endpoint = there(here.ml.online.endpoint(here.workspace, name), f"online endpoint {name}", here)
    return endpoint, list(here.ml.online.deployments(here.workspace, name))


# -- rollback ---------------------------------------------------------------------------------------------------------


def rollback(options: Namespace) -> int:
    """Put the traffic back that the endpoint's tag tells of, once that is confirmed."""
    from cli.line import Line
    from cli.ml.telling import confirmed
    from cli.steps import Steps, interruptible, wait_until

    here = find(options)
    endpoint, deployments = _read(here, options.endpoint)
    previous = _possible(endpoint, deployments)
    if previous == dict(endpoint.traffic):
        print(f"{endpoint.name}: {_told(previous)} already")
        return 0
    print(
        f"{endpoint.name} of {here.name}\n  now   {_told(endpoint.traffic)}\n  then  {_told(previous)}", file=sys.stderr
    )
    if not options.yes and not confirmed("give the traffic back?"):
        print("nothing was changed", file=sys.stderr)
        return 1
    lock = Steps(here, Line())
    if holder := lock.hold(endpoint.id):
        raise RefusedError(
            f"action {holder[:8]} is working on this endpoint: wait, or call it off with "
            f"`reactor actions cancel {holder[:8]}`, which puts the traffic back too"
        )
    tags = {PREVIOUS: json.dumps(dict(endpoint.traffic))}

    def look() -> str | None:
        now = here.ml.online.endpoint(here.workspace, options.endpoint)
        if now is None:
            raise RefusedError(f"online endpoint {options.endpoint} was deleted meanwhile")
        if now.state in {"Failed", "Canceled"}:
            raise RefusedError(f"online endpoint {options.endpoint} is {now.state}; see the studio")
        is_over = now.state == "Succeeded" and dict(now.traffic) == previous
        return None if is_over else f"{now.state}, {_told(now.traffic)}"

    try:
        with interruptible("the service goes on; `reactor ml online show` tells how it went"):
            here.ml.online.set_traffic(
                here.workspace, options.endpoint, previous, instead_of=endpoint.traffic, tags=tags
            )
            wait_until(here, Line(), "traffic", look)
    finally:
        lock.let_go(endpoint.id)
    print(f"{endpoint.name}: {_told(previous)}")
    return 0


def _possible(endpoint: OnlineEndpoint, deployments: Sequence[OnlineDeployment]) -> dict[str, int]:
    """Read the traffic to go back to; RefusedError where there is none, or who had it is not ready for it."""
    previous = _previous(endpoint)
    if not previous:
        raise RefusedError(
            f"{endpoint.name} has no earlier traffic: no deployment of a rule has taken it over (tag {PREVIOUS})"
        )
    states = {one.name.lower(): one.state for one in deployments}
    for name in previous:
        if states.get(name) != "Succeeded":
            how = f"is {states[name]}" if name in states else "is not there any more"
            raise RefusedError(f"{endpoint.name} cannot go back to {_told(previous)}: deployment {name} {how}")
    return previous


def _previous(endpoint: OnlineEndpoint) -> dict[str, int]:
    """Read the tag; {} where there is none, UsageError where it is no traffic."""
    text = endpoint.tags.get(PREVIOUS) or ""
    try:
        told = json.loads(text or "{}")
        return {str(name).lower(): int(share) for name, share in told.items() if int(share)}
    except (ValueError, TypeError, AttributeError):
        raise UsageError(f"the tag {PREVIOUS} of {endpoint.name} is no traffic: {text[:80]}") from None
