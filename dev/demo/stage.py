"""The local stack as a stage: everything the stories need is there, and they can be told to it, and told again.

Event Grid has three subscriptions: to the webhook in either schema, and to the queue `ml-events`. Each type of event
comes through one of them, and when it is told again, through another.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient

from dev.demo import language_stories, ml_stories, vision_stories
from dev.demo.ledger import MARK, Ledger
from dev.demo.stories import BREACH, FACTORY, STRANGER
from dev.demo.story import (
    DATASET_DRIFT,
    MODEL_REGISTERED,
    RUN_STATUS_CHANGED,
    WORKSPACE,
    Acted,
    Changed,
    Followed,
    Published,
    Queued,
    Story,
    Told,
    is_over,
)
from dev.demo.vision_stories import EXPORT_BYTES, ITERATION, PROJECT, UNRIPE
from dev.process import Child
from dev.simulators.remote import Simulators
from dev.stack import PYTHONPATH, WEBHOOK
from shared.clients.identity import managed_identity
from shared.settings import Storage
from shared.storage import ML_EVENTS_QUEUE, QUEUES, VISION_QUEUE
from shared.storage.account import Account
from shared.storage.replicas import Replicas

RULES = Path(__file__).with_name("rules.yaml")
LEASE_SECONDS = 10
TRAINING = f"customvision/v3.3/training/projects/{PROJECT}"

FIRST_ROUTES = {"reactor": MODEL_REGISTERED, "cloud": RUN_STATUS_CHANGED, "queue": DATASET_DRIFT}
OTHER_ROUTES = {"reactor": DATASET_DRIFT, "cloud": MODEL_REGISTERED, "queue": RUN_STATUS_CHANGED}
"""Subscription to the type of events that it delivers."""


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong on a story's way."""

    story: str
    fault: Mapping[str, Any]
    """As dev/simulators/faults.py takes it."""
    says: str


TROUBLES = (
    Trouble(
        "model",
        {"kind": "throttle", "method": "PUT", "path": "batchEndpoints/fraud-gbm/deployments", "retry_after": 1},
        "Azure ML was too busy for a deployment (429, Retry-After)",
    ),
    Trouble(
        "drift",
        {"kind": "lost_reply", "method": "POST", "path": "createRun"},
        "Data Factory started a run and its answer got lost",
    ),
)


