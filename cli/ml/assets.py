"""`reactor ml compute|datastore|code|model|environment|data …`: what deployments are made of."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.ml.workspace import Here, add_workspace, find

PRIORITIES = ("Dedicated", "LowPriority")
FOLDER = "reactor"
"""Below which uploads go, on the workspace's default datastore."""


def add_commands(groups: Any) -> None:
    """Add the commands of each kind of asset to the parser."""
    compute = groups.add_parser("compute", help="compute clusters").add_commands("VERB")
    one = _add(compute, "create", create_compute, "make a compute cluster, and wait until it is ready", "NAME")
    one.add_argument("--size", required=True, metavar="SIZE", help="of its machines, such as Standard_DS3_v2")
    one.add_argument("--min-nodes", type=int, default=0, metavar="N", help="default: 0")
    one.add_argument("--max-nodes", type=int, default=1, metavar="N", help="default: 1")
    one.add_argument("--idle", default="2m", metavar="TIME", help="how long a machine stays without work; default: 2m")
    one.add_argument("--priority", choices=PRIORITIES, default="Dedicated")
    one.add_argument("--subnet", default="", metavar="ID", help="the ARM id of a subnet to put it in")
    _add(compute, "show", show_compute, "tell of a compute cluster", "NAME", has_json=True)

    datastore = groups.add_parser("datastore", help="where data, code and models are kept").add_commands("VERB")
    _add(datastore, "show", show_datastore, "tell of the workspace's default datastore", has_json=True)

    code = groups.add_parser("code", help="code that scores").add_commands("VERB")
    one = _add(code, "upload", upload_code, "upload a folder, and register it", "NAME[:VERSION]")
    one.add_argument("path", type=Path, metavar="FOLDER", help="the same content is the same version, if none is given")

    environment = groups.add_parser("environment", help="what code runs in").add_commands("VERB")
    one = _add(environment, "create", create_environment, "register an image, and what is installed", "NAME:VERSION")
    one.add_argument("--image", required=True, help="such as mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest")
    one.add_argument("--conda", type=Path, metavar="FILE", help="a conda file; built into the image when first used")

    data = groups.add_parser("data", help="registered data").add_commands("VERB")
    one = _add(data, "create", create_data, "register data, uploading it where it is a local path", "NAME:VERSION")
    one.add_argument("source", metavar="URI|PATH")
    one.add_argument("--type", choices=("folder", "file"), help="default: what the path is; a folder for a URI")


def _add(
    commands: Any, verb: str, run: Callable[[Namespace], int], says: str, name: str = "", *, has_json: bool = False
) -> ArgumentParser:
    one: ArgumentParser = commands.add_parser(verb, help=says)
    if name:
        one.add_argument("name", metavar=name)
    if has_json:
        one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(run))
    return one


# -- compute ----------------------------------------------------------------------------------------------------------


def create_compute(options: Namespace) -> int:
    """Make a compute cluster; one that is there already is left as it is."""
    from cli.steps import interruptible, line_of, wait_until
    from shared.clients.machine_learning.assets import ComputeSettings

    if not 0 <= options.min_nodes <= options.max_nodes or options.max_nodes < 1:
        raise UsageError("--min-nodes must be 0 or more, and at most --max-nodes")
    settings = ComputeSettings(
        size=options.size,
        min_nodes=options.min_nodes,
        max_nodes=options.max_nodes,
        idle=_duration(options.idle, "--idle"),
        priority=options.priority,
        subnet=options.subnet,
    )
    here = find(options)
    if there := here.ml.assets.compute(here.workspace, options.name):
        print(f"compute {options.name} is there already: {there.size}, {there.state}")
        return 0
    location = here.ml.workspaces.location(here.workspace)
    operation = here.ml.assets.put_compute(here.workspace, options.name, location, settings)

    def look() -> str | None:
        found = here.ml.assets.compute(here.workspace, options.name)
        if found is not None and found.state in {"Failed", "Canceled"}:
            why = "; ".join(found.errors) or (here.ml.arm.operation_error(operation) if operation else "")
            raise RefusedError(f"compute {options.name} is {found.state}" + (f": {why}" if why else "; see the studio"))
        is_ready = found is not None and found.state == "Succeeded"
        return None if is_ready else f"{options.name} is {found.state if found else 'not to be seen yet'}"

    with interruptible("the service goes on making it"):
        wait_until(here, line_of(options), "compute", look)
    print(f"compute {options.name} is ready: {options.size}, {options.min_nodes} to {options.max_nodes} nodes")
    return 0


