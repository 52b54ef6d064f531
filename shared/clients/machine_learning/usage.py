"""Quotas: what a subscription may use of each family of machines in a region, and what a deployment needs of it.

They are read at the subscription's scope, where the app's identity often may not look.
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from shared.clients.machine_learning.pages import Page, every
from shared.clients.machine_learning.resources import Arm, Read
from shared.clients.rest import Said, segment
from shared.errors import DeniedError, PermanentError
from shared.redaction import tidy

_SUBSCRIPTION = re.compile(r"(?:/subscriptions/)?([0-9A-Za-z-]+)(?:/.*)?", re.IGNORECASE | re.DOTALL)
_EXEMPT = re.compile(r"STANDARD_ND|STANDARD_\w+_[AH]100_", re.IGNORECASE)
"""Sizes of which no machines are held back for upgrades: the column "Skip 20% Reservation" of
https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list
"""
_TOTAL = "totalclusterdedicatedregionalvcpus"


class _Name(Read):
    value: Said = ""


class _Usage(Read):
    id: str = ""
    unit: Said = ""
    current_value: int = 0
    limit: int | None = None
    name: _Name = _Name()


class _Size(Read):
    name: Said = ""
    family: Said = ""
    cores: int = Field(default=0, alias="vCPUs")


@dataclass(frozen=True, slots=True)
class VmSize:
    """A size of machine."""

    name: str
    family: str
    """ "standardDSv2Family"."""
    cores: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What is used of something that is limited."""

    name: str
    """ "Standard DSv2 Family Cluster Dedicated vCPUs"."""
    unit: str
    used: int
    limit: int
    """-1 for no limit."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What is missing of a quota."""

    missing: int
    """Cores."""
    family: str
    """The quota's name."""
    used: int
    limit: int


class Usage:
    """Reads quotas."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm

    def cores(self, place: str, region: str, vm_size: str) -> VmSize | None:
        """Read a size of machine in a region; None where it is not offered.

        `place` is the id of a subscription, or of anything in it.
        https://learn.microsoft.com/rest/api/azureml/virtual-machine-sizes/list
        """
        wanted = vm_size.lower()
        for one in self._list(place, region, "vmSizes", Page[_Size]):
            if one.name.lower() == wanted:
                return VmSize(one.name, one.family, one.cores)
        return None

    def quotas(self, place: str, region: str) -> list[Quota]:
        """Read the subscription's quotas in a region, without the shares of single workspaces.

        https://learn.microsoft.com/rest/api/azureml/usages/list
        """
        return [
            Quota(one.name.value, one.unit, one.current_value, one.limit)
            for one in self._list(place, region, "usages", Page[_Usage])
            if one.limit is not None and "/workspaces/" not in one.id.lower()
        ]

    def shortfall(self, workspace: str, region: str, vm_size: str, instances: int) -> Shortfall | None:
        """Tell what is missing for a managed online deployment of so many machines; None where it fits.

        Upgrades take a fifth more machines, which are held back from the quota: 10 machines need room for 12.
        PermanentError where the quota may not be read, or the region does not know the size.
        """
        size = self.cores(workspace, region, vm_size)
        if size is None:
            raise PermanentError(
                f"{tidy(vm_size)} is no size of machine in {tidy(region)}", remedy="choose another one"
            )
        return lacking(size, instances, self.quotas(workspace, region))

    def _list[T](self, place: str, region: str, what: str, page: type[Page[T]]) -> list[T]:
        subscription = _SUBSCRIPTION.fullmatch(place)
        if subscription is None:
            raise PermanentError(f"{tidy(place)} is in no subscription", remedy="give a whole ARM id")
        where = segment(region.replace(" ", "").lower())
        path = f"/subscriptions/{subscription[1]}/providers/Microsoft.MachineLearningServices/locations/{where}"
        try:
            return list(every(self._arm, self._arm.url(path, f"/{what}"), page, what=what))
        except DeniedError as problem:
            raise PermanentError(
                problem.reason, remedy="give the app's identity Reader on the subscription, or do without"
            ) from None


def lacking(size: VmSize, instances: int, quotas: Iterable[Quota]) -> Shortfall | None:
    """Tell what is missing for so many machines of a size: of their family, or of all families together.

    >>> lacking(VmSize("Standard_DS3_v2", "standardDSv2Family", 4), 1, [Quota("Standard DSv2 Family", "Count", 20, 24)])
    Shortfall(missing=4, family='Standard DSv2 Family', used=20, limit=24)
    """
    needed = machines(size.name, instances) * size.cores
    family = _plain(size.family)
    short = [
        Shortfall(quota.used + needed - quota.limit, quota.name, quota.used, quota.limit)
        for quota in quotas
        if quota.limit >= 0 and _is_about(_plain(quota.name), family) and quota.used + needed > quota.limit
    ]
    return max(short, key=lambda one: one.missing, default=None)


def machines(vm_size: str, instances: int) -> int:
    """Count the machines that must fit into the quota, with those that upgrades need.

    >>> machines("Standard_DS3_v2", 10), machines("Standard_DS3_v2", 1), machines("Standard_ND40rs_v2", 10)
    (12, 2, 10)
    """
    return instances if _EXEMPT.match(vm_size) else -(-instances * 6 // 5)


def _is_about(quota: str, family: str) -> bool:
    """Tell whether a quota is the family's own, or that of all together; those of low priority are not."""
    return quota == _TOTAL or (quota.startswith(family) and "lowpriority" not in quota)


def _plain(name: str) -> str:
    """Write "Standard NCASv3_T4 Family Cluster Dedicated vCPUs" and "standard NCASv3_T4 Family" alike."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
