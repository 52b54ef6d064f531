"""What a person can do about what Custom Vision refuses: one table.

Its codes: https://learn.microsoft.com/rest/api/customvision/projects/create#customvisionerrorcodes
Its limits: https://learn.microsoft.com/azure/ai-services/custom-vision-service/limits-and-quotas
"""

import re
from collections.abc import Mapping, Sequence

from shared.answers import WRONG_KEY
from shared.errors import DeniedError, PermanentError

LIMITS: Mapping[str, tuple[int, int]] = {
    "projects": (2, 100),
    "images of a project": (5_000, 100_000),
    "tags of a project": (50, 500),
    "iterations of a project": (20, 20),
}
"""What to how many of it a resource of the tiers F0 and S0 may have."""
ROLES: Mapping[str, str] = {
    "queue": "the role Storage Queue Data Contributor on the queue's storage account",
    "container": "the role Storage Blob Data Contributor on the container's storage account",
}
"""What the managed identity of the training resource needs, by what it writes to.

https://learn.microsoft.com/azure/ai-services/custom-vision-service/storage-integration
"""


def tier_limits(what: str) -> str:
    """Say how many of something a resource may have."""
    free, standard = LIMITS[what]
    return f"delete some, or take a larger tier: {what} are limited to {free:,} in F0 and {standard:,} in S0"


_TABLE: tuple[tuple[str, str], ...] = (
    # training
    (
        r"TrainingValidationFailed|Not enough images",
        "add images: a classifier needs 2 tags of 5 images each at least, a detector 15 of each tag",
    ),
    (r"ReservedBudgetInHoursNotEnough", "give a larger budget: an advanced training takes whole hours, 1 at least"),
    (r"DomainNotSupportedForAdvancedTraining", "train regularly, or choose a domain that can be trained advanced"),
    (r"RetiredDomain", "this domain is retired: change the project's domain to a current one, then train"),
    (r"ExceedIterationPerProject", "a project keeps 20 iterations: prune.vision deletes the oldest, never published"),
    (r"InvalidEmailAddress", "correct the e-mail address that is to be told"),
    (r"ExceededQuota", "the resource's quota is used up: see its tier's limits"),
    # iterations
    (r"IterationIsPublished", "an iteration that is published is in use: unpublish it first"),
    (r"IterationIsNotTrained", "train the iteration to its end first"),
    (r"IterationName", "choose another name: an iteration's name is its own in the project"),
    (r"NotFoundIteration\b", "check the iteration's id: this project has none of it"),
    (r"NotFoundIterationPerformance", "only an iteration that is Completed has a performance"),
    # publishing and predicting
    (
        r"InvalidPublishTarget",
        "give the ARM id of the prediction resource, not the training resource's and no key; both are in one region",
    ),
    (r"InvalidPublishName", "choose another name to publish under: letters, digits, - and _, its own in the project"),
    (
        r"Invalid iteration",
        "nothing of this name is published on this prediction resource: check the name, and publish by its own ARM id",
    ),
    # exporting
    (
        r"ExportPlatformNotSupported|ExporterInvalidPlatform|UnsupportedExportPlatform",
        "choose a platform that the iteration can be exported to",
    ),
    (r"ExportWhileTraining", "wait until the training is over, then export"),
    (r"ExportValidationFailed", "only iterations of a compact domain are exported, and to their own platforms"),
    # moving and connecting
    (r"InvalidImportToken", "export the project again: a token lasts about a day, and is one resource's own"),
    (r"ForbiddenDRModeEnabled", "the project is a copy for disaster recovery and read-only: work on the first one"),
    (r"ExceedProjectLimit", tier_limits("projects")),
    (r"ProjectNameNotUnique|BadRequestProjectName", "choose another name for the project"),
    (r"UnknownDomain|UnsupportedDomain|NotFoundDomain", "choose a domain that the resource has"),
    (r"CustomerManagedKeyRevoked", "give the resource its customer-managed key back, in the key vault"),
    (r"NotFoundProject", "check the project's id, and that it is a project of this very training resource"),
    (r"custom subdomain", "give the resource's own subdomain as the endpoint, or its key"),
    # images and tags
    (r"ExceedTagPerProject", tier_limits("tags of a project")),
    (r"ExceedTagPerImage", "give an image 100 tags at most"),
    (r"TagNameNotUnique", "choose another name for the tag: this one is there already"),
    (r"NotFoundTag", "check the tag's id: this project has none of it"),
    (r"ExceededBatchSize|ImageExceededCount", "send fewer images at once: 64 at most"),
    (r"ImageSizeBytes", "make the image smaller: 6 MB at most to train, 4 MB to predict"),
    (r"ImageFormat|ImageStream|UnsupportedMediaType", "give a JPEG, PNG, BMP or GIF image that is whole"),
    (
        r"ImageDimensions|AspectRatio",
        "give an image of at most 10,240 pixels a side, and no longer than 25 times its height",
    ),
    (r"ImageUrl", "give a URL that Custom Vision can read"),
    (r"InvalidIds", "check the ids: they are GUIDs, and this project's own"),
)
"""A pattern for what the service says, its code first, to the remedy. The first that fits counts."""
_REMEDIES = tuple((re.compile(pattern, re.IGNORECASE), remedy) for pattern, remedy in _TABLE)


def advised(problem: PermanentError | DeniedError, key_settings: Sequence[str] = ()) -> PermanentError | DeniedError:
    """Give an error with the remedy of the table; a refusal that no role can help against is permanent.

    `key_settings` are those that hold the key that was sent, by name.
    """
    remedy = next((remedy for pattern, remedy in _REMEDIES if pattern.search(problem.reason)), "")
    if problem.remedy == WRONG_KEY and key_settings:
        remedy = f"put the current key into {' or '.join(key_settings)}, where this one is, and use its own endpoint"
    if isinstance(problem, PermanentError):
        return PermanentError(problem.reason, remedy=remedy or problem.remedy, code=problem.code)
    if remedy:
        return PermanentError(problem.reason, remedy=remedy)
    return problem
