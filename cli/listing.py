"""What the listings of events and of actions have in common: their filters, their pages, and what is said of none."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from cli.app import App, add_options

FILTERS = ("kind", "source", "rule", "status", "event", "since", "until")
DEFAULT_MOST = 20
GREATEST_PAGE = 1_000
"""What the app gives at once."""
PAGES = 200
"""Pages that one listing asks for: a page may be empty where hardly anything fits."""
SAID_BETTER = ("RunStatusChanged", "DatasetDriftDetected")
"""The wire's names, where a derived kind beside them says what is meant."""
VISION = "customvision"
"""How the sources begin that are Custom Vision projects."""

Json = Mapping[str, Any]


def add_filters(parser: ArgumentParser, statuses: Sequence[str], most: int) -> None:
    """Add the filters of a listing."""
    parser.add_argument("--kind", metavar="KIND", help="of this kind, such as RunFailed")
    parser.add_argument("--source", metavar="SOURCE", help="a declared name, or a part of the source's id")
    parser.add_argument("--rule", metavar="NAME", help="of this rule")
    parser.add_argument("--status", metavar="STATUS", help=f"one of {', '.join(statuses)}")
    parser.add_argument(
        "--since", metavar="TIME", help="from then on: 90m, 24h, 7d ago, or 2026-11-22T08:15; default: 7d"
    )
    parser.add_argument("--until", metavar="TIME", help="up to then; default: now")
    parser.add_argument("--most", type=int, default=most, metavar="N", help="how many; default: %(default)s")


def add_output(parser: ArgumentParser) -> None:
    """Add how the answer is written, and which app is asked."""
    parser.add_argument("--json", action="store_true", help="for programs: the app's own answer")
    parser.add_argument("--local", action="store_true", help="times by this machine's clock instead of UTC")
    add_options(parser)


def asked_for(options: Namespace) -> dict[str, str]:
    """Give the filters that were named."""
    return {name: value for name in FILTERS if (value := getattr(options, name, None))}


def read_pages(app: App, what: str, filters: Mapping[str, str], most: int) -> dict[str, Any]:
    """Ask for pages until there are `most`, or no more; the answer has the form of one page."""
    found: list[Any] = []
    after: str | None = ""
    for _ in range(PAGES):
        page: Json = app.get(
            what, **filters, most=min(most - len(found), GREATEST_PAGE), **({"after": after} if after else {})
        )
        found += page[what]
        after = page["next"]
        if not after or len(found) >= most:
            break
    return {what: found, "next": after}


def nothing(what: str, options: Namespace) -> str:
    """Say that there is nothing, and what to try."""
    tries = [] if options.since else ["an earlier --since: without one, the last 7 days are looked at"]
    if len(asked_for(options)) > (1 if options.since else 0):
        tries.append("fewer filters")
    if not tries:
        tries.append("an earlier --since")
    return f"no {what} found; try {', or '.join(tries)}"


def kinds_of(listed: Json) -> str:
    """Name the derived kinds, or else the wire's own."""
    kinds = listed["kinds"]
    return " ".join([kind for kind in kinds if kind not in SAID_BETTER] or kinds)


def subject_of(listed: Json) -> str:
    """Give what an event is about; a Custom Vision project by its declared name, which its id says nothing beside."""
    subject, (family, _, project) = str(listed["subject"]), str(listed["source"]).partition("/")
    if family != VISION or not project or not listed["source_names"]:
        return subject
    return subject.replace(f"projects/{project}", f"projects/{listed['source_names'][0]}", 1)


def source_of(listed: Json) -> str:
    """Name a source as the rules do, else by the end of its id."""
    return ", ".join(listed["source_names"]) or str(listed["source"]).rstrip("/").rpartition("/")[2]
