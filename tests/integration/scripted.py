"""A step whose remote service does what its parameters say: what is under test is the reactor around it."""

from collections import defaultdict
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.actions import Status, Step
from shared.errors import PermanentError, TemporaryError, UnansweredError
from shared.stages import Done, End, Job, Later, Pending, Progress, Stage

CALLS: dict[str, list[str]] = defaultdict(list)
"""What was asked of the service, by the name in the parameters."""
SAID: dict[str, Any] = {}
"""What the stage that undoes was told to say."""
JOBS: set[str] = set()
"""The names of the jobs that run there."""

ACTIONS = {
    "scripted": "tests.integration.scripted:Scripted",
    "unnamed": "tests.integration.scripted:Unnamed",
    "two": "tests.integration.scripted:Two",
    "unwritable": "tests.integration.scripted:Unwritable",
    "telling": "tests.integration.scripted:Telling",
    "undoable": "tests.integration.scripted:Undoable",
    "rounds": "tests.integration.scripted:Rounds",
    "locking": "tests.integration.scripted:Locking",
    "putting_off": "tests.integration.scripted:PuttingOff",
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


class Undoable(Scripted):
    """The same, followed by a stage that only looks; what was begun can be undone."""

    then: list[str] = ["done"]
    undo: list[str] = ["done"]


class Rounds(Scripted):
    """Does its only stage several times."""

    rounds: int = 3


class Locking(Scripted):
    """Works on something that only one action may work on at a time."""

    what: str
    lets_go: bool = False


class PuttingOff(Scripted):
    """Has something done an hour later."""

    what: str


ENDS = {
    "expired": End(Status.EXPIRED, "nobody decided"),
    "rejected": End(Status.REJECTED, "somebody said no"),
}


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
        case "echo":
            raise PermanentError(f"no such thing: {params.says}")
        case "expired" | "rejected":
            return ENDS[word]
        case "broken":
            raise KeyError("a programming error")
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


def look(params: Undoable, _job: Job) -> Progress:
    """Look at what was done."""
    return answer(params, "then", params.then)


def undo(params: Undoable, _job: Job) -> Progress:
    """Undo it."""
    SAID[params.name] = params.says
    answered = answer(params, "undo", params.undo)
    return Done(note="it is as it was") if isinstance(answered, Done) else answered


def go_round(params: Rounds, job: Job) -> Progress:
    """Count one more round."""
    CALLS[params.name].append("round")
    done = job.result.get("rounds", 0) + 1
    return Done({"rounds": done}, next="round" if done < params.rounds else "")


def lock(params: Locking, job: Job) -> Progress:
    """Take the lock."""
    holder = job.hold(params.what)
    return Pending(note=f"{holder} has it") if holder else Done()


def unlock(params: Locking, job: Job) -> Progress:
    """Give it back, or leave that to the action's end."""
    if params.lets_go:
        job.let_go(params.what)
    return Done()


def put_off(params: PuttingOff, job: Job) -> Progress:
    """Leave the rest for later."""
    CALLS[params.name].append("put off")
    step = Step(id="later", action="scripted", params={"name": params.what, "start": ["pending"]})
    return Done(later=Later(step, job.now + timedelta(hours=1)))


STAGES = {
    Undoable: (
        Stage[Undoable]("work", find=find, start=start, watch=watch),
        Stage[Undoable]("then", start=look, watch=look, effect="reads", within=lambda _params: timedelta(hours=2)),
        Stage[Undoable]("undo", start=undo, watch=undo, effect="undoes"),
    ),
    Rounds: (Stage[Rounds]("round", start=go_round),),
    Locking: (
        Stage[Locking]("lock", start=lock, watch=lock, effect="reads"),
        Stage[Locking]("work", find=find, start=start, watch=watch),
        Stage[Locking]("unlock", start=unlock, effect="reads"),
    ),
    PuttingOff: (Stage[PuttingOff]("put off", start=put_off),),
    Scripted: (Stage[Scripted]("work", find=find, start=start, watch=watch),),
    Unnamed: (Stage[Unnamed]("work", find=find, start=start, watch=watch, named_by="service"),),
    Telling: (Stage[Telling]("tell", start=start, watch=watch, named_by="nobody", effect="tells"),),
    Unwritable: (Stage[Unwritable]("work", start=start_unwritable),),
    Two: (Stage[Two]("first", start=start), Stage[Two]("second", start=start)),
}
