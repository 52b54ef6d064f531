"""Listings behind Resource Manager, which come in pages."""

from collections.abc import Iterator

from pydantic import Field

from shared.clients.machine_learning.resources import Arm, Read
from shared.errors import PermanentError

MOST_PAGES = 1000


class Page[T](Read):
    """A part of a listing, and where it goes on."""

    value: list[T] = Field(default_factory=list)
    next_link: str | None = None


def every[T](arm: Arm, url: str, page: type[Page[T]], *, what: str) -> Iterator[T]:
    """Read a listing page by page; nothing where it is missing. PermanentError where it goes on at another host."""
    following: str | None = url
    for _ in range(MOST_PAGES):
        if not following:
            return
        if not following.startswith(f"{arm.endpoint}/"):
            raise PermanentError(f"the list of {what} goes on at another host", remedy="see the studio")
        if (answer := arm.rest.find(following)) is None:
            return
        found = answer.read(page)
        yield from found.value
        following = found.next_link
