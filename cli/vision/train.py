"""`reactor vision train`: a folder of images on this machine becomes a trained, published model.

What was uploaded is kept, so the same command goes on where it was stopped, and sends only what is new.
"""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.vision.project import add_prediction, add_project

if TYPE_CHECKING:
    from cli.vision.labelled import Bad

MOST_SHOWN = 20
"""Files that an error lists."""
MOST_ALIKE = 3
"""Of these, with the same to be said of each."""


def add_command(commands: Any) -> None:
    """Add `reactor vision train` to the parser."""
    one = commands.add_parser("train", help="upload a folder of images, train with them, and publish what comes of it")
    one.add_argument("folder", type=Path, metavar="FOLDER", help="with a sub-folder of images for each tag")
    one.add_argument("--coco", type=Path, metavar="FILE", help="what is on the images, and where: to detect objects")
    one.add_argument("--type", choices=("regular", "advanced"), default="regular", help="of training; default: regular")
    one.add_argument("--budget", metavar="TIME", help="how long an advanced training may take, and cost, such as 2h")
    one.add_argument("--tags", metavar="TAG,TAG", type=_tags, default=(), help="train these alone; default: all that "
                     "have images")  # fmt: skip
    one.add_argument("--force", action="store_true", help="train even where nothing has changed")
    one.add_argument("--publish", metavar="NAME", default="", help="publish the iteration under this name")
    one.add_argument("--no-train", action="store_true", help="upload only")
    one.add_argument("--skip-bad", action="store_true", help="leave out the files that Custom Vision does not take")
    one.add_argument("--relabel", action="store_true", help="where images are in the project with other tags, and the "
                     "tags of the folder are new there: label them anew")  # fmt: skip
    one.add_argument("--journal", type=Path, metavar="FILE", help="where it is kept what is uploaded; default: beside "
                     "the folder, as FOLDER.uploaded.jsonl")  # fmt: skip
    one.add_argument("--json", action="store_true", help="for programs")
    add_project(one, is_option=True)
    add_prediction(one)
    one.set_defaults(run=reported(train))


def train(options: Namespace) -> int:
    """Upload what is new, train, tell how well it went, and publish."""
    from cli.documents import print_json
    from cli.tables import count
    from cli.vision import learning
    from cli.vision.arrived import AGAIN
    from cli.vision.lesson import Lesson

    if options.publish and options.no_train:
        raise UsageError("--publish is of what was trained: leave out --no-train")
    lesson = Lesson.of(options)
    collected = lesson.collect()
    if collected.bad:
        _list(collected.bad)
        if not options.skip_bad:
            raise RefusedError("nothing was sent; mend the files, or leave them out with --skip-bad")
    outcome = lesson.upload(collected.images)
    if outcome.bad:
        _list(outcome.bad)
        if outcome.is_full or not options.skip_bad:
            told = "" if options.no_train else "; nothing was trained"
            raise RefusedError(f"{count(len(outcome.bad), 'image')} not taken{told}; {AGAIN}")
    if not options.no_train:
        learning.train(lesson)
    if options.publish:
        learning.publish(lesson, options.publish)
    if options.json:
        print_json(lesson.told | {"bad": [one._asdict() for one in (*collected.bad, *outcome.bad)]})
    return 0


def _tags(text: str) -> tuple[str, ...]:
    return tuple(tag for one in text.split(",") if (tag := one.strip()))


def _list(bad: list[Bad]) -> None:
    """Name the files that cannot be used, each with what helps; a few of those of which the same is to be said."""
    from cli.tables import clean

    alike: dict[tuple[str, str], list[Bad]] = {}
    for one in bad:
        alike.setdefault((re.sub(r"\d+", "#", one.why), one.remedy), []).append(one)
    told = lines = 0
    for some in alike.values():
        if lines >= MOST_SHOWN:
            break
        shown = some if len(some) == MOST_ALIKE + 1 else some[:MOST_ALIKE]
        for one in shown:
            print(f"reactor: {clean(one.name)}: {clean(one.why)}; {clean(one.remedy)}", file=sys.stderr)
        if len(some) > len(shown):
            print(f"reactor: and {len(some) - len(shown):,} more like it", file=sys.stderr)
        told, lines = told + len(some), lines + len(shown)
    if told < len(bad):
        print(f"reactor: and {len(bad) - told:,} more", file=sys.stderr)
