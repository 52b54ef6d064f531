"""`reactor vision create` and `reactor vision delete`: a project from its first day to its last.

https://learn.microsoft.com/rest/api/customvision/projects/create
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.app_storage import reported
from cli.errors import RefusedError, UsageError
from cli.vision.places import add_places, make, same, there, wanted_places
from cli.vision.project import add_project, add_resource, add_rules, find, find_resource

if TYPE_CHECKING:
    from cli.line import Line
    from cli.surroundings import Surroundings
    from cli.vision.project import Here
    from shared.clients.vision import Domain, Iteration, NewProject, Project, Resource

DOMAIN = "General (compact)"
"""What is taken where nothing is said: only models of compact domains can be exported, so only they can be kept."""
TYPES: Mapping[str, str] = {"classification": "Classification", "detection": "ObjectDetection"}
CLASSIFICATIONS: Mapping[str, str] = {"multiclass": "Multiclass", "multilabel": "Multilabel"}
LOOKS, PATIENCE = 3, 5.0
"""How often, and seconds apart, a project whose creation was not answered is looked for."""


def add_command(commands: Any) -> None:
    """Add `reactor vision create` and `reactor vision delete` to the parser."""
    _add_create(commands.add_parser("create", help="make a project, connected to the app"))
    one = commands.add_parser("delete", help="delete a project with all its iterations; no rule ever does that")
    add_project(one, otherwise="")
    one.add_argument("--yes", action="store_true", help="do not ask")
    one.set_defaults(run=reported(delete))


def _add_create(one: Any) -> None:
    one.add_argument("name", metavar="NAME", help="what it is called")
    one.add_argument("--description", metavar="TEXT", default="")
    one.add_argument("--domain", metavar="NAME|ID", default="", help=f"what it is good at; default: {DOMAIN}")
    one.add_argument("--type", choices=tuple(TYPES), help="default: that of the domain, else classification")
    one.add_argument(
        "--classification-type",
        choices=tuple(CLASSIFICATIONS),
        help="one tag an image, or several; default: multiclass",
    )
    one.add_argument(
        "--platform", action="append", default=[], metavar="NAME", help="that it is meant to be exported to; repeat it"
    )
    add_places(one)
    one.add_argument(
        "--form",
        choices=("query", "body"),
        default="query",
        help="where the request says queue and container: as v3.3 is documented, or as v3.4-preview; default: query",
    )
    one.add_argument("--beside", metavar="PROJECT", help="make it in the training resource of this declared project")
    one.add_argument("--json", action="store_true", help="for programs")
    add_resource(one)
    add_rules(one)
    one.set_defaults(run=reported(create))


# -- create -----------------------------------------------------------------------------------------------------------


def create(options: Namespace) -> int:
    """Make the project, compare what was made with what was asked for, and print what declares it."""
    from cli.documents import print_json
    from shared.clients.vision import NewProject

    around, at, training = find_resource(options)
    places = around.places
    notes = _leave_out_unknown(options, around)
    wanted = wanted_places(options, places)
    domain = _domain(around.clients.vision.projects.domains(at), options)
    project = NewProject(
        name=options.name,
        description=options.description,
        domain=domain.id,
        classification=_classification(options, domain),
        platforms=tuple(_platforms(options, domain)),
        container=wanted.get("container", ""),
        queue=wanted.get("queue", ""),
    )
    if before := _named(around, at, options.name):
        raise RefusedError(f"{options.name} is there already: {before.id}; `reactor vision connect` connects it")
    make(places, wanted)
    made = _create(around, at, project, options.form)
    declares = list(_lines(made, training, wanted))
    if options.json:
        print_json(asdict(made) | {"declare": "\n".join(declares), "domain_name": domain.name, "notes": notes})
    else:
        print(f"made {made.name} ({made.id}): {domain.name}, {made.classification or 'object detection'}")
        print("these lines of a rules file declare it, and then `reactor vision connect` proves that the app hears it:")
        print("\n".join(declares))
        for note in notes:
            print(f"  note  {note}")
    _compare(around, at, project, made)
    return 0


def _leave_out_unknown(options: Namespace, around: Surroundings) -> list[str]:
    """Connect it to nothing where the app's storage is not known here."""
    if around.has_storage:
        return []
    left = [what for what in ("queue", "container") if not (getattr(options, what) or getattr(options, f"no_{what}"))]
    for what in left:
        setattr(options, f"no_{what}", True)
    told = "the app's storage is not known here; `reactor vision connect` connects the project where it is"
    return [f"no {' and no '.join(left)}: {told}"] if left else []


