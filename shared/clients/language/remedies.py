"""What a person can do about what Language refuses: one table, and what a role or a key has to do with it.

https://learn.microsoft.com/azure/ai-services/language-service/conversational-language-understanding/service-limits
https://learn.microsoft.com/azure/ai-services/language-service/concepts/role-based-access-control
"""

import re
from collections.abc import Mapping, Sequence

from shared.answers import WRONG_KEY
from shared.errors import DeniedError, PermanentError, ReactorError, TemporaryError, UnansweredError

READER, WRITER, OWNER = (f"Cognitive Services Language {name}" for name in ("Reader", "Writer", "Owner"))
MAY: Mapping[str, str] = {
    READER: "reads, exports and predicts",
    WRITER: "also imports and trains, and does not deploy",
    OWNER: "does all of it: deploys, swaps and deletes, too",
}
"""What each role may, by its name; an export only reads."""
REGIONS = "https://learn.microsoft.com/azure/ai-services/language-service/concepts/regional-support"
ONLY_PREDICTS = f"this region only predicts: take a Language resource in a region that can author ({REGIONS})"
NO_ROLE = re.compile(r"PermissionDenied|does not have access to API|not authorized to perform", re.IGNORECASE)
"""How a token is refused that is good and may not, also by a 401."""

_TABLE: tuple[tuple[str, str], ...] = (
    # the resource
    (r"\bauthor.{0,80}\bregion|region\b.{0,80}\bauthor", ONLY_PREDICTS),
    (r"UnsupportedRegion|region\b.{0,60}(?:not |un)(?:supported|available)", ONLY_PREDICTS),
    (r"(?:not |un)(?:supported|available)\b.{0,30}\bregion", ONLY_PREDICTS),
    (r"custom subdomain", "give the resource's own subdomain as the endpoint, or its key"),
    (
        r"AuthenticationTypeDisabled|Key based authentication is disabled|local ?auth\w* is disabled",
        "the resource takes no keys: leave the key out of the rules file and give the app's identity a role on it",
    ),
    (
        r"Virtual Network|Firewall|PublicNetworkAccess|public access is disabled",
        "let the resource's network pass the app: its firewall or private endpoint refuses it",
    ),
    (
        r"call volume quota|monthly.{0,40}quota|pricing tier",
        "the tier's volume is used up: take the tier S, or wait for the next month",
    ),
    (
        r"api.?version|UnsupportedApiVersion|NoRegisteredProviderFound",
        "declare another api_version of this resource: 2023-04-01 or 2025-11-01",
    ),
    # names
    (
        r"project name or deployment name",
        "check both names: their case matters, and the project is deployed in this very resource",
    ),
    (
        r"ProjectNotFound|project\b.{0,80}(?:does not exist|not (?:be )?found)",
        "check the project's name: its case matters",
    ),
    (
        r"DeploymentNotFound|deployment\b.{0,80}(?:does not exist|not (?:be )?found)",
        "check the deployment's name: its case matters, and it is deployed in this very resource",
    ),
    (r"ModelNotFound|model\b.{0,80}(?:does not exist|not (?:be )?found)", "check the model's label, or train it anew"),
    (
        r"(?:project ?name|name of the project).{0,80}(?:match|equal|same|differ)|ProjectNameMismatch",
        "the name in the export and the project's must be equal, in upper and lower case, too",
    ),
    (
        r"Resource not found",
        "check that the endpoint is a Language resource's own, and that its region has this version of the API",
    ),
    # limits
    (
        r"deployments?\b.{0,80}(?:limit|maximum|quota|exceed)|(?:limit|maximum|quota|exceed)\w*\b.{0,80}\bdeployments?",
        "delete a deployment that nobody uses: a project has ten at most",
    ),
    (
        r"(?:trained )?models?\b.{0,80}(?:limit|maximum|quota|exceed)|(?:limit|maximum|exceed)\w*\b.{0,80}\bmodels?",
        "delete a model that is not deployed: a project has ten at most",
    ),
    (
        r"projects?\b.{0,80}(?:limit|maximum|quota|exceed)|(?:limit|maximum|exceed)\w*\b.{0,80}\bprojects?",
        "delete a project that nobody uses: a resource has 500 at most",
    ),
    # training
    (
        r"standard\b.{0,120}\b(?:English|language|multilingual)|(?:English|multilingual)\b.{0,120}\bstandard",
        "train in the mode advanced: standard is for English only",
    ),
    (
        r"config\w* ?version.{0,80}(?:expired|not supported|invalid|retired)|training config",
        'train with the config_version "latest", or one that the resource lists',
    ),
    (r"split", "correct the evaluation: its two percentages are together 100"),
    (r"(?:not enough|at least|minimum)\b.{0,80}(?:utterance|intent)", "label more utterances: each intent needs some"),
    (r"(?:expired|expiration).{0,60}(?:model|deployment)|(?:model|deployment).{0,60}expired", "train and deploy anew"),
    # what is asked
    (r"UnsupportedLanguageCode|language code", "correct the language: a code such as en-us, ko or de"),
    (
        r"InvalidDocument|EmptyRequest|MissingInputDocuments|too long|\btext\b.{0,60}\b(?:length|characters)",
        "give a text that is not empty, and at most 1,000 characters long",
    ),
    (r"InvalidRequestBodyFormat|Failed to parse", "this is no export of a project that this version can import"),
)
"""A pattern for what the service says, its code first, to the remedy. The first that fits counts."""
_REMEDIES = tuple((re.compile(pattern, re.IGNORECASE), remedy) for pattern, remedy in _TABLE)
_TRAINS = re.compile(
    r"train\w*\b.{0,60}\b(?:already (?:exists|running|in progress|queued)|in progress|(?:is|are) running)"
    r"|another train\w*|already (?:running|training|being trained)|train\w*InProgress",
    re.IGNORECASE,
)
TRAINS_ONCE = "; a project trains once at a time: it is tried again once that training is over, or was cancelled"
_IN_USE = re.compile(r"model\b.{0,80}\b(?:is deployed|in use)", re.IGNORECASE)
EXPIRED = re.compile(r"deployment\b.{0,80}\bexpired|model\b.{0,80}\bexpired", re.IGNORECASE)
"""How the runtime refuses to predict with what is too old."""
AGAIN = 60.0
"""Seconds until it is asked again whether the training before is over."""


