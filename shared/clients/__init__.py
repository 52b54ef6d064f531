"""The services that the app talks to. Each client takes ARM ids and endpoints, returns small values, and raises only
TemporaryError, UnansweredError and PermanentError.

Importing this loads no SDK: every client, and what it needs, is made when first used.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.clients.channels import Channels
    from shared.clients.data_factory import DataFactory
    from shared.clients.event_grid import EventGrid
    from shared.clients.language import Language
    from shared.clients.machine_learning import MachineLearning
    from shared.clients.vision import Vision
    from shared.storage.account import Account, Credential
    from shared.storage.backups import Backups
    from shared.storage.datasets import Datasets
    from shared.storage.language_backups import LanguageBackups
    from shared.storage.replicas import Replicas


class Clients:
    """All clients, made when first used and then kept; safe to share between threads.

    `credential` makes a token credential of a user-assigned identity's client id, "" for the system-assigned one.
    `account` is the app's own storage account, where it has been made already.
    """

    def __init__(self, settings: Settings, credential: "Credential", account: "Account | None" = None) -> None:
        self._settings = settings
        self._make_credential = credential
        self._account = account

    @cached_property
    def credential(self) -> "TokenCredential":
        """The app's identity towards everything but its own storage."""
        return self._make_credential(self._settings.client_id)

    @cached_property
    def machine_learning(self) -> "MachineLearning":
        """Azure Machine Learning."""
        from shared.clients.machine_learning import MachineLearning

        return MachineLearning(self._settings, lambda: self.credential)

    @cached_property
    def data_factory(self) -> "DataFactory":
        """Azure Data Factory."""
        from shared.clients.data_factory import DataFactory

        return DataFactory(self._settings, lambda: self.credential)

    @cached_property
    def vision(self) -> "Vision":
        """Custom Vision."""
        from shared.clients.vision import Vision

        return Vision(self._settings, lambda: self.credential)

    @cached_property
    def language(self) -> "Language":
        """Azure AI Language; without storage of the app, what is asked of it is counted here alone."""
        from shared.clients.language import Language
        from shared.storage.rates import Rates

        is_known = self._account is not None or self._settings.storage.connection_string
        limits = {"GET": self._settings.language_reads, "POST": self._settings.language_writes}
        rates = Rates(self.account if is_known else None, limits)
        return Language(self._settings, lambda: self.credential, rates)

    @cached_property
    def event_grid(self) -> "EventGrid":
        """Event Grid custom topics."""
        from shared.clients.event_grid import EventGrid

        return EventGrid(lambda: self.credential)

    @cached_property
    def channels(self) -> "Channels":
        """Where alerts go: mail, chat, webhooks, queues."""
        from shared.clients.channels import Channels

        return Channels(lambda: self.credential, self.account)

    @cached_property
    def backups(self) -> "Backups":
        """Our own versioned store of exported models."""
        from shared.storage.backups import Backups

        return Backups(self.account, self._settings, lambda: self.credential)

    @cached_property
    def datasets(self) -> "Datasets":
        """Our own store of labelled images."""
        from shared.storage.datasets import Datasets

        return Datasets(self.account, self._settings)

    @cached_property
    def language_backups(self) -> "LanguageBackups":
        """Our own versioned store of exported Language projects."""
        from shared.storage.language_backups import LanguageBackups

        return LanguageBackups(self.account, self._settings)

    @cached_property
    def replicas(self) -> "Replicas":
        """What is remembered of replicated Language projects."""
        from shared.storage.replicas import Replicas

        return Replicas(self.account)

    @cached_property
    def account(self) -> "Account":
        """The app's own storage account."""
        from shared.storage.account import Account

        return self._account or Account(self._settings.storage, self._make_credential)
