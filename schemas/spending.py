"""What engine calls cost: spending by technique, role and model as values that add up, and the table of prices that turns it into money.

Prices are no part of a recipe and never of its fingerprint: the same data costs this here and that there. The table is a YAML file with a version:

    version: 2026-11
    currency: USD
    models:
      nemotron-4-340b-instruct: {gpus: 8, gpu_hour: 3.20}
      llama-3.1-nemotron-70b-reward: {input_mtok: 0.60, output_mtok: 0.60}
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, field_validator

from schemas.engine import Answer, Completion
from schemas.errors import SettingsError
from schemas.recipe import Strict, explain


@dataclass(frozen=True, slots=True)
class Spent:
    """What one technique asked of one model in one role, by one table of prices."""

    technique: str
    """Of the prompts or of the answers; `reward` for grading."""
    role: str
    model: str
    prices: str = ""
    """Version of the table; empty where there was none."""
    calls: int = 0
    reused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Of the calls made, not of those reused."""
    gpu_seconds: float = 0.0
    """The calls' shares of the time in which their engine worked for us (calls at work side by side share it), times its GPUs: one where no table says."""
    cost: float | None = None
    """In the table's currency; None where the table has no price for the model."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What is added up together."""
        return self.technique, self.role, self.model, self.prices


def add_spent(parts: Iterable[Spent]) -> tuple[Spent, ...]:
    """Add up by technique, role, model and prices, in that order."""
    sums: dict[tuple[str, str, str, str], Spent] = {}
    for one in parts:
        sums[one.key] = _add(sums[one.key], one) if one.key in sums else one
    return tuple(sums[key] for key in sorted(sums))


def total_spent(parts: Iterable[Spent]) -> Spent:
    """Add up everything; the cost is None where some calls made had no price."""
    whole = Spent("", "", "", cost=0.0)
    unpriced = False
    for one in parts:
        unpriced |= one.cost is None and one.calls > 0
        whole = _add(whole, replace(one, cost=one.cost or 0.0))
    return replace(whole, cost=None) if unpriced else whole


def _add(one: Spent, other: Spent) -> Spent:
    return replace(
        one,
        calls=one.calls + other.calls,
        reused=one.reused + other.reused,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        # To the microsecond: calls end in another order each time, and sums of floats differ by it.
        gpu_seconds=round(one.gpu_seconds + other.gpu_seconds, 6),
        cost=None if one.cost is None or other.cost is None else one.cost + other.cost,
    )


class Price(Strict):
    """What one model costs; what is left out costs nothing."""

    gpus: int = Field(1, ge=1)
    """GPUs of one replica."""
    gpu_hour: float = Field(0.0, ge=0)
    """Of one GPU, for the time in which the engine works for us."""
    input_mtok: float = Field(0.0, ge=0)
    """Of a million prompt tokens."""
    output_mtok: float = Field(0.0, ge=0)
    """Of a million completion tokens."""
    call: float = Field(0.0, ge=0)
    """Of one call."""

    def of(self, answer: Answer, gpu_seconds: float) -> float:
        """Price one call."""
        tokens = (answer.prompt_tokens * self.input_mtok + answer.completion_tokens * self.output_mtok) / 1e6 if isinstance(answer, Completion) else 0.0
        return self.call + tokens + gpu_seconds / 3600 * self.gpu_hour


class PriceTable(Strict):
    """Prices by model card id."""

    version: str = Field(min_length=1, max_length=64)
    """Names these prices for ever: others get another version."""
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    """ISO 4217 code."""
    models: dict[str, Price]
    """Model card id to its prices."""

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, version: object) -> object:
        # YAML reads 2026-11-01 as a date and 1.10 as a number.
        return version if isinstance(version, str | bytes) else str(version)

    @property
    def digest(self) -> str:
        """Hash of the prices, by which two tables of one version are told apart."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_prices(path: Path | None) -> PriceTable | None:
    """Read a table of prices. Raises SettingsError naming each wrong key and value."""
    if path is None:
        return None
    try:
        return PriceTable.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"GRISTMILL_PRICES: can't read {path}: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"GRISTMILL_PRICES: the table of prices {path} is wrong:\n{explain(error)}") from error
