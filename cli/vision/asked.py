"""What the options of `reactor vision train` ask of the steps, and what is wrong with them."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from cli.errors import UsageError
from cli.vision.project import Here


def to_train(options: Namespace) -> dict[str, Any]:
    """Write the options as the parameters of the step."""
    return {"type": options.type, "budget": options.budget, "force": options.force, "tags": options.tags or None}


def how(options: Namespace) -> str:
    """Write how it is trained, to be compared."""
    return " ".join([options.type, *([options.budget] if options.budget else []), *sorted(set(options.tags))])


def refuse_wrong(options: Namespace, here: Here) -> None:
    """Refuse what the steps would refuse in the end, before anything is uploaded."""
    from shared.errors import PermanentError
    from shared.handlers import ACTIONS
    from shared.stages import find_handler

    asked = {} if options.no_train else {"train.vision": to_train(options)}
    if options.publish:
        asked["publish.vision"] = {"name": options.publish}
        if here.about.prediction is None:
            raise UsageError(
                f"--publish: {here.name} has no prediction resource: declare its ARM id as prediction, or give "
                "--prediction with --endpoint"
            )
    for action, params in asked.items():
        try:
            find_handler(ACTIONS, action).parse({name: one for name, one in params.items() if one is not None})
        except PermanentError as problem:
            raise UsageError(problem.reason) from None
