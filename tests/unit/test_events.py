"""What makes two messages the same event."""

import json

import pytest

from shared import parse
from shared.events import Event, digest, with_times_in_one_spelling, without_url_queries


def drift(**changes: object) -> Event:
    """Read a drift event with its data changed."""
    data = {"DataDriftId": "d", "DataDriftName": "m", "RunId": "r", "StartTime": "2026-03-02T08:15:04.1000000Z"}
    event = {
        "id": "1",
        "topic": "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/W",
        "subject": "datadrift/d/run/r",
        "eventType": "Microsoft.MachineLearningServices.DatasetDriftDetected",
        "eventTime": "2026-03-02T08:15:04Z",
        "data": data | changes,
    }
    return parse.event_grid(json.dumps(event))


@pytest.mark.guarantee(3)
@pytest.mark.parametrize(
    "spelling", ["2026-03-02T08:15:04.1Z", "2026-03-02T08:15:04.100+00:00", "2026-03-02T17:15:04.1+09:00"]
)
def test_a_time_spelled_otherwise_is_the_same_event(spelling: str) -> None:
    """The Functions host's Event Grid endpoint rewrites times; through a queue the same event keeps its key."""
    assert drift(StartTime=spelling).key == drift().key


def test_another_time_is_another_event() -> None:
    """Only the spelling of a time is left out of account."""
    assert drift(StartTime="2026-03-02T08:15:05.1Z").key != drift().key


def test_a_fresh_sas_is_the_same_event() -> None:
    """URL queries do not count: a redelivered link may carry another signature."""
    one = drift(BaseDatasetId="https://acct.blob.core.windows.net/c/b?sig=a")
    two = drift(BaseDatasetId="https://acct.blob.core.windows.net/c/b?sig=b")
    assert one.key == two.key


def test_what_only_looks_like_a_time_stays() -> None:
    """A text that is no time is left as it is."""
    assert with_times_in_one_spelling({"a": ["2026-13-02T08:15:04Z", "x"]}) == {"a": ["2026-13-02T08:15:04Z", "x"]}


@pytest.mark.guarantee(6)
def test_queries_are_removed_wherever_they_stand() -> None:
    """A SAS is removed from any string of a value, however deep, and the words around it stay."""
    value = {"a": [{"b": 'see "https://x.example/y?sig=SECRET&se=1" now'}], "c": "a ? b"}
    assert without_url_queries(value) == {"a": [{"b": 'see "https://x.example/y" now'}], "c": "a ? b"}


def test_a_digest_keeps_its_parts_apart() -> None:
    """Parts are not run together: ("a", "b") and ("ab", "") differ, and both fit a table key."""
    assert digest("a", "b") != digest("ab", "")
    assert len(digest("a")) == 32