@dataclass
class Stage:
    """A running stack."""

    ready: Path
    hosts: list[Child] = field(default_factory=list)
    """Those that took the place of a killed one."""

    @property
    def facts(self) -> dict[str, Any]:
        """Read what the stack says of itself at this moment."""
        read: dict[str, Any] = json.loads(self.ready.read_text(encoding="utf-8"))
        return read

    @cached_property
    def functions(self) -> str:
        """Where the host answers."""
        return str(self.facts["functions"])

    @cached_property
    def storage(self) -> str:
        """The app's account."""
        return str(self.facts["storage"])

    @cached_property
    def simulators(self) -> Simulators:
        """The simulated services."""
        return Simulators.connect(self.facts)

    @cached_property
    def ledger(self) -> Ledger:
        """The reactor's records."""
        return Ledger(self.storage)

    def queue(self, name: str) -> QueueClient:
        """One of the app's queues."""
        return QueueClient.from_connection_string(self.storage, name)

    # -- the host -----------------------------------------------------------------------------------------------------

    def kill_host(self) -> None:
        """Kill the host with SIGKILL: it can do nothing about it."""
        os.kill(self.facts["host_pid"], signal.SIGKILL)

    def start_host(self) -> None:
        """Start another host in the killed one's place, and wait until it answers."""
        log = self.ready.with_name(f"host-{len(self.hosts) + 2}.log")
        command = [sys.executable, "-m", "dev.host", "--attach", str(self.ready)]
        host = Child("host", command, log=log, env=PYTHONPATH)
        self.hosts.append(host)
        host.wait_for(lambda: self.facts["host_pid"] == host.pid or None)

    def logged(self, text: str) -> int:
        """Count the lines of all hosts' logs that hold a text."""
        logs = [self.ready.with_name("stack.log"), *(host.log for host in self.hosts if host.log)]
        return sum(text in line for log in logs for line in log.read_text("utf-8", "replace").splitlines())

    def wait(self, stories: Sequence[Story], *, seconds: float = 90) -> None:
        """Wait until stories are over and nothing is left to do; AssertionError where that takes too long."""
        deadline = time.monotonic() + seconds
        while not (self._are_over(stories) and self.idle()):
            assert time.monotonic() < deadline, f"not over after {seconds:g} s: {self.ledger.open()}"
            time.sleep(0.25)

    def _are_over(self, stories: Sequence[Story]) -> bool:
        entries = self.ledger.news()
        return all(is_over(story, entries) for story in stories)

    def idle(self) -> bool:
        """Tell whether nothing is on its way any more: no delivery, no message, no open row."""
        deliveries = self.simulators.event_grid.get("/_deliveries")
        return (
            all(delivery["state"] != "open" for delivery in deliveries)
            and not any(self.waiting(name) for name in QUEUES)
            and not self.ledger.open()
        )

    def waiting(self, queue: str) -> int:
        """Count the messages of a queue, those in somebody's hand included."""
        timeout = int(MARK["timeout"])
        return self.queue(queue).get_queue_properties(timeout=timeout).approximate_message_count or 0

    # -- the stories --------------------------------------------------------------------------------------------------

    def prepare(self, stories: Sequence[Story]) -> None:
        """Put in place what stories are about, and the trouble on their way."""
        self.simulators.management.seed(**ARM)
        self.simulators.management.seed(**ml_stories.MANAGEMENT)
        served = [ml_stories.SERVED[story.name] for story in stories if story.name in ml_stories.SERVED]
        self.simulators.management.seed(online_endpoints=served)
        self.simulators.vision.seed(
            projects=vision_stories.projects(self.queue(VISION_QUEUE).url),
            settings={"export_bytes": EXPORT_BYTES, "training_seconds": 1},
        )
        self._two_regions()
        names = {story.name for story in stories}
        for trouble in TROUBLES:
            if trouble.story in names:
                self.simulators.management.post("/_faults", dict(trouble.fault))
        self.route("WebHook", FIRST_ROUTES)

    def _two_regions(self) -> None:
        """Put the Language project into both, as a replication would have left it; the primary last.

        The schedule looks at them already, and at nothing where the primary has nothing.
        """
        seed, (project, host) = language_stories.before(), (language_stories.PROJECT, language_stories.HOST)
        state = self.simulators.language_replica.seed(projects=[seed])
        account = Account(Storage(connection_string=self.storage), managed_identity)
        Replicas(account).write(host, project, host, language_stories.kept(state["projects"][0]), "")
        self.simulators.language.seed(projects=[seed])

    def route(self, webhook: str, routes: Mapping[str, str]) -> None:
        """Subscribe to what Event Grid publishes; a WebHook is asked for its consent first."""
        endpoint = self.functions + WEBHOOK
        subscriptions: dict[str, dict[str, Any]] = {
            "reactor": {"kind": webhook, "endpoint": endpoint},
            "cloud": {"kind": webhook, "endpoint": endpoint, "schema": "CloudEventSchemaV1_0"},
            "queue": {"kind": "StorageQueue", "endpoint": ML_EVENTS_QUEUE},
        }
        for name, type in routes.items():
            self.simulators.event_grid.post("/_subscriptions", {"name": name, "types": [type], **subscriptions[name]})

    def tell(self, stories: Iterable[Story]) -> None:
        """Tell stories at the same time: none waits for what comes of another."""
        for story in stories:
            self._tell(story.told)

    def tell_again(self, stories: Iterable[Story]) -> None:
        """Tell the same stories once more; the host may be dead.

        Events come by another subscription, notifications in base64, and what is neither comes as it came before.
        """
        self.route("AzureFunction", OTHER_ROUTES)
        self.simulators.vision.seed(settings={"message_encoding": "base64"})
        for story in stories:
            if isinstance(story.told, Acted):
                self._repeat(*MESSAGES[story.told.act])
            elif isinstance(story.told, Followed):
                self._repeat(story.told.type, story.told.project, must=False)
            elif isinstance(story.told, Changed):
                pass  # nobody tells of it: the schedule looks again
            else:
                self._tell(story.told)

    def _tell(self, told: Told) -> None:
        match told:
            case Published(event):
                self.simulators.event_grid.post("/_publish", event)
            case Queued(text):
                self.queue(ML_EVENTS_QUEUE).send_message(text)
            case Acted(act):
                ACTS[act](self)
            case Changed():
                self.simulators.language.seed(projects=[language_stories.after()])
            case Followed():
                pass  # Custom Vision will

    def _repeat(self, type: str, project: str, *, must: bool = True) -> None:
        """Have Custom Vision send a message once more; one that need not have come is left out where it has not."""

        def found(state: Mapping[str, Any]) -> list[Any]:
            return [one for one in state["sent"] if (one["type"], one["Content"]["projectId"]) == (type, project)]

        vision = self.simulators.vision
        state = vision.until(lambda now: bool(found(now))) if must else vision.state()
        for message in found(state)[:1]:
            vision.post("/_notify", message)

    def connect(self) -> None:
        """Give the project a container for its exports, too: Custom Vision tests the whole connection."""
        facts = self.facts
        key = {"Training-Key": facts["settings"]["SIMULATOR_VISION_KEY"]}
        container = BlobServiceClient.from_connection_string(self.storage).get_container_client(EXPORTS)
        if not container.exists():
            container.create_container()
        settings = {"notificationQueueUri": self.queue(VISION_QUEUE).url, "exportModelContainerUri": container.url}
        body = {"name": "fruit", "description": "", "settings": settings}
        url = f"{facts['vision']}/{TRAINING}"
        requests.patch(url, json=body, headers=key, verify=facts["ca"], timeout=30).raise_for_status()

    def train(self) -> None:
        """Have Custom Vision say that an iteration of the other project is trained."""
        content = {"projectId": UNRIPE, "iterationId": ITERATION, "trainingStatus": "TrainingCompleted"}
        self.simulators.vision.post("/_notify", {"type": "Training", "Content": content})


