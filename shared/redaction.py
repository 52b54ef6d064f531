"""Makes what somebody else said fit to be kept: without secrets, on one line, short, and always writable as UTF-8."""

import re
from difflib import SequenceMatcher
from urllib.parse import unquote

from shared.events import without_url_queries

LONGEST_TEXT = 256
"""Characters of a service's own words that are kept."""
ENOUGH = 12
"""Characters of a known secret by which a word is known to hold a part of it."""

_BEGIN = r"(?:\b|(?<=%[0-9A-Fa-f]{2})|(?<=%25[0-9A-Fa-f]{2}))"
"""Where a word may begin: also after a percent-encoded "&" or "?", which ends in what a word may end in."""
_SECRET = re.compile(
    rf"""(?P<name>{_BEGIN}(?:(?:sig|secret|password|pwd|account_?key|shared_?access_?key|api[-_]?key)"""
    r"""(?:["']?\s*[=:]\s*["']?|%(?:25)*3[AD])"""
    r"""|(?:key|token|code)(?:=|%(?:25)*3D)))"""
    r"""[^\s"'&;,<>]{4,}"""
    r"|\b(?P<scheme>Bearer|SharedKey|Basic)(?:\s|%(?:25)*20)+[A-Za-z0-9+/=._:~%-]{8,}"
    r"|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+",
    re.IGNORECASE,
)


def tidy(text: str) -> str:
    """Make a service's words fit for a record: one line, no secret, at most `LONGEST_TEXT` characters."""
    line = " ".join(redacted(text[: LONGEST_TEXT * 16]).split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def redacted(text: str) -> str:
    """Remove what may be a secret: queries of URLs, tokens, keys and passwords.

    Half a surrogate pair, which is legal in JSON and nowhere else, becomes "?".
    """

    def cover(match: re.Match[str]) -> str:
        return f"{match['name'] or ''}{match['scheme'] or ''}***"

    writable = text.encode("utf-8", "replace").decode()
    return _SECRET.sub(cover, str(without_url_queries(writable)))


def without(text: str, secret: str) -> str:
    """Cover each word that holds a known secret or a part of it: also cut off, percent-encoded, in another case.

    >>> without("the token a%2Blengthy%2Bsec… is no good", "a+lengthy+secret")
    'the token *** is no good'
    """
    plain = _plain(secret)

    def cover(match: re.Match[str]) -> str:
        word = SequenceMatcher(None, _plain(match[0]), plain, autojunk=False)
        return "***" if word.find_longest_match().size >= ENOUGH else match[0]

    return re.sub(r"\S+", cover, text) if secret else text


def _plain(text: str) -> str:
    """Undo percent-encoding, however often it was done."""
    while (less := unquote(text)) != text:
        text = less
    return text.lower()
