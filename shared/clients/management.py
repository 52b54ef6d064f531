"""Azure Resource Manager: what every client of it shares.

https://learn.microsoft.com/rest/api/azure/
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from shared.clients.rest import Rest

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

PUBLIC = "https://management.azure.com"
AUDIENCES: Mapping[str, str] = {
    "https://management.usgovcloudapi.net": "https://management.usgovcloudapi.net",
    "https://management.chinacloudapi.cn": "https://management.chinacloudapi.cn",
}
"""Whom a token is for, by endpoint; any other endpoint is the public cloud or a private way to it."""


def management(service: str, endpoint: str, credential: "Callable[[], TokenCredential]") -> Rest:
    """Make the requests of one service behind Resource Manager."""
    return Rest(service, credential, f"{AUDIENCES.get(endpoint, PUBLIC)}/.default")
