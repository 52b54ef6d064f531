"""Values with holes: `{{ drift.signal }}` is filled from the event, `${NAME}` from the app's settings.

Templates are Jinja2, strict and sandboxed (`sandbox` says how far they go).
Of the dollars before `{NAME}` each two are one dollar of the text, and one that is left over asks for the setting.
So what an event brings can never be read as a setting: `render` writes an event's own `${KEY}` as `$${KEY}`,
and `resolve` gives that back as the text it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.errors import PermanentError
from shared.events import Event
from shared.rules.paths import MISSING, show_path, timestamp, walk, workspace

if TYPE_CHECKING:
    from shared.rules.sandbox import Compiled

SETTING = re.compile(r"(?<!\$)(?P<dollars>\$++)\{(?P<name>[A-Za-z_][\w.]*)\}")
BAD_SETTING = re.compile(r"(?<!\$)\$\{(?!\{)(?![A-Za-z_][\w.]*\})[^}]{0,40}\}?")
TEMPLATE = re.compile(r"(?<!\$)\{\{|\{%")

LOOKED_UP = frozenset({"error", "failed_step", "created_by", "links"})
"""What some steps look up of what an event tells about, once they begin."""
LATER = frozenset({"steps", "action", "failure", "digest"}) | LOOKED_UP
"""What only an action that is under way can tell."""


def is_template(text: str) -> bool:
    """Tell whether a text has a hole to be filled from the event; Azure ML's `${{…}}` is none."""
    return "{" in text and TEMPLATE.search(text) is not None


def is_open(value: Any) -> bool:
    """Tell whether a value is known only when it is used: a text with a template or a setting in it."""
    return isinstance(value, str) and "{" in value and (is_template(value) or bool(setting_names(value)))


def setting_names(text: str) -> list[str]:
    """List the settings that a text refers to."""
    return [match["name"] for match in SETTING.finditer(text) if _asks(match)] if "${" in text else []


def named_settings(value: Any) -> frozenset[str]:
    """List the settings that a value refers to, however deep."""
    if isinstance(value, str):
        return frozenset(setting_names(value))
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return frozenset().union(*map(named_settings, items))


def _asks(match: re.Match[str]) -> bool:
    return len(match["dollars"]) % 2 == 1


@lru_cache(maxsize=8192)
def compile_template(text: str) -> Compiled:
    """Check a template once; ValueError says what is wrong with it."""
    from shared.rules import sandbox

    return sandbox.compile_template(text)


@lru_cache(maxsize=1024)
def _program(text: str) -> Any:
    from shared.rules import sandbox

    return sandbox.program(compile_template(text))


def render(value: Any, context: Mapping[str, Any], where: str = "") -> Any:
    """Fill the templates of a value, however deep they stand; a template that is the whole value keeps its type.

    PermanentError names the parameter and the field that is missing. `${NAME}` stays as it is written.
    Where the context has no `steps`, no action is under way yet, and templates that need one stay too.
    """
    if isinstance(value, str):
        if not is_template(value) or ("steps" not in context and _is_for_later(value, context)):
            return value
        return _render_text(value, context, where)
    if isinstance(value, Mapping):
        return {name: render(item, context, f"{where}.{name}" if where else name) for name, item in value.items()}
    if isinstance(value, list):
        return [render(item, context, f"{where}[{position}]") for position, item in enumerate(value)]
    return value


def roots(value: Any) -> frozenset[str]:
    """List the names that the templates of a value begin with, however deep they stand."""
    if isinstance(value, str):
        found = compile_template(value).references if is_template(value) else ()
        return frozenset(reference.keys[0] for reference in found)
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return frozenset().union(*map(roots, items))


def _is_for_later(text: str, context: Mapping[str, Any]) -> bool:
    """Tell whether a template needs what only an action that is under way has."""
    return bool(roots(text) & LATER - context.keys())


def _render_text(text: str, context: Mapping[str, Any], where: str) -> Any:
    from shared.rules import sandbox

    try:
        template, is_value = _program(text)
        return sandbox.run(template, context, is_value=is_value)
    except sandbox.ERRORS as error:
        reason = _what_is_missing(text, context) or f"{text} cannot be filled in: {error}"
        raise PermanentError(
            f"{where}: {reason}" if where else reason, remedy="correct the template in the rules file"
        ) from error


def _what_is_missing(text: str, context: Mapping[str, Any]) -> str:
    """Name the first field that a template needs and does not find."""
    try:
        references = compile_template(text).references
    except ValueError:
        return ""
    missing = (ref.keys for ref in references if ref.strict and walk(context, ref.keys) is MISSING)
    for keys in missing:
        if keys[0] == "steps" and len(keys) > 1 and keys[1] in context.get("steps", {}):
            return f'step "{keys[1]}" gave no {show_path(keys[2:])}'
        return f"the event has no {show_path(keys)}"
    return ""


def resolve(value: Any, settings: Mapping[str, str]) -> Any:
    """Replace `${NAME}` by the app's settings, however deep; PermanentError names one that is not set."""
    if isinstance(value, str):
        return SETTING.sub(lambda match: _setting(match, settings), value) if "${" in value else value
    if isinstance(value, Mapping):
        return {name: resolve(item, settings) for name, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, settings) for item in value]
    return value


def _setting(match: re.Match[str], settings: Mapping[str, str]) -> str:
    name = match["name"]
    text = "$" * (len(match["dollars"]) // 2)
    if not _asks(match):
        return f"{text}{{{name}}}"
    if name not in settings:
        raise PermanentError(f"the setting {name} is not set", remedy=f"add {name} to the app's settings")
    return text + settings[name]


def context(
    event: Event,
    *,
    steps: Mapping[str, Any] | None = None,
    failure: Mapping[str, Any] | None = None,
    action: Mapping[str, Any] | None = None,
    digest: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Name everything a template can read.

    `steps` are the results of the steps before, by id.
    `action` is the action that answers, unless the event itself tells of one (an outcome): then, as in filters,
    `action` is the one that is told of. `failure` is that of the step that failed, before that of an outcome.
    `digest` lists the events that are answered together.
    """
    names: dict[str, Any] = {
        "id": event.id,
        "source": event.source,
        "subject": event.subject,
        "type": event.type,
        "kinds": sorted(event.kinds),
        "data": event.data,
    }
    if steps is not None:
        names["steps"] = steps
    time = timestamp(event)
    if time is not None:
        names["time"] = time
    if action is not None:
        names["action"] = action
    names |= event.facts
    if digest:
        names["digest"] = list(digest)
    if failure is not None:
        names["failure"] = failure
    here = workspace(event)
    if isinstance(here, Mapping):
        names["workspace"] = here
    return names
