"""Which files a recipe may read: those in its own folder, and in the folders that `GRISTMILL_READ_PATHS` names.

A recipe may come from somebody else, and what it reads ends up in a release. So a path counts as what it leads to: `..` and links are followed first.
"""

from pathlib import Path

from infra.settings import read_settings
from schemas.errors import RecipeError


def find_readable(folder: Path, name: str) -> Path:
    """Resolve a path that a recipe in `folder` names. Raises RecipeError where it leads out of the folders that recipes may read."""
    try:
        home, path = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a NUL in the name
        raise RecipeError(f"can't follow the path {name!r}: {error}") from error
    allowed = (home, *read_settings().readable)
    if not any(path.is_relative_to(root) for root in allowed):
        raise RecipeError(
            f"{name!r} leads to {path}, out of the folders that recipes may read ({', '.join(map(str, allowed))}): "
            f"put the file beside the recipe, or set GRISTMILL_READ_PATHS={path.parent}"
        )
    return path
