"""`reactor vision prune`: deletes old iterations once that is confirmed, and none that nobody was asked about.

Nobody's publishing is held up while a person thinks, so what there is may have changed by then: it is looked at again,
and what goes is in the question and still one that nobody needs.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.steps import Steps

if TYPE_CHECKING:
    from pydantic import BaseModel

    from cli.vision.project import Here
    from shared.stages import Handler, Stage

ACTION = "prune.vision"
Params = dict[str, Any]


@dataclass
class Pruning(Steps):
    """Deletes iterations."""

    confirmed: Collection[str] | None = None
    """The ids of those that may go; None where nobody is asked."""

    def _stage(self, handler: Handler, stage: Stage[Any], params: BaseModel, until: str) -> str:
        """Perform one stage; where others would go by now than those in the question, they stay."""
        following = super()._stage(handler, stage, params, until)
        if stage.name == "list" and self.confirmed is not None:
            chosen = self.result["chosen"]
            unasked = [one for one in chosen if one["id"] not in self.confirmed]
            self.result["chosen"] = [one for one in chosen if one not in unasked]
            self.result["kept"] = [*self.result["kept"], *unasked]
            if unasked:
                self.notes.append(f"{_names(unasked)} stays: nobody was asked about it")
        return following


def add_prune(one: ArgumentParser) -> None:
    """Say which iterations are to go."""
    one.add_argument("--keep", type=int, metavar="N", help="how many of the newest stay; default: 10")
    one.add_argument("--only-backed-up", action="store_true", help="delete only what is backed up, or cannot be")
    one.add_argument("--older-than", metavar="TIME", help="delete only what was trained longer ago, such as 30d")
    one.add_argument("--yes", action="store_true", help="do not ask")


def read_prune(options: Namespace, _here: Here) -> Params:
    """Write the options as the parameters of the step."""
    return {"keep": options.keep, "only_backed_up": options.only_backed_up, "older_than": options.older_than}


def is_confirmed(steps: Pruning, params: Params) -> bool:
    """Show what would go, and ask; only that goes then."""
    from cli.ml.telling import confirmed
    from cli.tables import count

    chosen = steps.perform(ACTION, params, until="list")["chosen"]
    steps.confirmed = frozenset(one["id"] for one in chosen)
    if not chosen or confirmed(f"delete {count(len(chosen), 'iteration')}: {_names(chosen)}?"):
        steps.notes.clear()
        return True
    print("nothing was deleted", file=sys.stderr)
    return False


def tell_prune(_result: Mapping[str, Any], _here: Here) -> Iterator[str]:
    """Say nothing more: the step's own notes say it all."""
    yield from ()


def _names(some: Collection[Mapping[str, str]]) -> str:
    return ", ".join(one["name"] for one in some)
