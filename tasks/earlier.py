"""The earlier releases that a recipe is deduplicated against: found, and refused where their indexes can't be compared, before any work."""

from pathlib import Path

from schemas.errors import RecipeError
from schemas.recipe import Recipe
from tasks.dedup.plan import Earlier
from tasks.dedup.released import find_indexes
from tasks.release.publish import find_release


def check_earlier(recipe: Recipe, data: Path) -> None:
    """Refuse releases that are missing, or were indexed with other parameters. Raises RecipeError, NotFoundError."""
    earlier_prompts(recipe, data)
    earlier_conversations(recipe, data)


def earlier_prompts(recipe: Recipe, data: Path) -> list[Earlier]:
    """Find the indexes of earlier releases' prompts: those that `screen.dedup.against` names, else those of `dedup.against`."""
    screen = recipe.screen.dedup
    return [one for name in screen.against or recipe.dedup.against for one in find_indexes(_find(data, name), name, "prompt", screen)]


def earlier_conversations(recipe: Recipe, data: Path) -> list[Earlier]:
    """Find the indexes of earlier releases' instruction data."""
    return [one for name in recipe.dedup.against for one in find_indexes(_find(data, name), name, "conversation", recipe.dedup)]


def _find(data: Path, name: str) -> Path:
    if name.endswith("/latest"):
        raise RecipeError(f"against: {name} is another release tomorrow: name its version, {name.removesuffix('latest')}v1 for example")
    return find_release(data.absolute(), name)
