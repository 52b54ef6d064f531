"""How well a model did on the utterances that were kept back.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/concepts/evaluation-metrics
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field

from shared.clients.language.service import Read

ROUNDING = 1e-6
Share = Annotated[
    float,
    Field(ge=-ROUNDING, le=1 + ROUNDING, allow_inf_nan=False),
    AfterValidator(lambda value: min(max(value, 0.0), 1.0)),
]
"""From 0 to 1; what single precision made a little more is 1."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation; entities have none where the project has no entities, or none was kept back."""

    intents_macro_f1: float
    intents_micro_f1: float
    intents_macro_precision: float
    intents_macro_recall: float
    entities_macro_f1: float | None = None
    entities_micro_f1: float | None = None
    intents: Mapping[str, float] = field(default_factory=dict)
    """Each intent's own F1."""


class _One(Read):
    f1: Share = 0.0


class _Evaluated(Read):
    micro_f1: Share = Field(default=0.0, alias="microF1")
    macro_f1: Share = Field(default=0.0, alias="macroF1")
    macro_precision: Share = 0.0
    macro_recall: Share = 0.0


class _Intents(_Evaluated):
    intents: dict[str, _One] | None = None


class _Entities(_Evaluated):
    entities: dict[str, _One] | None = None


class EvaluationRead(Read):
    """An evaluation's summary on the wire."""

    intents_evaluation: _Intents
    entities_evaluation: _Entities | None = None

    def told(self) -> Evaluation:
        """Give the evaluation."""
        intents, entities = self.intents_evaluation, self.entities_evaluation
        has_entities = entities is not None and bool(entities.entities)
        return Evaluation(
            intents_macro_f1=intents.macro_f1,
            intents_micro_f1=intents.micro_f1,
            intents_macro_precision=intents.macro_precision,
            intents_macro_recall=intents.macro_recall,
            entities_macro_f1=entities.macro_f1 if entities is not None and has_entities else None,
            entities_micro_f1=entities.micro_f1 if entities is not None and has_entities else None,
            intents={name: one.f1 for name, one in (intents.intents or {}).items()},
        )