def judged(problem: ReactorError, status: int, *, has_key: bool) -> ReactorError:
    """Tell what a refusal means that is about who asks: a wrong key, or a role that is missing.

    A key has no roles, so nothing gets better by waiting; the code says what kind of refusal it is.
    """
    reason = problem.reason
    if has_key and status == 401:
        return PermanentError(_plain(reason), remedy=WRONG_KEY, code="Unauthorized")
    if has_key and status == 403:
        remedy = "a key has no roles: see whether the resource's network, or its tier, refuses it"
        return PermanentError(_plain(reason), remedy=remedy, code="Forbidden")
    if status == 401 and NO_ROLE.search(reason):
        return DeniedError(f"{_plain(reason)}; the role may not have propagated yet, or be missing")
    return problem


def advised(problem: ReactorError, role: str, host: str, key_settings: Sequence[str] = ()) -> ReactorError:
    """Give an error with the remedy of the table; `role` is what its request needs, `key_settings` hold its key."""
    if isinstance(problem, UnansweredError):
        return problem
    if isinstance(problem, DeniedError):
        return _refused(problem, role, host)
    if _IN_USE.search(problem.reason):
        remedy = "a model that is deployed is in use: deploy another one in its place first"
        return PermanentError(problem.reason, remedy=remedy, code="Conflict")
    if not isinstance(problem, PermanentError):
        return problem
    remedy = _remedy(problem.reason) or problem.remedy
    if problem.remedy == WRONG_KEY and key_settings:
        remedy = f"put the current key into {' or '.join(key_settings)}, where this one is, and use its own endpoint"
    return PermanentError(problem.reason, remedy=remedy, code=problem.code)


def trained_once(problem: ReactorError) -> ReactorError:
    """Tell a training that was refused because one runs, whether by a 400 or a 409: that goes by."""
    if isinstance(problem, UnansweredError) or not _TRAINS.search(problem.reason):
        return problem
    return TemporaryError(f"{problem.reason}{TRAINS_ONCE}", after=getattr(problem, "after", None) or AGAIN)


def _refused(problem: DeniedError, role: str, host: str) -> PermanentError | DeniedError:
    """Name the role that is missing; where it is no matter of roles, no waiting helps."""
    if remedy := _remedy(problem.reason):
        return PermanentError(_plain(problem.reason), remedy=remedy, code="Forbidden")
    return DeniedError(
        problem.reason,
        after=problem.after,
        remedy=f'give the app\'s identity the role "{role}" on {host}, which {MAY[role]}',
    )


def _remedy(reason: str) -> str:
    return next((remedy for pattern, remedy in _REMEDIES if pattern.search(reason)), "")


def _plain(reason: str) -> str:
    """Take away what is only said of tokens and roles."""
    for hint in ("; a new token is asked for", "; the role may not have propagated yet, or be missing"):
        reason = reason.removesuffix(hint)
    return reason
