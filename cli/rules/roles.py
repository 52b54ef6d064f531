"""Azure's built-in roles that an ML Reactor may be given, and which of them cover what it needs.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from shared.permissions import Scope

ML = "Microsoft.MachineLearningServices"
BLOBS = "Microsoft.Storage/storageAccounts/blobServices"
CUSTOM_VISION = "Microsoft.CognitiveServices/accounts/CustomVision"
LANGUAGE = "Microsoft.CognitiveServices/accounts/Language"
QUEUES = "Microsoft.Storage/storageAccounts/queueServices/queues"


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role, as far as it matters here."""

    name: str
    id: str
    actions: tuple[str, ...] = ()
    but: tuple[str, ...] = ()
    """Actions that it leaves out."""
    data_actions: tuple[str, ...] = ()
    data_but: tuple[str, ...] = ()
    """Data actions that it leaves out."""


READER = Role("Reader", "acdd72a7-3385-48ef-bd42-f606fba81ae7", ("*/read",))
MONITORING = Role("Monitoring Reader", "43d0d8ad-25c7-4714-9337-8ba259a9fe05", ("*/read",))
DATA_SCIENTIST = Role(
    "AzureML Data Scientist",
    "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    tuple(f"{ML}/workspaces/*/{verb}" for verb in ("read", "action", "delete", "write")),
    (
        *(f"{ML}/workspaces/{verb}" for verb in ("delete", "write")),
        *(f"{ML}/workspaces/computes/*/{verb}" for verb in ("write", "delete")),
        f"{ML}/workspaces/computes/listKeys/action",
        f"{ML}/workspaces/listKeys/action",
    ),
)
COMPUTE = Role("AzureML Compute Operator", "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815", (f"{ML}/workspaces/computes/*",))
REGISTRY = Role(
    "AzureML Registry User",
    "1823dd4f-9b8c-4ab6-ab4e-7397a3684615",
    (f"{ML}/registries/read", f"{ML}/registries/assets/*"),
)
FACTORY = Role(
    "Data Factory Contributor", "673868aa-7521-48a0-acc6-0f60742d39f5", ("Microsoft.DataFactory/factories/*",)
)
VISION_READER = Role(
    "Cognitive Services Custom Vision Reader",
    "93586559-c37d-4a6b-ba08-b9f0940c2d73",
    ("Microsoft.CognitiveServices/*/read",),
    data_actions=(f"{CUSTOM_VISION}/*/read", f"{CUSTOM_VISION}/projects/predictions/query/action"),
    data_but=(f"{CUSTOM_VISION}/projects/export/read",),
)
VISION_DEPLOYMENT = Role(
    "Cognitive Services Custom Vision Deployment",
    "5c4089e1-6d96-4d2f-b296-c1bc7137275f",
    ("Microsoft.CognitiveServices/*/read",),
    data_actions=(
        f"{CUSTOM_VISION}/*/read",
        *(f"{CUSTOM_VISION}/projects/{each}/*" for each in ("predictions", "iterations/publish", "iterations/export")),
        *(f"{CUSTOM_VISION}/{each}/*" for each in ("projects/quicktest", "classify", "detect")),
    ),
    data_but=(f"{CUSTOM_VISION}/projects/export/read",),
)
VISION_TRAINER = Role(
    "Cognitive Services Custom Vision Trainer",
    "0a5ae4ab-0d65-4eeb-be61-29fc9b54394b",
    ("Microsoft.CognitiveServices/*/read",),
    data_actions=(f"{CUSTOM_VISION}/*",),
    data_but=tuple(f"{CUSTOM_VISION}/projects/{each}" for each in ("action", "delete", "import/action", "export/read")),
)
VISION_CONTRIBUTOR = Role(
    "Cognitive Services Custom Vision Contributor",
    "c1ff6cc2-c111-46fe-8896-e0ef812ad9f3",
    ("Microsoft.CognitiveServices/*/read",),
    data_actions=(f"{CUSTOM_VISION}/*",),
)
LANGUAGE_READER = Role(
    "Cognitive Services Language Reader",
    "7628b7b8-a8b2-4cdc-b46f-e9b35248918e",
    ("Microsoft.CognitiveServices/*/read",),
    data_actions=(
        f"{LANGUAGE}/*/read",
        f"{LANGUAGE}/*/projects/export/action",
        f"{LANGUAGE}/analyze-conversations/action",
    ),
)
LANGUAGE_WRITER = Role(
    "Cognitive Services Language Writer",
    "f2310ca1-dc64-4889-bb49-c8e0fa3d47a8",
    ("Microsoft.CognitiveServices/*/read",),
    data_actions=(f"{LANGUAGE}/*",),
    data_but=(
        f"{LANGUAGE}/*/projects/delete",
        *(f"{LANGUAGE}/*/projects/deployments/{verb}" for verb in ("write", "delete", "swap/action")),
    ),
)
LANGUAGE_OWNER = Role(
    "Cognitive Services Language Owner",
    "f07febfe-79bc-46b1-8b37-790e26e6e498",
    ("Microsoft.CognitiveServices/*/read", "Microsoft.CognitiveServices/accounts/listkeys/action"),
    data_actions=(f"{LANGUAGE}/*",),
)
BLOB_READER = Role(
    "Storage Blob Data Reader",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    (f"{BLOBS}/containers/read", f"{BLOBS}/generateUserDelegationKey/action"),
    data_actions=(f"{BLOBS}/containers/blobs/read",),
)
BLOB_CONTRIBUTOR = Role(
    "Storage Blob Data Contributor",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    (*(f"{BLOBS}/containers/{verb}" for verb in ("read", "write", "delete")), *BLOB_READER.actions[1:]),
    data_actions=(
        *(f"{BLOBS}/containers/blobs/{verb}" for verb in ("read", "write", "delete")),
        *(f"{BLOBS}/containers/blobs/{verb}/action" for verb in ("move", "add")),
    ),
)
MAIL = Role(
    "Communication and Email Service Owner",
    "09976791-48a7-449e-bb21-39d1a415f350",
    ("Microsoft.Communication/CommunicationServices/*", "Microsoft.Communication/EmailServices/*"),
)
SENDER = Role(
    "EventGrid Data Sender",
    "d5a91429-5739-47e2-a06b-3470a27159e7",
    ("Microsoft.EventGrid/topics/read",),
    data_actions=("Microsoft.EventGrid/events/send/action",),
)
QUEUE = Role(
    "Storage Queue Data Message Sender",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    data_actions=(f"{QUEUES}/messages/add/action",),
)