def show_compute(options: Namespace) -> int:
    """Print a compute cluster."""
    from dataclasses import asdict

    from cli.documents import print_json
    from cli.ml.telling import there

    here = find(options)
    found = there(here.ml.assets.compute(here.workspace, options.name), f"compute {options.name}", here)
    if options.json:
        print_json(asdict(found))
        return 0
    print(f"{options.name}: {found.state}, {found.size}")
    for error in found.errors:
        print(f"  {error}")
    return 0


# -- datastore --------------------------------------------------------------------------------------------------------


def show_datastore(options: Namespace) -> int:
    """Print the default datastore."""
    from dataclasses import asdict

    from cli.documents import print_json

    here = find(options)
    found = here.ml.workspaces.default_datastore(here.workspace)
    if options.json:
        print_json(asdict(found))
        return 0
    print(f"{found.name}: account {found.account}, container {found.container}")
    print(f"  {found.blob_uri('')}")
    return 0


# -- code, environments, data -----------------------------------------------------------------------------------------


def upload_code(options: Namespace) -> int:
    """Upload a folder of code and register it."""
    if not options.path.is_dir():
        raise UsageError(f"{options.path} is no folder")
    name, version = split(options.name, digest_of(options.path))
    here = find(options)
    if here.ml.assets.code_id(here.workspace, name, version):
        if ":" in options.name:  # else the version is the content
            print(f"{name}:{version} is there already, and stays as it is", file=sys.stderr)
        print(f"{name}:{version}")
        return 0
    with uploading(options.path):
        here.ml.uploads.code(here.workspace, name, version, options.path)
    print(f"{name}:{version}")
    return 0


def create_environment(options: Namespace) -> int:
    """Register an environment."""
    from cli.documents import read

    name, version = split(options.name)
    conda = read(options.conda) if options.conda else ""
    here = find(options)
    here.ml.assets.environment(here.workspace, name, version, options.image, conda)
    print(f"{name}:{version}")
    return 0


def create_data(options: Namespace) -> int:
    """Register data; what is on this machine is uploaded before."""
    name, version = split(options.name)
    path = Path(options.source)
    is_local = "://" not in options.source and not options.source.startswith(("/subscriptions/", "azureml:"))
    if is_local and not path.exists():
        raise UsageError(f"{path} is not there, and no URI either")
    kind = options.type or ("file" if is_local and path.is_file() else "folder")
    if is_local and (kind == "file") is not path.is_file():
        raise UsageError(f"{path} is no {kind}")
    here = find(options)
    uri = upload(here, path, f"{FOLDER}/data/{name}/{digest_of(path)}") if is_local else options.source
    here.ml.assets.data(here.workspace, name, version, f"uri_{kind}", uri)
    print(f"{name}:{version}")
    return 0


# -- what they share --------------------------------------------------------------------------------------------------


def split(given: str, version: str = "") -> tuple[str, str]:
    """Split NAME:VERSION; UsageError where there is no version, and none that stands for it."""
    name, _, said = given.removeprefix("azureml:").partition(":")
    if not name or not (said or version):
        raise UsageError(f"{given}: give a name and a version, as NAME:VERSION")
    return name, said or version


def digest_of(path: Path) -> str:
    """Name the content of a file or folder: the same content has the same name."""
    import hashlib

    whole = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as content:
            told = hashlib.file_digest(content, "sha256").hexdigest()
        whole.update(f"{file.relative_to(path).as_posix()}\0{told}\0".encode())
    return whole.hexdigest()[:12]


def upload(here: Here, path: Path, to: str) -> str:
    """Upload a file or folder to the default datastore; where it is there: azureml://…."""
    with uploading(path):
        return here.ml.uploads.upload(here.workspace, path, to)


@contextmanager
def uploading(path: Path) -> Iterator[None]:
    """Say that something is uploaded; UsageError where it cannot be read."""
    from cli.line import Line

    line = Line()
    line.show("upload", str(path))
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or path}: {error.strerror}") from None
    finally:
        line.close()


def _duration(text: str, option: str) -> timedelta:
    from shared.policy import read_duration

    try:
        return read_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from None
