"""A Language project and its second region: what was replicated, and whether that is still so. Pure.

Times alone mislead, for an import counts as a change: what two regions hold is compared by the hash of what they
export (`shared.language_content`).
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/fail-over
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Follow = Literal["deployed", "working_copy"]
Reason = Literal["missing", "never_replicated", "changed", "edited", "deployments", "config", "unreadable"]
Side = Literal["primary", "secondary"]

# -- what is remembered of a replication ------------------------------------------------------------------------------


class Evaluation(BaseModel):
    """How a training splits the utterances."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["percentage", "manual"] = "percentage"
    train: int | None = None
    test: int | None = None


class Options(BaseModel):
    """The options of a training: they are in no export, so that what a secondary was trained with is remembered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mode: Literal["standard", "advanced"]
    config_version: str = "latest"
    evaluation: Evaluation = Field(default_factory=Evaluation)

    @classmethod
    def of(cls, training: BaseModel) -> Options:
        """Take what a rules file declares; a split counts only where it is by percentage."""
        options = cls.model_validate(training.model_dump())
        if options.evaluation.kind == "percentage":
            return options
        return options.model_copy(update={"evaluation": Evaluation(kind="manual")})


class Proof(BaseModel):
    """What a replication was proven by."""

    model_config = ConfigDict(frozen=True)

    asked: int = 0
    """Utterances that both regions, or the labels, were compared by."""
    agreed: float | None = None
    """The share of them with the same intent; None where none was asked."""
    intents: float | None = None
    """The lowest macro F1 of intents in the secondary; None where it was not evaluated."""
    primary_intents: float | None = None
    """That of the same model in the primary."""


class Trained(BaseModel):
    """A training of ours, and what came of it: it is not made from the same again, for it is billed."""

    model_config = ConfigDict(frozen=True)

    label: str
    model: str
    """The id that the model has in the region where it was trained, "" where there is none."""
    hash: str
    """Of what it was trained from."""
    left: str
    """The hash of what that region showed after the import of it."""
    options: Options
    intents: float | None = None
    """Its macro F1 of intents."""
    primary_intents: float | None = None
    """That of the same model in the primary."""
    entities: float | None = None
    primary_entities: float | None = None
    """The same of entities."""
    failed: str = ""
    """Why no model came of it, where that was for what it was to be trained from; "" where one did."""
    begun: datetime | None = None
    """When it was begun, as long as nobody has seen its end."""

    @property
    def identity(self) -> tuple[str, str, str, Options]:
        """What tells a training from others; of those without a model, only the last of the same is known."""
        return self.label, self.model, self.hash, self.options

    @property
    def measured(self) -> tuple[tuple[str, float | None, float | None], ...]:
        """Give the macro F1 of each kind, ours and the primary's."""
        return ("intents", self.intents, self.primary_intents), ("entities", self.entities, self.primary_entities)

    def worse(self, margin: float) -> str:
        """Say in what it does worse than the primary's by more than a margin, "" where it does well enough."""
        if self.intents is None and self.primary_intents is not None:
            return "it has no evaluation, and one where it comes from: the split may leave nothing to test with"
        return "; ".join(
            f"the macro F1 of its {what} is {mine:.3f}, in the primary {other:.3f}, and may be {margin:g} less"
            for what, mine, other in self.measured
            if mine is not None and other is not None and mine < other - margin - ROUNDING
        )


ROUNDING = 1e-9


