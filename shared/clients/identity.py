"""Who the app is to Azure: its managed identity; and who an operator is at a terminal.

https://learn.microsoft.com/azure/app-service/overview-managed-identity
"""

from typing import TYPE_CHECKING, Any

from shared.errors import TemporaryError
from shared.redaction import tidy

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
    from azure.identity import AzureCliCredential, DefaultAzureCredential, ManagedIdentityCredential

    AnyCredential = AzureCliCredential | DefaultAzureCredential | ManagedIdentityCredential

THE_APP = "the app's identity gives"
OPERATOR = "sign in with `az login`; you have"


class ManagedIdentity:
    """A token credential whose failures are told apart from those of the service that the token is for."""

    def __init__(self, credential: "AnyCredential", whose: str = THE_APP) -> None:
        self._credential = credential
        self._whose = whose

    def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        """Get a token; TemporaryError where the identity gives none."""
        from azure.core.exceptions import AzureError

        try:
            token: AccessToken = self._credential.get_token(*scopes, **options)
        except AzureError as problem:
            raise _no_token(self._whose, scopes, problem) from None
        return token

    def get_token_info(self, *scopes: str, options: "TokenRequestOptions | None" = None) -> "AccessTokenInfo":
        """Get a token and when to renew it; TemporaryError where the identity gives none."""
        from azure.core.exceptions import AzureError

        try:
            token: AccessTokenInfo = self._credential.get_token_info(*scopes, options=options)
        except AzureError as problem:
            raise _no_token(self._whose, scopes, problem) from None
        return token


def managed_identity(client_id: str = "") -> ManagedIdentity:
    """Make the credential of a user-assigned identity, or of the system-assigned one when `client_id` is empty."""
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentity(ManagedIdentityCredential(client_id=client_id or None))


def operator(_client_id: str = "") -> ManagedIdentity:
    """Make the credential of whoever runs a command: a pipeline's, or who is signed in with `az login` or azd.

    https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains
    """
    from azure.identity import DefaultAzureCredential

    return ManagedIdentity(DefaultAzureCredential(exclude_managed_identity_credential=True), OPERATOR)


def person() -> ManagedIdentity:
    """Make the credential of the person who is signed in to the Azure CLI, and of nothing else: an app decides nothing.

    https://learn.microsoft.com/python/api/azure-identity/azure.identity.azureclicredential
    """
    from azure.identity import AzureCliCredential

    return ManagedIdentity(AzureCliCredential(process_timeout=30), OPERATOR)


def _no_token(whose: str, scopes: tuple[str, ...], problem: Exception) -> TemporaryError:
    audience = ", ".join(scope.removesuffix("/.default") for scope in scopes)
    return TemporaryError(f"{whose} no token for {audience}: {tidy(str(problem))}")
