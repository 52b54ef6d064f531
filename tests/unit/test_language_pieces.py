"""What arrived of a Language project that was imported, compared piece by piece with what was sent."""

import copy
from typing import Any

import pytest

from shared.handlers.language.pieces import Unlike, unlike

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
    """Its settings, its kind, and what nobody knows of yet; a default that is not said is said all the same."""
    assert unlike(project(READ), project(READ, settings={"confidenceThreshold": 0.7})).foreign.startswith("metadata.")
    assert unlike(project(READ), project(READ, projectKind="Orchestration")).foreign.startswith("assets.projectKind")
    changed = copy.deepcopy(project(READ)) | {"stringIndexType": "Utf16CodeUnit"}
    assert unlike(project(READ), changed).foreign == 'stringIndexType: "Utf16CodeUnit"'


def test_what_the_service_writes_out_of_a_project_is_no_difference() -> None:
    """A default is as good as absent, 0.0 is 0, and what only the service says of the project itself is told of."""
    for sent, arrived in ((None, 0.0), (None, 0), (0, None), (0, 0.0), (1, 1.0)):
        one, other = ({} if value is None else {"confidenceThreshold": value} for value in (sent, arrived))
        assert unlike(project(READ, settings=one), project(READ, settings=other)) == Unlike()
    written = project(READ, settings={"confidenceThreshold": 0.7, "somethingNew": {"deep": [1.0]}})
    written["metadata"]["tier"] = "S"
    found = unlike(project(READ, settings={"confidenceThreshold": 0.7}), written)
    assert not found
    assert found.added == 'metadata.settings.somethingNew.deep: [1]; metadata.tier: "S"'
    assert unlike(written, project(READ, settings={"confidenceThreshold": 0.7})).lacking


@pytest.mark.parametrize("name", ["language", "multilingual"])
def test_what_was_said_of_a_project_has_to_be_what_it_was(name: str) -> None:
    """What says something where it is not said, too; and of the utterances, intents and entities all of it."""
    changed = project(READ)
    changed["metadata"][name] = {"language": "ko", "multilingual": True}[name]
    assert f"metadata.{name}" in unlike(project(READ), changed).foreign
    entities = [{"category": "Contact"}]
    spelled = [{"category": "Contact", "compositionSetting": "combineComponents"}]
    assert unlike(project(READ, entities=entities), project(READ, entities=spelled)).foreign


@pytest.mark.parametrize(
    ("arrived", "is_less"),
    [
        ([READ | {"entities": []}, SEND], True),
        ([{"text": "read it"}, SEND], True),
        ([READ | {"entities": []}], True),
        ([READ | {"entities": []}, {"text": "send it", "dataset": "Test"}], True),
        ([READ, SEND], False),
        ([READ], False),
        ([READ | {"entities": []}, READ | {"entities": []}, SEND], False),
        ([READ | {"intent": "Send"}, SEND], False),
        ([READ | {"entities": [*READ["entities"], *READ["entities"]]}, SEND], False),
        ([READ | {"entities": []}, SEND, {"text": "burn it", "intent": "Send"}], False),
        ([READ | {"text": "read"}, SEND], False),
    ],
)
def test_what_was_sent_with_something_left_out(arrived: list[dict[str, Any]], is_less: bool) -> None:  # noqa: FBT001 # a case
    """Each piece is one that was sent, of which nothing is other or new."""
    assert unlike(project(READ, SEND), project(*arrived)).is_less == is_less
