"""What was done to the simulated services, each effect in one line of words.

An effect that is there twice was done twice. A message that carries an id counts once for each id: its receiver, told
the same thing again, drops it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient

from dev.demo.language_stories import SECOND
from dev.demo.story import Story
from dev.demo.vision_stories import EXPORT_BYTES, ITERATION, LIVE, PROJECT, UNRIPE
from dev.simulators.remote import Simulators
from dev.simulators.vision.exports import model as content
from shared.language_content import fingerprint

NIGHTLY = "/batchendpoints/nightly"
"""It was there before the demo began."""
NAMES = {PROJECT: "fruit", UNRIPE: "veg"}
AT_LEAST_ONCE = ("teams ",)
"""Chat cannot be looked up and drops nothing: a crash right after a message was sent may send it again."""


def expected(stories: Iterable[Story]) -> Counter[str]:
    """Give what must have been done."""
    return Counter(effect for story in stories for effect in story.effects)


def done(simulators: Simulators, storage: str, backups: str) -> Counter[str]:
    """Look at what was done."""
    management = simulators.management.state()
    kept = BlobServiceClient.from_connection_string(storage)
    return Counter([
        *pipeline_runs(management["runs"]),
        *deployments(management["resources"]),
        *traffic(management["resources"]),
        *jobs(management["resources"]),
        *models(management["resources"]),
        *messages(simulators.channels.inbox()),
        *forwarded(simulators.event_grid.inbox()),
        *iterations(simulators.vision.state()["projects"]),
        *replicated(simulators.language_replica.state()),
        *backed_up(kept.get_container_client(backups), simulators.language.state()),
    ])  # fmt: skip


def differences(expected: Counter[str], done: Counter[str]) -> tuple[list[str], list[str]]:
    """Tell what was lost, and what was doubled against the guarantees."""
    doubled = (done - expected).elements()
    return sorted((expected - done).elements()), sorted(each for each in doubled if not each.startswith(AT_LEAST_ONCE))


def pipeline_runs(runs: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Every run of a pipeline."""
    for run in runs:
        yield f"pipeline run of {run['pipelineName']} for {run['parameters'].get('drift_run')}"


