"""Weak to strong: what an outside trainer hands back, and what a generation of data is made with."""

from typing import Any

from pydantic import Field

from schemas.recipe import Strict


class Trained(Strict):
    """What a trainer writes to the file that GRISTMILL_TRAINED names."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    """The new model's name; its card is that of the model that it takes the place of, with this id and revision."""
    revision: str = Field(min_length=1)
    """What tells its weights from others': a digest, a step."""
    address: str = ""
    """Where it is served; left out, GRISTMILL_ENGINES says so."""


class Generation(Strict):
    """One round of an iteration."""

    round: int = Field(ge=1)
    """From 1; the first has the recipe's own models."""
    release: str | None = None
    """name/version of the release that its model was trained on."""
    run: str | None = None
    """The run of that release."""
    model: str = ""
    """The trained model's card."""
    revision: str = ""
    models: dict[str, str] = Field(default_factory=dict)
    """Role to the card that takes the recipe's place."""
    cards: str | None = None
    """Folder with the trained model's card, beside those of the settings."""
    engines: str = ""
    """Where it is served, in the form of GRISTMILL_ENGINES. Of the machine, not of the data: no manifest tells it."""

    def descent(self) -> dict[str, Any]:
        """Describe it for the ledger and the manifest."""
        return {"kind": "generation", **self.model_dump(include={"round", "release", "run", "model", "revision"})}
