"""`reactor language drill`: has the secondary answer while the primary is cut off, and says whether it would have held.

Only this command's own connection to the primary is cut: what it asks goes to an address that refuses. The primary
itself is asked afterwards, directly, where it answers, to compare.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError
from cli.language.project import Here, add_project, find, prepare
from cli.language.report import Asked, Report, reasons, told

if TYPE_CHECKING:
    from cli.line import Line
    from shared.clients.language import Failover, Resource

LEFT = "the drill changes nothing: the same command begins it anew"


def add_command(commands: Any) -> None:
    """Add `reactor language drill` to the parser."""
    one = commands.add_parser("drill", help="predict while the primary is cut off, and say whether the secondary holds")
    add_project(one)
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(run=reported(drill))


def drill(options: Namespace) -> int:
    """Print who answered what; 1 where the secondary would not have held."""
    from cli.documents import print_json
    from cli.language.waiting import stoppable
    from cli.steps import line_of

    here, line = find(options), line_of(options)
    prepare(here, is_needed=False)
    first, second = here.at("primary").place, here.at("secondary").place
    with stoppable(lambda: LEFT):
        try:
            report = Report(here.name, here.project, first, second, list(_questions(here, line)))
            report.deployments = list(here.about.deployments)
            _ask_cut_off(here, report, line)
            _ask_primary(here, report, line)
        finally:
            line.close()
    report.why = list(reasons(report, here.about.proof.agree))
    if options.json:
        print_json(report.shown())
        return int(bool(report.why))
    for text in told(report):
        print(text)
    sys.stdout.flush()
    for why in report.why:
        print(f"reactor: {here.name} would not have held: {why}", file=sys.stderr)
    if report.why:
        print(f"  `reactor language status {here.words}` shows what the secondary serves", file=sys.stderr)
    return int(bool(report.why))


# -- what is asked ----------------------------------------------------------------------------------------------------


def _questions(here: Here, line: Line) -> Iterator[Asked]:
    """List what each deployment is asked: what the rules file states, and a sample of what it was trained from."""
    from shared.handlers.language.proving import sample

    proof = here.about.proof
    for deployment in here.about.deployments:
        for said in proof.utterances:
            yield Asked(deployment, said.text, said.language or "", said.intent or "")
        if not proof.sample:
            continue
        for one in sample(_trained_from(here, deployment, line), proof.sample):
            yield Asked(deployment, one["text"], one.get("language") or "", "", one.get("intent") or "")


def _trained_from(here: Here, deployment: str, line: Line) -> bytes:
    """Read what a deployment was trained from: of the backup, else what the secondary's project holds."""
    from cli.language.waiting import exported
    from shared.errors import ReactorError

    if here.account is not None:
        try:
            if (content := _kept(here, deployment)) is not None:
                return content
        except ReactorError as problem:
            line.show("questions", f"the backups cannot be read: {problem.reason}")
    if here.language.projects.read(here.at("secondary"), here.project) is None:
        raise RefusedError(
            f"{here.at('secondary').place} has no project {here.project}: the secondary would not hold; "
            f"`reactor language replicate {here.words}` brings it there"
        )
    return exported(here, "secondary", line)


def _kept(here: Here, deployment: str) -> bytes | None:
    """Read it from the version that was replicated last, else from the newest one."""
    from cli.language.kept import versions

    host, store = here.at("primary").host, here.clients.language_backups
    kept = here.pair.kept()
    names = [kept.version] if kept else []
    names += [one.name for one in versions(here.around, host, here.project) if one.is_whole]
    for name in names:
        found = store.manifest(host, here.project, name)
        file = found.file_for(found.deployments.get(deployment, "")) if found else ""
        if found is not None and file and deployment in found.deployments:
            return store.read(found, file)
    return None


# -- asking -----------------------------------------------------------------------------------------------------------


@contextmanager
def cut_off(primary: Resource) -> Iterator[Resource]:
    """Give a resource in place of the primary that nobody reaches: its port is taken, and nobody listens there.

    It gets no key, and no token, of the real one.
    """
    import socket

    from shared.clients.language import Resource

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        yield Resource(f"https://127.0.0.1:{taken.getsockname()[1]}", "cut-off", primary.version)


def _ask_cut_off(here: Here, report: Report, line: Line) -> None:
    """Ask through the failover client, one after the other, as an app would whose primary is gone."""
    from shared.clients.language import Failover

    with cut_off(here.at("primary")) as nowhere:
        failover = Failover(here.language.predictions, nowhere, here.at("secondary"))
        for number, one in enumerate(report.utterances, 1):
            line.show("drill", f"{number} of {len(report.utterances)} utterances, the primary is cut off")
            _ask(failover, here.project, one)


def _ask(failover: Failover, project: str, one: Asked) -> None:
    from cli.language.waiting import told_of
    from shared.errors import ReactorError

    began = time.monotonic()
    try:
        answered = failover.guess(project, one.deployment, one.text, language=one.language)
    except ReactorError as problem:
        one.problem = told_of(problem)
        return
    one.ms = round((time.monotonic() - began) * 1000)
    one.by, one.host, one.tried = answered.by, answered.host, answered.tried
    one.intent, one.confidence = answered.prediction.intent, answered.prediction.confidence


def _ask_primary(here: Here, report: Report, line: Line) -> None:
    """Ask the primary itself; where it does not answer, it is not asked again and again."""
    from shared.errors import PermanentError, ReactorError

    guess = here.language.predictions.guess
    for number, one in enumerate(report.utterances, 1):
        line.show("compare", f"{number} of {len(report.utterances)} utterances, the primary itself is asked")
        try:
            one.primary = guess(
                here.at("primary"), here.project, one.deployment, one.text, language=one.language
            ).intent
        except ReactorError as problem:
            report.primary_problem = problem.reason
            if not isinstance(problem, PermanentError):
                return
