"""Shows the iteration images: before it is published, and through the prediction resource once it is.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/use-prediction-api
"""

from dataclasses import asdict
from typing import Any

from shared.clients.vision import Guess, Resource
from shared.counting import how_many
from shared.errors import PermanentError
from shared.handlers.vision import iterations
from shared.handlers.vision.iterations import Place
from shared.handlers.vision.publish import samples
from shared.handlers.vision.publish.params import Vision
from shared.handlers.vision.publish.samples import Sample, Tried
from shared.handlers.vision.publish.taking import published
from shared.redaction import tidy
from shared.stages import Done, Job, Pending, Progress

# -- test -------------------------------------------------------------------------------------------------------------


def try_out(params: Vision, job: Job) -> Progress:
    """Show the iteration one image after the other before it is published; nothing was touched where it fails one."""
    place = iterations.place(job, params.project)
    chosen = _choose(params, place, job)
    tried: list[dict[str, Any]] = list(job.memory.get("tried", ()))
    if len(tried) < len(chosen):
        shown = samples.show(chosen[len(tried)], place, _quick_test(place, job), params.probability, job)
        tried.append(asdict(shown) if shown else {})
    if len(tried) < len(chosen):
        memory = {"samples": [asdict(sample) for sample in chosen], "tried": tried}
        return Pending(0, memory=memory, note=f"{len(tried)} of {how_many(len(chosen), 'image')} shown")
    return _judged(chosen, tried, job)


def _choose(params: Vision, place: Place, job: Job) -> list[Sample]:
    if params.sample:
        return [Sample(params.expects, url=params.sample)]
    if "samples" in job.memory:
        return [Sample(**sample) for sample in job.memory["samples"]]
    return samples.choose(place, job.result["iteration"], params.samples, job)


def _quick_test(place: Place, job: Job) -> samples.Ask:
    def show(url: str, content: bytes) -> list[Guess]:
        return job.clients.vision.iterations.test(
            place.at, place.project, job.result["iteration"], url=url, content=content
        )

    return show


def _judged(chosen: list[Sample], tried: list[dict[str, Any]], job: Job) -> Progress:
    """Say what came of all images that could be shown."""
    shown = [(sample, Tried(**told)) for sample, told in zip(chosen, tried, strict=True) if told]
    if not shown:
        raise PermanentError(
            "the project has no tagged image of this iteration's tags that could be shown to it",
            remedy="give publish.vision `sample`, the URL of an image, and `expects`, the tag to be seen in it",
        )
    if problems := [told.problem for _, told in shown if told.problem]:
        raise PermanentError(
            f"{job.result['label']} fails {len(problems)} of {how_many(len(shown), 'image')}: {'; '.join(problems)}",
            remedy="look at its performance, train it with more images, or ask for less (`probability`)",
        )
    sample, told = min(shown, key=lambda one: one[1].probability)
    # Where a sample is stays out of the record: a setting may be filled in there.
    again = asdict(sample) | {"url": ""}
    found = {"tag": sample.tag, "probability": told.probability, "detects": told.detects, "sample": again}
    return Done(found, note=f'{_images(len(shown))}: "{tidy(sample.tag)}" has at least {told.probability:.2g}')


def _images(count: int) -> str:
    return "the image is recognised" if count == 1 else f"{count} images are recognised"


# -- smoke ------------------------------------------------------------------------------------------------------------


def ask(params: Vision, job: Job) -> Progress:
    """Ask the prediction resource what is in an image; it may take a while to know of what was published."""
    place = iterations.place(job, params.project, needs="prediction")
    prediction, result = place.about.prediction, job.result
    if prediction is None or prediction.endpoint is None:
        note = "the prediction resource was not asked: its endpoint is not declared"
        return Done({"asked": False}, note=f"{published(job)}; {note}")
    sample = Sample(**result["sample"])
    sample = Sample(params.expects, url=params.sample) if params.sample else sample
    problem, remedy = "the image is not there any more", "replay the event"
    try:
        tried = samples.show(sample, place, _predict(Resource.of(prediction), place, job), params.probability, job)
    except PermanentError as refused:
        problem, remedy = refused.reason, refused.remedy
    else:
        if tried is not None and not tried.problem:
            return Done({"asked": True, "probability": tried.probability}, note=f"{published(job)}, and answers")
        problem = tried.problem if tried else problem
    if job.now < job.began + params.within:
        return Pending(note=f"the prediction resource does not answer as {result['name']} yet: {problem}")
    likely = f"check that {result['resource']} is the ARM id of the very resource behind its declared endpoint"
    raise PermanentError(
        f"{published(job)}, and the prediction resource does not answer as it should: {problem}",
        remedy=f"{remedy}; {likely}" if remedy else likely,
    )


def _predict(at: Resource, place: Place, job: Job) -> samples.Ask:
    def show(url: str, content: bytes) -> list[Guess]:
        guesses = job.clients.vision.predictions.guess(
            at, place.project, job.result["name"], url=url, content=content, detect=job.result["detects"]
        )
        if any(guess.by not in ("", job.result["iteration"]) for guess in guesses):
            raise PermanentError(f"iteration {guesses[0].by} answers in its place")
        return guesses

    return show
