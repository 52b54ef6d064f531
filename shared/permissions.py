"""What a step needs to be allowed, and where: said beside the step, for whoever gives the app its roles. Pure data."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal[
    "workspace", "registry", "endpoint", "subscription", "factory", "storage", "mail", "topic", "vision", "channel"
]


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
    optional: bool = False
    """Whether the step does without, and says so."""
