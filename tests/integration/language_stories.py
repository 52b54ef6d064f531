"""A Language project in a first region, and a second region: what the tests of its steps begin with."""

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from dev.simulators.language import KEY
from dev.simulators.language.samples import exported
from dev.simulators.remote import Remote, Simulators
from shared.clients.language import Resource
from shared.events import announce
from shared.replicas import Kept, Options
from shared.rules.declared import Declared
from shared.storage import prepare
from shared.storage.language_backups import SECONDARY, LanguageBackups, LanguageManifest, file_of
from tests.integration.stages import Bench, clients_of

UNCOUNTED = {"REACTOR_LANGUAGE_READS": "100000", "REACTOR_LANGUAGE_WRITES": "100000"}
"""Both regions have one host here, and its limits are not what is tested."""
TEACHING: list[dict[str, Any]] = [
    {"text": text, "intent": "Archive", "language": "en-us", "dataset": "Train", "entities": []}
    for text in ("archive the note of Lee", "archive it", "please archive everything")
]
"""What is labelled in the primary, and trained there."""
EDIT = {"text": "forward it to Kim", "intent": "Forward", "language": "en-us", "dataset": "Train"}
"""What somebody labels by hand, and does not train."""


def keep_version(
    store: LanguageBackups, project: str, version: str, host: str = "127.0.0.1", *, edits: bool = False
) -> None:
    """Have a version in the backups of a project, as `backup.language` keeps one, or as edits are kept with it."""
    content = json.dumps(exported(project)).encode()
    names = [file_of("v1"), file_of(""), *([SECONDARY] if edits else [])]
    manifest = LanguageManifest(
        version=version,
        host=host,
        project=project,
        language="en-us",
        multilingual=True,
        files={name: store.keep(host, project, version, name, content) for name in names},
        models={"v1": "v1-before"},
        deployments={"production": "v1"},
        follow="deployed",
        training=Options(mode="advanced"),
        modified=None,
        taken=datetime(2026, 1, 1, 2, tzinfo=UTC),
    )
    if store.manifest(host, project, version) is None:
        store.finish(manifest, again=True)


@dataclass
class Mail:
    """The project, with a name of its own in each test, for storage outlives them."""

    simulators: Simulators
    storage: str
    name: str = field(default_factory=lambda: f"Email{uuid4().hex[:8]}")

    @property
    def primary(self) -> Remote:
        """The first region."""
        return self.simulators.language

    @property
    def secondary(self) -> Remote:
        """The second region."""
        return self.simulators.language_replica

    def begin(self, **changes: Any) -> None:
        """Have the first region serve a model."""
        project = {"exported": exported(self.name), "models": ["v1"], "deployments": {"production": "v1"}} | changes
        at_once = {"job_seconds": 0, "train_seconds": 0}
        self.primary.seed(projects=[project], settings=at_once)
        self.secondary.seed(settings=at_once)

    def declared(self, **changes: Any) -> Declared:
        """Declare it, with what a test changes; a change that is None is left out."""
        mail = {
            "project": self.name,
            "primary": {"endpoint": self.primary.url, "key": "${LANGUAGE_KEY}"},
            "secondary": {"endpoint": self.secondary.url, "key": "${LANGUAGE_KEY}"},
            "deployments": ["production"],
            **changes,
        }
        return Declared.model_validate(
            {"language": {"mail-bot": {name: one for name, one in mail.items() if one is not None}}}
        )

    def bench(self, **changes: Any) -> Bench:
        """Make a step's surroundings."""
        clients = clients_of(self.simulators, self.storage, **UNCOUNTED)
        prepare(clients.account, "backups")
        facts = {"replica": {"name": "mail-bot", "project": self.name, "reason": "changed"}}
        event = announce("ReplicaOutdated", id=uuid4().hex, time=datetime.now(UTC), facts=facts)
        return Bench(clients, self.declared(**changes), event, {"LANGUAGE_KEY": KEY})

    # -- what there is ------------------------------------------------------------------------------------------------

    def project(self, remote: Remote) -> dict[str, Any]:
        """Give the project as a region has it, {} where it has none."""
        return next((one for one in remote.state()["projects"] if one["projectName"] == self.name), {})

    def serving(self, remote: Remote) -> dict[str, str]:
        """Give what each deployment of a region serves, by the model's id."""
        return {name: one["modelId"] for name, one in self.project(remote).get("deployments", {}).items()}

    def labels(self, remote: Remote) -> dict[str, str]:
        """Give what each deployment of a region serves, by the model's label."""
        return {name: id.partition("-20")[0] for name, id in self.serving(remote).items()}

    def texts(self, remote: Remote) -> set[str]:
        """Give the utterances of a region's working copy."""
        return {one["text"] for one in self.project(remote)["exported"]["assets"]["utterances"]}

    def kept(self, bench: Bench) -> Kept | None:
        """Give what is remembered of the last replication."""
        host = Resource(self.primary.url).host
        return bench.clients.replicas.read(host, self.name, host)[0]

    def posts(self, remote: Remote, what: str) -> int:
        """Count the requests that began something."""
        return len([one for one in remote.seen("", what) if one["method"] in ("POST", "PUT", "DELETE")])

    def learn(self, label: str = "v2", **deployments: str) -> None:
        """Label more in the primary, and train and deploy that there; by default as production."""
        project = copy.deepcopy(exported(self.name))
        project["assets"]["utterances"] += TEACHING
        project["assets"]["intents"].append({"category": "Archive"})
        self.primary.seed(
            projects=[{"exported": project, "models": [label], "deployments": deployments or {"production": label}}]
        )

    def edit(self, remote: Remote) -> None:
        """Label more in a region by hand, and train nothing."""
        remote.seed(edits=[{"project": self.name, "utterances": [EDIT]}])
