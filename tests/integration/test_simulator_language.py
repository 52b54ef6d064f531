"""The simulator of Language at the wire: imports, trainings, deployments, predictions and what they refuse.

https://learn.microsoft.com/rest/api/language/conversational-analysis-authoring
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from dev.simulators.language.samples import exported
from dev.simulators.remote import Simulators
from tests.integration.language_wire import PROJECT, TRAINING, Wire

AT = "/projects/EmailApp"
QUICK = {"job_seconds": 0.0, "train_seconds": 0.0}


@pytest.fixture
def wire(simulators: Simulators) -> Wire:
    """Give a resource whose jobs take no time."""
    simulators.language.seed(settings=QUICK)
    return Wire(simulators.language)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Give the sample with a change."""
    content = exported()
    change(content)
    return content


def in_unit(unit: str | None) -> Callable[[dict[str, Any]], object]:
    """Give the change of the unit of all offsets."""
    return lambda content: content.update(stringIndexType=unit)


def utterance(**members: Any) -> Callable[[dict[str, Any]], object]:
    """Give the change of the first utterance."""
    return lambda content: content["assets"]["utterances"][0].update(members)


@pytest.mark.parametrize(
    ("change", "target", "said"),
    [
        (lambda one: one["metadata"].update(projectName="emailapp"), "metadata.projectName", "case-sensitive"),
        (lambda one: one["metadata"].pop("projectName"), "metadata.projectName", "None"),
        (lambda one: one["metadata"].update(projectKind="Orchestration"), "metadata.projectKind", "Orchestration"),
        (lambda one: one["assets"].update(projectKind="Orchestration"), "assets.projectKind", "another kind"),
        (lambda one: one["metadata"].update(language="klingon"), "metadata.language", "klingon"),
        (lambda one: one["metadata"].update(multilingual="yes"), "metadata.multilingual", "neither"),
        (lambda one: one["metadata"].update(settings={"confidenceThreshold": 2}),
         "metadata.settings.confidenceThreshold", "between 0 and 1"),
        (utterance(text="x" * 501), "assets.utterances[0].text", "at most 500"),
        (utterance(intent="Fly"), "assets.utterances[0].intent", "no intent of this project"),
        (utterance(language="xx"), "assets.utterances[0].language", "xx"),
        (utterance(dataset="Maybe"), "assets.utterances[0].dataset", "Maybe"),
        (utterance(entities=[{"category": "Nobody", "offset": 0, "length": 4}]),
         "assets.utterances[0].entities[0].category", "no entity"),
        (utterance(entities=[{"category": "Contact", "offset": 26, "length": 4}]),
         "assets.utterances[0].entities[0]", "not within the text"),
        (utterance(entities=[{"category": "Contact", "offset": 0, "length": 0}]),
         "assets.utterances[0].entities[0]", "not within the text"),
        (utterance(text="📧 read", entities=[{"category": "Contact", "offset": 1, "length": 2}]),
         "assets.utterances[0].entities[0]", "not within the text"),
        (utterance(entities="none"), "assets.utterances[0].entities", "list of objects"),
        (lambda one: one["assets"]["intents"].append({"category": "Read"}), "assets.intents[4].category", "already"),
        (lambda one: one["assets"]["intents"].append({"category": "A/B"}), "assets.intents[4].category", "valid name"),
        (lambda one: one["assets"]["intents"].extend({"category": f"i{n}"} for n in range(500)),
         "assets.intents", "500"),
        (lambda one: one["assets"]["utterances"].append(one["assets"]["utterances"][0]),
         "assets.utterances[24].text", "already"),
        (lambda one: one["assets"]["entities"][0].update(regex={"expressions": [{"regexPattern": "("}]}),
         "assets.entities[0].regex.expressions[0]", "regexPattern"),
        (lambda one: one["assets"]["entities"][1]["list"]["sublists"][0].pop("listKey"),
         "assets.entities[1].list.sublists[0]", "listKey"),
    ],
)  # fmt: skip
def test_an_import_is_checked_to_the_last_offset(
    wire: Wire, change: Callable[[dict[str, Any]], object], target: str, said: str
) -> None:
    """What is wrong is refused with its place, and nothing is there afterwards."""
    error = wire.refused(400, "POST", AT + "/:import", changed(change))
    assert (error["code"], error["innererror"]["code"]) == ("InvalidArgument", "InvalidParameterValue")
    assert target in [one["target"] for one in error["details"]]
    assert said in next(one["message"] for one in error["details"] if one["target"] == target)
    assert wire.at.state() == {"projects": [], "jobs": []}


