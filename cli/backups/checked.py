"""`reactor backups verify`: reads backups again, and compares their size, their SHA-256 and their MD5."""

from __future__ import annotations

import hashlib
from argparse import Namespace
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.backups.found import Here, fitting, written
from cli.errors import RefusedError

if TYPE_CHECKING:
    from shared.storage.backups import Backup, Manifest, Store

REMEDY = (
    "bring it back from a second container (`reactor backups restore BACKUP --container URL --to app`), which replaces "
    "what is damaged; where that says `was there already`, delete its model.zip first"
)
GIVEN_UP = timedelta(days=1)
"""How old what is not whole has to be for nobody to work on it any more."""


class Checked(NamedTuple):
    """What came of one backup."""

    backup: Backup
    wrong: str
    """What is wrong with it, "" for nothing."""
    note: str = ""
    """Why there is nothing to be checked, though nothing is wrong."""


def verify(here: Here, options: Namespace) -> int:
    """Check the backups and data sets that fit an address; 1 where one is broken."""
    from cli.backups import images_checked
    from cli.backups.datasets import folders
    from cli.documents import print_json
    from cli.progress import Bar, in_bytes, size
    from cli.tables import GREEN, RED, YELLOW, count, painter

    backups = fitting(options.backup, here.store.list(), here)
    if not backups and not folders(here, options.backup):
        raise RefusedError(f'no backup fits "{options.backup}"' if options.backup else f"no backups in {here.name}")
    total, read = sum(one.size for one in backups), 0
    bar = Bar(is_shown=not options.json, told=in_bytes(total))
    paint, checked = painter(), []

    def seen(number: int) -> None:
        nonlocal read
        read += number
        bar.show(read, total, read)

    for backup in backups:
        checked.append(one := check(here.store, backup, seen))
        if not options.json:
            bar.close()
            colour, mark = (RED, "broken") if one.wrong else (YELLOW, "not whole") if one.note else (GREEN, "ok")
            words = f": {one.wrong or one.note}" if one.wrong or one.note else ""
            print(f"{paint(colour, mark.ljust(9))}  {written(backup, here)}  {size(backup.size)}{words}", flush=True)
    datasets = images_checked.verify(here, options.backup, is_quiet=options.json)
    broken = [one for one in checked if one.wrong]
    if options.json:
        print_json([*map(_shown, checked), *(one.shown() for one in datasets)])
    elif broken:
        print(f"{len(broken)} of {count(len(checked), 'backup')} broken: {REMEDY}")
    elif checked:
        print(
            f"{count(len([one for one in checked if not one.note]), 'backup')}, {size(read)}: all as they were written"
        )
    if not options.json:
        images_checked.tell(datasets)
    return 1 if broken or any(one.is_broken for one in datasets) else 0


def _shown(one: Checked) -> dict[str, Any]:
    return {
        "folder": one.backup.folder,
        "size": one.backup.size,
        "ok": not (one.wrong or one.note),
        "broken": bool(one.wrong),
        "why": one.wrong or one.note,
    }


def check(store: Store, backup: Backup, seen: Callable[[int], None]) -> Checked:
    """Check one backup, and say how many bytes were read."""
    from shared.errors import ReactorError

    try:
        manifest = store.manifest(backup.folder)
        if manifest is None:
            return _unfinished(backup)
        found = store.copy(backup.folder)
        if found is None:
            return Checked(backup, "its model is gone")
        if found.size != manifest.size:
            return Checked(backup, f"its model has {found.size:,} bytes, and should have {manifest.size:,}")
        return Checked(backup, _differs(store, backup.folder, manifest, seen))
    except ReactorError as problem:
        return Checked(backup, f"it cannot be read: {problem.reason}")


def _unfinished(backup: Backup) -> Checked:
    """Judge what has no manifest: somebody may be copying it."""
    since = datetime.now(UTC) - backup.changed
    words = "it is not whole: its action failed, or its manifest was deleted"
    return Checked(backup, words) if since > GIVEN_UP else Checked(backup, "", "it may still be being copied")


def _differs(store: Store, folder: str, manifest: Manifest, seen: Callable[[int], None]) -> str:
    """Read a model once, for all of its hashes; "" where they are as they should be."""
    whole = hashlib.md5(usedforsecurity=False)
    for number, wanted in enumerate(manifest.sha256):
        start = number * manifest.chunk
        pieces = store.read(folder, start, min(manifest.chunk, manifest.size - start))
        if hashed(pieces, whole, seen) != wanted:
            return f"SHA-256 differs in part {number + 1} of {len(manifest.sha256)}"
    return "its MD5 differs" if manifest.md5 and whole.hexdigest() != manifest.md5 else ""


def hashed(pieces: Iterable[bytes], whole: Any, seen: Callable[[int], None]) -> str:
    """Hash a part, and let the hash of the whole see it, too."""
    part = hashlib.sha256()
    for piece in pieces:
        part.update(piece)
        whole.update(piece)
        seen(len(piece))
    return part.hexdigest()
