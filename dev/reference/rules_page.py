"""The generated parts of the rules reference: keys, kinds, fields, operators, limits, parameters, declarations."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cli.rules import catalogue, language
from dev.reference import code, table
from dev.reference.step_parameters import of_step
from shared.handlers import ACTIONS
from shared.policy import CancelOn, Expectation, Limit, Part, show_duration
from shared.rules import declared, sandbox
from shared.rules.filters import OPERATORS
from shared.rules.grants import stated
from shared.rules.kinds import ENVELOPE
from shared.rules.parameters import parameters
from shared.rules.where import NOT, SWITCHES

PARTS: Mapping[str, type[BaseModel]] = {"limit": Limit, "cancel_on": CancelOn, "expect": Expectation}


def parts() -> Mapping[str, Callable[[], str]]:
    """Give the page's parts by the names of their marks."""
    made: dict[str, Callable[[], str]] = {
        "keys of the file": lambda: _keys(language.TOP),
        "keys of a rule": lambda: _keys(language.RULE),
        "kinds": _kinds,
        "fields": _fields,
        "operators": _operators,
        "words of where": _words_of_where,
        "steps": _steps,
        "vision": lambda: _declaration("VisionProject"),
        "language": lambda: _declaration("LanguageProject"),
        "channels": _channels,
        "filters of templates": lambda: f"Filters: {_words(sandbox.FILTERS)}.",
        "methods of templates": lambda: f"Methods: {_words(sandbox.METHODS)}.",
    }
    made |= {name: partial(_part, model) for name, model in PARTS.items()}
    return made | {f"parameters of {action}": partial(_parameters, target) for action, target in ACTIONS.items()}


def _keys(words: Mapping[str, str]) -> str:
    return table("key | what it is", [(code(name), what) for name, what in words.items()])


def _words(words: frozenset[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))


# -- events -----------------------------------------------------------------------------------------------------------


def _kinds() -> str:
    rows = [
        (f"[`{kind}`](events.md#{kind.lower()})", "derived" if about.derived_from else about.by, about.when)
        for kind, about in catalogue.KINDS.items()
    ]
    return table("kind | announced by | when", rows)


def _fields() -> str:
    envelope = ", ".join(code(name) for name in ENVELOPE)
    said = "the envelope; `time` is a text in UTC and missing where the wire has none, `kinds` is a list"
    rows = [(envelope, "all", said)]
    for space, (whose, what) in catalogue.NAMESPACES.items():
        names = [path.partition(".")[2] for path in catalogue.FIELDS if path.startswith(f"{space}.")]
        paths = [f"{space}.…"] if space == "data" else [f"{space}.{names[0]}", *(f".{name}" for name in names[1:])]
        rows.append((", ".join(map(code, paths)), whose, what))
    return table("path | of which kinds | what it is", rows)


# -- conditions -------------------------------------------------------------------------------------------------------

OPERANDS: Mapping[str, tuple[str, Any]] = {
    "a list of texts": ("list of texts", ["a"]),
    "a list of numbers": ("list of numbers", [1]),
    "a list of [low": ("list of `[low, high]`", [[0, 1]]),
    "one number": ("one number", 1),
    "true or false": ("`true` or `false`", True),
    "the word true": ("`true`", True),
}


def _words_of_where() -> str:
    forms = {word: "{…}" if word == NOT else "[{…}, …]" for word in language.COMBINED}
    forms |= {word: str(not SWITCHES[word]).lower() if word in SWITCHES else "text" for word in language.SUBJECT}
    said = language.COMBINED | language.SUBJECT
    return table("word | what it is", [(code(f"{word}: {form}"), said[word]) for word, form in forms.items()])


def _operators() -> str:
    rows = []
    for name, operator in OPERATORS.items():
        said = language.OPERATORS[name]
        words, operand = next(about for start, about in OPERANDS.items() if operator.wants.startswith(start))
        missing = operator.compile(operand)(None)
        shown = ("**yes**" if "Not" in name else "yes") if missing else "no"
        rows.append((code(name), words, said.holds, shown, said.array))
    return table("operator | operand | holds where the value … | missing or null | an array holds where …", rows)


# -- models -----------------------------------------------------------------------------------------------------------


def _part(model: type[BaseModel]) -> str:
    rows = [(code(name), _sentence(field.description or "", {})) for name, field in model.model_fields.items()]
    return table("key | what it is", rows)


def _steps() -> str:
    rows = []
    for action, target in ACTIONS.items():
        said = (parameters(target).model.__doc__ or "").partition("\n")[0]
        rows.append((f"[`{action}`](#{action.replace('.', '')})", _sentence(said, {})))
    return table("step | what it does", rows)


