"""Steps that undo what they began where a later stage of theirs fails, as the app has them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.steps import Steps

if TYPE_CHECKING:
    from pydantic import BaseModel

    from shared.stages import Handler, Stage


@dataclass
class Undoing(Steps):
    """Performs a step whose last stage undoes."""

    has_acted: bool = False

    def _stage(self, handler: Handler, stage: Stage[Any], params: BaseModel, until: str) -> str:
        """Perform one stage; where it fails after something was changed, that is changed back first."""
        from shared.errors import PermanentError, TemporaryError

        self.has_acted |= stage.effect == "acts"
        try:
            return super()._stage(handler, stage, params, until)
        except (PermanentError, TemporaryError) as trouble:
            if not self.has_acted or not handler.undoes or stage.effect == "undoes":
                raise
            reason, remedy = trouble.reason, getattr(trouble, "remedy", "")
        told = len(self.notes)
        super()._stage(handler, handler.stage(handler.undoes), params, "")
        undone, self.notes = self.notes[told:], self.notes[:told]
        raise PermanentError("; ".join([reason, *undone]), remedy=remedy)
