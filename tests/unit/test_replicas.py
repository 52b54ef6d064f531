"""Two regions of a Language project: what counts as the same content, and in what a secondary differs."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedError
from shared.language_content import canonical, fingerprint, sizes
from shared.replicas import Difference, Kept, Options, Shown, Trained, Wanted, doubtful, standing
from shared.rules.declared import LanguageProject

NOW, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
OPTIONS = Options(mode="advanced")
CONTACT = {"category": "Contact", "offset": 0, "length": 4}


def project(**changes: Any) -> dict[str, Any]:
    """Write an exported project."""
    return {
        "projectFileVersion": "2023-04-01",
        "stringIndexType": "Utf16CodeUnit",
        "metadata": {"projectName": "M", "language": "en-us", "multilingual": False, "settings": {}},
        "assets": {
            "projectKind": "Conversation",
            "intents": [{"category": "Read"}, {"category": "Send"}],
            "entities": [{"category": "Contact"}],
            "utterances": [
                {
                    "text": "read it 📧",
                    "intent": "Read",
                    "entities": [{"category": "Contact", "offset": 0, "length": 4}],
                },
                {"text": "보내", "intent": "Send", "language": "ko", "dataset": "Test", "entities": []},
            ],
        },
        **changes,
    }


def assets(**changes: Any) -> dict[str, Any]:
    """Write a project of other assets."""
    return project(assets=project()["assets"] | changes)


def metadata(**changes: Any) -> dict[str, Any]:
    """Write a project of other metadata."""
    return project(metadata=project()["metadata"] | changes)


# -- canonical --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        project(projectFileVersion="2025-11-01"),
        project(assets=dict(reversed(project()["assets"].items()))),
        metadata(description="what it is for"),
        metadata(storageInputContainerName="somewhere"),
        metadata(settings=None, language="en-US"),
        metadata(settings={"confidenceThreshold": 0}),
        metadata(settings={"confidenceThreshold": 0.0, "somethingNew": None}),
        assets(
            utterances=[
                project()["assets"]["utterances"][1],
                project()["assets"]["utterances"][0] | {"entities": [CONTACT | {"offset": 0.0, "length": 4.0}]},
            ]
        ),
        assets(intents=list(reversed(project()["assets"]["intents"]))),
        assets(utterances=list(reversed(project()["assets"]["utterances"]))),
        assets(entities=[{"category": "Contact", "description": "", "prebuilts": [], "list": None}]),
        assets(
            utterances=[
                {**project()["assets"]["utterances"][0], "language": "en-US", "dataset": "Train"},
                project()["assets"]["utterances"][1],
            ]
        ),
        {**project(), "assets": {**project()["assets"], "somethingNew": []}},
    ],
)
def test_what_says_the_same_is_the_same(other: dict[str, Any]) -> None:
    """Order, absent defaults, and what an import or another version of the API rewrites do not count."""
    assert fingerprint(other) == fingerprint(project()) == fingerprint(json.dumps(project()).encode())


@pytest.mark.parametrize(
    "other",
    [
        project(stringIndexType="Utf32CodeUnit"),
        metadata(projectName="m"),
        metadata(language="ko"),
        metadata(multilingual=True),
        metadata(settings={"confidenceThreshold": 0.5}),
        metadata(settings={"confidenceThreshold": 1.0}),
        metadata(settings={"somethingNew": 0}),
        assets(intents=[{"category": "Read"}]),
        assets(intents=[{"category": "Read", "description": "of mail"}, {"category": "Send"}]),
        assets(entities=[{"category": "Contact", "somethingNew": 1}]),
        assets(utterances=project()["assets"]["utterances"][:1]),
        assets(utterances=[*project()["assets"]["utterances"], project()["assets"]["utterances"][0]]),
        assets(
            utterances=[
                {**project()["assets"]["utterances"][0], "dataset": "Test"},
                project()["assets"]["utterances"][1],
            ]
        ),
        assets(
            utterances=[{**project()["assets"]["utterances"][0], "entities": []}, project()["assets"]["utterances"][1]]
        ),
    ],
)
def test_what_says_something_else_is_another(other: dict[str, Any]) -> None:
    """Whatever a model would learn otherwise, and every field that nobody knows yet."""
    assert fingerprint(other) != fingerprint(project())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=3), st.randoms())
def test_order_never_counts(unknown: dict[str, Any], random: Any) -> None:
    """Whatever there is in a project: shuffled, it is the same."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(one)) for name, one in value.items()]
            random.shuffle(items)
            return dict(items)
        if isinstance(value, list):
            inner = [shuffled(one) for one in value]
            random.shuffle(inner)
            return inner
        return value

    whole = assets(unknown=[unknown])
    assert canonical(shuffled(whole)) == canonical(whole)
    assert canonical(canonical(whole)) == canonical(whole)


