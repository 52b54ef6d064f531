"""Makes what somebody else said fit to be kept: without secrets, on one line, short, and always writable as UTF-8."""

import re

from shared.events import without_url_queries

LONGEST_TEXT = 256
"""Characters of a service's own words that are kept."""

_SECRET = re.compile(
    r"""(?P<name>\b(?:sig|secret|password|pwd|account_?key|shared_?access_?key|api[-_]?key)["']?\s*[=:]\s*["']?"""
    r"""|\b(?:key|token|code)=)"""
    r"""[^\s"'&;,<>]{4,}"""
    r"|\b(?P<scheme>Bearer|SharedKey|Basic)\s+[A-Za-z0-9+/=._:~-]{8,}"
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
