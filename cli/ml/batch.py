"""`reactor ml batch deploy|invoke|results|show|delete`: batch endpoints, with the stages that rules have performed."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import UsageError
from cli.ml import results as ml_results
from cli.ml.workspace import Here, add_workspace, find

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from shared.clients.machine_learning.batch import BatchDeployment, BatchEndpoint

NAMED = "NAME:VERSION|ID"
AGAIN = "the service goes on with it; the same command again looks how far it is"


def add_commands(groups: Any) -> None:
    """Add `reactor ml batch …` to the parser."""
    batch = groups.add_parser("batch", help="batch endpoints: deploy, invoke, fetch results, show, delete")
    commands = batch.add_commands("VERB")
    _add_deploy(commands.add_parser("deploy", help="deploy a model or a pipeline component"))
    _add_invoke(commands.add_parser("invoke", help="start a scoring job"))
    ml_results.add_command(commands)

    one = commands.add_parser("show", help="tell of an endpoint and its deployments")
    one.add_argument("endpoint", metavar="ENDPOINT")
    one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(show))

    one = commands.add_parser("delete", help="delete an endpoint and all its deployments; no rule ever does that")
    one.add_argument("endpoint", metavar="ENDPOINT")
    one.add_argument("--yes", action="store_true", help="do not ask")
    add_workspace(one)
    one.set_defaults(run=reported(delete))


def _add_deploy(one: ArgumentParser) -> None:
    one.add_argument("endpoint", metavar="ENDPOINT", help="made where it is missing")
    what = one.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar=NAMED, help="a registered model, of the workspace or a registry")
    what.add_argument("--component", metavar=NAMED, help="a registered pipeline component")
    one.add_argument("--compute", metavar="NAME|ID", required=True, help="the compute cluster that scores")
    one.add_argument("--create-compute", metavar="SIZE", help="make the cluster of this size where it is missing")
    one.add_argument("--min-nodes", type=int, metavar="N", help="of a cluster that is made; default: 0")
    one.add_argument("--max-nodes", type=int, metavar="N", help="of a cluster that is made; default: 1")
    one.add_argument("--idle", metavar="TIME", help="how long one of its machines stays without work; default: 2m")
    one.add_argument("--priority", choices=("Dedicated", "LowPriority"), help="of a cluster that is made")
    one.add_argument("--code", metavar=NAMED, help="registered code that scores")
    one.add_argument("--scoring-script", metavar="FILE", help="the file in it")
    one.add_argument("--environment", metavar=NAMED, help="registered environment")
    one.add_argument(
        "--variable", action="append", default=[], metavar="NAME=VALUE", help="an environment variable of the script"
    )
    one.add_argument("--instances", type=int, metavar="N", help="nodes for one job; default: 1")
    _add_overrides(one)
    one.add_argument("--output-action", choices=("AppendRow", "SummaryOnly"))
    one.add_argument("--output-file", metavar="NAME", help="where the caller gives none; default: predictions.csv")
    one.add_argument("--concurrency", type=int, metavar="N", help="processes on each node")
    one.add_argument("--logging-level", choices=("Debug", "Info", "Warning"))
    one.add_argument("--no-default", action="store_true", help="do not make it the default deployment")
    one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(deploy))


def _add_invoke(one: ArgumentParser) -> None:
    one.add_argument("endpoint", metavar="ENDPOINT")
    one.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]VALUE",
        help="data by its URI (folder:… and file:… say which it is), a registered asset as azureml:NAME:VERSION, "
        "and for pipeline components any text",
    )
    one.add_argument("--deployment", metavar="NAME", help="default: the endpoint's own default")
    one.add_argument("--output-datastore", metavar="NAME", help="where it writes; default: the workspace's own")
    one.add_argument("--output-path", metavar="PATH", help="a folder of it; default: reactor/ENDPOINT")
    one.add_argument("--output-file", metavar="NAME", help="default: predictions.csv")
    one.add_argument(
        "--output", action="append", default=[], metavar="NAME=KIND", help="of a pipeline component: folder, file, …"
    )
    one.add_argument("--experiment", metavar="NAME", help="for jobs of pipeline components")
    _add_overrides(one)
    one.add_argument("--within", metavar="TIME", help="with --follow: give up after this; default: 7d")
    one.add_argument("--follow", action="store_true", help="wait for the job to end")
    one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(invoke))


def _add_overrides(one: ArgumentParser) -> None:
    one.add_argument("--mini-batch-size", type=int, metavar="N", help="files at a time")
    one.add_argument("--error-threshold", type=int, metavar="N", help="files that may fail; -1: any number")
    one.add_argument("--max-retries", type=int, metavar="N", help="of a mini-batch that fails")
    one.add_argument("--retry-timeout", metavar="TIME", help="how long a mini-batch may take, such as 30s")


# -- deploy -----------------------------------------------------------------------------------------------------------


def deploy(options: Namespace) -> int:
    """Deploy, and say what is live."""
    from cli.documents import print_json
    from cli.steps import Steps, interruptible, line_of

    steps = Steps(find(options), line_of(options))
    with interruptible(AGAIN):
        result = steps.perform("deploy.batch_endpoint", _to_deploy(options))
    if options.json:
        print_json(result)
        return 0
    for note in steps.notes:
        print(note)
    print(f"{options.endpoint}: {result['deployment']} is ready; default: {result['live'] or 'none'}")
    print(f"  scoring URI  {result['scoring_uri']}")
    print(f"  studio       {result['links']['studio']}")
    return 0


def _to_deploy(options: Namespace) -> dict[str, Any]:
    """Write the options as the parameters of the step."""
    from cli.ml.inputs import read_pairs

    is_id = (options.model or "").startswith(("/", "azureml://"))
    named = "" if is_id else (options.model or "").removeprefix("azureml:")
    name, _, version = named.partition(":")
    if name and not version:
        raise UsageError(f"--model {options.model}: give its version too, as {name}:VERSION")
    given = {
        "endpoint": options.endpoint,
        "model": name,
        "version": version,
        "model_id": options.model if is_id else None,
        "component": options.component,
        "compute": options.compute,
        "create_compute": _cluster(options),
        "instance_count": options.instances,
        "code": options.code,
        "scoring_script": options.scoring_script,
        "environment": options.environment,
        "environment_variables": read_pairs(options.variable, "--variable"),
        "output_action": options.output_action,
        "output_file": options.output_file,
        "concurrency": options.concurrency,
        "logging_level": options.logging_level,
        "set_default": not options.no_default,
    }
    return given | _overrides(options)


def _cluster(options: Namespace) -> dict[str, Any] | None:
    given = {name: getattr(options, name) for name in ("min_nodes", "max_nodes", "idle", "priority")}
    given = {name: value for name, value in given.items() if value is not None}
    if given and not options.create_compute:
        raise UsageError(f"--{', --'.join(given).replace('_', '-')}: say --create-compute SIZE too")
    return {"size": options.create_compute, **given} if options.create_compute else None


def _overrides(options: Namespace) -> dict[str, Any]:
    names = ("mini_batch_size", "error_threshold", "max_retries", "retry_timeout")
    return {name: getattr(options, name) for name in names}


# -- invoke -----------------------------------------------------------------------------------------------------------


def invoke(options: Namespace) -> int:
    """Start a scoring job, and follow it to its end where that is asked for."""
    from cli.documents import print_json
    from cli.ml.inputs import read_inputs, read_pairs
    from cli.steps import Steps, interruptible, line_of

    where = {"datastore": options.output_datastore, "path": options.output_path, "file": options.output_file}
    params = {
        "endpoint": options.endpoint,
        "deployment": options.deployment,
        "inputs": read_inputs(options.input),
        "output": {name: value for name, value in where.items() if value},
        "outputs": read_pairs(options.output, "--output"),
        "experiment": options.experiment,
        "within": options.within,
    } | _overrides(options)
    steps = Steps(find(options), line_of(options))
    with interruptible(lambda: _how_to_go_on(steps.result)):
        result = steps.perform("invoke.batch_endpoint", params, until="" if options.follow else "invoke")
    if options.json:
        print_json(result)
        return 0
    job = result["job"]
    for note in steps.notes:
        print(note)
    if options.follow:
        print(f"job {job} has completed")
        for name, uri in result["outputs"].items():
            print(f"  {name}  {uri}")
        print(f"  studio  {result['links']['studio']}")
    print(f"`reactor ml batch results {job} --to FOLDER` fetches what it wrote" if options.follow else _follow(job))
    return 0


def _how_to_go_on(result: Mapping[str, Any]) -> str:
    if "job" in result:
        return f"the job goes on: {_follow(result['job'])}"
    return "look at the studio whether a job began" if "scoring_uri" in result else "nothing was started"


def _follow(job: str) -> str:
    return f"`reactor ml job follow {job}` follows it; `reactor ml job cancel {job}` calls it off"


# -- show, delete -----------------------------------------------------------------------------------------------------


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
    print(f"{options.endpoint}: {endpoint.state}, in {here.name}")
    print(f"  scoring URI  {endpoint.scoring_uri or '-'}")
    for line in _table(endpoint, deployments, painter(), room()):
        print(line)
    return 0


def _table(endpoint: BatchEndpoint, deployments: list[BatchDeployment], paint: Any, width: int) -> Iterator[str]:
    from cli.ml.telling import asset, state
    from cli.tables import Cell, Column, table, time_column

    if not deployments:
        yield "it has no deployments"
        return
    made = [one.created_at.isoformat() if one.created_at else "" for one in deployments]
    heading, times = time_column([text for text in made if text], local=False)
    left = iter(times)
    columns = [Column("DEPLOYMENT"), Column("DEFAULT"), Column("STATE"), Column("HOLDS", 16), Column(f"MADE {heading}")]
    rows = [
        [
            Cell(one.name),
            Cell("default" if one.name == endpoint.default else ""),
            state(one.state),
            Cell(asset(one.component_id or one.model_id)),
            Cell(next(left) if text else "-"),
        ]
        for one, text in zip(deployments, made, strict=True)
    ]
    yield from table(columns, rows, width, paint)


def _read(here: Here, name: str) -> tuple[BatchEndpoint, list[BatchDeployment]]:
    from cli.ml.telling import there

    endpoint = there(here.ml.batch.endpoint(here.workspace, name), f"batch endpoint {name}", here)
    return endpoint, list(here.ml.batch.deployments(here.workspace, name))


def delete(options: Namespace) -> int:
    """Delete an endpoint once that is confirmed, and wait until it is gone."""
    from cli.line import Line
    from cli.ml.telling import confirmed
    from cli.steps import interruptible, wait_until
    from cli.tables import count

    here = find(options)
    endpoint, deployments = _read(here, options.endpoint)
    names = ", ".join(one.name for one in deployments)
    what = f"{options.endpoint} of {here.name} and its {count(len(deployments), 'deployment')}"
    if not options.yes and not confirmed(f"delete {what}{f' ({names})' if names else ''}?"):
        print("nothing was deleted", file=sys.stderr)
        return 1

    def look() -> str | None:
        found = here.ml.batch.endpoint(here.workspace, options.endpoint)
        return f"{options.endpoint} is {found.state}" if found else None

    with interruptible("the service goes on deleting it"):
        if endpoint.state != "Deleting":
            here.ml.batch.delete_endpoint(here.workspace, options.endpoint)
        wait_until(here, Line(), "delete", look)
    print(f"deleted: {what}")
    return 0
