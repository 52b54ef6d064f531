"""Where the data plane answers, as Resource Manager tells: in an endpoint's scoringUri, in a workspace's discoveryUrl.

In Azure each endpoint has a host of its own and each region one for the studio; here they share one, and the path
tells them apart.
https://learn.microsoft.com/azure/machine-learning/concept-endpoints-batch
"""

from dataclasses import dataclass


@dataclass
class Places:
    """Addresses that are known when the servers run."""

    inference: str = "https://inference.invalid"
    """The simulator `inference`."""

    def scoring(self, region: str, endpoint: str, what: str) -> str:
        """Give an endpoint's scoringUri; `what` is "jobs" for a batch endpoint, "score" for an online one."""
        return f"{self.inference}/{region}/{endpoint}/{what}"

    @property
    def studio(self) -> str:
        """What stands for https://<region>.api.azureml.ms."""
        return f"{self.inference}/studio"

    @property
    def discovery(self) -> str:
        """A workspace's discoveryUrl, which answers with the addresses of the studio's services."""
        return f"{self.studio}/discovery"
