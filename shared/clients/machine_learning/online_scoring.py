"""Asking an online endpoint for a prediction, and what came of it.

https://learn.microsoft.com/azure/machine-learning/how-to-authenticate-online-endpoint
https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import answers
from shared.clients.rest import Rest
from shared.errors import PermanentError
from shared.redaction import tidy

DEPLOYMENT = "azureml-model-deployment"
"""The header that names the deployment: of a request the wanted one, of an answer the one that gave it."""
PROBLEMS: Mapping[int, str] = {
    408: "the model took longer than the deployment's request timeout",
    424: "the model or its container failed",
    502: "the container does not answer",
    503: "the deployment is not available",
    504: "the model took too long",
}
"""What a deployment's own failures are; any other 5xx is one too."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What a deployment answered."""

    status: int
    deployment: str
    """Which one answered; "" where it does not say."""
    seconds: float
    body: str
    """The beginning of what it said, without secrets, on one line."""

    @property
    def problem(self) -> str:
        """What is wrong with the deployment, in words of ours, as its own may repeat what it was sent; or ""."""
        if self.status < 300:
            return ""
        words = PROBLEMS.get(self.status, "the deployment failed")
        return f"{words} ({self.status})"


class Scorer(Rest):
    """Requests to deployments, whose own failures are something to learn, and no error of ours."""

    def score(self, url: str, body: Any, headers: Mapping[str, str]) -> Scored:
        """Ask once. What is not the deployment's own doing (no permission, too many requests) is an error."""
        began = time.monotonic()
        response = self._ask("POST", url, body, headers, "same")
        content, status = response.read(), response.status_code
        seconds = time.monotonic() - began
        text = content.decode("utf-8", "replace")
        if status == 404:
            raise PermanentError(
                f"{self.service} answered 404 {answers.complaint(text).text}".strip(),
                remedy="name a deployment that is there, or give one of the endpoint's deployments traffic",
            )
        if status not in PROBLEMS and status < 500:
            self._answer(response, "same")
        said = tidy(text) if status < 300 else answers.complaint(text).text
        return Scored(status, tidy(response.headers.get(DEPLOYMENT, "")), seconds, said)