def test_a_body_that_cannot_be_read_is_said_to_be_that(wire: Wire) -> None:
    """No JSON, a list, a missing part, a unit that this version does not know: InvalidRequestBodyFormat."""
    bodies: list[Any] = [[], {}, changed(lambda one: one.pop("assets"))]
    bodies += [changed(unit) for unit in (in_unit("Utf32CodeUnit"), in_unit(None))]
    bodies.append(changed(lambda one: one["assets"].update(utterances={"text": "no list"})))
    for body in bodies:
        error = wire.refused(400, "POST", AT + "/:import", body)
        assert (error["message"], error["innererror"]["code"]) == (
            "Failed to parse the input.",
            "InvalidRequestBodyFormat",
        )
    newer = Wire(wire.at, "2025-11-01")
    assert newer.begin("POST", AT + "/:import", changed(lambda one: one.update(stringIndexType="Utf16CodeUnit")))


def test_offsets_come_and_go_in_the_unit_that_is_asked_for(wire: Wire) -> None:
    """An emoji counts two in UTF-16, one in code points, four in UTF-8; Korean one, one and three."""
    text = "📧 메일을 김민수에게"
    content = changed(utterance(text=text, entities=[{"category": "Contact", "offset": 7, "length": 3}]))
    assert wire.done("POST", AT + "/:import", content)["status"] == "succeeded"
    newer = Wire(wire.at, "2025-11-01")
    for unit, place in {"Utf16CodeUnit": (7, 3), "Utf32CodeUnit": (6, 3), "Utf8CodeUnit": (15, 9)}.items():
        job = newer.done("POST", AT + "/:export", stringIndexType=unit)
        found = newer.get(job["resultUrl"])
        assert (found["stringIndexType"], found["projectFileVersion"]) == (unit, "2025-11-01")
        [entity] = found["assets"]["utterances"][0]["entities"]
        assert (entity["category"], entity["offset"], entity["length"]) == ("Contact", *place)
    wire.refused(400, "POST", AT + "/:export", stringIndexType="Utf8CodeUnit")
    wire.refused(400, "POST", AT + "/:export")
    wire.done("POST", AT + "/:train", {**TRAINING, "trainingMode": "advanced"})
    wire.done("PUT", AT + "/deployments/production", {"trainedModelLabel": "v1"})
    asked = "👍🏽🇰🇷 김민수에게 📧"
    for unit, place in {"Utf16CodeUnit": (9, 3), "UnicodeCodePoint": (5, 3), "TextElements_v8": (3, 3)}.items():
        [entity] = wire.guess(asked, unit=unit)["entities"]
        assert (entity["text"], entity["offset"], entity["length"]) == ("김민수", *place)


def test_an_import_replaces_the_working_copy_and_leaves_what_is_served(wire: Wire) -> None:
    """Models and deployments stay until they are trained and deployed again; the details are the new ones."""
    wire.at.seed(projects=[{**PROJECT, "models": ["v1"], "deployments": {"production": "v1"}}])
    before = wire.get(AT)
    served = wire.guess("read mail")
    wire.done("POST", AT + "/:import", exported())
    after = wire.get(AT)
    assert (after["multilingual"], after["createdDateTime"]) == (True, before["createdDateTime"])
    assert after["lastModifiedDateTime"] > before["lastModifiedDateTime"]
    assert wire.guess("read mail") == served
    assert wire.guess("메일을 읽어 줘")["topIntent"] == "None"
    wire.done("POST", AT + "/:train", {**TRAINING, "trainingMode": "advanced"})
    assert wire.guess("메일을 읽어 줘")["topIntent"] == "None", "a label that is trained again is not deployed by that"
    wire.done("PUT", AT + "/deployments/production", {"trainedModelLabel": "v1"})
    assert wire.guess("메일을 읽어 줘")["topIntent"] == "Read"
    assert [one["label"] for one in wire.get(AT + "/models")["value"]] == ["v1"]


