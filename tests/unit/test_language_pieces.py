"""What arrived of a Language project that was imported, compared piece by piece with what was sent."""

import copy
from typing import Any

import pytest

from shared.handlers.language.pieces import unlike

READ = {"text": "read it", "intent": "Read", "entities": [{"category": "Contact", "offset": 0, "length": 4}]}
SEND = {"text": "send it", "intent": "Send", "language": "en-us", "dataset": "Test"}


def project(*utterances: dict[str, Any], settings: Any = None, **assets: Any) -> dict[str, Any]:
    """Write an exported project."""
    inner = {"projectKind": "Conversation", "intents": [{"category": "Read"}], "entities": [], **assets}
    metadata = {"projectName": "M", "language": "en-us", "settings": settings or {}}
    return {"projectFileVersion": "2023-04-01", "metadata": metadata, "assets": {**inner, "utterances": [*utterances]}}


def test_another_spelling_is_no_difference() -> None:
    """Order, what is as good as absent, and the default language and set."""
    spelled = project({**SEND, "entities": None}, {**READ, "dataset": "Train", "language": "en-US"})
    assert not unlike(project(READ, SEND), spelled | {"projectFileVersion": "2025-11-01"})


def test_the_intent_that_each_project_has_is_no_difference() -> None:
    """It is said that it was added; one that has more to it is another."""
    intents = [{"category": "Read"}, {"category": "None"}]
    added = unlike(project(READ), project(READ, intents=intents))
    assert (bool(added), added.added) == (False, "the intent None")
    assert unlike(project(READ, intents=intents), project(READ)).lacking == 'intents: {"category":"None"}'
    assert unlike(project(READ), project(READ, intents=[*intents[:1], {"category": "None", "note": "x"}])).foreign


def test_what_lacks_is_named() -> None:
    """Each piece as often as it was sent; the first few are named."""
    assert unlike(project(READ, SEND), project(SEND)).lacking.startswith("utterances: {")
    assert unlike(project(READ, READ), project(READ)).lacking
    many = unlike(project(*({**SEND, "text": f"send {at}"} for at in range(9))), project())
    assert many.lacking.endswith("and 6 more")
    assert many.foreign == ""


@pytest.mark.parametrize(
    "change",
    [{"text": "burn it"}, {"intent": "Send"}, {"entities": []}, {"dataset": "Test"}, {"language": "ko"}, {"new": 1}],
)
def test_an_utterance_that_is_another_is_foreign(change: dict[str, Any]) -> None:
    """Though there are as many of everything."""
    found = unlike(project(READ, SEND), project(READ | change, SEND))
    assert found
    assert found.foreign.startswith("utterances: ")


def test_the_rest_of_a_project_counts() -> None:
    """Its settings, its kind, and what nobody knows of yet."""
    assert unlike(project(READ), project(READ, settings={"confidenceThreshold": 0.7})).foreign.startswith("metadata.")
    assert unlike(project(READ), project(READ, projectKind="Orchestration")).foreign.startswith("assets.projectKind")
    changed = copy.deepcopy(project(READ)) | {"stringIndexType": "Utf16CodeUnit"}
    assert unlike(project(READ), changed).foreign == 'stringIndexType: "Utf16CodeUnit"'
