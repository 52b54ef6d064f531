"""The runtime: what a deployment makes of a text.

https://learn.microsoft.com/rest/api/language/conversation-analysis-runtime/analyze-conversation
Not settled there, and decided here: a project or a deployment that is not there is a 404; one that has expired is a
400; offsets are in text elements where nothing else is asked for.
"""

from typing import Any

from dev.simulators.language.assets import LANGUAGES
from dev.simulators.language.classifier import Found
from dev.simulators.language.refusals import body, invalid, refuse, text_of, unparsed
from dev.simulators.language.resource import Deployment, Project, Resource
from dev.simulators.language.settings import Limits
from dev.simulators.language.texts import CODE_POINT, ELEMENTS, HANGUL, UTF16, counted
from dev.simulators.wire import Answer, Request

UNITS = (UTF16, CODE_POINT, ELEMENTS)


class Runtime:
    """Predictions."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def analyze(self, request: Request) -> Answer:
        """AnalyzeConversation."""
        given = body(request)
        if given.get("kind") != "Conversation":
            raise unparsed([("kind", f"'{given.get('kind')}' is not Conversation.")])
        item, told = conversation_item(given), given.get("parameters")
        if not isinstance(told, dict):
            raise unparsed([("parameters", "Required property 'parameters' is missing or no object.")])
        unit = told.get("stringIndexType") or ELEMENTS
        if unit not in UNITS:
            raise invalid([("parameters.stringIndexType", f"'{unit}' is none of {', '.join(UNITS)}.")])
        project, deployment = self._found(text_of(told, "projectName"), text_of(told, "deploymentName"))
        text = item["text"]
        prediction = {"projectKind": "Conversation", **self._prediction(deployment, text, unit)}
        result: dict[str, Any] = {"query": text, "prediction": prediction}
        if project.metadata.get("multilingual") and told.get("verbose"):
            result["detectedLanguage"] = detected(text, str(project.metadata["language"]))
        return Answer(body={"kind": "ConversationResult", "result": result})

    def _found(self, name: str, deployed: str) -> tuple[Project, Deployment]:
        project = self._resource.projects.get(name)
        deployment = project.deployments.get(deployed) if project else None
        if project is None or deployment is None:
            message = "The specified project name or deployment name does not exist."
            raise refuse(404, "ProjectNotFound" if project is None else "NotFound", message)
        if self._resource.is_past(deployment.expires):
            raise refuse(400, "InvalidRequest", f"The deployment '{deployed}' has expired.", target="deploymentName")
        return project, deployment

    def _prediction(self, deployment: Deployment, text: str, unit: str) -> dict[str, Any]:
        told = self._resource.settings["predictions"]
        scores = deployment.model.classifier.scores(text)
        intents = told or [{"category": name, "confidenceScore": score} for name, score in scores.items()]
        found = deployment.model.classifier.entities(text)
        return {
            "topIntent": intents[0]["category"],
            "intents": intents,
            "entities": [shown(text, one, unit) for one in found],
        }


def shown(text: str, found: Found, unit: str) -> dict[str, Any]:
    """Give an entity as a prediction does."""
    offset, length = counted(text, found.offset, found.length, unit)
    return {
        "category": found.category,
        "text": text[found.offset : found.offset + found.length],
        "offset": offset,
        "length": length,
        "confidenceScore": 1,
        **({"extraInformation": [*found.information]} if found.information else {}),
    }


def conversation_item(given: dict[str, Any]) -> dict[str, Any]:
    """Read what was said."""
    item = (given.get("analysisInput") or {}).get("conversationItem")
    if not isinstance(item, dict):
        raise unparsed([("analysisInput.conversationItem", "It is missing or no object.")])
    for member in ("id", "participantId", "text"):
        text_of(item, member, target=f"analysisInput.conversationItem.{member}")
    if len(item["text"]) > Limits.PREDICTION_TEXT:
        said = f"The text has more than {Limits.PREDICTION_TEXT} characters."
        raise invalid([("analysisInput.conversationItem.text", said)])
    language = item.get("language")
    if language and str(language).lower() not in LANGUAGES:
        raise invalid([("analysisInput.conversationItem.language", f"'{language}' is no supported language.")])
    return item


def detected(text: str, usual: str) -> str:
    """Say which language a text is in, as far as a toy can."""
    return "ko" if HANGUL.search(text) else usual