def test_an_export_is_of_a_snapshot_or_of_the_working_copy(wire: Wire) -> None:
    """What was edited after a training is in the one and not in the other; a model without a snapshot has none."""
    wire.at.seed(projects=[{**PROJECT, "models": ["v1", {"label": "old", "snapshot": False}]}])
    wire.at.seed(edits=[{"project": "EmailApp", "utterances": [{"text": "burn it", "intent": "Delete"}]}])
    texts = {}
    for label in ("", "v1"):
        job = wire.done("POST", AT + "/:export", stringIndexType="Utf16CodeUnit", trainedModelLabel=label)
        assets = wire.get(job["resultUrl"])["assets"]
        texts[label] = [one["text"] for one in assets["utterances"]]
        assert ("Delete" in [one["category"] for one in assets["intents"]]) is (label == "")
    assert [*texts["v1"], "burn it"] == texts[""]
    for label, status in {"old": 400, "nobody": 404}.items():
        wire.refused(status, "POST", AT + "/:export", stringIndexType="Utf16CodeUnit", trainedModelLabel=label)
    job = wire.done("POST", AT + "/:export", stringIndexType="Utf16CodeUnit")
    stranger = Wire(wire.at, **{"Ocp-Apim-Subscription-Key": "wrong"})
    assert stranger.refused(401, "GET", job["resultUrl"])["code"] == "401"
    wire.at.seed(settings={"shuffled": True})
    shuffled = wire.get(wire.done("POST", AT + "/:export", stringIndexType="Utf16CodeUnit")["resultUrl"])
    assert [one["text"] for one in shuffled["assets"]["utterances"]] == texts[""][::-1]


def test_a_training_is_refused_for_what_it_asks(wire: Wire) -> None:
    """Another mode, another version, a split that does not add up, nothing to learn, and standard where not English."""
    wire.at.seed(
        projects=[
            PROJECT,
            {"name": "Empty"},
            {"exported": exported("Many")},
            {**PROJECT, "name": "Ko", "language": "ko"},
        ]
    )
    at = AT + "/:train"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"trainingMode": "fast"}, "trainingMode"),
        ({"trainingConfigVersion": "1999-01-01"}, "trainingConfigVersion"),
        ({"evaluationOptions": {"kind": "percentage", "trainingSplitPercentage": 80, "testingSplitPercentage": 30}},
         "evaluationOptions"),
        ({"evaluationOptions": {"kind": "manual", "trainingSplitPercentage": 80}}, "evaluationOptions"),
        ({"evaluationOptions": {"kind": "best"}}, "evaluationOptions.kind"),
        ({"modelLabel": "a b"}, "modelLabel"),
    ]  # fmt: skip
    for change, target in changes:
        error = wire.refused(400, "POST", at, {**TRAINING, **change})
        assert (error["code"], error["target"]) == ("InvalidArgument", target)
    wire.refused(400, "POST", at, {"modelLabel": "v1"})
    assert wire.refused(400, "POST", "/projects/Empty/:train", TRAINING)["target"] == "utterances"
    for name in ("Many", "Ko"):
        assert "English only" in wire.refused(400, "POST", f"/projects/{name}/:train", TRAINING)["message"]
        assert wire.begin("POST", f"/projects/{name}/:train", {**TRAINING, "trainingMode": "advanced"})
    wire.at.seed(
        settings={"config_versions": [{"trainingConfigVersion": "2022-09-01", "modelExpirationDate": "2025-08-26"}]}
    )
    assert "has expired" in wire.refused(400, "POST", at, TRAINING)["message"]


