"""A small client of the simulators' controls, for tests and the demo."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_type_hints

import requests

PATIENCE = 20.0
"""Seconds that `until` waits."""


class Remote:
    """One simulator, from outside."""

    def __init__(self, url: str, ca: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.verify = ca
        self._session.trust_env = False

    def seed(self, **given: Any) -> Any:
        """Merge into the state; answers the whole state."""
        return self.post("/_seed", given)

    def fault(self, kind: str, **details: Any) -> None:
        """Make the next matching answers go wrong (see faults.py)."""
        self.post("/_faults", {"kind": kind, **details})

    def seen(self, method: str = "", path: str = "") -> list[dict[str, Any]]:
        """Give the requests seen since the last reset, of a method, with a text in their URL."""
        requested: list[dict[str, Any]] = self.get("/_requests")
        return [one for one in requested if method in {"", one["method"]} and path.lower() in one["url"].lower()]

    def state(self) -> Any:
        """Give the state, readable."""
        return self.get("/_state")

    def inbox(self, **equal: Any) -> list[dict[str, Any]]:
        """Give what channels, or a topic, received: those entries whose members equal these."""
        mails: list[dict[str, Any]] = self.get("/_inbox")
        return [mail for mail in mails if all(mail.get(name) == value for name, value in equal.items())]

    def until(self, holds: Callable[[Any], bool], *, of: str = "/_state", patience: float = PATIENCE) -> Any:
        """Read a control until something holds of it; AssertionError with what was read last."""
        deadline = time.monotonic() + patience
        while not holds(read := self.get(of)):
            assert time.monotonic() < deadline, f"{self.url}{of} is still {json.dumps(read)[:2000]}"
            time.sleep(0.05)
        return read

    def reset(self) -> None:
        """State, faults and requests as at the start."""
        self.post("/_reset", None)

    def get(self, path: str) -> Any:
        """Read a control."""
        return self._checked(self._session.get(self.url + path, timeout=30))

    def post(self, path: str, body: Any) -> Any:
        """Use a control."""
        return self._checked(self._session.post(self.url + path, json=body, timeout=60))

    @staticmethod
    def _checked(response: requests.Response) -> Any:
        assert response.ok, f"{response.request.method} {response.url}: {response.status_code} {response.text[:2000]}"
        return response.json() if response.content else None


@dataclass(frozen=True)
class Simulators:
    """All of them, from outside; made from what the ready file holds."""

    management: Remote
    inference: Remote
    vision: Remote
    vision_replica: Remote
    """Another resource of Custom Vision, in another region."""
    language: Remote
    language_replica: Remote
    """Another resource of Language, in another region."""
    channels: Remote
    event_grid: Remote
    identity: Remote
    entra: Remote
    smtp: str
    """"127.0.0.1:<port>"."""
    identity_header: str
    ca: str

    @classmethod
    def connect(cls, ready: Mapping[str, str]) -> Self:
        """Talk to the simulators that a ready file (theirs, or the stack's) tells of."""
        kinds = get_type_hints(cls)
        remotes = {name: Remote(ready[name], ready["ca"]) for name, kind in kinds.items() if kind is Remote}
        return cls(**remotes, smtp=ready["smtp"], identity_header=ready["identity_header"], ca=ready["ca"])

    @classmethod
    def read(cls, ready_file: Path) -> Self:
        """Do the same from the file."""
        return cls.connect(json.loads(ready_file.read_text()))

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to talk to them with the official SDKs."""
        return {
            "IDENTITY_ENDPOINT": self.identity.url,
            "IDENTITY_HEADER": self.identity_header,
            "REQUESTS_CA_BUNDLE": self.ca,
        }

    def reset(self) -> None:
        """All of them as at the start."""
        for remote in vars(self).values():
            if isinstance(remote, Remote):
                remote.reset()
