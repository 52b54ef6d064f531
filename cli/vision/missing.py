"""Says what is missing where Custom Vision does not reach a queue or a container: a role, a firewall, the app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.errors import DeniedError, PermanentError

if TYPE_CHECKING:
    from cli.vision.project import Here
    from cli.vision.proof import Proof
    from shared.storage.places import Peeked

ROLES: Mapping[str, str] = {"queue": "Storage Queue Data Contributor", "container": "Storage Blob Data Contributor"}
"""What the training resource's managed identity needs, by what it writes to."""


def refused(
    endpoint: str, problem: PermanentError | DeniedError, places: Mapping[str, str], so_far: str
) -> PermanentError:
    """Say of a refusal which roles it may be for want of, and how they are given."""
    roles = () if "multi-service" in problem.reason.lower() else role_lines(endpoint, places)
    remedy = "\n  ".join((problem.remedy, *roles))
    return PermanentError(f"{problem.reason}; {so_far}", remedy=remedy)


def may_not_make(what: str, url: str, problem: DeniedError) -> PermanentError:
    """Say what the person at the terminal lacks to look whether a queue or a container is there, or to make it."""
    account = account_name(url)
    me = "$(az ad signed-in-user show --query id -o tsv)"
    scope = f"$(az storage account show --name {account} --query id -o tsv)"
    return PermanentError(
        f"the {what} of account {account} is not open to you: {problem.reason}",
        remedy=f'az role assignment create --role "{ROLES[what]}" --assignee {me} --scope {scope}',
    )


def unproven(here: Here, proof: Proof, seconds: float) -> PermanentError:
    """Say why no test came to be heard, as far as the queues tell."""
    from cli.vision.proof import ONCE_IN, find_message, show_age

    reason = f"the project is connected, but no test of the connection was heard within {seconds:g} s"
    if proof.lately is not None:
        age, rest = show_age(proof.lately.age), f"{ceil((ONCE_IN - proof.lately.age) / timedelta(minutes=1))} min"
        return PermanentError(
            f"the project is connected, but that cannot be proven for another {rest}: the app recorded a test {age} "
            "ago, before the project was told of this queue, and counts equal messages within 10 minutes as one",
            remedy=f"give this command again in {rest}",
        )
    if find_message(_peeked(proof, proof.queue), here.project):
        return PermanentError(
            f"{reason}: its message waits in the queue, and the app does not take it",
            remedy="look whether the app runs, and that its AzureWebJobsStorage is the account of this queue",
        )
    if find_message(_peeked(proof, f"{proof.queue}-poison"), here.project):
        return PermanentError(
            f"{reason}: its message is in the queue's -poison: the app could not take it",
            remedy="look at `reactor events list --status parked`, and at the app's log",
        )
    lines = [
        "the message never came to the queue: the training resource's managed identity may not write there",
        *role_lines(here.core.training.endpoint, {"queue": proof.queue}),
        "then give this command again: it tests a connection that is there already, too",
    ]
    return PermanentError(reason, remedy="\n  ".join(lines))


def _peeked(proof: Proof, queue: str) -> list[Peeked]:
    """Look into a queue; nothing is seen where that is not allowed."""
    from shared.errors import ReactorError

    try:
        return proof.places.peek(queue)
    except ReactorError:
        return []


def role_lines(endpoint: str, places: Mapping[str, str]) -> Iterator[str]:
    """Write the commands that give the training resource's managed identity its roles, on the storage accounts."""
    name = resource_name(endpoint)
    yield f"who=$(az resource list --name {name} --resource-type {ACCOUNTS} --query '[0].identity.principalId' -o tsv)"
    for what, url in places.items():
        yield (
            f'az role assignment create --role "{ROLES[what]}" --assignee-object-id $who '
            "--assignee-principal-type ServicePrincipal "
            f"--scope $(az storage account show --name {account_name(url)} --query id -o tsv)"
        )


ACCOUNTS = "Microsoft.CognitiveServices/accounts"


def resource_name(endpoint: str) -> str:
    """Guess a resource's name: its subdomain, which most have after their name.

    >>> resource_name("https://fruit.cognitiveservices.azure.com/")
    'fruit'
    >>> resource_name("https://westeurope.api.cognitive.microsoft.com")
    '<training resource>'
    """
    host = urlsplit(endpoint).hostname or ""
    own = host.endswith((".cognitiveservices.azure.com", ".cognitiveservices.azure.us", ".cognitiveservices.azure.cn"))
    return host.partition(".")[0] if own else "<training resource>"


def account_name(url: str) -> str:
    """Name the storage account of a URL.

    >>> account_name("https://acct.queue.core.windows.net/vision-notifications")
    'acct'
    >>> account_name("http://127.0.0.1:10001/devstoreaccount1/vision-notifications")
    'devstoreaccount1'
    """
    parts = urlsplit(url)
    host = parts.hostname or "?"
    return host.partition(".")[0] if host[:1].isalpha() and "." in host else parts.path.lstrip("/").partition("/")[0]