LADDERS: Mapping[Scope, tuple[tuple[Role, ...], ...]] = {
    "workspace": (
        (READER,),
        (DATA_SCIENTIST,),
        (DATA_SCIENTIST, MONITORING),
        (DATA_SCIENTIST, COMPUTE),
        (DATA_SCIENTIST, COMPUTE, MONITORING),
    ),
    "endpoint": ((READER,), (DATA_SCIENTIST,)),
    "subscription": ((READER,),),
    "registry": ((REGISTRY,),),
    "factory": ((FACTORY,),),
    "vision": ((VISION_READER,), (VISION_DEPLOYMENT,), (VISION_TRAINER,), (VISION_CONTRIBUTOR,)),
    "vision_prediction": ((VISION_DEPLOYMENT,),),
    "vision_replica": ((VISION_CONTRIBUTOR,),),
    "language": ((LANGUAGE_READER,), (LANGUAGE_WRITER,), (LANGUAGE_OWNER,)),
    "language_secondary": ((LANGUAGE_READER,), (LANGUAGE_WRITER,), (LANGUAGE_OWNER,)),
    "storage": ((BLOB_READER,), (BLOB_CONTRIBUTOR,)),
    "second_storage": ((BLOB_READER,), (BLOB_CONTRIBUTOR,)),
    "mail": ((MAIL,),),
    "topic": ((SENDER,),),
    "queue": ((QUEUE,),),
}
"""Kind of thing to the sets of roles that come into question, those that allow least first."""


def covering(scope: Scope, actions: Iterable[str], data_actions: Iterable[str]) -> tuple[Role, ...]:
    """Find the built-in roles that together allow all of it; none where no set does."""
    actions, data_actions = tuple(actions), tuple(data_actions)
    for roles in LADDERS[scope]:
        is_allowed = all(any(allows(role, action) for role in roles) for action in actions)
        if is_allowed and all(any(allows_data(role, each) for role in roles) for each in data_actions):
            return roles
    return ()


def allows(role: Role, action: str) -> bool:
    """Tell whether a role allows an action of management."""
    return covers(role.actions, action) and not covers(role.but, action)


def allows_data(role: Role, action: str) -> bool:
    """Tell whether a role allows a data action."""
    return covers(role.data_actions, action) and not covers(role.data_but, action)


def covers(patterns: Iterable[str], action: str) -> bool:
    """Tell whether an action is one of those that patterns such as "Microsoft.DataFactory/factories/*" are about."""
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern: `*` is anything, and between slashes it may be nothing, slash and all."""
    regex = re.escape(text).replace(r"/\*/", "/(?:.*/)?").replace(r"\*", ".*")
    return re.compile(regex, re.IGNORECASE)
