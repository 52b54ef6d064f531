"""The index of rules: from what an event says to the few rules that are worth testing.

Most rules differ by one text: a model's name, how an experiment's name begins, a tag. Each is put under its rarest one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.events import Event
from shared.rules.clauses import AnyOf, Clause, Condition, Not, settings_in
from shared.rules.kinds import NAMESPACES
from shared.rules.paths import MAPPING, Keys, Read, reader
from shared.rules.rule import Rule

INDEXED = frozenset({"id", "source", "subject", "type", *NAMESPACES}) - {"workspace"}
"""Roots of the fields that an event simply holds."""

PARTS: dict[str, Callable[[str], slice]] = {
    "StringIn": lambda _: slice(None),
    "StringBeginsWith": lambda text: slice(len(text)),
    "StringEndsWith": lambda text: slice(-len(text), None) if text else slice(0),
}
PARTS |= {"subjectBeginsWith": PARTS["StringBeginsWith"], "subjectEndsWith": PARTS["StringEndsWith"]}
"""Operator to the part of a value that must be equal to its operand."""

Piece = tuple[slice, str]
"""A part of a text, and what it must be in lower case: the whole, its beginning or its end."""
Entry = tuple[Keys, Piece]
"""A piece of the text of one field."""
Texts = dict[str, tuple[int, ...]]
"""What a part may be, to the positions of the rules that want it."""
Lookup = dict[str, tuple[tuple[slice, Texts], ...]]
"""Under one parent: last key to the parts of its text that lead to rules."""


@dataclass(frozen=True, slots=True)
class Index:
    """The rules that can answer events of certain kinds from a certain source, by position in the file."""

    always: tuple[int, ...]
    """Those that no text leads to: tested every time."""
    lookups: tuple[tuple[Read, Lookup], ...]
    """For each parent of the fields that are compared: how to read it, and whom its values lead to."""

    def candidates(self, event: Event) -> Sequence[int]:
        """Give the positions of the rules worth testing, in order."""
        found: tuple[int, ...] = ()
        for read, lookup in self.lookups:
            parent = read(event)
            if not isinstance(parent, MAPPING):
                continue
            for key in parent if len(parent) < len(lookup) else lookup:
                value, parts = parent.get(key), lookup.get(key)
                if parts is None or value is None:
                    continue
                for text in value if isinstance(value, list) else (value,):
                    if type(text) is str:
                        lower = text.lower()
                        for part, texts in parts:
                            found += texts.get(lower[part], ())
        return sorted({*found, *self.always}) if found else self.always


def _envelope(event: Event) -> Mapping[str, str]:
    return {"id": event.id, "source": event.source, "subject": event.subject, "type": event.type}


def _read_parent(keys: Keys) -> Read:
    """Read what holds the last key of a path."""
    if not keys:
        return _envelope
    return (lambda event: event.data) if keys == ("data",) else reader(keys)


def build_index(rules: Iterable[tuple[int, Rule]]) -> Index:
    """Put every rule under its rarest text."""
    choices = {position: list(_choices(rule.where)) for position, rule in rules}
    demand = Counter(entry for wanted in choices.values() for entries in wanted for entry in entries)
    always: list[int] = []
    tree: dict[Keys, dict[str, dict[slice, Texts]]] = {}
    for position, wanted in choices.items():
        if not wanted:
            always.append(position)
            continue
        for keys, (part, text) in min(wanted, key=lambda entries: sum(demand[entry] for entry in entries)):
            texts = tree.setdefault(keys[:-1], {}).setdefault(keys[-1], {}).setdefault(part, {})
            texts[text] = (*texts.get(text, ()), position)
    return Index(
        tuple(always),
        tuple(
            (_read_parent(parent), {key: tuple(parts.items()) for key, parts in lookup.items()})
            for parent, lookup in tree.items()
        ),
    )


def _choices(clauses: Iterable[Clause]) -> Iterator[frozenset[Entry]]:
    """List what each of AND-ed clauses wants some pieces of, where only such pieces make it hold."""
    for clause in clauses:
        if isinstance(clause, Condition):
            if clause.operator in PARTS and clause.keys[0] in INDEXED and not settings_in(clause.wanted):
                part, keys = PARTS[clause.operator], clause.keys
                texts = clause.wanted if isinstance(clause.wanted, list) else [clause.wanted]
                yield frozenset((keys, (part(text.lower()), text.lower())) for text in texts)
        elif isinstance(clause, AnyOf):
            alternatives = [min(_choices((each,)), key=len, default=None) for each in clause.clauses]
            if alternatives and None not in alternatives:
                yield frozenset().union(*(each for each in alternatives if each))
        elif not isinstance(clause, Not):
            yield from _choices(clause.clauses)