def _parameters(target: str) -> str:
    rows = [
        (code(one.path), "required" if one.is_required else _default(one.info), _sentence(one.said, one.schema))
        for one in of_step(parameters(target).model)
        if one.said
    ]
    return f"{table('parameter | default | what it is', rows)}\n\n{_permissions(target)}"


ON: Mapping[str, str] = {
    "registry": "each registry that a model comes from",
    "storage": "the declared storage",
    "second_storage": "the storage account of the second container",
    "vision": "the training resource",
    "vision_prediction": "the prediction resource",
    "vision_replica": "the replica's training resource",
    "language": "the primary",
    "language_secondary": "the secondary",
    "mail": "the Communication Services resource of an `email` channel",
    "topic": "the topic of an `event_grid` channel",
    "queue": "the queue of a `queue` channel",
}
"""Kind of thing to what it is called here, where that says more."""


def _permissions(target: str) -> str:
    """List what a step needs to be allowed, and on what."""
    lines = [
        f"- on {ON.get(one.scope, f'the {one.scope}')}, {one.why}: {_actions(one.actions)}"
        f"{'; it does without where that is missing' if one.optional else ''}"
        for one in stated(target)
    ]
    return "\n".join(["Permissions:", "", *lines]) if lines else "Permissions: none."


def _actions(actions: tuple[str, ...]) -> str:
    """Write actions so that they can be read: what they begin with in common is said once."""
    begins = {"/".join(action.split("/")[:2]) for action in actions}  # the provider, and its type of resource
    if len(actions) == 1 or len(begins) > 1:
        return ", ".join(map(code, actions))
    begin = f"{begins.pop()}/"
    return f"{', '.join(code(action.removeprefix(begin)) for action in actions)} below {code(begin)}"


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if value in (None, "", {}) or isinstance(value, BaseModel):
        return ""
    if isinstance(value, timedelta):
        value = show_duration(value)
    elif isinstance(value, float):
        value = f"{value:g}"
    return code(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _sentence(description: str, schema: Mapping[str, Any]) -> str:
    """Write a description as the phrase of a table, with what the schema adds and the description does not say."""
    words = [str(word) for word in _choices(schema) if word]
    choices = [] if all(re.search(rf"\b{word}\b", description) for word in words) else [code(word) for word in words]
    added = [f"{', '.join(choices[:-1])} or {choices[-1]}"] if choices else []
    if "maxLength" in schema:
        least = f"{schema['minLength']} to" if schema.get("minLength") else "up to"
        added.append(f"{least} {schema['maxLength']} characters")
    if "minimum" in schema and "maximum" in schema:
        added.append(f"{schema['minimum']:g} to {schema['maximum']:g}")
    first = description.split(" ", 1)[0]
    is_word = first[1:].islower() or len(first) == 1
    lower = description[:1].lower() + description[1:] if is_word else description
    return "; ".join([_ticked(lower.removesuffix(".")), *added])


AS_CODE = re.compile(r"\{[^}]*\}|[^\s{};]*<\w+>[^\s{};,]*")
"""What a page would take for a tag, or could not tell from a sentence: `{folder: uri}`, `a/<b>`."""


def _ticked(text: str) -> str:
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [AS_CODE.sub(lambda found: code(found[0]), part) for part in parts[::2]]
    return "".join(parts)


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    """List the words that a value is chosen from, also where it may be null, or where a mapping has such values."""
    inner = schema.get("additionalProperties")
    found = list(schema.get("enum", ()))
    for branch in (*schema.get("anyOf", ()), *([inner] if isinstance(inner, Mapping) else [])):
        found += branch.get("enum", ())
    return found


# -- declarations -----------------------------------------------------------------------------------------------------


def _declaration(model: str) -> str:
    return table("field | what it is", list(_fields_of(getattr(declared, model))))


def _fields_of(model: type[BaseModel], under: str = "") -> Iterator[tuple[str, str]]:
    """Give the fields of a declaration, and under each what is a part of it alone."""
    for name, field in model.model_fields.items():
        yield code(f"{under}{name}"), language.DECLARED[model.__name__][name]
        listed, inner = get_origin(field.annotation) is list, (*get_args(field.annotation), field.annotation)
        for part in inner:
            if isinstance(part, type) and issubclass(part, Part):
                yield from _fields_of(part, f"{under}{name}[]." if listed else f"{under}{name}.")


def _channels() -> str:
    rows: list[tuple[str, ...]] = []
    union = get_args(declared.Channel)[0]
    for model in get_args(union):
        (kind,) = get_args(model.model_fields["kind"].annotation)
        rows.append((code(kind), "", language.CHANNELS[kind]))
        fields = [name for name in model.model_fields if name != "kind"]
        rows += [("", code(name), language.DECLARED[model.__name__][name]) for name in fields]
    return table("kind | field | what it is", rows)
