"""Proves that a deployed model answers as it should, by asking it: stated utterances, and some of the project's own.

What the primary answers to the same text counts; where it does not answer, or serves another model by now, it is what
the utterance is labelled with.
Where neither is known of anything that was asked, nothing is proven, and the step fails.
https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/how-to/call-api
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from shared.errors import CrowdedError, PermanentError, ReactorError, TemporaryError
from shared.handlers.language import keeping, places
from shared.handlers.language.places import Place
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

AT_ONCE = 8
"""Utterances that are asked in one look."""
ANSWERS_WITHIN = timedelta(minutes=3)
"""How long a deployment may refuse that was made just now."""
MOST_TOLD = 3
TEST_SET = "test"


@dataclass(frozen=True, slots=True)
class Question:
    """An utterance that is asked, and what counts as its answer."""

    deployment: str
    """What it is asked by name."""
    asked_as: str
    """The deployment that is asked in its place: its slot."""
    text: str
    language: str
    must: str
    """The intent that has to be answered, "" where the primary is compared with."""
    label: str
    """What the utterance is labelled with, "" where nobody knows."""
    is_brief: bool = False
    """Whether it is only asked to see that anything answers."""


def prove(_params: Any, job: Job) -> Progress:
    """Ask the slots: what they answer decides whether they are swapped."""
    return _ask(job, {name: slot for name, slot in job.result["slots"].items() if slot}, "proof")


def confirm(_params: Any, job: Job) -> Progress:
    """Ask what serves by now; where the slots were proven already, one question each will do."""
    proven = {name for name, slot in job.result["slots"].items() if slot}
    told = _ask(job, {name: name for name in job.result["deployments"]}, "serves", briefly=proven)
    return replace(told, result={**told.result, "is_live": True}) if isinstance(told, Done) else told


def _ask(job: Job, asked: Mapping[str, str], result: str, briefly: Collection[str] = ()) -> Progress:
    place = places.again(job)
    questions = [one for name, as_ in asked.items() for one in _questions(place, job, name, as_, brief=name in briefly)]
    begin = {"at": 0, "asked": 0, "agreed": 0, "by_label": 0, "compared": [], "why": "", "wrong": [], "other": []}
    memory: dict[str, Any] = {**begin, "released": [], **job.memory}
    for question in questions[memory["at"] : memory["at"] + AT_ONCE]:
        try:
            if waits_for := _judge(place, job, question, memory):
                return Pending(memory=memory, note=f"waits for the primary to be asked, too: {waits_for}")
        except PermanentError as problem:
            if job.now < job.began + ANSWERS_WITHIN:
                return Pending(memory=memory, note=f"{question.asked_as} does not answer yet: {problem.reason}")
            raise PermanentError(
                f"{question.asked_as} of the {place.to} does not answer: {problem.reason}", remedy=problem.remedy
            ) from None
        memory["at"] += 1
    if memory["at"] < len(questions):
        return Pending(0, memory=memory, note=f"{memory['at']} of {len(questions)} utterances asked")
    if any(_asks_primary(place, job, one, memory) for one in questions):
        released = _released(place, job, memory["released"])
        if released != memory["released"]:
            note = f"the primary serves another model as {', '.join(released)} by now: what it answers does not count"
            return Pending(0, memory={**begin, "released": released}, note=note)
    unproven = [name for name in asked if name not in {*briefly, *memory["compared"]}]
    return _verdict(place, memory, result, unproven)


def _judge(place: Place, job: Job, question: Question, memory: dict[str, Any]) -> str:
    """Ask one utterance, and count what is answered; say why where the primary has to be waited for."""
    guess = job.clients.language.predictions.guess
    answer = guess(place.at, place.project, question.asked_as, question.text, language=question.language).intent
    if question.must:
        memory["compared"] = sorted({*memory["compared"], question.deployment})
        if answer != question.must:
            memory["wrong"] = [*memory["wrong"], f'"{question.text}": {answer or "nothing"}, not {question.must}']
        return ""
    if question.is_brief:
        return ""
    wanted, by_label, why = question.label, 1, ""
    if question.deployment in memory["released"]:
        why = f"the primary serves another model as {question.deployment} by now"
    elif _asks_primary(place, job, question, memory):
        try:
            wanted, by_label = _of_primary(place, job, question), 0
        except ReactorError as problem:  # who cannot be asked is why there is a second region: the label counts
            if not wanted and isinstance(problem, TemporaryError) and job.now < job.began + ANSWERS_WITHIN:
                return problem.reason
            why = f"the primary did not answer: {problem.reason}"
    memory["why"] = memory["why"] or why
    if not wanted:
        return ""
    memory["compared"] = sorted({*memory["compared"], question.deployment})
    memory["asked"] += 1
    memory["by_label"] += by_label
    if answer == wanted:
        memory["agreed"] += 1
    else:
        memory["other"] = [*memory["other"], f'"{question.text}": {answer or "nothing"}, not {wanted}'][:MOST_TOLD]
    return ""


def _of_primary(place: Place, job: Job, question: Question) -> str:
    guess, text, language = job.clients.language.predictions.guess, question.text, question.language
    return guess(place.primary, place.project, question.deployment, text, language=language).intent


def _asks_primary(place: Place, job: Job, question: Question, memory: Mapping[str, Any]) -> bool:
    """Tell whether the primary serves what the secondary is to serve, so that both should answer alike."""
    deployment = question.deployment
    if question.must or question.is_brief or deployment in memory["released"]:
        return False
    if place.to == "primary" or job.result.get("from_backup"):
        return False
    label = job.result["deployments"][deployment]
    is_same = job.result["served"].get(deployment) == job.result["models"].get(label)
    return is_same and keeping.is_deployed(job, label)


def _released(place: Place, job: Job, known: Sequence[str]) -> list[str]:
    """Name the deployments that serve another model in the primary than what is replicated, as far as it says so.

    It is read once everything was asked: what serves then what it served before served it all the time between.
    """
    try:
        serving = places.serving(job, place.primary, place.project)
    except CrowdedError:
        raise
    except ReactorError:  # who answers, and does not say what serves, is taken to serve what it served
        return [*known]
    served: Mapping[str, str] = job.result["served"]
    return sorted({*known, *(name for name, id in served.items() if serving.get(name) != id)})


def _verdict(place: Place, memory: Mapping[str, Any], result: str, unproven: Sequence[str]) -> Done:
    wrong, asked, agreed = memory["wrong"], memory["asked"], memory["agreed"]
    if wrong:
        raise PermanentError(
            f"the {place.to} does not answer as it must: {tidy('; '.join(wrong[:MOST_TOLD]))}"
            + (f" and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""),
            remedy="correct the intent in `proof`, or label more utterances of it, then replay",
        )
    if unproven:
        raise PermanentError(
            f"{', '.join(unproven)} of the {place.to} is not proven: of nothing that it was asked is it known what it "
            f"should answer{_why(memory)}",
            remedy=UNPROVEN,
        )
    share = agreed / asked if asked else None
    wanted = place.about.proof.agree
    if share is not None and share < wanted:
        raise PermanentError(_disagrees(place, memory), remedy=_WORSE)
    words = f"{agreed} of {asked} utterances are answered alike" if asked else "what is stated is answered as it must"
    if memory["by_label"]:
        words += f", {memory['by_label']} of them compared with their labels alone{_why(memory)}"
    told = {result: {"asked": asked, "agreed": share, "stated": memory["at"] - asked}}
    return Done(told, note=words)


UNPROVEN = "say `intent` with the utterances in `proof`, or a `sample` of what is labelled, then replay"


def _why(memory: Mapping[str, Any]) -> str:
    return f" ({tidy(memory['why'])})" if memory["why"] else ""


def check(place: Place) -> None:
    """Refuse a proof that only the primary could give, where it is not asked: before anything is paid for."""
    proof = place.about.proof
    if not proof.sample and not any(said.intent for said in proof.utterances):
        raise PermanentError(
            "nothing could prove it: the primary is not asked here, and no utterance in `proof` has an intent",
            remedy=UNPROVEN,
        )


_WORSE = "label more utterances, say a smaller `agree` in `proof`, or train anew with `force: true`"


def _disagrees(place: Place, memory: Mapping[str, Any]) -> str:
    asked, agreed, wanted = memory["asked"], memory["agreed"], place.about.proof.agree
    return (
        f"the {place.to} answers {agreed} of {asked} utterances as it should, and {wanted:.0%} have to be: "
        f"{tidy('; '.join(memory['other']))}{_why(memory)}"
    )


# -- what is asked ----------------------------------------------------------------------------------------------------


def _questions(place: Place, job: Job, name: str, asked_as: str, *, brief: bool) -> Iterator[Question]:
    """List what a deployment is asked, the same at each look; briefly that is one."""
    stated = place.about.proof.utterances[:1] if brief else place.about.proof.utterances
    for said in stated:
        yield Question(name, asked_as, said.text, said.language or "", said.intent or "", "", brief)
    count = place.about.proof.sample if not brief else 0 if stated else 1
    if not count:
        return
    for one in sample(keeping.content(place, job, job.result["deployments"][name]), count):
        yield Question(name, asked_as, one["text"], one.get("language") or "", "", one.get("intent") or "", brief)


def sample(exported: bytes, count: int) -> list[dict[str, Any]]:
    """Pick utterances of an export to ask, always the same: of the test set first, and of as many intents as can be."""
    assets = json.loads(exported).get("assets") or {}
    whole = [one for one in assets.get("utterances") or [] if one.get("text")]
    ordered = sorted(whole, key=lambda one: (not _tests(one), _mixed(one["text"])))
    turn: dict[str, int] = {}
    turns = []
    for one in ordered:
        intent = str(one.get("intent"))
        turn[intent] = turn.get(intent, 0) + 1
        turns.append((not _tests(one), turn[intent]))
    by_turn = sorted(range(len(ordered)), key=turns.__getitem__)
    return [ordered[at] for at in by_turn[:count]]


def _tests(utterance: Mapping[str, Any]) -> bool:
    return str(utterance.get("dataset")).lower() == TEST_SET


def _mixed(text: str) -> str:
    """Order texts in a way that has nothing to do with what they say."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
