"""Translates what the storage SDKs raise into the two error words, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import TemporaryError, UnansweredError


@contextmanager
def temporary(what: str) -> Iterator[None]:
    """Raise what goes wrong inside as TemporaryError: storage that fails is always worth another try.

    Where no reply came, or the service itself failed, the write may have been done: UnansweredError.
    Answers that callers act on (409, 412, 404) are caught inside, before they get here.
    """
    from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

    try:
        yield
    except ServiceRequestError as error:
        raise TemporaryError(f"{what}: storage cannot be reached") from error
    except HttpResponseError as error:
        status = error.status_code or 0
        word = UnansweredError if status == 0 or status >= 500 else TemporaryError
        raise word(f"{what}: storage answered {status or 'nothing usable'}") from error
    except AzureError as error:
        raise UnansweredError(f"{what}: no answer from storage") from error
