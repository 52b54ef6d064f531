"""What tells an SDK about a cloud: where its Resource Manager is, and the suffixes of its services.

azure-ai-ml reads it where ARM_CLOUD_METADATA_URL says, without a token, and takes the cloud whose Resource Manager is
in that URL. https://learn.microsoft.com/azure/azure-resource-manager/management/endpoints
"""

from collections.abc import Sequence

from dev.simulators.wire import Answer, Request, Route

PATH = "/metadata/endpoints"


class Cloud:
    """This simulator as a cloud of its own."""

    def routes(self) -> Sequence[Route]:
        """Give what can be asked."""
        return [("GET", PATH, self._endpoints)]

    def _endpoints(self, request: Request) -> Answer:
        arm = f"{request.base}/"
        return Answer(
            body=[
                {
                    "name": "SimulatedCloud",
                    "portal": "https://portal.azure.com",
                    "authentication": {
                        "loginEndpoint": "https://login.microsoftonline.com/",
                        "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
                        "tenant": "common",
                        "identityProvider": "AAD",
                    },
                    "resourceManager": arm,
                    "suffixes": {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
                }
            ]
        )