ACTS = {"connect": Stage.connect, "train": Stage.train}
MESSAGES = {"connect": ("ConnectionTest", PROJECT), "train": ("Training", UNRIPE)}
"""Act to the message that Custom Vision sends then, and of which project."""
EXPORTS = "exports"

ARM: dict[str, Any] = {
    "workspaces": [{"id": WORKSPACE}, {"id": STRANGER}],
    "computes": [{"id": f"{WORKSPACE}/computes/cpu"}],
    "jobs": [{"id": f"{WORKSPACE}/jobs/calm_fox_7", "status": "Failed", "tags": BREACH, "experimentName": "credit"}],
    "models": [
        {"id": f"{WORKSPACE}/models/fraud-gbm/versions/12", "tags": {"stage": "production"}},
        {"id": f"{WORKSPACE}/models/credit/versions/3"},
        {"id": f"{WORKSPACE}/models/credit/versions/9", "tags": {"stage": "production"}},
    ],
    "provisioning": [
        {
            "name": "credit-v9",
            "outcome": "Failed",
            "code": "BadArgument",
            "message": "the environment of the model cannot be built",
        }
    ],
    "pipelines": [
        {
            "id": f"{FACTORY}/pipelines/retrain",
            "seconds": 2,
            "parameters": {name: {"type": "String"} for name in ("signal", "drift_run", "reactor_action")},
        }
    ],
}


@contextmanager
def stage(
    folder: Path, *, rules: Path | str = RULES, allow_bad_rules: bool = False, schedule: str = ""
) -> Iterator[Stage]:
    """Run a stack for as long as the context lasts; everything that its processes say goes to logs in the folder.

    `schedule` says how often the app's schedule runs, where that is not what goes with the lease.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "demo.json"
    command = [
        *(sys.executable, "-m", "dev.stack", "--ready", str(ready)),
        *("--rules", str(rules), "--lease", f"{LEASE_SECONDS}", "--log-storage"),
        *(["--allow-bad-rules"] if allow_bad_rules else []),
    ]
    env = PYTHONPATH | ({"REACTOR_SCHEDULE": schedule} if schedule else {})
    stack = Child("stack", command, log=folder / "stack.log", env=env)
    running = Stage(ready)
    try:
        stack.wait_for(lambda: (ready.exists() and running.facts["stack_pid"] == stack.pid) or None, seconds=60)
        yield running
    finally:
        stack.stop(seconds=20)
        for host in running.hosts:
            host.stop()