def test_the_evaluation_is_measured_on_what_was_not_trained_with(wire: Wire) -> None:
    """The same utterances have the same evaluation; more of them another one; without a test set there is none."""
    at = AT + "/models/v1/evaluation"
    wire.at.seed(projects=[{"exported": exported()}])
    training = {**TRAINING, "trainingMode": "advanced"}
    found = []
    for _ in range(2):
        wire.done("POST", AT + "/:train", training)
        found.append(wire.get(at + "/summary-result"))
    assert found[0] == found[1]
    intents, entities = found[0]["intentsEvaluation"], found[0]["entitiesEvaluation"]
    assert sum(sum(cell["rawValue"] for cell in row.values()) for row in intents["confusionMatrix"].values()) == 6
    for part in (intents, entities):
        kind = part["intents"] if "intents" in part else part["entities"]
        assert part["macroF1"] == pytest.approx(sum(one["f1"] for one in kind.values()) / len(kind), abs=1e-5)
    assert entities["entities"]["Contact"]["falseNegativeCount"] >= 0
    results = wire.get(at + "/result", stringIndexType="Utf16CodeUnit")["value"]
    right = sum(one["intentsResult"]["expectedIntent"] == one["intentsResult"]["predictedIntent"] for one in results)
    assert right == sum(one["truePositiveCount"] for one in intents["intents"].values())
    more = [{"text": "qwerty", "intent": "Read", "dataset": "Test"}]
    wire.at.seed(edits=[{"project": "EmailApp", "utterances": more}])
    wire.done("POST", AT + "/:train", training)
    worse = wire.get(at + "/summary-result")["intentsEvaluation"]
    assert worse["macroF1"] < intents["macroF1"]
    wire.done("POST", AT + "/:train", {**training, "evaluationOptions": {"kind": "percentage"}})
    options = wire.get(at + "/summary-result")["evaluationOptions"]
    assert options == {"kind": "percentage", "trainingSplitPercentage": 80, "testingSplitPercentage": 20}
    wire.at.seed(settings={"evaluation": {"intents": {"macroF1": 0.25}}})
    wire.done("POST", AT + "/:train", training)
    assert wire.get(at + "/summary-result")["intentsEvaluation"] == {**worse, "macroF1": 0.25}
    wire.at.seed(edits=[{"project": "EmailApp", "forget": [one["text"] for one in results] + ["qwerty"]}])
    wire.done("POST", AT + "/:train", training)
    wire.refused(404, "GET", at + "/summary-result")


def test_ten_models_and_ten_deployments_are_the_most(wire: Wire) -> None:
    """The eleventh of each is refused, until one is deleted; a deployed model is not deleted."""
    wire.at.seed(projects=[{
        **PROJECT, "models": [f"v{n}" for n in range(10)], "deployments": {f"d{n}": "v0" for n in range(10)},
    }])  # fmt: skip
    refused = wire.refused(400, "POST", AT + "/:train", {**TRAINING, "modelLabel": "v10"})
    assert refused["code"] == "QuotaExceeded"
    assert wire.done("POST", AT + "/:train", {**TRAINING, "modelLabel": "v9"})["status"] == "succeeded"
    assert wire.call("DELETE", AT + "/models/v0").status_code == 409
    assert wire.call("DELETE", AT + "/models/v9").status_code == 204
    wire.begin("POST", AT + "/:train", {**TRAINING, "modelLabel": "v10"})
    put = AT + "/deployments/d10", {"trainedModelLabel": "v0"}
    assert wire.refused(400, "PUT", *put)["code"] == "QuotaExceeded"
    assert wire.done("PUT", AT + "/deployments/d9", {"trainedModelLabel": "v1"})["status"] == "succeeded"
    wire.done("DELETE", AT + "/deployments/d0")
    assert wire.done("PUT", *put)["status"] == "succeeded"
    assert (
        wire.refused(400, "PUT", AT + "/deployments/d1", {"trainedModelLabel": "nobody"})["target"]
        == "trainedModelLabel"
    )


