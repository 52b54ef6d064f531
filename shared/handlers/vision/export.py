"""Export a trained iteration of a Custom Vision project: each platform and flavor is looked up before it is asked for.

The service refuses to export the same twice, so that asking again is harmless. It writes an export to the project's
container under a name that has the platform in it and not the flavor: the flavors of one platform overwrite each other
there, and their notifications say the same. So they are asked for one after the other, with a while between them.
https://learn.microsoft.com/azure/ai-services/custom-vision-service/export-programmatically
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.clients.vision import Export, Iteration
from shared.errors import PermanentError, ReactorError
from shared.handlers.vision import iterations, projects
from shared.handlers.vision.iterations import Place
from shared.parse.vision import PLATFORMS
from shared.permissions import Permission
from shared.policy import Duration
from shared.redaction import tidy
from shared.rules import templates
from shared.rules.declared import Doubtful, Names
from shared.rules.problems import did_you_mean, shorten
from shared.stages import Done, Job, Pending, Progress, Stage

APART = timedelta(minutes=12)
"""Between the end of a flavor in a container and the request for the next: time to back it up, and for its notification
to be no repetition of the one before, which equal words within 10 minutes are taken for."""
ENDED = frozenset({"done", "failed"})


def _spelled(given: str) -> str:
    platform, slash, flavor = given.partition("/")
    if not templates.is_open(given) and (not platform.strip() or (slash and not flavor.strip()) or "/" in flavor):
        raise ValueError("must be a platform, such as ONNX, or a platform and a flavor, TensorFlow/TensorFlowLite")
    return given


def _undocumented(given: Any) -> str:
    """Doubt a platform that Custom Vision's pages do not list; it may have come since."""
    platform = given.partition("/")[0] if isinstance(given, str) else ""
    if not platform.strip() or templates.is_open(platform) or platform.lower() in PLATFORMS:
        return ""
    known = PLATFORMS.values()
    meant = did_you_mean(platform, known) or f": it documents {', '.join(known)}"
    return f"Custom Vision documents no platform {shorten(platform)}{meant}"


