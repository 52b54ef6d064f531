"""How the command line is read: help where nothing is asked, what was probably meant, and an example of each command.

argparse itself suggests what was meant from Python 3.14 on only.
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

EXAMPLES: Mapping[str, str] = {
    "rules check": "reactor rules check --strict my-rules/rules.yaml",
    "rules explain": "reactor rules explain --rules my-rules/rules.yaml --event event.json",
    "rules permissions": "reactor rules permissions my-rules/rules.yaml",
    "rules test": "reactor rules test my-rules --verbose",
    "rules backtest": "reactor rules backtest --from before.yaml --to my-rules/rules.yaml --since 7d",
    "rules push": 'reactor rules push my-rules/rules.yaml --message "tell of failures once an hour"',
    "rules rollback": 'reactor rules rollback 3 --message "too quiet"',
    "rules history": "reactor rules history",
    "rules schema": "reactor rules schema --output rules.schema.json",
    "rules new": "reactor rules new --list",
    "events list": "reactor events list --kind RunFailed --since 24h",
    "events show": "reactor events show 780a5849",
    "events replay": 'reactor events replay --kind RunFailed --since 1d --rules now --reason "missed in the dry run"',
    "events send": "reactor events send RunFailed --set data.experimentName=fraud-train",
    "actions list": "reactor actions list --status open",
    "actions show": "reactor actions show 198d3069",
    "actions approve": 'reactor actions approve 198d3069 --reason "the drift is real"',
    "actions reject": 'reactor actions reject 198d3069 --reason "a holiday, no drift"',
    "actions cancel": 'reactor actions cancel 198d3069 --reason "the cluster is being moved"',
    "ml batch deploy": "reactor ml batch deploy nightly --model fraud-gbm:12 --compute cpu",
    "ml batch invoke": "reactor ml batch invoke nightly --input azureml:days:3 --follow",
    "ml batch results": "reactor ml batch results batchjob-0f6a --to scores",
    "ml batch show": "reactor ml batch show nightly --workspace fraud",
    "ml batch delete": "reactor ml batch delete nightly",
    "ml online show": "reactor ml online show fraud",
    "ml rollback": "reactor ml rollback fraud",
    "ml job show": "reactor ml job show keen_owl_7f3b",
    "ml job follow": "reactor ml job follow keen_owl_7f3b",
    "ml job cancel": "reactor ml job cancel keen_owl_7f3b",
    "ml model upload": "reactor ml model upload fraud-gbm:12 outputs/model --tag stage=production",
    "ml model show": "reactor ml model show fraud-gbm",
    "ml model tag": "reactor ml model tag fraud-gbm:12 stage=production --remove trial",
    "ml compute create": "reactor ml compute create cpu --size Standard_DS3_v2 --max-nodes 4",
    "ml compute show": "reactor ml compute show cpu",
    "ml datastore show": "reactor ml datastore show",
    "ml code upload": "reactor ml code upload score:1 code",
    "ml environment create": "reactor ml environment create env:1 --image prod.azurecr.io/gbm:1 --conda conda.yaml",
    "ml data create": "reactor ml data create days:3 azureml://datastores/workspaceblobstore/paths/days/",
    "vision connect": "reactor vision connect fruit",
    "vision create": 'reactor vision create fruit --domain "General (compact)" --platform ONNX',
    "vision delete": "reactor vision delete fruit",
    "vision status": "reactor vision status",
    "vision train": "reactor vision train images --project fruit --publish fruit-classifier",
    "vision predict": "reactor vision predict photo.jpg --project fruit --name fruit-classifier",
    "vision publish": "reactor vision publish fruit --name fruit-classifier",
    "vision unpublish": "reactor vision unpublish fruit --name fruit-classifier",
    "vision export": "reactor vision export fruit --platform ONNX --platform TensorFlow/TensorFlowLite",
    "vision prune": "reactor vision prune fruit --keep 5 --only-backed-up",
    "vision replicate": "reactor vision replicate fruit",
    "vision backup": "reactor vision backup fruit",
    "vision dataset": "reactor vision dataset fruit",
    "language status": "reactor language status mail-bot",
    "language replicate": "reactor language replicate mail-bot",
    "language backup": "reactor language backup mail-bot",
    "language backups": "reactor language backups mail-bot",
    "language restore": "reactor language restore mail-bot 20261122T0815 --to primary",
    "language drill": "reactor language drill mail-bot",
    "language predict": 'reactor language predict mail-bot "Read the mail from Kim"',
    "backups list": "reactor backups list fruit",
    "backups verify": "reactor backups verify fruit/newest",
    "backups get": "reactor backups get fruit/newest/ONNX --to models/",
    "backups restore": "reactor backups restore fruit/3f2a/ONNX --to https://other.blob.core.windows.net/models",
    "pause": 'reactor pause retrain-on-drift --reason "load test"',
    "resume": "reactor resume retrain-on-drift",
}
"""A command, as somebody would type it; a test holds them to the parser."""


class Parser(argparse.ArgumentParser):
    """A parser of `reactor`, of a group, or of a command."""

    def __init__(self, **settings: Any) -> None:
        name = str(settings.get("prog", "")).removeprefix("reactor ")
        if name in EXAMPLES:
            settings |= {"epilog": f"example: {EXAMPLES[name]}"}
        super().__init__(**settings)

    def add_commands(self, metavar: str) -> Any:
        """Give what commands are added to; where none of them is named, the help is printed."""
        self.set_defaults(run=self._help)
        return self.add_subparsers(dest=metavar.lower(), metavar=metavar, action=_Commands)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what is not known with the usage of the command that was asked for: argparse has that of `reactor`."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _help(self, _options: Namespace) -> int:
        self.print_help(sys.stderr)
        return 2

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Say what was probably meant where it is none of the choices."""
        from shared.rules.problems import did_you_mean, shorten

        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        raise argparse.ArgumentError(
            action, f"there is no {shorten(value)}{did_you_mean(str(value), names)}; choose from {', '.join(names)}"
        )


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg] # noqa: SLF001 # argparse has no other name for it
    """Adds commands whose help begins with the sentence that the list of commands has of them."""

    def add_parser(self, name: str, **settings: Any) -> Any:
        """Add a command, or a group of them."""
        says = str(settings.get("help", ""))
        settings.setdefault("description", f"{says[:1].upper()}{says[1:]}." if says else None)
        return super().add_parser(name, **settings)
