"""Microsoft's own client goes through the documented flow of conversational language understanding.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Remote, Simulators
from tests.integration.language_sdk import authoring_client, question, runtime_client

TRAINING = {
    "modelLabel": "v1",
    "trainingMode": "advanced",
    "trainingConfigVersion": "latest",
    "evaluationOptions": {"kind": "percentage", "trainingSplitPercentage": 80, "testingSplitPercentage": 20},
}


def in_service(at: Remote, content: dict[str, Any]) -> Any:
    """Import, train and deploy by the client; the client."""
    author = authoring_client(at)
    assert author.begin_import_project("EmailApp", content).result()["status"] == "succeeded"
    assert author.begin_train("EmailApp", TRAINING).result()["result"]["modelLabel"] == "v1"
    author.begin_deploy_project("EmailApp", "production", {"trainedModelLabel": "v1"}).result()
    return author


def fetched(url: str) -> dict[str, Any]:
    """Fetch what was exported, with the key, as the documents say."""
    response = requests.get(url, headers={"Ocp-Apim-Subscription-Key": KEY}, timeout=10)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_the_documented_flow_from_import_to_export(simulators: Simulators) -> None:
    """Import, train, evaluate, deploy, predict, export; then all of it in another region, from that export."""
    author, content = in_service(simulators.language, exported()), exported()
    [project] = author.list_projects()
    assert (project["projectName"], project["multilingual"], project["language"]) == ("EmailApp", True, "en-us")
    assert author.get_project("EmailApp") == project
    assert {"lastTrainedDateTime", "lastDeployedDateTime"} <= set(project)
    [model] = author.list_trained_models("EmailApp")
    assert (model["label"], model["hasSnapshot"], model["modelTrainingConfigVersion"]) == ("v1", True, "2022-09-01")
    [deployment] = author.list_deployments("EmailApp")
    assert (deployment["deploymentName"], deployment["modelId"]) == ("production", model["modelId"])
    assert author.get_deployment("EmailApp", "production") == deployment
    [job] = author.list_training_jobs("EmailApp")
    assert (job["status"], job["result"]["trainingStatus"]["percentComplete"]) == ("succeeded", 100)
    assert author.get_training_job_status("EmailApp", job["jobId"])["result"] == job["result"]
    summary = author.get_model_evaluation_summary("EmailApp", "v1")
    assert set(summary["intentsEvaluation"]["intents"]) == {"Read", "Send", "Delete"}
    assert 0.5 < summary["intentsEvaluation"]["macroF1"] <= 1
    tested = list(author.list_model_evaluation_results("EmailApp", "v1", string_index_type="Utf16CodeUnit"))
    assert len(tested) == sum(
        one["truePositiveCount"] + one["falseNegativeCount"] for one in summary["intentsEvaluation"]["intents"].values()
    )

    asked = question("📧 read the mail from Kim")
    answered = runtime_client(simulators.language).analyze_conversation(asked)["result"]
    assert (answered["prediction"]["topIntent"], answered["query"]) == ("Read", "📧 read the mail from Kim")
    [entity] = answered["prediction"]["entities"]
    assert (entity["category"], entity["text"], entity["offset"], entity["length"]) == ("Contact", "Kim", 21, 3)

    job = author.begin_export_project(
        "EmailApp", string_index_type="Utf16CodeUnit", exported_project_format="Conversation", trained_model_label="v1"
    ).result()
    taken = fetched(job["resultUrl"])
    assert taken == content
    second = in_service(simulators.language_replica, taken)
    assert second.get_model_evaluation_summary("EmailApp", "v1") == summary
    again = runtime_client(simulators.language_replica).analyze_conversation(asked)["result"]
    assert again == answered


def test_what_else_the_client_does_to_a_project(simulators: Simulators) -> None:
    """Create, swap, load a snapshot, cancel, delete: each of the client's operations is understood."""
    simulators.language.seed(settings={"job_seconds": 0.02, "train_seconds": 0.02})
    author = in_service(simulators.language, exported())
    made = author.create_project(
        "Other", {"projectName": "Other", "projectKind": "Conversation", "language": "ko", "multilingual": False}
    )
    assert (made["projectName"], made["language"]) == ("Other", "ko")
    assert [one["projectName"] for one in author.list_projects()] == ["EmailApp", "Other"]
    author.begin_train("EmailApp", {**TRAINING, "modelLabel": "v2"}).result()
    author.begin_deploy_project("EmailApp", "production-next", {"trainedModelLabel": "v2"}).result()
    before = {one["deploymentName"]: one["modelId"] for one in author.list_deployments("EmailApp")}
    names = {"firstDeploymentName": "production", "secondDeploymentName": "production-next"}
    author.begin_swap_deployments("EmailApp", names).result()
    after = {one["deploymentName"]: one["modelId"] for one in author.list_deployments("EmailApp")}
    assert after == {"production": before["production-next"], "production-next": before["production"]}
    author.begin_delete_deployment("EmailApp", "production-next").result()
    assert [one["deploymentName"] for one in author.list_deployments("EmailApp")] == ["production"]
    author.delete_trained_model("EmailApp", "v1")
    assert [one["label"] for one in author.list_trained_models("EmailApp")] == ["v2"]
    simulators.language.seed(edits=[{"project": "EmailApp", "forget": ["delete all spam"]}])
    author.begin_load_snapshot("EmailApp", "v2").result()
    [state, _] = simulators.language.state()["projects"]
    assert state["exported"]["assets"] == exported()["assets"]
    simulators.language.seed(settings={"train_seconds": 60})
    poller = author.begin_train("EmailApp", {**TRAINING, "modelLabel": "v3"}, polling=False)
    del poller
    [running] = [one for one in author.list_training_jobs("EmailApp") if one["status"] in {"notStarted", "running"}]
    assert "estimatedEndDateTime" in running["result"]
    author.begin_cancel_training_job("EmailApp", running["jobId"], polling=False)
    simulators.language.until(lambda state: state["jobs"][-1]["status"] == "cancelled")
    [version] = author.list_training_config_versions(project_kind="Conversation")
    assert version["trainingConfigVersion"] == "2022-09-01"
    assert "ko" in {one["languageCode"] for one in author.list_supported_languages(project_kind="Conversation")}
    assert [one["category"] for one in author.list_supported_prebuilt_entities(language="en")]
    author.begin_delete_project("EmailApp").result()
    with pytest.raises(ResourceNotFoundError):
        author.get_project("EmailApp")


