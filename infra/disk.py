"""What a disk has left, told where one is full."""

import shutil
from pathlib import Path


def space_left(path: Path) -> str:
    """Say how much is free where `path` is or would be, in parentheses after a blank; nothing if that can't be found out."""
    existing = next((folder for folder in path.absolute().parents if folder.is_dir()), Path("/"))
    try:
        return f" ({shutil.disk_usage(existing).free / 2**20:,.1f} MiB left)"
    except OSError:
        return ""