def test_a_deployment_serves_what_it_served_until_its_job_has_succeeded(wire: Wire) -> None:
    """While a deployment runs, and after one that failed, the former model answers; a swap is done once."""
    wire.at.seed(projects=[{**PROJECT, "models": ["v1"], "deployments": {"production": "v1"}}])
    wire.at.seed(edits=[{"project": "EmailApp", "utterances": [{"text": "burn it", "intent": "Delete"}]}])
    wire.done("POST", AT + "/:train", {**TRAINING, "modelLabel": "v2"})
    assert wire.guess("burn it")["topIntent"] == "None"
    wire.at.seed(settings={"job_seconds": 0.3, "outcomes": {"deploy": ["failed"]}})
    url = wire.begin("PUT", AT + "/deployments/production", {"trainedModelLabel": "v2"})
    conflict = wire.refused(409, "PUT", AT + "/deployments/production", {"trainedModelLabel": "v1"})
    assert conflict["code"] == "Conflict"
    wire.at.until(lambda state: state["jobs"][-1]["status"] == "failed")
    assert wire.get(url)["errors"][0]["code"] == "InternalServerError"
    assert wire.guess("burn it")["topIntent"] == "None"
    wire.at.seed(settings={"job_seconds": 0.0})
    wire.done("PUT", AT + "/deployments/production-next", {"trainedModelLabel": "v2"})
    assert wire.guess("burn it", deployment="production-next")["topIntent"] == "Delete"
    names = {"firstDeploymentName": "production", "secondDeploymentName": "production-next"}
    wire.refused(404, "POST", AT + "/deployments/:swap", {**names, "secondDeploymentName": "nobody"})
    wire.refused(400, "POST", AT + "/deployments/:swap", {**names, "secondDeploymentName": "production"})
    wire.done("POST", AT + "/deployments/:swap", names)
    assert wire.guess("burn it")["topIntent"] == "Delete"
    assert wire.guess("burn it", deployment="production-next")["topIntent"] == "None"
    wire.at.seed(settings={"job_seconds": 10})
    wire.begin("POST", AT + "/deployments/:swap", names)
    assert wire.guess("burn it")["topIntent"] == "Delete", "a swap is done at the end of its job"
    wire.refused(409, "POST", AT + "/deployments/:swap", names)
    wire.refused(409, "DELETE", AT + "/deployments/production-next")
    wire.at.seed(settings={"clock_seconds": 11})
    assert wire.guess("burn it")["topIntent"] == "None"


def test_what_is_not_there_is_a_404_of_the_nested_kind(wire: Wire) -> None:
    """Project (by its exact name), job, model, deployment, path, version; a prediction through any of them too."""
    wire.at.seed(projects=[PROJECT])
    for path, code in {
        "/projects/emailapp": "ProjectNotFound",
        AT + "/train/jobs/1_2": "OperationNotFound",
        AT + "/models/v1": "NotFound",
        AT + "/deployments/production": "NotFound",
        AT + "/nothing": "NotFound",
    }.items():
        assert wire.refused(404, "GET", path)["code"] == code
    wire.refused(404, "POST", "/projects/emailapp/:train", TRAINING)
    wire.refused(404, "DELETE", "/projects/emailapp")
    assert wire.ask("read").status_code == 404
    Wire(wire.at, "2022-01-01").refused(404, "GET", AT)
    Wire(wire.at, "").refused(400, "GET", AT)
    job = wire.done("POST", AT + "/:export", stringIndexType="Utf16CodeUnit")
    wire.refused(404, "GET", AT + f"/import/jobs/{job['jobId']}")


def test_a_listing_gives_pages(wire: Wire) -> None:
    """`nextLink` leads to the rest; `top` and `skip` choose."""
    wire.at.seed(projects=[{**PROJECT, "name": f"p{n}"} for n in range(5)], settings={"page_size": 2})
    names, url = [], "/projects"
    while url:
        page = wire.get(url)
        names += [one["projectName"] for one in page["value"]]
        url = page.get("nextLink", "")
    assert names == [f"p{n}" for n in range(5)]
    chosen = wire.get("/projects", top="1", skip="3")
    assert [one["projectName"] for one in chosen["value"]] == ["p3"]
    assert "nextLink" not in chosen
    wire.refused(400, "GET", "/projects", top="many")


def test_a_project_is_made_and_changed_but_not_turned_into_another(wire: Wire) -> None:
    """PATCH makes one with 201, changes its description with 200, and refuses another language or a wrong body."""
    made = {"projectName": "New", "projectKind": "Conversation", "language": "en"}
    assert wire.call("PATCH", "/projects/New", made).status_code == 201
    again = wire.call("PATCH", "/projects/New", {**made, "description": "mine"})
    assert (again.status_code, again.json()["description"]) == (200, "mine")
    assert wire.refused(400, "PATCH", "/projects/New", {**made, "language": "ko"})["target"] == "language"
    assert wire.refused(400, "PATCH", "/projects/Other", made)["target"] == "projectName"
    assert wire.refused(400, "PATCH", "/projects/a b", {**made, "projectName": "a b"})["target"] == "projectName"
    wire.done("DELETE", "/projects/New")
    wire.refused(404, "GET", "/projects/New")


