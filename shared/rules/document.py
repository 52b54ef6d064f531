"""YAML 1.2 read by libyaml: a tree of nodes that know their line, and plain values made from them.

PyYAML's own resolver speaks YAML 1.1, where `on` and `no` are booleans and `012` is ten.
Here plain scalars follow the core schema of https://yaml.org/spec/1.2.2/#103-core-schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml._yaml import CParser

from shared.rules.problems import Problem, shorten
from shared.rules.unreadable import unreadable

LONGEST = 1024 * 1024
"""Characters that a rules file may have."""
DEEPEST = 40
"""Levels that a value may nest."""
LARGEST = 200_000
"""Nodes that a file may hold once its aliases are followed."""

PLAIN, TEXT, COLLECTION, MENDED = "plain", "text", "collection", "mended"
TAGS = frozenset({PLAIN, TEXT, COLLECTION, MENDED})
WORDS: dict[str, Any] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
WORDS |= {word: word[0] in "tT" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
NUMBER_STARTS = frozenset("0123456789+-.")
INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
UNQUOTED = re.compile(r"\$?\{\{|\{%|\$\{")
MEANT_AS_TEMPLATE = "{{ }}"
"""Stands for a template that was not quoted, so that it is not reported twice."""
BLAMEABLE = re.compile(
    r"""(?<![^\s,:\[{])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*') | (?<!\S)\#.*
    | (?P<unquoted>\$?\{\{.*?(?:\}\}|$) | \{%.*?(?:%\}|$) | \$\{.*?(?:\}|$))""",
    re.VERBOSE,
)
"""On a line: what is quoted, a comment, or a template or setting that is not."""
MOST_MENDED = 50
"""Times that a file is composed again to find what else is wrong with it; a long one fewer times."""
MOST_COMPOSED = 4 * LONGEST
"""Characters that are composed for it, all together."""
STAND_IN = "\ue000"
"""Takes the place of what YAML cannot read, letter by letter, so that all else keeps its column."""
QUOTE_IT = "put the whole value in quotes, or YAML reads the braces as its own"


class TooDeepError(yaml.YAMLError):
    """Nodes nest deeper than anyone writes."""


class Composer(CParser):
    """libyaml's composer with the core schema's idea of a tag, and a bound on depth."""

    depth = 0

    def resolve(self, kind: type[Node], _value: str | None, implicit: Any) -> str:
        """Tell a plain scalar from a quoted one; what a plain one means is decided when it is asked for."""
        if kind is not ScalarNode:
            return COLLECTION
        return PLAIN if implicit[0] else TEXT

    def descend_resolver(self, _parent: Node | None, _index: Any) -> None:
        """Count one level down."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooDeepError

    def ascend_resolver(self) -> None:
        """Count one level up."""
        self.depth -= 1


def compose(text: str, problems: list[Problem]) -> Node | None:
    """Compose the one document of a text; what keeps it from being read is added to `problems`."""
    if len(text) > LONGEST:
        problems.append(Problem(1, 1, f"the file has {len(text)} characters, more than {LONGEST}"))
        return None
    try:
        root = _compose_mended(text, problems)
    except TooDeepError:
        problems.append(Problem(1, 1, f"values nest deeper than {DEEPEST} levels"))
        return None
    except (yaml.YAMLError, UnicodeError) as error:
        problems.append(unreadable(error, text))
        return None
    if root is not None and "!" in text:
        problems.extend(
            at(node, f"the tag {shorten(node.tag)} has no meaning here")
            for node in _every(root)
            if node.tag not in TAGS
        )
    if root is not None and "*" in text:
        culprit = _expands_too_far(root)
        if culprit is not None:
            problems.append(at(culprit, "aliases (*name) here contain themselves or expand to too much"))
            return None
    return root


def _compose_mended(text: str, problems: list[Problem]) -> Node | None:
    """Compose a text; where unquoted braces are in the way, say so and go on as if they had been quoted."""
    mended, lines = text, text.split("\n")
    stopped, tries = None, 0
    while True:
        try:
            root = _compose_once(mended)
        except yaml.MarkedYAMLError as error:
            before, stopped = stopped, _place(error)
            if stopped == before:
                problems.pop()  # it is as bad without those braces
                raise
            offender = _offender(lines, *stopped)
            if offender is None:
                raise
            problems.append(_mend(lines, *offender))
            tries += 1
            if tries > MOST_MENDED or tries * len(text) > MOST_COMPOSED:
                return None
            mended = "\n".join(lines)
        else:
            if root is not None and tries:
                _mark_mended(root)
            return root


def _compose_once(text: str) -> Node | None:
    composer = Composer(text)
    try:
        root: Node | None = composer.get_single_node()
    finally:
        composer.dispose()
    return root


def _place(error: yaml.MarkedYAMLError) -> tuple[int, int]:
    """Give the line and column at which libyaml stopped, counted from 0."""
    mark = error.problem_mark or error.context_mark
    return (mark.line, mark.column) if mark else (-1, -1)


def _offender(lines: list[str], line: int, column: int) -> tuple[int, re.Match[str]] | None:
    """Find the unquoted braces that stopped libyaml: the last before that column, or those that end the line above."""
    for number, end in ((line, column), (line - 1, LONGEST)):
        if 0 <= number < len(lines):
            found = [match for match in BLAMEABLE.finditer(lines[number]) if match["unquoted"] and match.start() <= end]
            if found:
                return number, found[-1]
    return None


def _mend(lines: list[str], number: int, offender: re.Match[str]) -> Problem:
    """Put a plain word in the place of unquoted braces, and say what was there."""
    line = lines[number]
    lines[number] = f"{line[: offender.start()]}{STAND_IN * len(offender[0])}{line[offender.end() :]}"
    return Problem(number + 1, offender.start() + 1, f"unquoted {shorten(offender[0])}: {QUOTE_IT}")


def _mark_mended(root: Node) -> None:
    """Mark the scalars that stand for what has been reported."""
    for node in _every(root):
        if isinstance(node, ScalarNode) and node.tag is PLAIN and STAND_IN in node.value:
            node.tag = MENDED


def _every(root: Node) -> Iterator[Node]:
    """Give every node once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            waiting.extend(children(node))
            yield node


def _expands_too_far(root: Node) -> Node | None:
    """Find a node that contains itself, or at which the expanded file passes the limits.

    Aliases stand after their anchors, so the walk never goes deeper than the composer went.
    """
    measured: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()

    def measure(node: Node) -> Node | None:
        if isinstance(node, ScalarNode) or id(node) in measured:
            return None
        if id(node) in open_nodes:
            return node
        open_nodes.add(id(node))
        size, height = 1, 0
        for child in children(node):
            culprit = measure(child)
            if culprit is not None:
                return culprit
            child_size, child_height = measured.get(id(child), (1, 1))
            size, height = size + child_size, max(height, child_height)
        open_nodes.discard(id(node))
        measured[id(node)] = (size, height + 1)
        return node if size > LARGEST or height >= DEEPEST else None

    return measure(root)


def children(node: Node) -> Iterator[Node]:
    """Give the nodes directly under a node, keys included."""
    if isinstance(node, SequenceNode):
        yield from node.value
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value


def at(node: Node, message: str, level: Any = "error") -> Problem:
    """Point at a node."""
    return Problem(node.start_mark.line + 1, node.start_mark.column + 1, message, level)


def entries(node: MappingNode, problems: list[Problem]) -> dict[str, tuple[ScalarNode, Node]]:
    """Read a mapping as key to (key node, value node); keys are texts, and each may stand once."""
    found: dict[str, tuple[ScalarNode, Node]] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            problems.append(at(node, _complex_key(node, key)))
        elif key.value in found:
            first = found[key.value][0].start_mark.line + 1
            problems.append(at(key, f"duplicate key {shorten(key.value)}: it stands on line {first} already"))
        else:
            found[key.value] = (key, value)
    return found


def _complex_key(node: MappingNode, key: Node) -> str:
    """Explain a key that is no text: nearly always a template without quotes."""
    if is_unquoted(node):
        inner = ", ".join(str(part.value) for part, _ in key.value if isinstance(part, ScalarNode))
        return f"unquoted {shorten(f'{{{{ {inner} }}}}')}: {QUOTE_IT}"
    return "a key must be a text"


def is_unquoted(node: MappingNode) -> bool:
    """Recognise `{{ … }}` without quotes: a mapping whose key is a mapping that begins right after its brace."""
    key = node.value[0][0] if node.value else None
    return isinstance(key, MappingNode) and node.start_mark.index + 1 == key.start_mark.index


def value_of(node: Node, problems: list[Problem], texts: list[tuple[Node, str]] | None = None) -> Any:
    """Make plain data of a node; strings with a brace are listed in `texts`, for whoever looks for templates."""
    if isinstance(node, ScalarNode):
        text: str = node.value
        if node.tag is MENDED:
            return MEANT_AS_TEMPLATE
        if node.tag is PLAIN:
            if "{" in text and UNQUOTED.search(text):
                problems.append(at(node, f"unquoted {shorten(text)}: {QUOTE_IT}"))
            return _plain(node, text, problems)
        if texts is not None and "{" in text:
            texts.append((node, text))
        return text
    if isinstance(node, SequenceNode):
        return [value_of(item, problems, texts) for item in node.value]
    assert isinstance(node, MappingNode)
    if is_unquoted(node):
        entries(node, problems)
        return MEANT_AS_TEMPLATE
    return {key: value_of(value, problems, texts) for key, (_, value) in entries(node, problems).items()}


def _plain(node: Node, text: str, problems: list[Problem]) -> Any:
    """Read a plain scalar by the core schema."""
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMBER_STARTS:
        return text
    if INTEGER.match(text):
        if len(text) > 40:
            problems.append(at(node, f"{shorten(text)} is too long for a number"))
            return 0
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    number = float(text) if FLOAT.match(text) else math.inf
    if math.isfinite(number):
        return number
    if FLOAT.match(text) or NOT_FINITE.match(text):
        problems.append(at(node, f"{shorten(text)} is not a finite number"))
    return text
