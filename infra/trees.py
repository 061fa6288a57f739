"""Folders as a whole, on a file system or an object store: second names for their files, removal, appearance at once, and a pointer to one of several."""

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from infra.shared import SharedPath, copy, put, remove_below, sweep_uploads
from infra.storage import make_folder, storage_error, sync_folder, write_text

UPLOADS = 8
"""Files of a folder that are uploaded at once."""
_serial = itertools.count()


def link_tree(source: Path, target: Path) -> None:
    """Give every file below `source` a second name below `target`; neither side can change the other, as files are only ever replaced.

    On a file system that is no copy; an object store copies by itself.
    """
    for path in sorted(source.rglob("*")):
        if not path.name.startswith(".") and path.is_file():
            link_file(path, target / path.relative_to(source))


def link_file(source: Path, target: Path) -> None:
    """Put a file in place under a second name, instead of what is there."""
    if isinstance(source, SharedPath) and isinstance(target, SharedPath):
        copy(source, target)
        return
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{next(_serial)}.tmp")
    try:
        make_folder(target.parent)
        os.link(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise storage_error(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it; what isn't there, or can't be removed, is left."""
    if isinstance(folder, SharedPath):
        remove_below(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def reveal_tree(partial: Path, final: Path, *, last: str) -> None:
    """Give a folder its final place and name: at once on a file system, read-only; file by file on an object store, with `last` at the end.

    What an earlier attempt, cut short, left under that name is removed first.
    """
    if isinstance(final, SharedPath):
        _upload_tree(partial, final, last)
        return
    for folder, _, files in os.walk(partial, topdown=False):
        for file in files:
            os.chmod(Path(folder) / file, 0o444)
        sync_folder(Path(folder))
    os.rename(partial, final)
    sync_folder(final.parent)


def _upload_tree(partial: Path, final: SharedPath, last: str) -> None:
    remove_below(final)
    sweep_uploads(final.parent)
    files = sorted(path for path in partial.rglob("*") if path.is_file() and path != partial / last)
    with ThreadPoolExecutor(UPLOADS, "gristmill-upload") as pool:
        # Consumed, so that the first failure is raised, and `last` is never uploaded after one.
        for _ in pool.map(lambda path: put(path, final / path.relative_to(partial)), files):
            pass
    put(partial / last, final / last)
    shutil.rmtree(partial, ignore_errors=True)


def point(name: Path, to: str) -> None:
    """Let a name stand for another one beside it, in one step: a link, or an object that holds the other name."""
    if isinstance(name, SharedPath):
        write_text(name, f"{to}\n")
        return
    fresh = name.with_name(f".{name.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(to)
    os.replace(fresh, name)
    sync_folder(name.parent)


def pointed(name: Path) -> str | None:
    """Say what a name stands for; None if for nothing."""
    try:
        return name.read_text(encoding="utf-8").strip() if isinstance(name, SharedPath) else os.readlink(name)
    except OSError:
        return None
