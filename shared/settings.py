"""The app's settings: one value, a function of a mapping, read once and passed on.

Nothing else in the app reads the environment. Values that rules refer to as `${NAME}` stay in `Settings.values`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from shared.errors import SettingsError

STORAGE_PREFIX = "AzureWebJobsStorage"

NAMES: Mapping[str, str] = {
    STORAGE_PREFIX: "Connection string of the storage account; leave it out where an identity is used instead.",
    f"{STORAGE_PREFIX}__accountName": "Identity: the account's name, enough in the public cloud.",
    f"{STORAGE_PREFIX}__blobServiceUri": "Identity: the blob service, such as https://acct.blob.core.windows.net.",
    f"{STORAGE_PREFIX}__queueServiceUri": "Identity: the queue service.",
    f"{STORAGE_PREFIX}__tableServiceUri": "Identity: the table service.",
    f"{STORAGE_PREFIX}__credential": 'Identity: "managedidentity", required beside a user-assigned client id.',
    f"{STORAGE_PREFIX}__clientId": "Identity: the user-assigned identity's client id.",
    "AZURE_CLIENT_ID": "The user-assigned identity for everything but storage; empty for the system-assigned one.",
    "REACTOR_RULES": "The rules: a file beside the app, or a blob of the storage account as blob:container/name.",
    "REACTOR_LEASE_SECONDS": "How long a claim lasts: the host's queue lease, 600 in Azure.",
    "REACTOR_POLL_SECONDS": "How often a remote job is looked at, before back-off.",
    "REACTOR_SCHEDULE": "When the sweep runs, NCRONTAB with six fields; half a lease apart.",
    "REACTOR_DEADLINE_HOURS": "How long one stage may take, retries included, before its step fails.",
    "REACTOR_KEEP_DAYS": "How long records are kept after they ended.",
    "REACTOR_ARM_ENDPOINT": "Azure Resource Manager; another one in a sovereign cloud.",
    "REACTOR_ML_API_VERSION": "The api-version of Machine Learning behind Resource Manager.",
    "REACTOR_ML_HOSTS": "Hosts of Machine Learning's own that may be talked to, comma-separated, * as a wildcard.",
    "REACTOR_ML_AUDIENCE": "Whom a token for those hosts is for; another one in a sovereign cloud.",
    "REACTOR_MONITOR_API_VERSION": "The api-version of Azure Monitor's metrics.",
    "REACTOR_ADF_API_VERSION": "The api-version of Data Factory.",
    "REACTOR_VISION_API_VERSION": "The version of Custom Vision's training API.",
    "REACTOR_VISION_PREDICTION_API_VERSION": "The version of Custom Vision's prediction API.",
    "REACTOR_LANGUAGE_READS": "GET requests to the authoring of one Language resource in a minute, by all instances.",
    "REACTOR_LANGUAGE_WRITES": "The same of all other requests, which change something; above 1,000 none is counted.",
    "REACTOR_BACKUP_CONTAINER": "The blob container of our own versioned backups.",
    "REACTOR_MAIL_ENDPOINT": "Azure Communication Services' endpoint, where e-mail channels do not name one.",
    "REACTOR_MAIL_SENDER": "The sender's address, where e-mail channels do not name one.",
    "REACTOR_VISION_BLOB_HOSTS": "Hosts that an exported model may be copied from, comma-separated, * as a wildcard.",
    "REACTOR_AUTHORITY": "Who signs people in: https://login.microsoftonline.com/<tenant>/v2.0; empty: nobody can.",
    "REACTOR_AUDIENCE": "What a person's token must be for: the API's app id URI and its client id, comma-separated.",
    "REACTOR_OPERATORS": "Who may cancel and replay: object ids, group ids, app roles, addresses; comma-separated.",
}
"""Every setting of the app, and what it means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where the queues, tables and blobs are: a connection string, or service URIs and an identity."""

    connection_string: str = ""
    blob_uri: str = ""
    queue_uri: str = ""
    table_uri: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. Durations are `timedelta`."""

    storage: Storage
    client_id: str
    rules: str
    lease: timedelta
    """A claim on an action lasts this long; the sweep and the reconciling of unanswered starts scale with it."""
    poll: timedelta
    deadline: timedelta
    keep: timedelta
    arm_endpoint: str
    ml_api_version: str
    ml_hosts: tuple[str, ...]
    ml_audience: str
    monitor_api_version: str
    adf_api_version: str
    vision_api_version: str
    vision_prediction_api_version: str
    language_reads: int
    language_writes: int
    backup_container: str
    vision_blob_hosts: tuple[str, ...]
    authority: str
    """Of one tenant; "" where nobody can sign in."""
    audience: tuple[str, ...]
    operators: frozenset[str]
    """In lower case."""
    values: Mapping[str, str]
    """The whole mapping, for `${NAME}`."""

    @classmethod
    def read(cls, values: Mapping[str, str]) -> "Settings":
        """Check a mapping such as `os.environ`; SettingsError names everything that is missing or wrong."""
        reader = Reader(values)
        settings = cls(
            storage=reader.storage(),
            client_id=values.get("AZURE_CLIENT_ID", ""),
            rules=values.get("REACTOR_RULES") or "rules.yaml",
            lease=timedelta(seconds=reader.number("REACTOR_LEASE_SECONDS", 600)),
            poll=timedelta(seconds=reader.number("REACTOR_POLL_SECONDS", 30)),
            deadline=timedelta(hours=reader.number("REACTOR_DEADLINE_HOURS", 24)),
            keep=timedelta(days=reader.number("REACTOR_KEEP_DAYS", 90)),
            arm_endpoint=(values.get("REACTOR_ARM_ENDPOINT") or "https://management.azure.com").rstrip("/"),
            ml_api_version=values.get("REACTOR_ML_API_VERSION") or "2024-10-01",
            ml_hosts=words(values.get("REACTOR_ML_HOSTS") or "*.inference.ml.azure.com, *.api.azureml.ms"),
            ml_audience=(values.get("REACTOR_ML_AUDIENCE") or "https://ml.azure.com").rstrip("/"),
            monitor_api_version=values.get("REACTOR_MONITOR_API_VERSION") or "2024-02-01",
            adf_api_version=values.get("REACTOR_ADF_API_VERSION") or "2018-06-01",
            vision_api_version=values.get("REACTOR_VISION_API_VERSION") or "v3.3",
            vision_prediction_api_version=values.get("REACTOR_VISION_PREDICTION_API_VERSION") or "v3.1",
            language_reads=reader.count("REACTOR_LANGUAGE_READS", 100),
            language_writes=reader.count("REACTOR_LANGUAGE_WRITES", 10),
            backup_container=values.get("REACTOR_BACKUP_CONTAINER") or "backups",
            vision_blob_hosts=words(values.get("REACTOR_VISION_BLOB_HOSTS") or "*.blob.core.windows.net"),
            authority=reader.authority(),
            audience=reader.audience(),
            operators=frozenset(words(values.get("REACTOR_OPERATORS", "").lower())),
            values=values,
        )
        if reader.problems:
            raise SettingsError("; ".join(reader.problems))
        return settings


