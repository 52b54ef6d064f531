"""A second copy of models, in a container that is best in another region: server to server, its manifest last."""

from typing import NamedTuple
from urllib.parse import urlsplit

from shared.errors import PermanentError, ReactorError, TemporaryError
from shared.permissions import Permission
from shared.stages import Done, Job, Pending, Progress
from shared.storage.backups import MODEL, Copy, Store

MOST_ATTEMPTS = 5
"""Copies of one file that the second storage gives up on before we do."""
SOON = 2.0
"""Seconds until a copy is looked at for the first time."""
WRITES = Permission(
    "second_storage",
    (
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    ),
    "to keep a second copy there",
    is_data=True,
    given="second",
)
"""The source is read by a SAS that the app signs for its own account, where it may do that anyway."""


def lock(base: str) -> str:
    """Name what only one action at a time works on: the backups of an iteration."""
    return f"backup {base}"


def no_secret(url: str) -> str:
    """Say that a SAS in a rules file is a secret in a rules file."""
    is_open = "sig=" in urlsplit(url).query and "${" not in url
    return "it holds a SAS, which is a secret: put the whole URL into a setting, and write ${NAME}" if is_open else ""


def doubts(url: str | None, job: Job) -> str:
    """Say beforehand what is wrong with the second container, after "; "; "" for nothing.

    It is no reason to keep nothing: the first copy is made all the same, and the step fails at its end if need be.
    """
    if not url:
        return ""
    try:
        job.clients.backups.elsewhere(url).look()
    except ReactorError as problem:
        return f"; {problem.reason}: the first copy is made all the same"
    return ""


def bring(url: str, folders: list[str], job: Job) -> Progress:
    """Bring backups to the container of a URL, those that are not there yet; what is there is never overwritten."""
    there: list[str] = list(job.memory.get("there", ()))
    attempts: dict[str, int] = dict(job.memory.get("attempts", {}))
    try:
        store = job.clients.backups.elsewhere(url)
        for folder in folders:
            if folder not in there and _is_there(folder, store, attempts, job):
                there.append(folder)
    except PermanentError as problem:
        raise PermanentError(f"{problem.reason}; the first copy is whole", remedy=problem.remedy) from None
    note = f"{len(there)} of {len(folders)} in the second container"
    if len(there) < len(folders):
        return Pending(SOON, memory={"there": there, "attempts": attempts}, note=note)
    return Done({"second": there}, note=note)


def _is_there(folder: str, store: Store, attempts: dict[str, int], job: Job) -> bool:
    """Tell whether a backup is whole in the second container; where nothing is under way, start its copy."""
    backups = job.clients.backups
    text, theirs = backups.own.manifest_text(folder), store.manifest_text(folder)
    manifest = backups.own.manifest(folder)
    if text is None or manifest is None:
        raise TemporaryError(f"{folder} is not whole")
    if theirs is not None:
        if theirs != text:
            raise PermanentError(
                f"{store.what} has another backup at {folder}", remedy="move that one away, or name an empty container"
            )
        return True
    is_there = is_copied(Part(f"{folder}/{MODEL}", manifest.size, manifest.md5 or ""), store, attempts, job)
    if is_there:
        store.write_manifest(folder, text)  # as it is: the two can be compared
    return is_there


class Part(NamedTuple):
    """A blob that belongs to a backup."""

    path: str
    size: int
    md5: str
    """Hex, "" where storage does not know it."""


def is_copied(part: Part, store: Store, attempts: dict[str, int], job: Job) -> bool:
    """Tell whether a blob is in the second container; where nothing is under way, start its copy."""
    path, (folder, _, name) = part.path, part.path.rpartition("/")
    state = _state(store.copy(folder, name), part)
    if state not in {"success", "pending"}:
        attempts[path] = attempts.get(path, 0) + 1
        if attempts[path] > MOST_ATTEMPTS:
            raise PermanentError(
                f"{store.what} cannot copy {path}: {state}",
                remedy="look whether its storage can reach the app's: a firewall may be between them",
            )
        started = store.start_copy(folder, job.clients.backups.signed(folder, name=name), name=name)
        state = _state(started, part)
    return state == "success"


def _state(found: Copy | None, part: Part) -> str:
    return found.doing(part.size, part.md5) if found else "missing"
