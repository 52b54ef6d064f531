"""The steps that an answer of a case would do, with their parameters filled in and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from cli.rules.case_files import Turn
from cli.rules.rehearsal import Answer
from shared.actions import Step
from shared.errors import PermanentError
from shared.events import without_url_queries
from shared.handlers import ACTIONS
from shared.rules import templates
from shared.rules.parameters import parameters


def performed(answer: Answer, turn: Turn) -> list[dict[str, Any]]:
    """Give all the steps that would be done."""
    do, on_failure = done(answer, turn)
    return [*do, *on_failure]


def done(answer: Answer, turn: Turn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give the steps that would be done, with their parameters; where one fails, up to it, and those after it."""
    rule, failure = answer.rule, None
    do, on_failure = list(rule.do), []
    if turn.failure is not None:
        ids = [step.id for step in do]
        failed = turn.failure["step"] or ids[0]
        if failed in ids:
            do, on_failure = do[: ids.index(failed) + 1], list(rule.on_failure)
            failure = turn.failure | {"step": failed}
    results = None
    if turn.steps is not None:
        results = {step.id: {} for step in (*do, *on_failure)} | turn.steps
    event = answer.moment.event
    harmless = replace(event, data=without_url_queries(event.data), facts=without_url_queries(event.facts))
    action = {"key": answer.action, "rule": rule.name, "event": answer.moment.key}
    digest = [one.model_dump(mode="json") for one in answer.told]
    context = templates.context(harmless, steps=results, failure=failure, action=action, digest=digest)
    return [_shown(step, context) for step in do], [_shown(step, context) for step in on_failure]


def _shown(step: Step, context: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in a step's parameters, and check them by the action's model as the app does."""
    shown = {"id": step.id, "action": step.action, "params": step.params}
    try:
        params = templates.render(step.params, context)
    except PermanentError as error:
        return shown | {"error": error.reason}
    shown["params"] = params
    try:
        parameters(ACTIONS[step.action]).model.model_validate(params)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            for detail in error.errors(include_url=False)
            if not templates.is_open(detail["input"]) and detail["type"] != "missing"
        ]
        if wrong:
            return shown | {"error": "; ".join(wrong)}
    return shown
