"""Looks at the rules before the app does, so that a wrong path or a misspelt word is said at once."""

from collections.abc import Mapping
from pathlib import Path

from dev.process import ChildError
from shared.handlers import ACTIONS
from shared.rules import RulesError, load


def look(location: str, app: Path, settings: Mapping[str, str]) -> list[str]:
    """Say what a rules file holds, its warnings included; ChildError says why the app could not use it.

    The app reads it from its own folder, as this does. What is in a blob is not there yet.
    """
    if location.startswith("blob:"):
        return [f"rules: {location}, read when the first event comes"]
    try:
        text = (app / location).read_text("utf-8", "replace")
        rules = load(text, ACTIONS, location).bind(settings)
    except OSError as error:
        raise ChildError(f"no rules: {location}: {error.strerror}") from None
    except RulesError as error:
        raise ChildError(f"no rules: {location} does not load\n{error}") from None
    number = len(rules.rules)
    warnings = (warning.show(location) for warning in rules.warnings)
    return [f"rules: {location}, {number} rule{'' if number == 1 else 's'}", *warnings]
