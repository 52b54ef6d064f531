"""`reactor backups get` and `restore`: bring models to files, or to another container; checked, and resumed."""

from __future__ import annotations

import hashlib
import os
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from cli.backups.found import Here, chosen, fitting, written
from cli.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from cli.progress import Bar
    from shared.storage.backups import Backup, Manifest, Store

PART = ".part"
"""What is added to a file's name until all of it is there, and right."""
PIECE = 1024 * 1024
APP = "app"
"""The target that is the app's own store."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between two looks at a copy that storage makes."""


class Model(NamedTuple):
    """A model in a store."""

    store: Store
    folder: str
    manifest: Manifest

    def part(self, number: int) -> tuple[int, int]:
        """Give where the part of a number (from 0) begins, and how long it is."""
        start = number * self.manifest.chunk
        return start, min(self.manifest.chunk, self.manifest.size - start)


# -- get --------------------------------------------------------------------------------------------------------------


def get(here: Here, options: Namespace) -> int:
    """Fetch a model into a file, or a data set into a folder."""
    from cli.backups import images_brought
    from cli.backups.datasets import is_of_dataset, tell_left_out
    from cli.documents import print_json

    if is_of_dataset(options.backup):
        return images_brought.get(here, options)
    tell_left_out(here, options.backup, "PROJECT/datasets/newest fetches the newest")
    (backup,) = chosen(here, options.backup)
    to = Path(options.to or "")
    is_folder = to.is_dir() or str(options.to or "").endswith(("/", os.sep))
    file = to / _file_name(backup, here) if is_folder else to
    model = _model(here, backup)
    how = fetch(model, file, _bar(model, options))
    if options.json:
        print_json({"folder": backup.folder, "file": str(file), "size": model.manifest.size, "how": how})
    else:
        print(f"{file}  {how}")
    return 0


def _file_name(backup: Backup, here: Here) -> str:
    """Name a model's file so that those of other projects, iterations and platforms have other names."""
    flavor = "" if backup.flavor == "default" else f"-{backup.flavor}"
    return f"{Path(here.named(backup.project)).name}-{backup.iteration[:8]}-{backup.platform}{flavor}.zip"


def _model(here: Here, backup: Backup) -> Model:
    manifest = here.store.manifest(backup.folder)
    if manifest is None:
        raise RefusedError(f"{backup.folder} is not there any more")
    return Model(here.store, backup.folder, manifest)


def _bar(model: Model, options: Namespace) -> Bar:
    from cli.progress import Bar, in_bytes

    return Bar(is_shown=not options.json, told=in_bytes(model.manifest.size))


def fetch(model: Model, file: Path, bar: Bar) -> str:
    """Fetch a model into a file: what is there already is not fetched again, and nothing else is overwritten.

    Say which of the two it was.

    The bytes go into a file beside it, whose name it gets once every hash is as it should be.
    """
    part = file.with_name(file.name + PART)
    try:
        if file.exists():
            with file.open("rb") as there:
                if _is_it(there, model, bar):
                    return "was there already"
            raise RefusedError(f"{file} is there already, with another content: name another file with --to")
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if part.exists() else "w+b") as held:
            for number in range(len(model.manifest.sha256)):
                _fetch_part(model, number, held, bar)
            held.truncate(model.manifest.size)
            held.flush()
            os.fsync(held.fileno())
        part.rename(file)
    except OSError as error:
        raise RefusedError(
            f"cannot write {error.filename or file}: {error.strerror}; once that is mended, the same command goes on"
        ) from None
    finally:
        bar.close()
    return "fetched"


def _fetch_part(model: Model, number: int, held: BinaryIO, bar: Bar) -> None:
    """Have one part of the file as it should be: go on where it ends, and where that is wrong, begin it anew."""
    start, length = model.part(number)
    for is_anew in (False, True):
        digest, have = hashlib.sha256(), 0
        for piece in _read(held, start, 0 if is_anew else length):
            digest.update(piece)
            have += len(piece)
        was_there = have
        held.seek(start + have)
        _show(bar, model, start + have)
        for piece in model.store.read(model.folder, start + have, length - have):
            held.write(piece)
            digest.update(piece)
            have += len(piece)
            _show(bar, model, start + have)
        if digest.hexdigest() == model.manifest.sha256[number]:
            return
        if not was_there:
            break
    raise RefusedError(
        f"{model.folder} is not what was backed up: SHA-256 differs in part {number + 1} of "
        f"{len(model.manifest.sha256)}; a second region may have it as it was: --container"
    )


def _show(bar: Bar, model: Model, done: int) -> None:
    bar.show(done, model.manifest.size, done)


