"""Requests to the simulator of Language as a client writes them, and a project small enough to be read.

`Wire(simulators.language).post("/projects/EmailApp/:train", {…})` asks for 2023-04-01 with the key.
"""

import time
from typing import Any

import requests

from dev.simulators.language import KEY
from dev.simulators.language.resource import AUTHORING, RUNTIME
from dev.simulators.remote import Remote

__all__ = ["PROJECT", "TRAINING", "Wire"]

PROJECT: dict[str, Any] = {
    "name": "EmailApp",
    "utterances": [
        {"text": "read mail", "intent": "Read"},
        {"text": "read the message", "intent": "Read", "dataset": "Test"},
        {"text": "send mail", "intent": "Send"},
        {"text": "send a letter", "intent": "Send", "dataset": "Test"},
    ],
}
TRAINING = {"modelLabel": "v1", "trainingMode": "standard", "evaluationOptions": {"kind": "manual"}}
PATIENCE = 20.0


class Wire:
    """A resource, asked at the wire."""

    def __init__(self, at: Remote, version: str = "2023-04-01", **headers: str) -> None:
        self.at = at
        self.version = version
        self.headers = headers or {"Ocp-Apim-Subscription-Key": KEY}

    def call(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        """Send a request to authoring, or to a whole URL."""
        url = path if path.startswith("https:") else f"{self.at.url}{AUTHORING}{path}"
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        params = query if "api-version=" in url else {"api-version": self.version, **query}
        headers = {"Content-Type": kind, **self.headers}
        return requests.request(method, url, json=body, params=params, headers=headers, timeout=30)

    def get(self, path: str, **query: str) -> Any:
        """Read something that is there."""
        response = self.call("GET", path, **query)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, status: int, method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        """Send a request that is refused with a status; the error."""
        response = self.call(method, path, body, **query)
        assert response.status_code == status, response.text
        error: dict[str, Any] = response.json()["error"]
        assert error["code"]
        assert error["message"]
        return error

    def begin(self, method: str, path: str, body: Any = None, **query: str) -> str:
        """Begin a job; where it is."""
        response = self.call(method, path, body, **query)
        assert response.status_code == 202, response.text
        return response.headers["operation-location"]

    def done(self, method: str, path: str, body: Any = None, **query: str) -> dict[str, Any]:
        """Begin a job, and wait until it is over."""
        url = self.begin(method, path, body, **query)
        deadline = time.monotonic() + PATIENCE
        while (job := self.get(url))["status"] in {"notStarted", "running", "cancelling"}:
            assert time.monotonic() < deadline, job
            time.sleep(0.01)
        found: dict[str, Any] = job
        return found

    def ask(self, text: str, *, deployment: str = "production", unit: str = "UnicodeCodePoint") -> requests.Response:
        """Ask what a text is about."""
        item = {"id": "1", "participantId": "1", "text": text}
        told = {"projectName": "EmailApp", "deploymentName": deployment, "stringIndexType": unit, "verbose": True}
        body = {"kind": "Conversation", "analysisInput": {"conversationItem": item}, "parameters": told}
        query = f"{RUNTIME}?api-version={self.version}"
        return requests.post(f"{self.at.url}{query}", json=body, headers=self.headers, timeout=30)

    def guess(self, text: str, **more: str) -> dict[str, Any]:
        """Give what a text is about."""
        response = self.ask(text, **more)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()["result"]["prediction"]
        return found
