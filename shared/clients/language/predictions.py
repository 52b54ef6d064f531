"""Deployed models at work.

https://learn.microsoft.com/rest/api/language/conversation-analysis-runtime/analyze-conversation/analyze-conversation
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from shared.clients.language.resource import Resource
from shared.clients.language.service import Read, Service, Text
from shared.clients.language.wire import SOON

CODE_POINTS = "UnicodeCodePoint"
"""How Python counts characters."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A part of the text."""

    category: str
    text: str
    offset: int
    """In code points, as Python counts: `text == whole[offset:offset + length]`."""
    length: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a deployment makes of a text."""

    intent: str
    """The surest; "" where there is none."""
    confidence: float
    entities: tuple[Entity, ...] = ()
    language: str = ""
    """The language that was recognized, "" where the service does not say."""
    ms: int = 0
    """How long the answer took, in thousandths of a second."""


class _Entity(Read):
    category: Text
    text: Text = ""
    offset: int = Field(default=0, ge=0)
    length: int = Field(default=0, ge=0)
    confidence_score: float | None = Field(default=None, allow_inf_nan=False)


class _Confidence(Read):
    category: Text = ""
    confidence_score: float | None = Field(default=None, allow_inf_nan=False)


def _listed(value: Any) -> Any:
    """List intents that are an object keyed by their names, as an orchestration's are."""
    if not isinstance(value, Mapping):
        return value
    return [{**one, "category": name} if isinstance(one, Mapping) else one for name, one in value.items()]


class _Guess(Read):
    top_intent: Text = ""
    intents: Annotated[tuple[_Confidence, ...], BeforeValidator(_listed)] = ()
    entities: tuple[_Entity, ...] | None = None


class _Result(Read):
    prediction: _Guess
    detected_language: Text = ""


class _Answer(Read):
    result: _Result


class Predictions:
    """What deployments answer."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def guess(
        self,
        at: Resource,
        project: str,
        deployment: str,
        text: str,
        *,
        language: str = "",
        within: float = SOON,
    ) -> Prediction:
        """Ask a deployment what a text means; `language` is the text's own, where the project has several.

        It is asked once: whoever wants more asks again, or asks somebody else (`failover`). `within` are the seconds
        for all of it, to the last byte of the answer; `deadlines` says what they cannot bound.
        """
        item = {"id": "1", "participantId": "1", "text": text, "modality": "text"}
        body = {
            "kind": "Conversation",
            "analysisInput": {"conversationItem": item | ({"language": language} if language else {})},
            "parameters": {"projectName": project, "deploymentName": deployment, "stringIndexType": CODE_POINTS},
        }
        began = time.monotonic()
        found = self._service.runtime(at, body, within).read(_Answer).result
        ms = round((time.monotonic() - began) * 1000)
        guess = found.prediction
        sure = {one.category: one.confidence_score or 0.0 for one in guess.intents}
        entities = tuple(
            Entity(one.category, one.text, one.offset, one.length, one.confidence_score or 0.0)
            for one in guess.entities or ()
        )
        return Prediction(guess.top_intent, sure.get(guess.top_intent, 0.0), entities, found.detected_language, ms)