class Vision(BaseModel):
    """Exports an iteration of a Custom Vision project, and follows the exports to their end."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    project: Annotated[str, Names("vision")] = Field(
        default="{{ vision.project }}", description="A declared project; by default the event's."
    )
    iteration: str = Field(default="{{ vision.iteration }}", description="The iteration's id; by default the event's.")
    platforms: Annotated[list[Annotated[str, AfterValidator(_spelled)]], Doubtful(_undocumented)] = Field(
        description="What to export to: a platform, such as ONNX, or one with a flavor, such as "
        "TensorFlow/TensorFlowLite; Custom Vision says what there is.",
        min_length=1,
    )
    again: bool = Field(
        default=False, description="Export what is there once more where Custom Vision has a newer version of it."
    )
    within: Duration = Field(
        default=timedelta(hours=6), description="How long it may take; then the step fails, and the exports go on."
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A platform, and maybe a flavor of it."""

    platform: str
    flavor: str | None

    def __str__(self) -> str:
        return f"{self.platform}/{self.flavor}" if self.flavor else self.platform


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of the exports so far, each by its platform and flavor: JSON between looks."""

    begun: dict[str, str]
    """When it was asked for, or seen under way."""
    ended: dict[str, str]
    """When it was first seen to be over."""


Looked = tuple[Wanted, Export | None]

# -- check ------------------------------------------------------------------------------------------------------------


def check(params: Vision, job: Job) -> Progress:
    """Look whether the iteration is trained, and can be exported to what is wanted."""
    place, id_ = iterations.place(job, params.project), iterations.read_id(params.iteration)
    project = projects.read_project(place, job)
    one = job.clients.vision.iterations.read(place.at, place.project, id_)
    if one is None:
        raise PermanentError(
            f"project {tidy(project.name)} has no iteration {id_}",
            remedy="correct the iteration's id: it may have been deleted, or be another project's",
        )
    name = iterations.label(one)
    if not one.is_over:  # its notification may be ahead of what the service shows of it
        wake_on = f"training:{place.project}/{id_}"
        return Pending(note=f"{name} is not trained yet: it is {tidy(one.status)}", wake_on=wake_on)
    if not one.is_good:
        raise PermanentError(f"the training of {name} failed, so that there is nothing to export", remedy="train again")
    if not one.exportable:
        raise _not_exportable(one, place, job)
    wanted, known = _wanted(params), {platform.lower() for platform in one.platforms}
    if known and (unknown := [str(each) for each in wanted if each.platform.lower() not in known]):
        raise PermanentError(
            f"platforms: {name} cannot be exported to {', '.join(unknown)}",
            remedy=f"it can be exported to {', '.join(one.platforms)}",
        )
    told = {"project": place.project, "iteration": id_, "name": name, "in_container": bool(project.container)}
    return Done(told | {"links": {"studio": projects.link(place.project)}})


def _wanted(params: Vision) -> list[Wanted]:
    """List what is to be exported, each once."""
    found: dict[str, Wanted] = {}
    for given in params.platforms:
        platform, _, flavor = (part.strip() for part in given.partition("/"))
        found.setdefault(f"{platform}/{flavor}".lower(), Wanted(platform, flavor or None))
    return list(found.values())


def _not_exportable(one: Iteration, place: Place, job: Job) -> PermanentError:
    """Say why an iteration stays in the service, and which domains would let it go."""
    named, compact = "its domain", "such as General (compact)"
    try:
        domains = job.clients.vision.projects.domains(place.at)
    except ReactorError:
        domains = []
    if own := next((each for each in domains if each.id == one.domain), None):
        named = f'its domain "{tidy(own.name)}"'
        others = [tidy(each.name) for each in domains if each.exportable and each.enabled and each.type == own.type]
        compact = f"one of {', '.join(others)}" if others else compact
    return PermanentError(
        f"{iterations.label(one)} cannot be exported: {named} is not compact",
        remedy=f"change the project's domain to a compact one, {compact}, and train again",
    )


# -- export -----------------------------------------------------------------------------------------------------------


def find(params: Vision, job: Job) -> Progress | None:
    """Look whether everything is there; None while something is still to be asked for."""
    exports = _listed(params, job)
    there = [_export_of(each, exports) for each in _wanted(params)]
    return _done(there, job) if all(one and _is_done(one, params) for one in there) else None


def advance(params: Vision, job: Job) -> Progress:
    """Ask for what is missing and may be asked for, until everything has ended."""
    exports = _listed(params, job)
    looked = [(each, _export_of(each, exports)) for each in _wanted(params)]
    seen = Seen(dict(job.memory.get("begun", {})), dict(job.memory.get("ended", {})))
    waiting: list[str] = []
    for number, (each, one) in enumerate(looked):
        key = str(each)
        if _is_over(one, params, has_begun=key in seen.begun):
            seen.ended.setdefault(key, job.now.isoformat())
        elif one and one.status.lower() not in ENDED:
            seen.begun.setdefault(key, job.now.isoformat())
            waiting.append(f"{key} is {tidy(one.status)}")
        elif key in seen.begun:
            waiting.append(f"{key} is not listed yet")
        elif before := _before(each, looked[:number], seen, job):
            waiting.append(before)
        else:
            _ask(each, params, job)
            seen.begun[key] = job.now.isoformat()
            waiting.append(f"{key} is asked for")
    if waiting:
        wake_on = f"export:{job.result['project']}/{job.result['iteration']}"
        return Pending(memory=asdict(seen), note="; ".join(waiting), wake_on=wake_on)
    return _done([one for _, one in looked], job)


def _listed(params: Vision, job: Job) -> list[Export]:
    place = iterations.place(job, params.project)
    return job.clients.vision.iterations.exports(place.at, place.project, job.result["iteration"])


def _export_of(each: Wanted, exports: Iterable[Export]) -> Export | None:
    return next((one for one in exports if one.is_of(each.platform, each.flavor)), None)


def _is_done(one: Export, params: Vision) -> bool:
    """Tell whether an export can be used as it is."""
    return one.status.lower() == "done" and not (params.again and one.newer_version_available)


def _is_over(one: Export | None, params: Vision, *, has_begun: bool) -> bool:
    """Tell whether nothing more is to be done for an export; one that had failed before is asked for once."""
    if one is None:
        return False
    return one.status.lower() in ENDED if has_begun else _is_done(one, params)


def _ask(each: Wanted, params: Vision, job: Job) -> None:
    """Ask for an export; where it is queued already, all is well."""
    place = iterations.place(job, params.project)
    try:
        job.clients.vision.iterations.export(
            place.at, place.project, job.result["iteration"], each.platform, each.flavor
        )
    except PermanentError as problem:
        raise PermanentError(f"{each}: {problem.reason}", remedy=problem.remedy) from None


def _before(each: Wanted, earlier: Sequence[Looked], seen: Seen, job: Job) -> str:
    """Say which flavor of the same platform has to be over, for a while, before this one; "" where none has."""
    for other, one in earlier:
        key = str(other)
        if other.platform.lower() != each.platform.lower():
            continue
        if key not in seen.ended:
            return f"{each} waits for {other}"
        if key not in seen.begun or one is None or one.status.lower() == "failed":
            continue  # it was there before, or is not there at all: nobody is about to back it up
        until = datetime.fromisoformat(seen.ended[key]) + APART
        if job.result["in_container"] and job.now < until:
            return f"{each} waits until {until:%H:%M}: in the container it replaces {other}"
    return ""


def _done(there: Sequence[Export | None], job: Job) -> Progress:
    """End the step, as failed where some export has."""
    ended = [one for one in there if one]
    shown = [{"platform": one.platform, "flavor": one.flavor, "status": one.status} for one in ended]
    if failed := [_name(one) for one in ended if one.status.lower() == "failed"]:
        fine = [_name(one) for one in ended if one.status.lower() == "done"]
        also = f"; {', '.join(fine)} is done" if fine else ""
        raise PermanentError(
            f"the export of {job.result['name']} to {', '.join(failed)} failed, without a reason{also}",
            remedy="replay the event: what failed is asked for again, and what is done is not",
        )
    told: dict[str, Any] = {"exports": shown}
    return Done(told, note=f"{job.result['name']} is exported to {', '.join(map(_name, ended))}")


def _name(one: Export) -> str:
    return str(Wanted(one.platform, one.flavor))


_CV = "Microsoft.CognitiveServices/accounts/CustomVision"
PERMISSIONS = {
    Vision: (
        Permission(
            "vision",
            (
                f"{_CV}/projects/read",
                f"{_CV}/projects/iterations/read",
                f"{_CV}/projects/iterations/export/read",
                f"{_CV}/projects/iterations/export/action",
            ),
            "to export an iteration and watch it, without a key",
            is_data=True,
        ),
        Permission(
            "vision",
            (f"{_CV}/domains/read",),
            "to name the domains that can be exported",
            is_data=True,
            optional=True,
        ),
    )
}
RESULTS = {Vision: ("exports", "project", "iteration", "name", "links.studio")}
STAGES = {
    Vision: (
        Stage[Vision]("check", start=check, watch=check, effect="reads", within=lambda params: params.within),
        Stage[Vision](
            "export", find=find, start=advance, watch=advance, effect="prepares", within=lambda params: params.within
        ),
    )
}