LARGEST = 100_000
"""Of any number: seconds of a day, hours of a decade, days of three lifetimes."""
ANYBODYS = frozenset({"", "common", "organizations", "consumers"})
"""Tenants of an authority that are none: they sign in people of any organization."""


class Reader:
    """Reads single settings and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.problems: list[str] = []

    def number(self, name: str, default: float) -> float:
        """Read a positive number."""
        text = self.values.get(name) or str(default)
        try:
            number = float(text)
        except ValueError:
            number = 0
        if not 0 < number <= LARGEST:
            self.problems.append(f"{name} must be a number above 0, and at most {LARGEST:,}")
            return default
        return number

    def count(self, name: str, default: int) -> int:
        """Read a positive whole number."""
        number = self.number(name, default)
        if number != int(number):
            self.problems.append(f"{name} must be a whole number")
        return int(number)

    def authority(self) -> str:
        """Read who signs people in: one tenant, over https."""
        authority = self.values.get("REACTOR_AUTHORITY", "").strip().rstrip("/")
        try:
            parts = urlsplit(authority)
            is_wrong = parts.scheme != "https" or not parts.hostname or bool(parts.query or parts.fragment)
        except ValueError:
            is_wrong = True
        if authority and (is_wrong or parts.path.lstrip("/").split("/")[0].lower() in ANYBODYS):
            self.problems.append(
                "REACTOR_AUTHORITY must be https and name one tenant, such as "
                "https://login.microsoftonline.com/<tenant id>/v2.0"
            )
        return authority

    def audience(self) -> tuple[str, ...]:
        """Read what tokens must be for; there is no telling without it who they were meant for."""
        audience = words(self.values.get("REACTOR_AUDIENCE", ""))
        if self.values.get("REACTOR_AUTHORITY") and not audience:
            self.problems.append("REACTOR_AUDIENCE is needed beside REACTOR_AUTHORITY: the API's app id URI, client id")
        return audience

    def storage(self) -> Storage:
        """Read the storage connection, in any of the forms the Functions host knows."""
        if connection := self.values.get(STORAGE_PREFIX, ""):
            return Storage(connection_string=connection)
        account = self.values.get(f"{STORAGE_PREFIX}__accountName", "")
        uris = {
            service: self.values.get(f"{STORAGE_PREFIX}__{service}ServiceUri", "").rstrip("/")
            or (f"https://{account}.{service}.core.windows.net" if account else "")
            for service in ("blob", "queue", "table")
        }
        missing = [f"{STORAGE_PREFIX}__{service}ServiceUri" for service, uri in uris.items() if not uri]
        if missing:
            self.problems.append(f"missing: {STORAGE_PREFIX} (a connection string), or {', '.join(missing)}")
        return Storage(
            blob_uri=uris["blob"],
            queue_uri=uris["queue"],
            table_uri=uris["table"],
            client_id=self.values.get(f"{STORAGE_PREFIX}__clientId", ""),
        )


def words(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(word for part in text.split(",") if (word := part.strip()))
