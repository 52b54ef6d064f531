"""Reading a rules file node by node: what is wrong is noted, and reading goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from shared.rules import templates
from shared.rules.document import at, entries, value_of
from shared.rules.problems import Problem, did_you_mean, shorten

Entries = dict[str, tuple[ScalarNode, Node]]
"""Key to the key's node and the value's."""
Text = tuple[Node, str]

INVALID = {
    "missing": "{where} is missing",
    "extra_forbidden": "unknown key {where}{meant}",
    "union_tag_not_found": '{where}: "kind" is missing',
    "union_tag_invalid": "{where}: unknown kind {tag}{meant}",
    "literal_error": "{where}: {message}, not {input}{meant}",
    "string_pattern_mismatch": "{where}: {input} has not the form that is wanted{about}",
    "string_too_short": "{where}: {input} is too short: at least {min_length} characters{about}",
    "string_too_long": "{where}: {input} is too long: at most {max_length} characters{about}",
    "empty": "{where} is empty{about}",
    "too_short": "{where}: must have at least {min_length}",
    "too_long": "{where}: must have at most {max_length}",
    "greater_than": "{where}: must be more than {gt}, not {input}",
    "greater_than_equal": "{where}: must be at least {ge}, not {input}",
    "less_than": "{where}: must be less than {lt}, not {input}",
    "less_than_equal": "{where}: must be at most {le}, not {input}",
    "mapping_type": "{where}: must be a mapping, not {input}",
    "dict_type": "{where}: must be a mapping, not {input}",
    "list_type": "{where}: must be a list, not {input}",
    "model_type": "{where}: must be a mapping, not {input}",
    "model_attributes_type": "{where}: must be a mapping, not {input}",
    "bool_type": "{where}: must be true or false, not {input}",
    "bool_parsing": "{where}: must be true or false, not {input}",
    "float_type": "{where}: must be a number, not {input}",
    "float_parsing": "{where}: must be a number, not {input}",
}
"""How to say some of pydantic's errors: https://docs.pydantic.dev/latest/errors/validation_errors/."""

BOUNDS = ("gt", "ge", "lt", "le", "min_length", "max_length")
"""What of pydantic's context these words may use."""

SECRET = frozenset({"key", "password", "secret", "url", "container", "queue", "second", "headers"})
"""Fields that should hold a setting, and may hold a secret by mistake: what is in them is never shown."""


@dataclass(slots=True)
class Reading:
    """One reading of a file, and the problems found so far."""

    problems: list[Problem] = field(default_factory=list)

    def error(self, node: Node, message: str) -> None:
        """Note what is wrong at a node."""
        self.problems.append(at(node, message))

    def warn(self, node: Node, message: str) -> None:
        """Note what is doubtful at a node."""
        self.problems.append(at(node, message, "warning"))

    def note(self, node: Node, message: str) -> None:
        """Note what is in order at a node, and worth knowing."""
        self.problems.append(at(node, message, "note"))

    def mapping(self, node: Node, what: str, known: tuple[str, ...] | None = None) -> Entries:
        """Read a mapping; keys that are not known are problems."""
        if not isinstance(node, MappingNode):
            self.error(node, f"{what} must be a mapping, not {shorten(self.value(node))}")
            return {}
        found = entries(node, self.problems)
        if known is not None:
            for key in [key for key in found if key not in known]:
                self.error(found.pop(key)[0], f'unknown key "{key}" in {what}{did_you_mean(key, known)}')
        return found

    def value(self, node: Node, texts: list[Text] | None = None) -> Any:
        """Make plain data of a node."""
        return value_of(node, self.problems, texts)

    def texts(self, node: Node, what: str) -> list[tuple[Node, str]]:
        """Read one text, or a list of them."""
        items = node.value if isinstance(node, SequenceNode) else [node]
        found: list[tuple[Node, str]] = []
        for item in items:
            value = self.value(item)
            if isinstance(value, str) and value:
                found.append((item, value))
            else:
                self.error(item, f"{what} must be a text or a list of texts, not {shorten(value)}")
        if not items:
            self.error(node, f"{what} is empty")
        return found

    def setting(self, node: Node, text: str) -> None:
        """Check that what looks like a setting names one."""
        bad = templates.BAD_SETTING.search(text)
        if bad:
            self.error(node, f"{shorten(bad[0])} names no setting: ${{NAME}} is one word ($${{…}} for the text itself)")

    def invalid(
        self,
        node: Node,
        path: tuple[int | str, ...],
        detail: Any,
        name: str,
        *,
        about: str = "",
        known: Iterable[str] = (),
    ) -> None:
        """Say what pydantic has against a value, at the value's own line.

        `about` says what the value stands for, and `known` which keys may be there.
        """
        where = [name]
        for part in path:
            inner = locate(node, (part,))
            if inner is not node or part == path[-1]:
                where.append(str(part))
            node = inner
        context = detail.get("ctx", {})
        tag, expected = str(context.get("tag")), str(context.get("expected_tags", context.get("expected", "")))
        wrong = tag if detail["type"] == "union_tag_invalid" else detail["input"]
        if detail["type"] == "extra_forbidden":
            wrong, expected = where[-1], "'".join(known)
        said = "empty" if context.get("min_length") == 1 and "too_short" in detail["type"] else detail["type"]
        has_own_words = detail["type"] == "value_error" and isinstance(detail["input"], dict | list)
        otherwise = "{where}: {message}" if has_own_words else "{where}: {message}, not {input}"
        message = INVALID.get(said, otherwise).format(
            where=".".join(where),
            message=_plainly(detail["msg"]),
            input=_shown(detail["input"], where),
            tag=shorten(tag),
            meant=did_you_mean(wrong, expected.split("'")) if isinstance(wrong, str) else "",
            about=f" ({about.rstrip('.')})" if about else "",
            **{name: context.get(name) for name in BOUNDS},
        )
        self.error(node, message)


def _shown(value: Any, where: list[str]) -> str:
    """Quote an offending value, unless a secret may be in it."""
    if SECRET & set(where):
        return "what is there"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else shorten(value)


def _plainly(message: str) -> str:
    """Put pydantic's words into those of this file's readers."""
    message = message.removeprefix("Value error, ").replace("Input should be", "must be")
    message = message.replace("a valid string", "a text").replace("a valid integer", "a whole number")
    return (message[:1].lower() + message[1:]).partition(", unable to")[0]


def written(node: Node) -> frozenset[str]:
    """Give the keys of a mapping, right or wrong."""
    pairs = node.value if isinstance(node, MappingNode) else []
    return frozenset(key.value for key, _ in pairs if isinstance(key, ScalarNode))


def locate(node: Node, path: tuple[int | str, ...]) -> Node:
    """Follow a path of keys and positions into a node, as far as it goes."""
    for part in path:
        if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, MappingNode):
            node = next((value for key, value in node.value if key.value == str(part)), node)
    return node
