"""Why it happened: what an alert may tell beyond its event, read from the service it is about when it is sent.

An event about a run, a training or an export carries no error text. What is known of it, of a model or an endpoint is
asked for again; what may not be read, or is gone, is left out, and said to be.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from shared.clients.machine_learning.resources import studio_link
from shared.errors import PermanentError, TemporaryError
from shared.events import Event
from shared.handlers import declared
from shared.handlers.vision import iterations, projects
from shared.handlers.vision.iterations import Place
from shared.permissions import Permission
from shared.redaction import tidy
from shared.rules.addresses import is_url
from shared.stages import Job

NAMES = frozenset({"error", "failed_step", "created_by", "links"})
"""What `look` gives; each is a text, but for `links`, which has `studio` and `portal`. Custom Vision's own page is its
studio."""
SAID = {"error": "error", "failed_step": "failed step", "created_by": "who created it", "links": "links"}
"""What they are called where they could not be read."""
GONE = "it is not there any more"

Found = dict[str, str]
"""By name: what was found, of `links` the studio's."""


class Reading:
    """Reads one thing after another, and keeps what could not be read."""

    def __init__(self, job: Job, workspace: str, *, patient: bool) -> None:
        self.job = job
        self.client = job.clients.machine_learning
        self.workspace = workspace
        self._patient = patient
        self._missed: set[str] = set()
        self._why = ""

    def ask[T](self, read: Callable[[], T | None], *names: str) -> T | None:
        """Read what these names need; where that is refused, or not there yet, None and a note why.

        Who is patient raises TemporaryError instead, so that it is asked for again.
        """
        try:
            return read()
        except TemporaryError as problem:
            if self._patient:
                raise
            self.miss(problem.reason, *names)
        except PermanentError as problem:
            self.miss(problem.reason, *names)
        return None

    def miss(self, why: str, *names: str) -> None:
        """Note what could not be read; the first reason is enough."""
        self._missed.update(names)
        self._why = self._why or why

    def unread(self, found: Found) -> str:
        """Say what could not be read, and was not found elsewhere; "" where nothing is missing."""
        missed = {name for name in self._missed if not found.get("studio" if name == "links" else name)}
        return _unread(missed, self._why) if missed else ""


def look(job: Job, patient: bool) -> Mapping[str, Any]:  # noqa: FBT001 # the engine's hook
    """Read `NAMES` of what the answered event is about; `unread` says what could not be read, and why.

    What there is nothing to say of is "". TemporaryError where `patient` and asking again may help.
    """
    event = job.event()
    about = next((read for namespace, read in ABOUT.items() if event.facts.get(namespace)), None)
    if about is None:
        return _told(_of_outcome(event), "", "")
    try:
        workspace = "" if about is _of_vision else declared.workspace(job, event.source)
        reading = Reading(job, workspace, patient=patient)
    except PermanentError as problem:
        return _told({}, "", _unread(NAMES, problem.reason))
    found = about(event, reading)
    return _told(found, reading.workspace, reading.unread(found))


def _told(found: Found, workspace: str, unread: str) -> dict[str, Any]:
    portal = f"https://portal.azure.com/#@/resource{quote(workspace)}" if workspace else ""
    links = {"studio": found.get("studio", ""), "portal": portal}
    return {name: found.get(name, "") for name in NAMES} | {"links": links, "unread": unread}


def _unread(names: Collection[str], why: str) -> str:
    *most, last = (said for name, said in SAID.items() if name in names)
    return f"{', '.join(most)} and {last} could not be read: {why}" if most else f"{last} could not be read: {why}"


# -- runs -------------------------------------------------------------------------------------------------------------


def _of_run(event: Event, reading: Reading) -> Found:
    """Read the whole job of a run, and where it has failed which step did, and why."""
    run, workspace, client = event.facts["run"], reading.workspace, reading.client
    name = run["root_id"] or run["id"]
    job = reading.ask(lambda: client.jobs.read(workspace, name), *NAMES)
    found = {"studio": studio_link(workspace, f"runs/{quote(name)}")}
    if job is None:
        reading.miss(f"run {tidy(name)}: {GONE}", *NAMES)
    else:
        found |= {"created_by": job.created_by, "studio": job.studio or found["studio"]}
        if job.status == "Completed":
            return found
    child = reading.ask(lambda: client.runs.failed_child(workspace, name), "error", "failed_step")
    if child:
        found["failed_step"], found["error"] = child
    if not found.get("error"):
        error = reading.ask(lambda: client.runs.error(workspace, name), "error", "failed_step")
        found["error"] = ": ".join(part for part in (error.code, error.message) if part) if error else ""
    return {name: tidy(text) if name != "studio" else text for name, text in found.items()}


# -- models and endpoints ---------------------------------------------------------------------------------------------


def _of_model(event: Event, reading: Reading) -> Found:
    """Read who registered a model."""
    name, version = str(event.facts["model"]["name"]), str(event.facts["model"]["version"])
    model = reading.ask(lambda: reading.client.models.read(reading.workspace, name, version), "created_by")
    if model is None:
        reading.miss(f"model {tidy(f'{name}:{version}')}: {GONE}", "created_by")
    path = f"model/{quote(name)}:{quote(version)}/details"
    return {"created_by": tidy(model.created_by) if model else "", "studio": studio_link(reading.workspace, path)}