def _read(held: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """Read a part of a file in pieces, as much of it as there is."""
    held.seek(start)
    while length > 0 and (piece := held.read(min(PIECE, length))):
        length -= len(piece)
        yield piece


def _is_it(there: BinaryIO, model: Model, bar: Bar) -> bool:
    """Tell whether a file is a model."""
    if os.fstat(there.fileno()).st_size != model.manifest.size:
        return False
    for number, wanted in enumerate(model.manifest.sha256):
        digest = hashlib.sha256()
        for piece in _read(there, *model.part(number)):
            digest.update(piece)
        _show(bar, model, there.tell())
        if digest.hexdigest() != wanted:
            return False
    return True


# -- restore ----------------------------------------------------------------------------------------------------------


def restore(here: Here, options: Namespace) -> int:
    """Bring models, with their manifests, to a folder or to another container; with `--all` data sets as well."""
    from cli.backups import images_brought
    from cli.backups.datasets import is_of_dataset, tell_left_out, whole
    from cli.documents import print_json

    is_far = options.to == APP or "://" in options.to or "${" in options.to
    target = _target(here, options.to) if is_far else None
    if is_of_dataset(options.backup):
        return images_brought.restore(here, options, target)
    if not options.all:
        tell_left_out(here, options.backup, "--all takes them along, PROJECT/datasets/newest is the newest")
    folders = whole(here, options.backup) if options.all else []
    has_models = not folders or any(one.is_whole for one in fitting(options.backup, here.store.list(), here))
    backups = chosen(here, options.backup, every=options.all) if has_models else []
    brought: list[dict[str, Any]] = []
    for backup in backups:
        model = _model(here, backup)
        bar = _bar(model, options)
        if target is not None:
            how = bring(here, model, target, bar)
            brought.append({"folder": backup.folder, "to": target.url(backup.folder), "how": how})
        else:
            to = Path(options.to) / backup.folder if options.all else Path(options.to)
            how = fetch(model, to / "model.zip", bar)
            _write_manifest(to / "manifest.json", model)
            brought.append({"folder": backup.folder, "to": str(to / "model.zip"), "how": how})
        if not options.json:
            print(f"{brought[-1]['to'] if target is None else written(backup, here)}  {brought[-1]['how']}", flush=True)
    datasets = images_brought.brought(here, folders, options, target)
    if options.json:
        print_json([*brought, *(one.shown() for one in datasets)])
    images_brought.refuse_wrong(here, datasets)
    return 0


def _target(here: Here, to: str) -> Store:
    """Give the store that is written to; UsageError where it is the one that is read."""
    if to != APP:
        target = here.elsewhere(to, "--to")
    elif here.around.has_storage:
        target = here.backups.own
    else:
        raise UsageError("--to app is the app's own store, and no app's storage is known here")
    if target.url("x") == here.store.url("x"):
        raise UsageError("--to names the container that is read")
    return target


def _write_manifest(file: Path, model: Model) -> None:
    text = model.manifest.model_dump_json(indent=2)
    try:
        if file.exists() and file.read_text("utf-8") != text:
            raise RefusedError(f"{file} is there already, of another model: name another folder with --to")
        file.write_text(text, "utf-8")
    except OSError as error:
        raise RefusedError(f"cannot write {file}: {error.strerror}") from None


def bring(here: Here, model: Model, target: Store, bar: Bar) -> str:
    """Bring one backup to another container, its manifest last; say how.

    Storage copies from storage where it can reach it; else the bytes go through this machine, hashed on their way.
    """
    text = model.store.manifest_text(model.folder)
    theirs = target.manifest_text(model.folder)
    if theirs is not None or text is None:
        if theirs != text:
            raise RefusedError(
                f"{target.what} has another backup at {model.folder}: name another container, or move it away"
            )
        found = target.copy(model.folder)
        if found and found.doing(model.manifest.size, model.manifest.md5 or "") == "success":
            return "was there already"
    assert text is not None
    try:
        how = "copied by storage"
        if not _copied(here, model, target, bar):
            how = "copied through this machine"
            target.upload(model.folder, _checked(model, bar), model.manifest.size)
        target.write_manifest(model.folder, text)
    finally:
        bar.close()
    return how


def _copied(here: Here, model: Model, target: Store, bar: Bar) -> bool:
    """Have storage copy a model, and wait; False where it cannot. The copy of an earlier command is waited for."""
    from shared.errors import DeniedError, PermanentError

    wait, is_ours, md5 = FIRST_WAIT, False, model.manifest.md5 or ""
    while True:
        found = target.copy(model.folder)
        state = found.doing(model.manifest.size, md5) if found else "missing"
        if state == "success" and (is_ours or (md5 and found and found.md5 == md5)):
            return True
        if found is None or state != "pending":
            if is_ours:
                return False
            try:
                target.start_copy(model.folder, here.backups.signed(model.folder, model.store))
            except (DeniedError, PermanentError):  # a firewall between the two, or no right to sign
                return False
            is_ours = True
            continue
        is_ours = True
        _show(bar, model, found.copied)
        time.sleep(wait)
        wait = min(wait * 1.5, LONGEST_WAIT)


def _checked(model: Model, bar: Bar) -> Iterator[bytes]:
    """Read a model; RefusedError where a part of it is not what was backed up."""
    done = 0
    for number, wanted in enumerate(model.manifest.sha256):
        digest, (start, length) = hashlib.sha256(), model.part(number)
        for piece in model.store.read(model.folder, start, length):
            digest.update(piece)
            done += len(piece)
            if done == start + length and digest.hexdigest() != wanted:  # nobody reads on after the last piece
                raise RefusedError(f"{model.folder} is not what was backed up: `reactor backups verify` says more")
            _show(bar, model, done)
            yield piece
