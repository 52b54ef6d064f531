"""Quotas and sizes of machines, at a subscription's scope in a region.

A family that nobody seeded has 100 cores, none of them used. As in the service, sizes name a family in one word
("standardDSv2Family") and usages in a sentence ("Standard DSv2 Family Cluster Dedicated vCPUs"), a limit of -1 is
none, and usages repeat the family for each workspace and cluster that uses it.
https://learn.microsoft.com/rest/api/azureml/usages/list
https://learn.microsoft.com/rest/api/azureml/virtual-machine-sizes/list
https://learn.microsoft.com/azure/machine-learning/reference-managed-online-endpoints-vm-sku-list
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dev.simulators.management import arm
from dev.simulators.management.changes import page
from dev.simulators.management.operations import LOCATION
from dev.simulators.management.resources import Resource
from dev.simulators.wire import Answer, RefusedError, Request, Route

LIMIT = 100
SIZES: Mapping[str, tuple[str, int, int]] = {
    "Standard_DS1_v2": ("standardDSv2Family", 1, 0),
    "Standard_DS2_v2": ("standardDSv2Family", 2, 0),
    "Standard_DS3_v2": ("standardDSv2Family", 4, 0),
    "Standard_DS4_v2": ("standardDSv2Family", 8, 0),
    "Standard_DS5_v2": ("standardDSv2Family", 16, 0),
    "Standard_F2s_v2": ("standardFSv2Family", 2, 0),
    "Standard_F4s_v2": ("standardFSv2Family", 4, 0),
    "Standard_E4s_v3": ("standardESv3Family", 4, 0),
    "Standard_NC6": ("standardNCFamily", 6, 1),
    "Standard_NC4as_T4_v3": ("standard NCASv3_T4 Family", 4, 1),
    "Standard_NC24ads_A100_v4": ("standardNCADSA100v4Family", 24, 1),
}
"""By name: its family, cores and GPUs."""
EXEMPT = re.compile(r"standard_nd|standard_\w+_[ah]100_", re.IGNORECASE)
"""Sizes of which no machines are held back for upgrades."""


class Usages:
    """What is used of each quota."""

    def __init__(self, settings: Mapping[str, float]) -> None:
        self._settings = settings
        self._seeded: dict[tuple[str, str], Mapping[str, Any]] = {}

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [("GET", LOCATION + "/usages", self._usages), ("GET", LOCATION + "/vmSizes", self._sizes)]

    def seed(self, given: Mapping[str, Any]) -> None:
        """Set what is used, and the limit, of a family or of "total" in a region."""
        if unknown := set(given) - {"region", "family", "limit", "used"}:
            raise ValueError(f"quotas {sorted(unknown)}: none of region, family, limit, used")
        self._seeded[given["region"].lower(), given["family"].lower()] = given

    def clear(self) -> None:
        """Every family has its hundred cores again."""
        self._seeded.clear()

    def refuse_over(self, region: str, vm_size: str, instances: int, before: int = 0) -> None:
        """Refuse machines of a managed online deployment that the quota has no room for, beside those before.

        https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas
        """
        family, cores, _ = size(vm_size)
        needed = (held(vm_size, instances) - held(vm_size, before)) * cores
        for name in (family, "total"):
            seeded = self._seeded.get((region.lower(), name.lower()), {})
            used, limit = int(seeded.get("used", 0)), int(seeded.get("limit", LIMIT))
            if needed > 0 and 0 <= limit < used + needed:
                told = f"Not enough quota available for {vm_size} in {region}. Current usage/limit: {used}/{limit}. "
                raise unroomy(f"{told}Additional needed: {needed}")

    def _usages(self, request: Request) -> Answer:
        region, subscription = request.parts["location"].lower(), request.parts["subscription"]
        families = dict.fromkeys(
            [*(family for family, _, _ in SIZES.values()), *(one["family"] for one in self._seeded.values())]
        )
        rows = [self._row(region, subscription, "total", "Total Cluster Dedicated Regional vCPUs", "dedicatedCores")]
        for family in families:
            if family.lower() == "total":
                continue
            name = f"{spoken(family)} Cluster Dedicated vCPUs"
            row = self._row(region, subscription, family, name, "vmFamily")
            rows += [row, *self._uses(subscription, row)]
        return page(request, rows, int(self._settings["page_size"]))

    def _row(self, region: str, subscription: str, family: str, name: str, kind: str) -> Resource:
        seeded = self._seeded.get((region, family.lower()), {})
        ending = f"/{name.replace(' ', '_')}" if kind == "vmFamily" else ""
        return {
            "id": f"/subscriptions/{subscription}/usages{ending}",
            "type": f"Microsoft.MachineLearningServices/{kind}/usages",
            "currentValue": seeded.get("used", 0),
            "limit": seeded.get("limit", LIMIT),
            "name": {"value": name, "localizedValue": name},
            "unit": "Count",
        }

    def _uses(self, subscription: str, row: Resource) -> list[Resource]:
        """Repeat a family that is used for the workspace that uses it."""
        if not row["currentValue"]:
            return []
        group = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.MachineLearningServices"
        id_ = f"{group}/workspaces/other/usages/{row['id'].rsplit('/', 1)[-1]}"
        return [{**row, "id": id_, "type": "Microsoft.MachineLearningServices/workspaces/usages", "limit": -1}]

    def _sizes(self, request: Request) -> Answer:
        rows = [
            {
                "name": name,
                "family": family,
                "vCPUs": cores,
                "gpus": gpus,
                "osVhdSizeMB": 1047552,
                "maxResourceVolumeMB": 7168 * cores,
                "memoryGB": 3.5 * cores,
                "lowPriorityCapable": True,
                "premiumIO": True,
                "supportedComputeTypes": ["AmlCompute", "ComputeInstance", "MIR"],
            }
            for name, (family, cores, gpus) in SIZES.items()
        ]
        del request
        return Answer(body={"value": rows})


def size(name: str) -> tuple[str, int, int]:
    """Give the family, the cores and the GPUs of a size, refused where there is none of the name."""
    for known, told in SIZES.items():
        if known.lower() == name.lower():
            return told
    raise arm.refuse(400, "BadRequest", f"The VM size '{name}' is not supported in this region.")


def held(vm_size: str, instances: int) -> int:
    """Count the machines that so many take of a quota: upgrades need a fifth more."""
    return instances if EXEMPT.match(vm_size) else -(-instances * 6 // 5)


def unroomy(message: str) -> RefusedError:
    """Give the refusal for want of cores, whose useful words are JSON in a sentence."""
    detail = {"errors": {"VmSize": [message]}, "type": "x", "title": "One or more validation errors occurred."}
    return arm.refuse(
        400, "BadRequest", f"InferencingClient HttpRequest error, error detail: {json.dumps(detail | {'status': 400})}"
    )


def spoken(family: str) -> str:
    """Write "standardDSv2Family" as "Standard DSv2 Family"."""
    middle = re.sub(r"(?i)^standard\s*|\s*family$", "", family)
    return f"Standard {middle} Family"
