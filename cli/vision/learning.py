"""What a project learns from a lesson: it is trained, told how well that went, and published, by the steps of rules."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.errors import RefusedError
from cli.vision.asked import how, to_train
from cli.vision.before import untrained
from cli.vision.lesson import Lesson

if TYPE_CHECKING:
    from cli.steps import EndedError, Steps
    from shared.clients.vision import Iteration, Performance


def train(lesson: Lesson) -> None:
    """Train, and tell how well it went; where no training is needed, of the iteration that came of the same before."""
    from cli.steps import EndedError, interruptible
    from cli.vision.listening import Listening, Sentences

    here = lesson.here
    steps = Listening(
        here,
        Sentences(is_shown=not lesson.options.json),
        project=here.project,
        is_connected=bool(lesson.project.queue),
        is_over=lambda iteration: _read(lesson, iteration).is_over,
        begins=lambda iteration: lesson.journal.begin(iteration, how(lesson.options)),
    )
    params = to_train(lesson.options) | {"under_way": _beside(lesson)} | _all_but_empty(lesson)
    try:
        with interruptible(lambda: _goes_on(steps, here.words)):
            steps.perform("train.vision", params)
    except EndedError as ended:
        found = _instead(lesson, ended)
        if found is None:
            lesson.told |= {"iteration": None, "performance": None}
            return
    else:
        found = _read(lesson, steps.result["iteration"])
        lesson.say(f"{found.name} is trained")
    _tell(lesson, found)


def publish(lesson: Lesson, name: str) -> None:
    """Publish the iteration, by the stages that rules have performed."""
    from cli.steps import Steps, interruptible
    from cli.vision.listening import Sentences
    from cli.vision.matching import publishing
    from cli.vision.steps import refuse_older

    here, iteration = lesson.here, lesson.told["iteration"]["id"]
    refuse_older(iteration, name, here, f"`{publishing(lesson, name, iteration)} --older`")
    steps = Steps(here, Sentences(is_shown=not lesson.options.json))
    looks = f"`reactor vision status {here.words}` shows what is published; the same command publishes it"
    with interruptible(lambda: steps.so_far(looks)):
        steps.perform("publish.vision", {"name": name, "iteration": iteration})
    lesson.told["published"] = name
    lesson.say(steps.notes[-1])
    lesson.say(f"`{here.asks(name)}` asks it")


def _goes_on(steps: Steps, project: str) -> str:
    """Say how it is with the training that nobody looks at any more."""
    looks = f"`reactor vision status {project}` shows it, and the same command"
    if "minutes" in steps.result:
        return f"{steps.result['name']} is trained: {looks} tells how well that went"
    if "iteration" in steps.result:
        return f"Custom Vision goes on training {steps.result['name']}: {looks} follows it"
    if steps.has_acted:
        return f"a training that was begun goes on: {looks} follows it"
    return "no training was begun; the same command does so"


def _all_but_empty(lesson: Lesson) -> dict[str, Any]:
    """Name the tags to train where some have no images: those would have the training refused."""
    if lesson.options.tags:
        return {}
    some, empty = untrained(lesson.here.vision.tags.list(lesson.here.at, lesson.here.project), lesson.images)
    if empty:
        print(f"reactor: without images, and left out of the training: {', '.join(empty)}", file=sys.stderr)
    return {"tags": some} if some else {}


def _beside(lesson: Lesson) -> str:
    """Say what is done beside a training that is under way: only what we began with these images is followed."""
    from shared.handlers.vision.projects import under_way

    begun = lesson.journal.begun
    running = under_way(lesson.here.vision.iterations.list(lesson.here.at, lesson.here.project))
    if running and begun and (begun.iteration, begun.how) == (running.id, how(lesson.options)):
        return "follow"
    if running:
        print(f"reactor: {running.name} is being trained without all of this: waiting for its end", file=sys.stderr)
    return "wait"


def _instead(lesson: Lesson, ended: EndedError) -> Iteration | None:
    """Find what came of the same before, where no training is needed; None where that cannot be told."""
    from cli.vision import matching
    from shared.handlers.vision.training import Vision, wanted

    trained, name = matching.trained(lesson), lesson.options.publish
    if not trained:
        raise RefusedError(f"{ended.reason}; there is none any more that it came to: --force trains all the same")
    asked = {what: one for what, one in to_train(lesson.options).items() if one is not None}
    found = matching.find(lesson, wanted(Vision.model_validate(asked), ()), trained)
    if found is None and name:
        raise matching.refusal(lesson, name, trained[0])
    if found is None:
        lesson.say("no training is needed, and which iteration came of just this cannot be told; --force trains anew")
    elif found is trained[0]:
        lesson.say(f"nothing has changed since {found.name} was trained; --force trains all the same")
    else:
        lesson.say(f"{found.name} was trained with just this, so no training is needed; --force trains all the same")
    return found


def _read(lesson: Lesson, id: str) -> Iteration:
    found = lesson.here.vision.iterations.read(lesson.here.at, lesson.here.project, id)
    if found is None:
        raise RefusedError(f"iteration {id} was deleted meanwhile")
    return found


def _tell(lesson: Lesson, trained: Iteration) -> None:
    """Show what the iteration achieves."""
    from cli.tables import painter, room
    from cli.vision.performance import table_of

    here = lesson.here
    found: Performance = here.vision.iterations.performance(here.at, here.project, trained.id)
    lesson.told |= {"iteration": {"id": trained.id, "name": trained.name}, "performance": asdict(found)}
    tags = here.vision.tags.list(here.at, here.project, trained.id)
    if not lesson.options.json:
        for line in table_of(found, {tag.id: tag.images for tag in tags}, room(), painter()):
            print(line)
