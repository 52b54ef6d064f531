"""Looks at the rules before the app does, so that a wrong path or a misspelt word is said at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dev.process import ChildError
from shared.errors import ReactorError
from shared.handlers import ACTIONS
from shared.rules import RulesError, load
from shared.storage.rules_store import RulesStore, is_blob
from shared.wiring import now

if TYPE_CHECKING:
    from shared.storage.account import Account

FIRST = "rules.yaml"


def look(location: str, app: Path, settings: Mapping[str, str]) -> list[str]:
    """Say what a rules file holds, its warnings included; ChildError says why the app could not use it.

    The app reads it from its own folder, as this does. A blob is new with each stack, and begins as the app's own file.
    """
    if is_blob(location):
        return [f"rules: {location}, which begins as the app's own file", *look(FIRST, app, settings)]
    try:
        text = (app / location).read_text("utf-8", "replace")
        rules = load(text, ACTIONS, location).bind(settings)
    except OSError as error:
        raise ChildError(f"no rules: {location}: {error.strerror}") from None
    except RulesError as error:
        raise ChildError(f"no rules: {location} does not load\n{error}") from None
    number = len(rules.rules)
    warnings = (warning.show(location) for warning in rules.warnings if warning.level == "warning")
    return [f"rules: {location}, {number} rule{'' if number == 1 else 's'}", *warnings]


def publish(location: str, app: Path, account: "Account") -> None:
    """Put the app's own file into the blob that the rules are read from; ChildError where that is none."""
    try:
        store = RulesStore(account, location, now)
        if (app / FIRST).is_file():
            store.publish(
                (app / FIRST).read_text("utf-8", "replace"), store.look(), by="stack", message="the app's own"
            )
    except ReactorError as error:
        raise ChildError(f"no rules: {error.reason}") from None
