"""`reactor ml batch results`: where a scoring job wrote, and its files."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection
from pathlib import Path
from typing import Any

from cli.app_storage import reported
from cli.errors import RefusedError
from cli.ml.workspace import Here, add_workspace, find


def add_command(commands: Any) -> None:
    """Add `reactor ml batch results` to the parser."""
    one = commands.add_parser("results", help="say where a scoring job wrote, and fetch its files")
    one.add_argument("job", metavar="JOB")
    one.add_argument("--to", type=Path, metavar="FOLDER", help="fetch the files into it; nothing is overwritten")
    one.add_argument("--json", action="store_true", help="for programs")
    add_workspace(one)
    one.set_defaults(run=reported(results))


def results(options: Namespace) -> int:
    """Say where a job wrote; with --to, fetch it. 1 where the job did not complete."""
    from cli.documents import print_json
    from cli.ml.jobs import read

    here = find(options)
    job = read(here, options.job)
    if job.status != "Completed":
        raise RefusedError(
            f"job {job.name} is {job.status}: `reactor ml job follow {job.name}` waits for it, or says why"
        )
    outputs = {name: uri for name, uri in job.outputs.items() if uri}
    if not outputs:
        raise RefusedError(f"job {job.name} does not say where it wrote; see {job.studio or 'the studio'}")
    files = {name: _fetch(here, uri, _folder(options.to, name, outputs)) for name, uri in outputs.items()}
    if options.json:
        print_json({"job": job.name, "outputs": outputs, "files": files})
        return 0
    for name, uri in outputs.items():
        print(f"{name}  {uri}")
        for file in files[name]:
            print(f"  {file}")
    return 0


def _folder(to: Path | None, name: str, outputs: Collection[str]) -> Path | None:
    """Say where an output goes; each of several gets a folder of its own."""
    return to / Path(name).name if to and len(outputs) > 1 else to


def _fetch(here: Here, uri: str, to: Path | None) -> list[str]:
    """Fetch one output, where that is asked for, and name its files."""
    from cli.line import Line

    if to is None:
        return []
    line, fetched = Line(), []
    try:
        for file, size in here.ml.downloads.download(here.workspace, uri, to):
            line.show("fetch", f"{file}, {size:,} bytes")
            fetched.append(str(file))
    except FileExistsError as error:
        raise RefusedError(f"{error.filename} is there already: name another folder with --to") from None
    except OSError as error:
        raise RefusedError(f"cannot write {error.filename or to}: {error.strerror}") from None
    finally:
        line.close()
    return fetched