def _of_deployment(event: Event, reading: Reading) -> Found:
    """Read which of an endpoint's deployments has failed, if one has."""
    name, workspace, client = str(event.facts["deployment"]["service"]), reading.workspace, reading.client
    is_online = reading.ask(lambda: client.online.endpoint(workspace, name), "error", "failed_step") is not None
    is_batch = not is_online and reading.ask(lambda: client.batch.endpoint(workspace, name), "error") is not None
    if not (is_online or is_batch):
        reading.miss(f"endpoint {tidy(name)}: {GONE}", "error", "failed_step", "links")
        return {}
    listing = client.online.deployments if is_online else client.batch.deployments
    failed = reading.ask(
        lambda: next((one.name for one in listing(workspace, name) if one.state == "Failed"), ""),
        *("error", "failed_step"),
    )
    found = {"studio": studio_link(workspace, f"endpoints/{'realtime' if is_online else 'batch'}/{quote(name)}")}
    return found | ({"failed_step": tidy(failed), "error": f"deployment {tidy(failed)} is Failed"} if failed else {})


# -- Custom Vision ----------------------------------------------------------------------------------------------------


def _of_vision(event: Event, reading: Reading) -> Found:
    """Read why a training has failed, or which export."""
    told, job = event.facts["vision"], reading.job
    place = reading.ask(lambda: iterations.place(job, str(told["project"])), "error", "failed_step", "links")
    if place is None:
        return {}
    read = VISION.get(str(told["status"]))
    found = read(place, declared.guid(str(told["iteration"])), told, reading) if read else {}
    return found | {"studio": projects.link(place.project)}


def _of_training(place: Place, iteration: str, _told: Mapping[str, Any], reading: Reading) -> Found:
    """Read why a training has failed; only the service's preview tells."""
    client = reading.job.clients.vision.iterations
    one = reading.ask(lambda: client.read(place.at, place.project, iteration), "error")
    if one is None:
        reading.miss(f"iteration {iteration}: {GONE}", "error")
        return {"failed_step": "training"}
    why = client.why_failed(place.at, place.project, iteration)
    return {"failed_step": "training", "error": tidy(why) or f"{iterations.label(one)} failed, {UNTOLD}"}


def _of_export(place: Place, iteration: str, told: Mapping[str, Any], reading: Reading) -> Found:
    """Read which exports have failed; the notification does not always tell, and nothing tells why."""
    client = reading.job.clients.vision.iterations
    exports = reading.ask(lambda: client.exports(place.at, place.project, iteration), "error", "failed_step")
    failed = [(one.platform, one.flavor) for one in exports or () if one.status.lower() == "failed"]
    if told["platform"]:
        failed = [(str(told["platform"]), told["flavor"])]
    named = tidy(", ".join(f"{platform}/{flavor}" if flavor else platform for platform, flavor in failed))
    return {"failed_step": named, "error": f"the export to {named} failed, {UNTOLD}"} if named else {}


UNTOLD = "and Custom Vision does not say why"
VISION: Mapping[str, Callable[[Place, str, Mapping[str, Any], Reading], Found]] = {
    "TrainingFailed": _of_training,
    "ExportFailed": _of_export,
}
"""What an iteration's notification says became of it, to what is read about that."""

# -- our own ----------------------------------------------------------------------------------------------------------


def _of_outcome(event: Event) -> Found:
    """Take what an action of ours tells of its end, which needs no look."""
    failure, action = event.facts.get("failure", {}), event.facts.get("action", {})
    steps = action.get("steps")
    links = [told.get("links") for told in steps.values()] if isinstance(steps, Mapping) else []
    studios = [str(link["studio"]) for link in links if isinstance(link, Mapping) and link.get("studio")]
    return {
        "error": str(failure.get("reason") or ""),
        "failed_step": str(failure.get("step") or ""),
        "studio": next((link for link in reversed(studios) if is_url(link)), ""),
    }


ABOUT: Mapping[str, Callable[[Event, Reading], Found]] = {
    "run": _of_run,
    "model": _of_model,
    "deployment": _of_deployment,
    "vision": _of_vision,
}
"""Namespace of an event to what is read about it; a drift is about its monitor's run."""

_CV = "Microsoft.CognitiveServices/accounts/CustomVision/projects"
_ML = "Microsoft.MachineLearningServices/workspaces"
READS = (
    Permission(
        "workspace",
        (
            f"{_ML}/read",
            f"{_ML}/jobs/read",
            f"{_ML}/experiments/read",
            f"{_ML}/experiments/runs/read",
            f"{_ML}/models/versions/read",
            f"{_ML}/onlineEndpoints/read",
            f"{_ML}/onlineEndpoints/deployments/read",
            f"{_ML}/batchEndpoints/read",
            f"{_ML}/batchEndpoints/deployments/read",
        ),
        "to tell in an alert why something failed, who made it, and where to look",
        optional=True,
    ),
    Permission(
        "vision",
        (f"{_CV}/iterations/read", f"{_CV}/iterations/export/read"),
        "to tell in an alert why a training failed, or which export",
        is_data=True,
        optional=True,
    ),
)
"""What `look` needs, where it is to know."""