def test_errors_reach_the_client_in_its_own_words(simulators: Simulators) -> None:
    """The nested error, the status, and a job that failed: as the client tells them."""
    author = authoring_client(simulators.language)
    with pytest.raises(HttpResponseError, match=r"(?s)InvalidArgument.*case-sensitive") as refused:
        author.begin_import_project("emailapp", exported("EmailApp"))
    assert refused.value.status_code == 400
    assert refused.value.error is not None
    assert refused.value.error.details[0].target == "metadata.projectName"
    with pytest.raises(ClientAuthenticationError):
        authoring_client(simulators.identity).get_project("EmailApp")
    author.begin_import_project("EmailApp", exported()).result()
    errors = [{"code": "InvalidArgument", "message": "The intent 'Read' has too few utterances."}]
    simulators.language.seed(settings={"outcomes": {"train": {"status": "failed", "errors": errors}}})
    with pytest.raises(HttpResponseError):
        author.begin_train("EmailApp", TRAINING).result()
    [job] = author.list_training_jobs("EmailApp")
    assert (job["status"], job["errors"]) == ("failed", errors)
    assert list(author.list_trained_models("EmailApp")) == []
    with pytest.raises(ResourceNotFoundError):
        runtime_client(simulators.language).analyze_conversation(question("read"))


def test_a_token_of_its_own_audience_gets_in(simulators: Simulators) -> None:
    """The client asks the managed identity for a token, and a reader may export but not import."""
    simulators.language.seed(projects=[{"exported": exported()}], settings={"token_role": "reader"})
    author = authoring_client(simulators.language, ManagedIdentityCredential())
    job = author.begin_export_project("EmailApp", string_index_type="Utf16CodeUnit").result()
    assert job["status"] == "succeeded"
    with pytest.raises(ClientAuthenticationError, match="PermissionDenied"):
        author.begin_import_project("EmailApp", exported())