class Kept(BaseModel):
    """What is remembered of the last replication that succeeded."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    name: str
    """What the rules file calls it."""
    project: str
    follow: Follow = "deployed"
    hashes: Mapping[str, str]
    """By model label, the hash of what that model was trained from."""
    working_hash: str
    """The hash of the primary's working copy."""
    primary_modified: datetime | None
    primary_models: Mapping[str, str]
    """By deployment, the id of the model that the primary served."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """By deployment, the label of that model."""
    secondary_modified: datetime | None
    secondary_models: Mapping[str, str]
    """By deployment, the id of the model that was deployed in the secondary."""
    secondary_hash: str
    """The hash of what was brought to the secondary, as it exports it: what differs from that was edited by hand."""
    training: Options
    version: str
    """Of the backup."""
    replicated: datetime
    """When the secondary began to serve it."""
    proven: datetime
    proof: Proof = Field(default_factory=Proof)


# -- whether that is still so -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """What one region shows of the project now."""

    modified: datetime | None
    models: Mapping[str, str]
    """By deployment, the id of the model that it serves."""
    hashes: Mapping[str, str] | None = None
    """What was exported: by model label, and "" for the working copy; None where nothing was."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """By deployment, the label of the model that it serves, as far as that is known."""
    expired: frozenset[str] = frozenset()
    """The deployments that have expired: they answer no more, whatever they serve."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the secondary is not what it should be."""

    reason: Reason
    details: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the rules file asks for."""

    deployments: tuple[str, ...]
    follow: Follow
    options: Options


def doubtful(kept: Kept, primary: Shown, secondary: Shown, wanted: Wanted) -> frozenset[Side]:
    """Name the regions of which only an export tells whether they have changed.

    Of the primary that is of each model that `Shown.models` serves with `follow: deployed`, else of the working copy;
    of the secondary it is of the working copy.
    """
    found: set[Side] = set()
    if wanted.follow == "deployed":
        is_other = any(primary.models.get(name) != kept.primary_models.get(name) for name in wanted.deployments)
    else:
        is_other = primary.modified is None or primary.modified != kept.primary_modified
    if is_other or kept.follow != wanted.follow:
        found.add("primary")
    if secondary.modified is None or secondary.modified != kept.secondary_modified:
        found.add("secondary")
    return frozenset(found)


def standing(kept: Kept | None, primary: Shown, secondary: Shown | None, wanted: Wanted) -> tuple[Difference, ...]:
    """Say in what the secondary differs from what it should be, what matters most first; () where in nothing.

    `hashes` are needed of the regions that are `doubtful`; one that has none is taken not to have changed.
    """
    if secondary is None:
        return (Difference("missing", "the secondary has no such project"),)
    if kept is None:
        return (Difference("never_replicated", "the project in the secondary was never replicated"),)
    judged = {
        "changed": _changed(kept, primary, wanted),
        "edited": _edited(kept, secondary),
        "deployments": _deployments(kept, secondary, wanted),
        "config": "the training options differ from those it was trained with" * (kept.training != wanted.options),
    }
    return tuple(Difference(reason, words) for reason, words in judged.items() if words)  # type: ignore[arg-type] # the keys above are reasons


def _changed(kept: Kept, primary: Shown, wanted: Wanted) -> str:
    if wanted.follow == "working_copy":
        is_same = primary.hashes is None or primary.hashes.get("") in kept.hashes.values()
        return "" if is_same else "the primary's working copy has changed"
    served = {label: hash for label, hash in (primary.hashes or {}).items() if label}
    other = sorted(label for label, hash in served.items() if kept.hashes.get(label) != hash)
    moved = [name for name in wanted.deployments if _is_moved(name, kept, primary, other)]
    gone = [name for name in wanted.deployments if name in kept.primary_models and name not in primary.models]
    words = [f"the primary serves {', '.join(other)}, which was not replicated"] if other else []
    words += [f"the primary serves {primary.labels[name]} as {name} now" for name in moved]
    words += [f"the primary serves nothing as {', '.join(gone)} any more"] if gone else []
    return "; ".join(words)


def _is_moved(name: str, kept: Kept, primary: Shown, other: Sequence[str]) -> bool:
    """Tell whether a deployment serves a replicated model that it did not serve, as where two exchanged theirs."""
    label = primary.labels.get(name, "")
    return label not in ("", *other) and kept.labels.get(name, label) != label


def _edited(kept: Kept, secondary: Shown) -> str:
    if secondary.hashes is None or secondary.hashes.get("", kept.secondary_hash) == kept.secondary_hash:
        return ""
    return "the project in the secondary was changed by hand"


def _deployments(kept: Kept, secondary: Shown, wanted: Wanted) -> str:
    lacks = [name for name in wanted.deployments if name not in secondary.models]
    other = [
        name
        for name in wanted.deployments
        if name in secondary.models and secondary.models[name] != kept.secondary_models.get(name)
    ]
    words = [f"the secondary lacks {', '.join(lacks)}"] if lacks else []
    words += [f"{', '.join(other)} serves another model there than was replicated"] if other else []
    expired = [name for name in wanted.deployments if name in secondary.models and name in secondary.expired]
    words += [f"{', '.join(expired)} has expired there, and answers no more"] if expired else []
    return "; ".join(words)
