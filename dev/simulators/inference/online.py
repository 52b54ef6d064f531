"""Online endpoints: scored, by who may, at the deployment that the traffic or the caller says.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint
https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes
Not settled there, and decided here: traffic goes round in turn, so that ten requests at 90/10 are nine and one; a
deployment that is not there, or was never ready, is a 404 for who names it.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dev.simulators.management import Management
from dev.simulators.management.resources import Resource
from dev.simulators.tokens import MACHINE_LEARNING, Tokens
from dev.simulators.wire import Answer, RefusedError, Request, Route

DEPLOYMENT = "azureml-model-deployment"
REFUSALS: Mapping[str, str] = {
    "missing": "key_auth_bad_header_format",
    "invalid": "key_auth_access_denied",
    "expired": "token_auth_expired",
    "audience": "token_auth_wrong_audience",
}
NEVER_READY = {"Creating", "Failed", "Canceled", "Deleting"}
WORDS: Mapping[int, str] = {
    408: "upstream request timeout",
    424: "An unexpected error occurred in scoring script. Check the logs for more info.",
    429: "Too many pending requests.",
    500: "Internal Server Error",
}
"""What is said where the seed says nothing."""


class Online:
    """The predictions of every online endpoint."""

    def __init__(self, management: Management, tokens: Tokens) -> None:
        self._management = management
        self._tokens = tokens
        self._behaviours: list[dict[str, Any]] = []
        self._turns: dict[str, dict[str, int]] = defaultdict(dict)

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [("POST", "/{region}/{endpoint}/score", self._score)]

    def seeds(self) -> Mapping[str, Callable[[Any], None]]:
        """Give what can be seeded: how deployments answer.

        {"scoring": [{"deployment": "^green", "status": 424, "body": "…", "seconds": 0.1, "latency_ms": 900, "n": 5}]}

        A deployment whose name matches answers so, `n` times, or until a reset; the last seed that matches counts.
        Nothing else is answered during `seconds`; `latency_ms` is only counted.
        """
        return {"scoring": self._behaviours.extend}

    def clear(self) -> None:
        """Everybody answers well again."""
        self._behaviours.clear()
        self._turns.clear()

    def _score(self, request: Request) -> Answer:
        endpoint = self._management.online.find(request.parts["region"], request.parts["endpoint"])
        if endpoint is None:
            raise RefusedError(Answer(404, "The endpoint was not found."))
        self._refuse_strangers(endpoint, request)
        name = self._chosen(endpoint, request.headers.get(DEPLOYMENT, "").lower())
        behaviour, began = self._behaviour(name), time.monotonic()
        time.sleep(behaviour.get("seconds", 0))
        answer = answered(behaviour, request)
        took = (time.monotonic() - began) * 1000
        self._management.monitor.count(endpoint["id"], name, answer.status, behaviour.get("latency_ms", took))
        return Answer(answer.status, answer.body, {DEPLOYMENT: name})

    def _refuse_strangers(self, endpoint: Resource, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if endpoint["properties"]["authMode"].lower() == "aadtoken":
            problem = self._tokens.problem(given, MACHINE_LEARNING)
        else:
            scheme, _, secret = given.partition(" ")
            accepted = self._management.online.keys.accepts(endpoint, secret)
            problem = "missing" if scheme.lower() != "bearer" else "" if accepted else "invalid"
        if problem:
            raise RefusedError(Answer(401, REFUSALS[problem]))

    def _chosen(self, endpoint: Resource, named: str) -> str:
        """Choose who answers: whom the caller names, or whose turn it is."""
        name = named or self._next(endpoint)
        found = self._management.changes.now(f"{endpoint['id']}/deployments/{name}")
        if found is None or found["properties"]["provisioningState"] in NEVER_READY:
            raise RefusedError(Answer(404, f"The deployment {name} was not found, or is not ready."))
        return name

    def _next(self, endpoint: Resource) -> str:
        """Take turns by weight: who has waited for the largest share goes next."""
        traffic: dict[str, int] = endpoint["properties"]["traffic"]
        if not traffic:
            raise RefusedError(Answer(404, "No valid deployments to route to. Please check the endpoint's traffic."))
        turns = self._turns[endpoint["id"].lower()]
        waited = {name: turns.get(name, 0) + share for name, share in traffic.items()}
        chosen = max(waited, key=lambda name: waited[name])
        waited[chosen] -= sum(traffic.values())
        self._turns[endpoint["id"].lower()] = waited
        return chosen

    def _behaviour(self, name: str) -> Mapping[str, Any]:
        found = [one for one in self._behaviours if re.search(one["deployment"], name, re.IGNORECASE)]
        if not found:
            return {}
        last = found[-1]
        if "n" in last:
            last["n"] -= 1
            if last["n"] <= 0:
                self._behaviours.remove(last)
        return last


def answered(behaviour: Mapping[str, Any], request: Request) -> Answer:
    """Answer as is seeded, or as a model does."""
    status = behaviour.get("status", 200)
    if status != 200:
        return Answer(status, behaviour.get("body", WORDS.get(status, "The deployment failed.")))
    try:
        asked = request.json()
    except ValueError:
        return Answer(424, {"message": "Failed to parse the request body as JSON."})
    return Answer(200, behaviour.get("body", predictions(asked)))


def predictions(asked: Any) -> str:
    """Give one prediction for each row of the input, as an MLflow model does."""
    data = asked.get("input_data", asked.get("data", [])) if isinstance(asked, dict) else asked
    rows = data.get("data", []) if isinstance(data, dict) else data
    return json.dumps([0.5] * (len(rows) if isinstance(rows, list) else 1))
