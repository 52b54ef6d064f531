"""Says in plain words why a text is no template: Jinja2's own speak of its grammar."""

from __future__ import annotations

import re

WORDS: tuple[tuple[str, str], ...] = (
    (r"end of template, expected 'end of print", "the {{ is never closed by }}"),
    (r"end of template, expected 'end of statement", "the {% is never closed by %}"),
    (r"end of template.*innermost block .* is '(\w+)'", r"{% \1 … %} is never closed by {% end\1 %}"),
    (r"unknown tag '(\w+)'.*innermost block .* is '(\w+)'", r"{% \1 %} cannot stand here: {% \2 … %} is open"),
    (r"unknown tag '(end\w+|else|elif)'", r"{% \1 %} belongs to nothing that was opened before it"),
    (r"unknown tag '(\w+)'", r"there is no {% \1 %} here, only if and for"),
    (r"end of raw", "{% raw %} is never closed by {% endraw %}"),
    (r"expected token 'end of \w+ \w+', got '='", "= compares nothing: write =="),
    (r"expected token 'end of statement block', got 'if'", "else if is written elif"),
    (r"expected token 'end of \w+ \w+', got '(.*)'", r"\1 does not belong after a whole value: ~ puts two together"),
    (r"expected token 'in'", "a loop is written {% for one in many %}"),
    (r"expected token 'name'", "a name is missing, such as that of a filter after |"),
    (r"expected name or number", "a name is missing after a dot"),
    (r"expected an expression|unexpected 'end of", "a value is missing"),
    (r"unexpected char '&'", "& is written and"),
    (r"unexpected char [\"'][\"']", "a quote is never closed"),
    (r"unexpected char '(.)'", r"\1 means nothing in a template"),
    (r"unexpected '.', expected '(.)'", r"a \1 is missing"),
    (r"unexpected '\}'", "it is not closed as it was opened: }} for {{, and %} for {%"),
    (r"unexpected '([)\]])'", r"this \1 closes nothing"),
    (r"expected token ':'", "a { within {{ … }} begins an object, with a colon after each of its keys"),
)
"""Part of Jinja2's words, ignoring case, to ours."""


def unfillable(message: str) -> str:
    """Say what Jinja2 has against a template."""
    for part, words in WORDS:
        if found := re.search(part, message, re.IGNORECASE):
            return found.expand(words)
    return message or "it is no template"
