"""`reactor vision predict`: asks a published model, or an iteration that is not published yet, what is on images."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.vision.project import Here, add_prediction, add_project, find

if TYPE_CHECKING:
    from shared.clients.vision import Guess, Iteration

AT_ONCE = 4
THRESHOLD = 0.5
NEWEST = "newest"


class Seen(NamedTuple):
    """What a model sees in one image, or why nobody knows."""

    image: str
    guesses: Sequence[Guess]
    problem: str = ""


def add_command(commands: Any) -> None:
    """Add `reactor vision predict` to the parser."""
    one = commands.add_parser("predict", help="say what is on images, by a published model")
    one.add_argument("images", nargs="+", metavar="FILE|FOLDER|URL", help="a folder stands for all images in it")
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("--name", metavar="PUBLISHED", help="what the model is published under")
    which.add_argument(
        "--iteration", metavar="NAME|ID", help=f"an iteration, published or not, or {NEWEST}: by the training resource"
    )
    one.add_argument(
        "--threshold", type=_share, default=THRESHOLD, metavar="SHARE", help=f"from 0 to 1; default: {THRESHOLD}"
    )
    one.add_argument("--json", action="store_true", help="for programs")
    add_project(one, is_option=True)
    add_prediction(one)
    one.set_defaults(run=reported(predict))


def _share(text: str) -> float:
    import argparse

    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text}: give a share from 0 to 1, such as 0.5")
    return share


def predict(options: Namespace) -> int:
    """Print what is on each image; 1 where one could not be asked about."""
    from cli.documents import print_json

    images = list(_images(options.images))
    here = find(options)
    ask = _quick_test(here, options.iteration) if options.iteration else _published(here, options)
    seen: list[Seen] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in batched(images, AT_ONCE, strict=False):  # no more are read than are asked about
            for one in pool.map(lambda image: _look(image, ask), some):
                seen.append(one)
                if not options.json:
                    _tell(one, options.threshold)
    if options.json:
        print_json([_json(one, options.threshold) for one in seen])
    return 1 if any(one.problem for one in seen) else 0


# -- the images -------------------------------------------------------------------------------------------------------


def _images(given: Sequence[str]) -> Iterator[str]:
    """List the images that are meant; UsageError where a folder has none."""
    from cli.vision.images import ENDINGS

    for text in given:
        path = Path(text)
        if _is_url(text) or not path.is_dir():
            yield text
            continue
        found = sorted(one for one in path.rglob("*") if one.suffix.lower().lstrip(".") in ENDINGS and one.is_file())
        if not found:
            raise UsageError(f"no images are in {path}: none ends in {', '.join(ENDINGS)}")
        yield from map(str, found)


def _is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


# -- asking -----------------------------------------------------------------------------------------------------------

Ask = Callable[[str, bytes], "list[Guess]"]
"""Is given a URL, or an image's bytes."""


def _published(here: Here, options: Namespace) -> Ask:
    """Ask the prediction resource; RefusedError where nothing is published under the name."""
    from cli.vision.given import prediction_at
    from shared.clients.vision import Resource
    from shared.rules.problems import did_you_mean

    name, at, prediction = options.name, prediction_at(options, here.around), here.about.prediction
    if at is None and prediction is not None and prediction.endpoint is not None:
        at = Resource.of(prediction)
    if at is None:
        raise UsageError(
            f"the endpoint of the prediction resource is not known: declare it for {here.name} as prediction: "
            "{resource: <ARM id>, endpoint: https://…, key: …}, or give --prediction-endpoint; "
            "--iteration asks by the training resource"
        )
    vision = here.vision
    project = vision.projects.read(here.at, here.project)
    if project is None:
        raise RefusedError(f"project {here.project} is not there: check its id, and its training resource's endpoint")
    names = [one.publish_name for one in vision.iterations.list(here.at, here.project) if one.publish_name]
    if name not in names:
        known = f"published are {', '.join(names)}" if names else "nothing is: `reactor vision train … --publish NAME`"
        raise RefusedError(f'{project.name} has nothing published as "{name}"{did_you_mean(name, names)}; {known}')
    detect = project.classification is None
    return lambda url, content: vision.predictions.guess(
        at, here.project, name, url=url, content=content, detect=detect
    )


def _quick_test(here: Here, wanted: str) -> Ask:
    """Ask the training resource about one iteration; RefusedError where it is not there, or not trained."""
    from shared.rules.problems import did_you_mean

    there = [one for one in here.vision.iterations.list(here.at, here.project) if one.is_good]
    names = {one.name: one for one in there}
    found = max(there, key=_age, default=None) if wanted == NEWEST else names.get(wanted)
    found = found or next((one for one in there if one.id == wanted.lower()), None)
    if found is None:
        known = f"trained are {', '.join(names)}" if names else "none is trained yet"
        raise RefusedError(f'{here.name} has no trained iteration "{wanted}"{did_you_mean(wanted, names)}; {known}')
    id = found.id
    return lambda url, content: here.vision.iterations.test(here.at, here.project, id, url=url, content=content)


def _age(one: Iteration) -> str:
    at = one.trained_at or one.created
    return at.isoformat() if at else ""


def _look(image: str, ask: Ask) -> Seen:
    """Ask about one image; what is wrong with it, or with asking, is told of it alone."""
    from cli.vision.images import LARGEST_TO_PREDICT, Wrong, load
    from cli.vision.upload import patiently
    from shared.errors import PermanentError, ReactorError

    content = b""
    if not _is_url(image):
        try:
            content, found = load(Path(image), LARGEST_TO_PREDICT)
        except OSError as problem:
            return Seen(image, (), f"it cannot be read: {problem.strerror}")
        if isinstance(found, Wrong):
            return Seen(image, (), "; ".join(found))
    try:
        return Seen(image, patiently(lambda: ask("" if content else image, content)))
    except ReactorError as problem:
        remedy = problem.remedy if isinstance(problem, PermanentError) else ""
        return Seen(image, (), "; ".join(filter(None, (problem.reason, remedy))))


# -- telling ----------------------------------------------------------------------------------------------------------


def _tell(seen: Seen, threshold: float) -> None:
    """Write one image's line, or lines where several things are seen."""
    from cli.tables import clean
    from cli.vision.performance import share

    name = _name(seen.image)
    if seen.problem:
        print(f"reactor: {name}: {clean(seen.problem)}", file=sys.stderr)
        return
    sure = [guess for guess in seen.guesses if guess.probability >= threshold]
    if sure:
        said = ", ".join(f"{clean(guess.tag)} {share(guess.probability)}{_place(guess)}" for guess in sure)
    elif seen.guesses:
        best = seen.guesses[0]
        said = f"nothing surely; most likely {clean(best.tag)} {share(best.probability)}{_place(best)}"
    else:
        said = "nothing"
    print(f"{name}: {said}")


def _name(image: str) -> str:
    """Name an image for people; a URL's query may be a secret."""
    from cli.tables import clean
    from shared.redaction import redacted

    return clean(redacted(image) if _is_url(image) else image)


def _place(guess: Guess) -> str:
    """Say where on the image it is, as shares of its width and height."""
    box = guess.box
    return f" at {box.left:.2f}, {box.top:.2f} ({box.width:.2f} × {box.height:.2f})" if box else ""


def _json(seen: Seen, threshold: float) -> dict[str, Any]:
    guesses = [asdict(one) | {"is_sure": one.probability >= threshold} for one in seen.guesses]
    return {"image": _name(seen.image), "guesses": guesses} | ({"problem": seen.problem} if seen.problem else {})
