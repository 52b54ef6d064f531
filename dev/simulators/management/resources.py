"""Resources by ARM id, which is compared ignoring case."""

import copy
from collections.abc import Callable
from typing import Any

from dev.simulators.management.arm import name_of, type_of
from dev.simulators.wire import RefusedError, instant, now

Resource = dict[str, Any]


class Resources:
    """What is there."""

    def __init__(self) -> None:
        self._kept: dict[str, Resource] = {}

    def put(self, arm_id: str, properties: Resource, *, created: str = "", **top: Any) -> Resource:
        """Keep a resource; what it was created with stays."""
        before = self._kept.get(arm_id.lower())
        at = created or instant(now())
        system = {"createdAt": at, "createdBy": "seed", "createdByType": "User", "lastModifiedAt": at}
        resource = {
            "id": arm_id,
            "name": name_of(arm_id),
            "type": type_of(arm_id),
            **top,
            "properties": properties,
            "systemData": before["systemData"] if before and not created else system,
        }
        self._kept[arm_id.lower()] = resource
        return resource

    def find(self, arm_id: str) -> Resource | None:
        """Give the resource, None where it is not there."""
        return self._kept.get(arm_id.lower().rstrip("/"))

    def get(self, arm_id: str, absent: Callable[[str], RefusedError]) -> Resource:
        """Give the resource; raises what `absent` makes where it is not there."""
        found = self.find(arm_id)
        if found is None:
            raise absent(arm_id)
        return found

    def children(self, arm_id: str) -> list[Resource]:
        """Those directly in a collection such as "<workspace>/models/credit/versions"."""
        prefix = arm_id.lower().rstrip("/") + "/"
        return [one for key, one in self._kept.items() if key.startswith(prefix) and "/" not in key[len(prefix) :]]

    def below(self, arm_id: str) -> list[Resource]:
        """Those under an id, at any depth."""
        prefix = arm_id.lower().rstrip("/") + "/"
        return [one for key, one in self._kept.items() if key.startswith(prefix)]

    def remove(self, arm_id: str) -> None:
        """Forget a resource and all under it."""
        prefix = arm_id.lower().rstrip("/")
        self._kept = {key: one for key, one in self._kept.items() if key != prefix and not key.startswith(prefix + "/")}

    def state(self) -> dict[str, Resource]:
        """All of them by id."""
        return {one["id"]: copy.deepcopy(one) for one in self._kept.values()}

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
