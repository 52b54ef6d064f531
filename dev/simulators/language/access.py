"""Who may do what: the three roles of the service.

https://learn.microsoft.com/azure/ai-services/language-service/concepts/role-based-access-control
A reader reads, exports and predicts; a writer does all the rest but to delete projects, to deploy, to swap and to
delete deployments; an owner does everything. Keys are owners.
"""

import re

from dev.simulators.language.refusals import answered
from dev.simulators.language.settings import ROLES
from dev.simulators.wire import Answer, Request

READS = re.compile(r"/:export/?$|/language/:analyze-conversations/?$", re.IGNORECASE)
OWNS = re.compile(
    r"^(PUT|DELETE) .*/deployments/[^/]+/?$|^POST .*/deployments/:swap/?$|^DELETE .*/projects/[^/]+/?$", re.IGNORECASE
)


def needed(request: Request) -> str:
    """Give the least role that a request needs."""
    if request.method == "GET" or READS.search(request.path):
        return "reader"
    return "owner" if OWNS.match(f"{request.method} {request.path}") else "writer"


def denied(request: Request, role: str, status: int) -> Answer | None:
    """Give the refusal of a request that a role does not allow, else None."""
    if ROLES.index(role) >= ROLES.index(needed(request)):
        return None
    message = "The principal does not have access to API/Operation."
    return answered(status, "Forbidden" if status == 403 else "PermissionDenied", message)
