"""Queues and containers by their URLs: what is no such place is refused before anything is asked of it."""

import pytest

from shared.errors import PermanentError
from shared.storage.places import Places


@pytest.mark.parametrize("url", ["https://a.blob.core.windows.net", "https://a.blob.core.windows.net/b/c"])
def test_a_place_is_named_in_its_url(url: str) -> None:
    """The URL of an account, or of a folder, is told with how it is given."""
    places = Places(None, lambda: pytest.fail("no credential is needed"), "backups")
    for what, ask in (("container", places.make_container), ("queue", places.make_queue)):
        with pytest.raises(PermanentError, match=f"is not given as a {what}'s URL") as caught:
            ask(url)
        assert f"/<{what}>" in caught.value.remedy
