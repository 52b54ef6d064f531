"""Whose fault a refused prediction is: the caller's, who hears it at once, or the region's, so that another is asked.

What is surely the caller's is a short list of the service's own codes, nested in its error; whatever else a region says
may be its own trouble, such as a gateway without a backend, or a project that was deleted there. The codes:
https://learn.microsoft.com/rest/api/language/conversation-analysis-runtime/analyze-conversation/analyze-conversation#innererrorcode
"""

import re
from typing import Literal

from shared.errors import PermanentError, ReactorError

Fault = Literal["caller", "either", "region"]
"""either: the other region's answer tells; where it refuses in the same way the fault is the caller's."""

FAULTS: tuple[tuple[Fault, tuple[str, ...], str], ...] = (
    ("caller", ("EmptyRequest", "MissingInputDocuments"), "There is no text to predict, wherever it is asked."),
    ("caller", ("InvalidDocument", "InvalidDocumentBatch"), "The text is empty or too long: the limit is everywhere."),
    ("caller", ("UnsupportedLanguageCode", "InvalidCountryHint"), "There is no such language, in no region."),
    (
        "caller",
        ("InvalidParameterValue",),
        "The service knows no such value; where its words are about what a region has, either may be at fault.",
    ),
    ("region", ("Unauthorized", "401"), "This resource takes the key or the token no more; the other has its own."),
    ("region", ("Forbidden", "403", "PermissionDenied"), "This resource's network, tier or roles let nobody in."),
    ("region", ("Expired",), "The deployment, or its model, expired in this region."),
    ("region", ("QuotaExceeded", "TooManyRequests", "429"), "What this resource may be asked is used up."),
    ("either", ("ProjectNotFound",), "The project was deleted in this region, or its name is written wrong."),
    ("either", ("NotFound", "DeploymentNotFound", "ModelNotFound"), "The same of what is deployed in it."),
    ("either", ("ResourceNotFound", "404"), "The route, or the whole resource, is gone, as a gateway says it."),
    ("either", ("UnsupportedApiVersion", "ModelVersionIncorrect"), "Each resource has an API version of its own."),
    ("either", ("InvalidRequest", "InvalidArgument", "InvalidRequestBodyFormat"), "This says no more than a 400 does."),
    (
        "either",
        ("",),
        "A gateway's page, a redirect, a 405, a 410: no error of the service's own. So is a code that is not listed.",
    ),
)
"""What a refusal for good is told by, in whatever case, and why it counts so."""
_BY_CODE = {code.lower(): fault for fault, codes, _ in FAULTS for code in codes}
_REGIONS_OWN = re.compile(r"project|deployment|model|version|region|resource|endpoint|subscription|tier", re.IGNORECASE)


def fault_of(problem: ReactorError) -> Fault:
    """Tell whose fault it is; whatever may go by, such as a 429, a 503 or a role that is missing, is the region's."""
    if not isinstance(problem, PermanentError):
        return "region"
    code = problem.code.lower()
    if code == "invalidparametervalue" and _REGIONS_OWN.search(problem.reason.partition(problem.code)[2]):
        return "either"
    return _BY_CODE.get(code, "either")
