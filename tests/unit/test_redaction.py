"""What is kept of what somebody else said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.redaction import LONGEST_TEXT, redacted, tidy

ANY_TEXT = st.lists(st.text() | st.sampled_from(["\ud800", "\udfff"])).map("".join)
"""Halves of surrogate pairs included."""


@pytest.mark.guarantee(6)
@given(ANY_TEXT)
def test_what_is_kept_can_be_written(text: str) -> None:
    """Whatever was said, what is kept of it is one short line that UTF-8 can write."""
    kept = tidy(text)
    assert len(kept) <= LONGEST_TEXT
    assert "\n" not in kept
    assert kept.encode("utf-8").decode() == kept
    assert redacted(text).encode("utf-8") is not None


@pytest.mark.guarantee(6)
@pytest.mark.parametrize(
    "text",
    [
        "https://a.blob.core.windows.net/c/b?sv=1&sig=CANARY",
        "sig=CANARY&se=2026",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=CANARY==;",
        'the password: "CANARY"',
        "Authorization: Bearer CANARY-CANARY",
        "eyJhbGciOiJub25lIn0.CANARY.x",
        "https%3A%2F%2Fa.blob.core.windows.net%2Fc%2Fb%3Fsv%3D1%26sig%3DCANARY%26se%3D2026",
        "https%3a%2f%2fa.blob.core.windows.net%2fc%3fsig%3dCANARY",
        "https%253A%252F%252Fa.blob.core.windows.net%252Fc%253Fsv%253D1%2526sig%253DCANARY",
        "projects/import?token%3DCANARY",
        "Authorization: Bearer%20CANARY-CANARY",
    ],
)
def test_no_secret_is_kept(text: str) -> None:
    """SAS, keys, passwords and tokens are taken out of what was said, percent-encoded ones too."""
    assert "CANARY" not in tidy(f"it failed: {text}")


@pytest.mark.parametrize("text", ["100%3D of it", "design%3Dflat", "no%20basic%20training", "the sig%20 of it"])
def test_what_is_no_secret_stays(text: str) -> None:
    """Percent signs alone hide nothing."""
    assert tidy(f"it failed: {text}") == f"it failed: {text}"