def test_a_prediction_is_refused_for_what_it_asks(wire: Wire) -> None:
    """No project, another unit, a text that is too long, an expired deployment: 400 with the member."""
    wire.at.seed(projects=[{**PROJECT, "models": ["v1"], "deployments": {"production": "v1"}}])
    assert wire.ask("x" * 1001).json()["error"]["target"].endswith("conversationItem.text")
    assert wire.ask("read", unit="Utf8CodeUnit").json()["error"]["target"] == "parameters.stringIndexType"
    assert wire.ask("").json()["error"]["details"][0]["target"].endswith("conversationItem.text")
    wire.at.seed(settings={"predictions": [{"category": "Send", "confidenceScore": 0.9}]})
    assert wire.guess("read mail")["topIntent"] == "Send"
    wire.at.seed(deployments=[{"project": "EmailApp", "name": "old", "model": "v1", "expires": "2026-01-01"}])
    assert "has expired" in wire.ask("read mail", deployment="old").json()["error"]["message"]


def test_entities_are_found_by_their_words_lists_and_patterns(wire: Wire) -> None:
    """What was labelled, what a list has, what a pattern matches: the longest of two, and not within a word."""
    folder = {"listKey": "inbox", "synonyms": [{"language": "en", "values": ["inbox", "main inbox"]}]}
    number = {"regexKey": "order", "language": "en", "regexPattern": r"#\d+"}
    entities = [
        {"category": "Folder", "list": {"sublists": [folder]}},
        {"category": "Order", "regex": {"expressions": [number]}},
    ]
    kim = {"text": "mail of Kim", "intent": "Read", "entities": [{"category": "Contact", "offset": 8, "length": 3}]}
    wire.at.seed(projects=[{
        **PROJECT, "entities": entities, "utterances": [*PROJECT["utterances"], {**kim, "dataset": "Train"}],
        "models": [{"label": "v1", "evaluationOptions": {"kind": "manual"}}], "deployments": {"production": "v1"},
    }])  # fmt: skip
    found = wire.guess("read #17 of kim, not of akim, in my Main Inbox")["entities"]
    assert [(one["category"], one["text"]) for one in found] == [
        ("Order", "#17"), ("Contact", "kim"), ("Folder", "Main Inbox"),
    ]  # fmt: skip
    assert found[0]["extraInformation"][0]["extraInformationKind"] == "RegexKey"
    assert found[2]["extraInformation"] == [{"extraInformationKind": "ListKey", "key": "inbox"}]


def test_the_newer_version_tells_of_assigned_resources(wire: Wire) -> None:
    """2025-11-01 takes and shows the ids of resources; the older version knows nothing of them."""
    wire.at.seed(projects=[{**PROJECT, "models": ["v1"]}])
    newer, id = Wire(wire.at, "2025-11-01"), "/subscriptions/s/resourceGroups/r/providers/p/accounts/x"
    newer.done("PUT", AT + "/deployments/production", {"trainedModelLabel": "v1", "azureResourceIds": [id]})
    [assigned] = newer.get(AT + "/deployments/production")["assignedResources"]
    assert assigned["azureResourceId"] == id
    assert "assignedResources" not in wire.get(AT + "/deployments/production")
    newer.refused(400, "PUT", AT + "/deployments/d", {"trainedModelLabel": "v1", "azureResourceIds": "x"})


def test_a_seed_that_is_not_understood_is_refused(wire: Wire) -> None:
    """An unknown member, setting or kind of job, and a project that could not be imported, are told by their names."""
    seeds: list[tuple[dict[str, Any], str]] = [
        ({"project": []}, "project"),
        ({"settings": {"tier": "F0"}}, "tier"),
        ({"settings": {"outcomes": {"fly": "failed"}}}, "fly"),
        ({"settings": {"cut_off": "maybe"}}, "cut_off"),
        ({"projects": [{"name": "a b"}]}, "a b"),
        ({"projects": [{**PROJECT, "tags": []}]}, "tags"),
        ({"projects": [{**PROJECT, "deployments": {"production": "v1"}}]}, "v1"),
    ]
    for seed, said in seeds:
        with pytest.raises(AssertionError, match=said):
            wire.at.seed(**copy.deepcopy(seed))
    assert wire.at.state()["projects"] == []
