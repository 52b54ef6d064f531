"""Who the app is to Azure: its managed identity.

https://learn.microsoft.com/azure/app-service/overview-managed-identity
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


def managed_identity(client_id: str = "") -> "TokenCredential":
    """Make the credential of a user-assigned identity, or of the system-assigned one when `client_id` is empty."""
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentityCredential(client_id=client_id) if client_id else ManagedIdentityCredential()
