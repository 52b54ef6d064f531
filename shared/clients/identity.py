"""Who the app is to Azure: its managed identity.

https://learn.microsoft.com/azure/app-service/overview-managed-identity
"""

from typing import TYPE_CHECKING, Any

from shared.errors import TemporaryError
from shared.redaction import tidy

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
    from azure.identity import ManagedIdentityCredential


class ManagedIdentity:
    """A token credential whose failures are told apart from those of the service that the token is for."""

    def __init__(self, credential: "ManagedIdentityCredential") -> None:
        self._credential = credential

    def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        """Get a token; TemporaryError where the identity gives none."""
        from azure.core.exceptions import AzureError

        try:
            token: AccessToken = self._credential.get_token(*scopes, **options)
        except AzureError as problem:
            raise _no_token(scopes, problem) from None
        return token

    def get_token_info(self, *scopes: str, options: "TokenRequestOptions | None" = None) -> "AccessTokenInfo":
        """Get a token and when to renew it; TemporaryError where the identity gives none."""
        from azure.core.exceptions import AzureError

        try:
            token: AccessTokenInfo = self._credential.get_token_info(*scopes, options=options)
        except AzureError as problem:
            raise _no_token(scopes, problem) from None
        return token


def managed_identity(client_id: str = "") -> ManagedIdentity:
    """Make the credential of a user-assigned identity, or of the system-assigned one when `client_id` is empty."""
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentity(ManagedIdentityCredential(client_id=client_id or None))


def _no_token(scopes: tuple[str, ...], problem: Exception) -> TemporaryError:
    audience = ", ".join(scope.removesuffix("/.default") for scope in scopes)
    return TemporaryError(f"the app's identity gives no token for {audience}: {tidy(str(problem))}")