@pytest.mark.parametrize(
    ("exported", "field"),
    [
        (b"<html>", "JSON"),
        (b"\xff", "JSON"),
        (b"[]", "object"),
        (b"{}", "metadata"),
        (b'{"metadata": {}, "assets": 1}', "assets"),
        (b'{"metadata": {}, "assets": {"utterances": {}}}', "assets.utterances"),
        (b'{"metadata": {}, "assets": {"utterances": [1]}}', "assets.utterances"),
    ],
)
def test_what_is_no_project_is_refused(exported: bytes, field: str) -> None:
    """The error names the field."""
    with pytest.raises(MalformedError, match=field):
        fingerprint(exported)


def test_sizes_are_counted_for_people() -> None:
    """However the project is written."""
    assert str(sizes(project())) == "2 utterances with 1 label, 2 intents, 1 entity"
    assert sizes(json.dumps(project()).encode()) == sizes(project())


# -- options ----------------------------------------------------------------------------------------------------------


def test_options_are_what_the_rules_file_declares() -> None:
    """A split counts only where it is by percentage."""
    place = {"endpoint": "https://a.cognitiveservices.azure.com"}
    other = {"endpoint": "https://b.cognitiveservices.azure.com"}
    mail = {"project": "M", "primary": place, "secondary": other, "deployments": ["production"]}
    usual = Options.of(LanguageProject.model_validate(mail).training)
    manual = mail | {"training": {"evaluation": {"kind": "manual"}}}
    assert (usual.mode, usual.config_version, usual.evaluation.train, usual.evaluation.test) == (
        "advanced", "latest", 80, 20,
    )  # fmt: skip
    assert Options.of(LanguageProject.model_validate(manual).training).evaluation.train is None


# -- a training that did badly ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        ({"intents": 0.8, "primary_intents": 0.85}, ""),
        ({"intents": 0.7, "primary_intents": 0.85}, "intents is 0.700, in the primary 0.850"),
        (
            {"intents": 0.9, "primary_intents": 0.9, "entities": 0.1, "primary_entities": 0.9},
            "of its entities is 0.100",
        ),
        ({"intents": 0.9, "primary_intents": 0.9, "primary_entities": 0.9}, ""),
        ({"primary_intents": 0.9}, "no evaluation"),
        ({"intents": 0.1}, ""),
        ({}, ""),
    ],
)
def test_what_does_worse_than_the_primary(measured: dict[str, float], why: str) -> None:
    """By more than the margin, in whatever both have; where the primary has nothing there is nothing to compare."""
    told = Trained(label="v1", model="m", hash="h", left="h", options=OPTIONS, **measured).worse(0.05)
    assert why in told
    assert bool(why) == bool(told)


# -- standing ---------------------------------------------------------------------------------------------------------


def kept(**changes: Any) -> Kept:
    """Say what is remembered."""
    told = {
        "name": "mail", "project": "M", "hashes": {"v1": "one"}, "working_hash": "w", "primary_modified": NOW,
        "primary_models": {"production": "p1"}, "secondary_modified": NOW, "secondary_models": {"production": "s1"},
        "secondary_hash": "one", "training": OPTIONS, "version": "1", "replicated": NOW, "proven": NOW,
    }  # fmt: skip
    return Kept.model_validate(told | changes)


def primary(model: str = "p1", modified: datetime = NOW, hashes: dict[str, str] | None = None) -> Shown:
    """Say what the primary shows."""
    return Shown(modified, {"production": model}, hashes)


def secondary(models: dict[str, str] | None = None, modified: datetime = NOW, hash: str = "") -> Shown:
    """Say what the secondary shows."""
    return Shown(modified, {"production": "s1"} if models is None else models, {"": hash} if hash else None)


DEPLOYED = Wanted(("production",), "deployed", OPTIONS)
WORKING = Wanted(("production",), "working_copy", OPTIONS)


def test_a_secondary_that_lacks_the_project() -> None:
    """It is missing, or was never replicated; nothing else is told then."""
    assert [one.reason for one in standing(kept(), primary(), None, DEPLOYED)] == ["missing"]
    assert [one.reason for one in standing(None, primary(), None, DEPLOYED)] == ["missing"]
    assert [one.reason for one in standing(None, primary(), secondary(), DEPLOYED)] == ["never_replicated"]


def test_where_nothing_differs_nothing_is_exported() -> None:
    """Times and ids as they were: there is no doubt, and no difference."""
    assert doubtful(kept(), primary(), secondary(), DEPLOYED) == frozenset()
    assert standing(kept(), primary(), secondary(), DEPLOYED) == ()


def test_a_working_copy_does_not_count_where_the_deployed_is_followed() -> None:
    """Half-labelled edits in the primary are no reason to replicate; for who follows them they are a doubt."""
    assert doubtful(kept(), primary(modified=LATER), secondary(), DEPLOYED) == frozenset()
    follows = kept(follow="working_copy")
    assert doubtful(follows, primary(modified=LATER), secondary(), WORKING) == {"primary"}
    assert doubtful(follows, primary("p2"), secondary(), WORKING) == frozenset()
    assert standing(follows, primary(modified=LATER, hashes={"": "one"}), secondary(), WORKING) == ()
    (changed,) = standing(follows, primary(modified=LATER, hashes={"": "two"}), secondary(), WORKING)
    assert changed == Difference("changed", "the primary's working copy has changed")
    assert doubtful(kept(), primary(), secondary(), WORKING) == {"primary"}


