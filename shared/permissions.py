"""What a step needs to be allowed, and where: said beside the step, for whoever gives the app its roles. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Scope = Literal[
    "workspace",
    "registry",
    "endpoint",
    "subscription",
    "factory",
    "vision",
    "vision_prediction",
    "vision_replica",
    "language",
    "language_secondary",
    "storage",
    "second_storage",
    "mail",
    "topic",
    "queue",
]
"""The kind of thing that a permission is on: a workspace, factory or vision project that a step names, or the event's;
an endpoint of that workspace, or its subscription; a registry that models come from; the prediction resource of that
vision project, and the training resource that copies of it go to; the primary and the secondary resource of a Language
project; the storage account that it exports to, and the one that a step names for second copies; and what is behind a
channel: Communication Services, a topic, a queue.
"""


@dataclass(frozen=True, slots=True)
class Permission:
    """Actions of Azure's role-based access control, on one kind of scope.

    https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
    """

    scope: Scope
    actions: tuple[str, ...]
    """Such as "Microsoft.MachineLearningServices/workspaces/jobs/write"; a `*` stands for any name."""
    why: str = ""
    is_data: bool = False
    """Whether they are data actions, as those of storage are."""
    given: str = ""
    """The parameter of the step without which it is not needed; "" where it always is."""
    optional: bool = False
    """Whether the step does without, and says so."""


CHANNELS: Mapping[str, Permission] = {
    "email": Permission(
        "mail",
        (
            "Microsoft.Communication/CommunicationServices/read",
            "Microsoft.Communication/CommunicationServices/write",
            "Microsoft.Communication/EmailServices/write",
        ),
        "to send mail through Communication Services",
    ),
    "event_grid": Permission(
        "topic", ("Microsoft.EventGrid/events/send/action",), "to send events to a topic without a key", is_data=True
    ),
    "queue": Permission(
        "queue",
        ("Microsoft.Storage/storageAccounts/queueServices/queues/messages/add/action",),
        "to add messages to a queue without a SAS",
        is_data=True,
    ),
}
"""Kind of channel to what sending there takes, where the app's identity does it; the other kinds take a URL or a
password.

https://learn.microsoft.com/azure/communication-services/quickstarts/email/send-email-smtp/smtp-authentication
https://learn.microsoft.com/azure/event-grid/authenticate-with-microsoft-entra-id
https://learn.microsoft.com/azure/storage/queues/assign-azure-role-data-access
"""
