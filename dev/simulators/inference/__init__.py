"""Machine Learning's data plane: endpoints that score and start batch jobs, and below /studio what api.azureml.ms has.

Each part has `routes()`, `clear()` and, where it can be seeded, `seeds()`; all of them share the state, and the lock,
of `management`: an endpoint that Resource Manager made is one that answers here.

    /{region}/{endpoint}/jobs[/{job}]   batch endpoints: batch.py
    /{region}/{endpoint}/score          online endpoints: online.py, which looks at keys and tokens itself
    /studio/discovery                   the addresses of the studio's services, for everybody
    /studio/mferp/…                     the listing of batch jobs: batch.py
    /studio/history/…, /studio/mlflow/… runs: history.py

Endpoints take tokens for https://ml.azure.com, and refuse others in plain text. Below /studio tokens for Resource
Manager do as well: azure-ai-ml sends the one kind, the documents of the REST API the other.

`POST /_seed` takes any of these:

    {"denied": [{"path": "/jobs", "n": 2}],
     "predictions": [{"endpoint": "credit", "content": "a.csv,0.5"}],
     "scoring": [{"deployment": "^green", "status": 424, "body": "…", "seconds": 0.1, "latency_ms": 900, "n": 5}]}

`denied` refuses the next `n` requests whose path matches with the plain-text 403 that an identity gets which may not
use the endpoint; `predictions` is what the next job of an endpoint writes, where it is not to be a row per input file;
`scoring` is how online deployments answer (see online.py).
What comes of jobs, and how long they take, is seeded into `management` (job_outcomes, settings).

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.inference.batch import Batch
from dev.simulators.inference.history import History
from dev.simulators.inference.online import Online
from dev.simulators.management import Management, arm
from dev.simulators.storage import Storage
from dev.simulators.tokens import ARM, MACHINE_LEARNING, Tokens
from dev.simulators.wire import Answer, Request, Route

DENIED = (
    "Microsoft Entra Token denied by policy, please review "
    "https://learn.microsoft.com/en-us/azure/machine-learning/how-to-authenticate-online-endpoint"
)
SERVICES = ("api", "catalog", "experimentation", "history", "hyperdrive", "modelmanagement", "notebooks", "pipelines")


class Inference:
    """The data plane of every workspace of `management`."""

    name = "inference"

    def __init__(self, tokens: Tokens, management: Management, storage: Storage) -> None:
        self.lock = management.lock
        self._tokens = tokens
        self._places = management.places
        self._denied: list[dict[str, Any]] = []
        self._batch = Batch(management, storage)
        self._online = Online(management, tokens)
        self._parts = (self._batch, self._online, History(management))
        self._seeds: dict[str, Callable[[Any], None]] = {
            "denied": self._denied.extend,
            **self._batch.seeds(),
            **self._online.seeds(),
        }

    def routes(self) -> Sequence[Route]:
        """Those of every part, and where the studio's services are."""
        return [
            ("GET", "/studio/discovery", self._discover),
            *(route for part in self._parts for route in part.routes()),
        ]

    def refuse(self, request: Request) -> Answer | None:
        """No token for the data plane: no further."""
        path = request.path.lower()
        given = request.headers.get("authorization", "")
        if path.startswith("/studio/"):
            problem = self._tokens.problem(given, ARM | MACHINE_LEARNING) if path != "/studio/discovery" else ""
            return arm.unauthenticated(problem) if problem else None
        for rule in self._denied:
            if re.search(rule["path"], path, re.IGNORECASE):
                rule["n"] = rule.get("n", 1) - 1
                if rule["n"] <= 0:
                    self._denied.remove(rule)
                return Answer(403, DENIED)
        if "/jobs" not in path:
            return None
        problem = self._tokens.problem(given, MACHINE_LEARNING)
        refusals = {"": None, "audience": Answer(403, DENIED)}
        return refusals.get(problem, Answer(401, f"Unauthorized: the Microsoft Entra token is {problem}."))

    def error(self, status: int, code: str, message: str) -> Answer:
        """Errors are Machine Learning's."""
        return arm.ml_error(status, code, message)

    def throttled(self, request: Request, after: float | None) -> Answer:
        """Too many requests at once: said in plain text."""
        del request, after
        return Answer(429, "Too many requests.")

    def seed(self, given: Mapping[str, Any]) -> None:
        """See the top of this module."""
        if unknown := set(given) - set(self._seeds):
            raise ValueError(f"{sorted(unknown)}: none of {sorted(self._seeds)}")
        for name, value in given.items():
            self._seeds[name](value)

    def state(self) -> Any:
        """Every batch job by its id, as a GET would answer it."""
        return {"batch_jobs": self._batch.state()}

    def reset(self) -> None:
        """Nothing is left."""
        self._denied.clear()
        for part in self._parts:
            part.clear()

    def _discover(self, request: Request) -> Answer:
        del request
        return Answer(body=dict.fromkeys(SERVICES, self._places.studio))