def _domain(domains: Sequence[Domain], options: Namespace) -> Domain:
    """Find the domain by its id or its name, of the type that is asked for."""
    from shared.handlers.declared import guid
    from shared.rules.problems import did_you_mean

    wanted = options.domain or DOMAIN
    type_ = TYPES.get(options.type or ("" if options.domain else "classification"), "")
    fits = [one for one in domains if one.id == guid(wanted) or _plain(one.name) == _plain(wanted)]
    typed = [one for one in fits if one.type == type_ or not type_]
    if len(typed) == 1:
        if not typed[0].enabled:
            raise RefusedError(f"--domain: {typed[0].name} is retired; choose another one")
        return typed[0]
    if typed:
        return next((one for one in typed if one.type == "Classification"), typed[0])
    if fits:
        raise UsageError(f"--domain: {fits[0].name} is of the type {fits[0].type}, and --type is {options.type}")
    names = sorted({one.name for one in domains if one.type == type_ or not type_})
    raise UsageError(f"--domain: there is no {wanted}{did_you_mean(wanted, names)}; there is {', '.join(names)}")


def _plain(name: str) -> str:
    return "".join(name.lower().split())


def _classification(options: Namespace, domain: Domain) -> Any:
    if domain.type != "Classification":
        if options.classification_type:
            raise UsageError(f"--classification-type: {domain.name} detects objects, and classifies nothing")
        return ""
    return CLASSIFICATIONS[options.classification_type or "multiclass"]


def _platforms(options: Namespace, domain: Domain) -> Iterator[str]:
    """Spell the platforms as the service does; which of them a domain has, it says itself."""
    if options.platform and not domain.exportable:
        raise UsageError(f"--platform: {domain.name} exports nothing; choose a compact domain")
    known = {one.lower(): one for one in domain.platforms}
    for name in options.platform:
        if known and name.lower() not in known:
            raise UsageError(f"--platform: {domain.name} is not exported to {name}, but to {', '.join(known.values())}")
        yield known.get(name.lower(), name)


def _named(around: Surroundings, at: Resource, name: str) -> Project | None:
    found = [one for one in around.clients.vision.projects.list(at) if one.name == name]
    return found[0] if found else None


def _create(around: Surroundings, at: Resource, wanted: NewProject, form: Any) -> Project:
    """Make it; where that is not answered, it is looked for by its name, and never made twice."""
    from cli.vision.missing import refused
    from shared.errors import DeniedError, PermanentError, UnansweredError

    places = {what: url for what in ("queue", "container") if (url := getattr(wanted, what))}
    try:
        return around.clients.vision.projects.create(at, wanted, form=form)
    except UnansweredError as trouble:
        return _found(around, at, wanted.name, trouble)
    except (PermanentError, DeniedError) as problem:
        if places and "managed identity" in problem.remedy:
            raise refused(at.endpoint, problem, places, f"{wanted.name} was not made") from None
        raise


def _found(around: Surroundings, at: Resource, name: str, trouble: Exception) -> Project:
    import time

    from shared.errors import TemporaryError

    print(f"reactor: {trouble}; looking for {name}", file=sys.stderr)
    for look in range(LOOKS):
        time.sleep(PATIENCE if look else 0)
        try:
            found = _named(around, at, name)
        except TemporaryError:
            continue
        if found is not None:
            return found
    raise RefusedError(f"the service did not answer, and shows no {name}; the same command looks again, then makes it")