def test_another_model_is_a_change_only_with_another_content() -> None:
    """A model that was trained again from the same is no reason to train the secondary again; another label is one."""
    assert doubtful(kept(), primary("p2"), secondary(), DEPLOYED) == {"primary"}
    assert standing(kept(), primary("p2", hashes={"v1": "one"}), secondary(), DEPLOYED) == ()
    for hashes in ({"v1": "two"}, {"v2": "one"}):
        (changed,) = standing(kept(), primary("p2", hashes=hashes), secondary(), DEPLOYED)
        assert changed.reason == "changed"
        assert next(iter(hashes)) in changed.details


TWO = {
    "hashes": {"v1": "one", "v2": "two"}, "labels": {"production": "v1", "staging": "v2"},
    "primary_models": {"production": "p1", "staging": "p2"}, "secondary_models": {"production": "s1", "staging": "s2"},
}  # fmt: skip
BOTH = Wanted(("production", "staging"), "deployed", OPTIONS)


def both(models: dict[str, str], labels: dict[str, str], hashes: dict[str, str] | None = None) -> Shown:
    """Say what a primary with two deployments shows."""
    return Shown(NOW, models, hashes, labels)


def test_deployments_that_exchange_their_models_are_a_change() -> None:
    """Both contents are replicated, and each is served under the other's name."""
    there = secondary({"production": "s1", "staging": "s2"})
    as_it_was = both({"production": "p1", "staging": "p2"}, {"production": "v1", "staging": "v2"})
    assert standing(kept(**TWO), as_it_was, there, BOTH) == ()
    exchanged = both({"production": "p2", "staging": "p1"}, {"production": "v2", "staging": "v1"}, {**TWO["hashes"]})
    assert doubtful(kept(**TWO), exchanged, there, BOTH) == {"primary"}
    (changed,) = standing(kept(**TWO), exchanged, there, BOTH)
    assert changed == Difference(
        "changed", "the primary serves v2 as production now; the primary serves v1 as staging now"
    )
    again = both({"production": "p3", "staging": "p2"}, {"production": "v2", "staging": "v2"}, {"v2": "two"})
    (changed,) = standing(kept(**TWO), again, there, BOTH)
    assert changed.details == "the primary serves v2 as production now"
    new = both({"production": "p3", "staging": "p2"}, {"production": "v3", "staging": "v2"}, {"v3": "three"})
    (changed,) = standing(kept(**TWO), new, there, BOTH)
    assert changed.details == "the primary serves v3, which was not replicated"


def test_a_deployment_that_the_primary_deleted_is_a_change() -> None:
    """The secondary serves what the primary does not any more; for who follows the working copy that is nothing."""
    there = secondary({"production": "s1", "staging": "s2"})
    left = both({"production": "p1"}, {"production": "v1"}, {"v1": "one"})
    assert doubtful(kept(**TWO), left, there, BOTH) == {"primary"}
    (changed,) = standing(kept(**TWO), left, there, BOTH)
    assert changed == Difference("changed", "the primary serves nothing as staging any more")
    follows = Wanted(BOTH.deployments, "working_copy", OPTIONS)
    left = both({"production": "p1"}, {"production": "v1"})
    assert standing(kept(**TWO, follow="working_copy"), left, there, follows) == ()


def test_a_secondary_that_was_edited() -> None:
    """A later time alone is a doubt; other content is an edit."""
    assert doubtful(kept(), primary(), secondary(modified=LATER), DEPLOYED) == {"secondary"}
    assert standing(kept(), primary(), secondary(modified=LATER, hash="one"), DEPLOYED) == ()
    (edited,) = standing(kept(), primary(), secondary(modified=LATER, hash="other"), DEPLOYED)
    assert edited.reason == "edited"


def test_deployments_that_are_others() -> None:
    """A missing one, and one that serves another model than was replicated, are both named."""
    wanted = Wanted(("production", "canary"), "deployed", OPTIONS)
    (one,) = standing(kept(), primary(), secondary({"production": "theirs"}), wanted)
    assert one.reason == "deployments"
    assert one.details == ("the secondary lacks canary; production serves another model there than was replicated")


def test_other_options_are_told_last() -> None:
    """What matters most comes first."""
    wanted = Wanted(("production",), "deployed", Options(mode="standard"))
    found = standing(kept(), primary("p2", hashes={"v1": "two"}), secondary({}, LATER, "other"), wanted)
    assert [one.reason for one in found] == ["changed", "edited", "deployments", "config"]


def test_what_is_remembered_is_read_again() -> None:
    """As JSON, and what is not known is no error of another version."""
    assert Kept.model_validate_json(kept().model_dump_json()) == kept()
