"""A step whose remote service does what its parameters say: what is under test is the reactor around it."""

from collections import defaultdict
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.stages import Done, Job, Pending, Progress, Stage

CALLS: dict[str, list[str]] = defaultdict(list)
"""What was asked of the service, by the name in the parameters."""
JOBS: set[str] = set()
"""The names of the jobs that run there."""

ACTIONS = {
    "scripted": "tests.integration.scripted:Scripted",
    "unnamed": "tests.integration.scripted:Unnamed",
    "two": "tests.integration.scripted:Two",
    "unwritable": "tests.integration.scripted:Unwritable",
    "telling": "tests.integration.scripted:Telling",
    "approval": "shared.handlers.approval:Approval",
    "gate": "shared.handlers.gate:Gate",
}


class Scripted(BaseModel):
    """Answers each start and each watch with the next word of a list; the last word goes on for ever."""

    model_config = ConfigDict(extra="forbid")

    name: str = "{{ model.name }}"
    start: list[str] = ["done"]
    watch: list[str] = ["done"]
    says: Any = ""
    after: float | None = None
    wake_on: str = ""


class Unnamed(Scripted):
    """The same, where the service names its jobs."""


class Two(Scripted):
    """The same, in two stages."""


class Telling(Scripted):
    """The same, where what was done is only told to somebody."""


class Unwritable(Scripted):
    """The same, with a result that no record can hold."""


def answer(params: Scripted, verb: str, words: list[str]) -> Progress:
    """Note the call, and answer with the word whose turn it is."""
    calls = CALLS[params.name]
    word = words[min(calls.count(verb), len(words) - 1)]
    calls.append(verb)
    match word:
        case "done":
            return Done({"said": params.says})
        case "pending":
            JOBS.add(params.name)
            return Pending(params.after, note="it is running", wake_on=params.wake_on)
        case "temporary":
            raise TemporaryError("it is busy", after=params.after)
        case "permanent":
            raise PermanentError("it is broken", remedy="mend it")
        case "unanswered":
            raise UnansweredError("it did not answer")
        case "started, unanswered":
            JOBS.add(params.name)
            raise UnansweredError("it did not answer")
    raise KeyError(word)


def find(params: Scripted, _job: Job) -> Progress | None:
    """Look for the job."""
    CALLS[params.name].append("find")
    return Pending(note="found") if params.name in JOBS else None


def start(params: Scripted, _job: Job) -> Progress:
    """Start it."""
    return answer(params, "start", params.start)


def watch(params: Scripted, _job: Job) -> Progress:
    """Watch it."""
    return answer(params, "watch", params.watch)


def start_unwritable(params: Scripted, _job: Job) -> Progress:
    """Answer with half a character, as a service's JSON may."""
    CALLS[params.name].append("start")
    return Done({"said": "\ud83d"})


STAGES = {
    Scripted: (Stage[Scripted]("work", find=find, start=start, watch=watch),),
    Unnamed: (Stage[Unnamed]("work", find=find, start=start, watch=watch, named_by="service"),),
    Telling: (Stage[Telling]("tell", start=start, watch=watch, named_by="nobody", effect="tells"),),
    Unwritable: (Stage[Unwritable]("work", start=start_unwritable),),
    Two: (Stage[Two]("first", start=start), Stage[Two]("second", start=start)),
}
