"""Microsoft's own client of Machine Learning, azure-ai-ml, pointed at the simulators.

    pytestmark = ml_sdk.QUIET

    def test_the_official_client_…(simulators: Simulators, monkeypatch: pytest.MonkeyPatch) -> None:
        client = ml_client(simulators, WORKSPACE)

The SDK warns about its own dependencies, and a warning is an error here: import it only through this module (or inside
a test), and give the module of the tests that use it the mark above. `fast` makes its pollers ask often, and `store_at`
makes it find the emulator where it uploads.
https://learn.microsoft.com/python/api/overview/azure/ai-ml-readme
"""

import warnings
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.credentials import AccessToken
from azure.identity import ManagedIdentityCredential

from dev.simulators.remote import Simulators

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient
    from azure.ai.ml.constants import _common

__all__ = ["QUIET", "MLClient", "fast", "ml_client", "store_at"]

QUIET = [
    pytest.mark.filterwarnings("ignore:.*[mM]arshmallow"),
    pytest.mark.filterwarnings("ignore:.*ordered. .class Meta. option"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:azure\\.ai\\.ml.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:azure\\.ai\\.ml.*"),
]
"""What azure-ai-ml warns of, which is nothing that a test here could mend."""
ARM = "https://management.azure.com/.default"


class Credential:
    """The simulated managed identity, asked for the audiences of the public cloud.

    The SDK takes ARM's own address for the audience of its tokens; the simulator wants the one that ours must ask for.
    """

    def __init__(self, arm: str) -> None:
        self._arm = arm
        self._identity = ManagedIdentityCredential()

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        """Give a token; what is asked for the simulated ARM is for the real one."""
        wanted = (ARM if scope.startswith(self._arm) else scope for scope in scopes)
        token: AccessToken = self._identity.get_token(*wanted)
        return token


def ml_client(simulators: Simulators, workspace: str) -> MLClient:
    """Make an MLClient of a workspace (its ARM id), or of a subscription's group.

    The fixture `simulators` has set REQUESTS_CA_BUNDLE and the managed identity's variables by then.
    """
    _, _, subscription, _, group, *rest = workspace.split("/")
    arm = simulators.management.url
    cloud = {
        "azure_portal": "https://portal.azure.com/",
        "resource_manager": f"{arm}/",
        "active_directory": "https://login.microsoftonline.com/",
        "aml_resource_id": "https://ml.azure.com/",
        "storage_endpoint": "core.windows.net",
        "registry_discovery_endpoint": f"{arm}/",
    }
    return MLClient(
        Credential(arm),
        subscription,
        group,
        rest[-1] if rest else None,
        show_progress=False,
        enable_telemetry=False,
        cloud=f"simulated-{urlsplit(arm).port}",
        cloud_metadata=cloud,
    )


def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the SDK's pollers ask again after a tenth of a second instead of five."""
    monkeypatch.setattr(_common.LROConfigurations, "POLL_INTERVAL", 0.1)


def store_at(monkeypatch: pytest.MonkeyPatch, blobs: str) -> None:
    """Make the SDK look for every account's blobs under a URL such as "http://127.0.0.1:10000/visionservice".

    It builds `https://<account>.blob.<suffix>` itself, where no emulator can be.
    """
    monkeypatch.setitem(_common.STORAGE_ACCOUNT_URLS, "AzureBlob", blobs)
