"""`reactor ml model upload|show|tag`: registered models."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import UsageError
from cli.ml.assets import FOLDER, digest_of, split, upload
from cli.ml.inputs import read_pairs
from cli.ml.workspace import Here, add_workspace, find

if TYPE_CHECKING:
    from shared.clients.machine_learning.models import Model

MOST = 20
"""Versions that are listed."""


def add_commands(groups: Any) -> None:
    """Add `reactor ml model …` to the parser."""
    commands = groups.add_parser("model", help="registered models").add_commands("VERB")

    one = commands.add_parser("upload", help="upload a file or folder, and register it as a version of a model")
    one.add_argument("name", metavar="NAME:VERSION")
    one.add_argument("path", type=Path, metavar="PATH")
    one.add_argument("--type", choices=("mlflow_model", "custom_model", "triton_model"), help="default: mlflow_model "
                     "where there is an MLmodel file, else custom_model")  # fmt: skip
    one.add_argument("--tag", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument("--description", default="", metavar="TEXT")
    add_workspace(one)
    one.set_defaults(run=reported(upload_model))

    one = commands.add_parser("show", help="tell of a version of a model, or of its newest versions")
    one.add_argument("name", metavar="NAME[:VERSION]")
    one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(show))

    one = commands.add_parser("tag", help="set tags of a version, or remove them; rules on ModelTagged answer")
    one.add_argument("name", metavar="NAME:VERSION")
    one.add_argument("tags", nargs="*", metavar="TAG=VALUE")
    one.add_argument("--remove", action="append", default=[], metavar="TAG")
    add_workspace(one)
    one.set_defaults(run=reported(tag))


def upload_model(options: Namespace) -> int:
    """Upload a model and register it."""
    name, version = split(options.name)
    tags = read_pairs(options.tag)
    if not options.path.exists():
        raise UsageError(f"{options.path} is not there")
    kind = options.type or ("mlflow_model" if (options.path / "MLmodel").is_file() else "custom_model")
    here = find(options)
    before = here.ml.models.read(here.workspace, name, version)
    tags = {name: value or "" for name, value in (before.tags if before else {}).items()} | tags
    uri = upload(here, options.path, f"{FOLDER}/models/{name}/{digest_of(options.path)}")
    here.ml.models.put(
        here.workspace, name, version, uri=uri, type=kind, tags=tags, properties={}, description=options.description
    )
    print(f"{name}:{version}, {kind}")
    return 0


def show(options: Namespace) -> int:
    """Print a version, or the newest ones."""
    from dataclasses import asdict

    from cli.documents import print_json
    from cli.ml.telling import there

    here = find(options)
    name, _, version = options.name.partition(":")
    if version:
        model = _read(here, options.name)
        if options.json:
            print_json(asdict(model))
        else:
            _tell(model)
        return 0
    versions = there(here.ml.models.versions(here.workspace, name, most=MOST) or None, f"model {name}", here)
    if options.json:
        print_json([asdict(one) for one in versions])
        return 0
    _list(versions)
    return 0


def _tell(model: Model) -> None:
    from cli.tables import clean

    print(f"{model.name}:{model.version}: {model.type}" + (", archived" if model.archived else ""))
    lines = {
        "flavors": ", ".join(model.flavors),
        "uri": model.uri,
        "job": model.job,
        "made": f"{model.created_at:%Y-%m-%d %H:%M:%S} UTC" if model.created_at else "",
        "by": model.created_by,
        **{f"tag {name}": value or '""' for name, value in model.tags.items()},
        **{f"property {name}": value or '""' for name, value in model.properties.items()},
    }
    for name, value in lines.items():
        if value:
            print(f"  {clean(name)}  {clean(value)}")


def _list(versions: list[Model]) -> None:
    from cli.tables import Cell, Column, painter, room, table

    columns = [Column("VERSION"), Column("TYPE"), Column("MADE"), Column("TAGS", 20, is_prose=True)]
    rows = [
        [
            Cell(one.version),
            Cell(one.type + (", archived" if one.archived else "")),
            Cell(f"{one.created_at:%Y-%m-%d %H:%M}" if one.created_at else "-"),
            Cell(", ".join(f"{name}={value or ''}" for name, value in sorted(one.tags.items())) or "-"),
        ]
        for one in versions
    ]
    for line in table(columns, rows, room(), painter()):
        print(line)


def tag(options: Namespace) -> int:
    """Change the tags of a version, leaving the others as they are."""
    name, version = split(options.name)
    given = read_pairs(options.tags)
    if not given and not options.remove:
        raise UsageError("name tags to set, as TAG=VALUE, or --remove TAG")
    here = find(options)
    _read(here, options.name)
    removed: dict[str, str | None] = dict.fromkeys(options.remove)
    tagged = here.ml.models.set_tags(here.workspace, name, version, removed | given)
    shown = ", ".join(f"{name}={value or ''}" for name, value in sorted(tagged.tags.items()))
    print(f"{name}:{version}: {shown or 'no tags'}")
    return 0


def _read(here: Here, given: str) -> Model:
    from cli.ml.telling import there

    name, version = split(given)
    return there(here.ml.models.read(here.workspace, name, version), f"model {name}:{version}", here)