def _compare(around: Surroundings, at: Resource, wanted: NewProject, made: Project) -> None:
    """Connect it once more where the answer does not show what was asked for; refuse to call anything else made."""
    from cli.vision.missing import refused
    from shared.errors import DeniedError, PermanentError

    missing = {
        what: getattr(wanted, what)
        for what in ("queue", "container")
        if getattr(wanted, what) and not same(getattr(wanted, what), getattr(made, what))
    }
    if missing:
        print(f"reactor: the service did not take the {' and the '.join(missing)}; set once more", file=sys.stderr)
        try:
            made = around.clients.vision.projects.connect(at, made.id, **missing)
        except (PermanentError, DeniedError) as problem:
            raise refused(at.endpoint, problem, missing, f"{made.name} is made, and not connected") from None
    made = around.clients.vision.projects.read(at, made.id) or made
    asked = {name: getattr(wanted, name) for name in ("name", "description", "domain")}
    asked |= {"classification": wanted.classification or None, "platforms": set(wanted.platforms)}
    shown = {name: getattr(made, name) for name in asked} | {"platforms": set(made.platforms)}
    if differing := [
        f"{name} {shown[name]!r} instead of {asked[name]!r}" for name in asked if shown[name] != asked[name]
    ]:
        raise RefusedError(f"{made.id} is made, with {', '.join(differing)}")


def _lines(made: Project, training: str, wanted: Mapping[str, str]) -> Iterator[str]:
    """Write what declares the project in a rules file."""
    name = "-".join("".join(letter if letter.isalnum() else " " for letter in made.name.lower()).split()) or "project"
    yield "vision:"
    yield f"  {name}:"
    yield f"    project: {made.id}"
    yield f"    training: {training}"
    if "container" in wanted:
        yield f"    container: {wanted['container']}"


# -- delete -----------------------------------------------------------------------------------------------------------


def delete(options: Namespace) -> int:
    """Delete a project once that is confirmed: unpublish, delete the iterations, then the project itself."""
    from cli.ml.telling import confirmed
    from cli.steps import line_of
    from cli.tables import count

    here = find(options, is_whole=False)
    project = there(here)
    iterations = here.vision.iterations.list(here.at, here.project)
    published = [one for one in iterations if one.publish_name]
    images = here.vision.images.count(here.at, here.project, tagged=None)
    what = f"{project.name} ({project.id}), its {count(len(iterations), 'iteration')} and {count(images, 'image')}"
    in_use = f"; published: {', '.join(one.publish_name for one in published)}" if published else ""
    if not options.yes and not confirmed(f"{_left(here, iterations, images)}; delete {what}{in_use}?"):
        print("nothing was deleted", file=sys.stderr)
        return 1
    line = line_of(options)
    try:
        _delete_all(here, published, iterations, line)
    except BaseException:
        line.close()
        print(f"reactor: {project.name} is deleted in part; the same command goes on", file=sys.stderr)
        raise
    line.close()
    print(f"deleted: {what}")
    return 0


def _left(here: Here, iterations: Sequence[Iteration], images: int) -> str:
    """Say how many of the models and the images are not backed up, where that can be seen from here."""
    from cli.vision.kept import read_kept, read_models
    from shared.errors import ReactorError

    trained = {one.id for one in iterations if one.is_good}
    if here.account is None:
        return "what of it is backed up is not known here"
    try:
        kept = {backup.iteration for backup in read_models(here)}
        lost = {"models": len(trained - kept), "images": read_kept(here, images).left}
    except ReactorError as problem:
        return f"what of it is backed up cannot be read: {problem.reason}"
    of = {"models": len(trained), "images": images}
    told = [f"{number:,} of {of[name]:,} {name}" for name, number in lost.items() if number]
    return f"NOT BACKED UP: {', '.join(told)}" if told else "all of it is backed up"


def _delete_all(here: Here, published: Sequence[Iteration], iterations: Sequence[Iteration], line: Line) -> None:
    for number, one in enumerate(published, start=1):
        line.show("unpublish", f"{one.publish_name} ({number} of {len(published)})")
        here.vision.iterations.unpublish(here.at, here.project, one.id)
    for number, one in enumerate(iterations, start=1):
        line.show("iterations", f"{one.name} ({number} of {len(iterations)})")
        here.vision.iterations.delete(here.at, here.project, one.id)
    line.show("project", here.name)
    here.vision.projects.delete(here.at, here.project)
