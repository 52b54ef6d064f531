"""What the options of `reactor vision train` ask of the steps, and what is wrong with them."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from cli.errors import UsageError
from cli.vision.project import Here

PUBLISHED = "--publish"
"""Where a name of `publish.vision` is given."""


def as_option(parameter: str) -> str:
    """Write a parameter as the option by which a person gives it.

    >>> as_option("older_than"), as_option("platforms")
    ('--older-than', '--platform')
    """
    return "--platform" if parameter == "platforms" else f"--{parameter.replace('_', '-')}"


def to_train(options: Namespace) -> dict[str, Any]:
    """Write the options as the parameters of the step."""
    return {"type": options.type, "budget": options.budget, "force": options.force, "tags": options.tags or None}


def how(options: Namespace) -> str:
    """Write how it is trained, to be compared."""
    return " ".join([options.type, *([options.budget] if options.budget else []), *sorted(set(options.tags))])


def refuse_wrong(options: Namespace, here: Here) -> None:
    """Refuse what the steps would refuse in the end, before anything is uploaded."""
    from cli.steps import parse

    asked = {} if options.no_train else {"train.vision": to_train(options)}
    if options.publish:
        asked["publish.vision"] = {"name": options.publish}
        if here.about.prediction is None:
            raise UsageError(
                f"--publish: {here.name} has no prediction resource: declare its ARM id as prediction, or give "
                "--prediction with --endpoint"
            )
    if "train.vision" in asked and options.budget and options.type != "advanced":
        raise UsageError("--budget needs --type advanced")
    if "train.vision" in asked and options.type == "advanced" and not options.budget:
        raise UsageError("--type advanced needs --budget TIME, such as 2h")
    for action, params in asked.items():
        parse(action, params, lambda name: PUBLISHED if name == "name" else as_option(name))
