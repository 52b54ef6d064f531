"""Listings, which come in pages."""

from collections.abc import Callable, Iterator

from pydantic import Field

from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.rest import Answer
from shared.errors import PermanentError

MOST_PAGES = 1000


class Page[T](Read):
    """A part of a listing, and where it goes on."""

    value: list[T] = Field(default_factory=list)
    next_link: str | None = None


def every[T](arm: Arm, url: str, page: type[Page[T]], *, what: str) -> Iterator[T]:
    """Read a listing behind Resource Manager; nothing where it is missing.

    PermanentError where it goes on at another host: a token of ours would go there.
    """

    def read(url: str) -> Answer | None:
        if not url.startswith(f"{arm.endpoint}/"):
            raise PermanentError(f"the list of {what} goes on at another host", remedy="see the studio")
        return arm.rest.find(url)

    return follow(read, url, page)


def follow[T](
    read: Callable[[str], Answer | None], url: str, page: type[Page[T]], *, most: int = MOST_PAGES
) -> Iterator[T]:
    """Read a listing page by page: `read` asks for one by its URL, and may refuse that; it gives None for no listing.

    No more than `most` pages: a longer listing is a service that repeats itself.
    """
    following: str | None = url
    for _ in range(most):
        if not following or (answer := read(following)) is None:
            return
        found = answer.read(page)
        yield from found.value
        following = found.next_link