def deployments(resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every deployment, and which of them answers for its endpoint."""
    shown = {id.lower(): resource for id, resource in resources.items()}
    for id, resource in shown.items():
        if "/onlineendpoints/" in id and "/deployments/" in id:
            yield f"online deployment of {model(resource)} {resource['properties']['provisioningState']}"
        elif "/deployments/" in id and NIGHTLY not in id:
            yield f"deployment of {model(resource)} {resource['properties']['provisioningState']}"
        elif NIGHTLY not in id and (
            name := ((resource.get("properties") or {}).get("defaults") or {}).get("deploymentName")
        ):
            yield f"default of {resource['name']} is {model(shown[f'{id}/deployments/{name}'.lower()])}"


def traffic(resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every online endpoint, and which models answer there."""
    shown = {id.lower(): resource for id, resource in resources.items()}
    for id, resource in shown.items():
        if "/onlineendpoints/" in id and "/deployments/" not in id:
            shares = (
                f"{model(shown[f'{id}/deployments/{name}'])} {share} %"
                for name, share in resource["properties"]["traffic"].items()
                if share
            )
            yield f"traffic of {resource['name']}: {', '.join(shares)}"


def jobs(resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every job that the reactor started: of a component, or of a batch endpoint."""
    for id, resource in resources.items():
        name, properties = resource["name"], resource["properties"]
        if "/jobs/" not in id.lower():
            continue
        if name.startswith("reactor-"):
            component = properties["componentId"].rpartition("/components/")[2].replace("/versions/", ":")
            yield f"job of {component} for {properties['inputs']['monitor_run']['value']} {properties['status']}"
        elif name.startswith("batchjob-"):
            yield f"batch job of {properties['properties']['azureml.endpointname']} {properties['status']}"


def models(resources: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Every model that the reactor registered."""
    for id, resource in resources.items():
        tags = resource["properties"].get("tags") or {}
        if "/models/" in id.lower() and "drift_run" in tags:
            yield f"model {id.rpartition('/models/')[2].partition('/')[0]} registered for {tags['drift_run']}"


def model(deployment: dict[str, Any]) -> str:
    """Say which model a deployment holds."""
    held = deployment["properties"]["model"]
    name, _, version = (
        (held if isinstance(held, str) else held["assetId"]).rpartition("/models/")[2].partition("/versions/")
    )
    return f"{name}:{version}"


def messages(inbox: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Every message to people; a webhook's counts once for each id."""
    known = set()
    for message in inbox:
        if message["channel"] == "teams":
            title = message["cards"][0]["body"][0]["text"].partition(" · ")[0]
            yield f"teams {message['name']}: {title}"
        elif message["channel"] == "mail":
            yield f"mail {', '.join(message['to'])}: {message['subject'].partition(' · ')[0]}"
        elif message["id"] not in known:
            known.add(message["id"])
            yield f"{message['channel']} {message['name']}: {json.loads(message['body'])['data']['title']}"


def forwarded(inbox: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Every event that reached the topic, once for each source and id."""
    for _, _, type in {tuple(each["event"][name] for name in ("source", "id", "type")) for each in inbox}:
        yield f"topic received {type}"


def iterations(projects: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Every iteration that was trained since the demo began, and which of them answer."""
    for project in projects:
        for iteration in project["iterations"].values():
            if iteration["id"] not in (LIVE, ITERATION):
                yield f"iteration of {project['name']} {iteration['status']}"
                if iteration["publishName"]:
                    yield f"{iteration['publishName']} of {project['name']} answers with the new iteration"
            elif iteration["id"] == LIVE and iteration["publishName"] and len(project["iterations"]) > 1:
                yield f"{iteration['publishName']} of {project['name']} answers with the old iteration"


def replicated(state: dict[str, Any]) -> Iterator[str]:
    """Every job of the second region that changes the project there, and what answers there after such a job."""
    jobs = [job for job in state["jobs"] if job["kind"] in {"train", "import", "swap"}]
    for job in jobs:
        if job["kind"] == "train":
            yield f"training of {SECOND}: {job['result']['modelLabel']} {job['status']}"
        else:
            yield f"{job['kind']} of {SECOND} {job['status']}"
    for project in state["projects"] if jobs else ():
        labels = {model["modelId"]: label for label, model in project["models"].items()}
        for name, deployment in project["deployments"].items():
            yield f"{name} of {SECOND}: {labels[deployment['modelId']]}"


def backed_up(container: ContainerClient, primary: dict[str, Any]) -> Iterator[str]:
    """Every backup whose manifest tells the hashes that its files have."""
    for name in list(container.list_blob_names()):
        folder, _, file = name.rpartition("/")
        if file == "manifest.json":
            told = json.loads(container.download_blob(name).readall())
            read = partial(_read, container, folder)
            yield language_backup(told, read, primary) if folder.startswith("language/") else export(folder, told, read)


def _read(container: ContainerClient, folder: str, file: str) -> bytes:
    return container.download_blob(f"{folder}/{file}").readall()


def export(folder: str, told: dict[str, Any], read: Callable[[str], bytes]) -> str:
    """Say what is kept of an exported iteration."""
    found = hashlib.sha256(read("model.zip")).hexdigest()
    project, iteration, *what = folder.split("/")
    exported = hashlib.sha256(content(iteration, what[0], EXPORT_BYTES)).hexdigest()
    is_same = told["sha256"] == [found] and found == exported
    return f"backup of {NAMES[project]}: {'/'.join(what)} {'as it was exported' if is_same else 'is another'}"


def language_backup(told: dict[str, Any], read: Callable[[str], bytes], primary: dict[str, Any]) -> str:
    """Say what is kept of a Language project: here the working copy is what was deployed last."""
    files = {name: read(name) for name in told["files"]}
    exported = {fingerprint(project["exported"]) for project in primary["projects"]}
    is_same = {fingerprint(file) for file in files.values()} == exported and all(
        hashlib.sha256(file).hexdigest() == told["files"][name]["sha256"] for name, file in files.items()
    )
    kept = " and ".join(
        name.removesuffix(".json").removeprefix("deployed-").replace("_", " ") for name in sorted(files)
    )
    return f"backup of {told['project']}: {kept}, {'as they were exported' if is_same else 'are others'}"
