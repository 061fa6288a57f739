"""Rewards as they come over the wires: a row of numbers, or text like `helpfulness:1.2,correctness:…`; checked against the model card."""

import math
from collections.abc import Mapping, Sequence

from schemas.engine import Reward
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard, RewardFacts


def reward_facts(card: ModelCard) -> RewardFacts:
    """Give the card's reward facts. Raises EngineError if it has none."""
    if card.reward is None:
        raise EngineError(f"the model card {card.id} states no reward attributes: add `reward:` to it", fault=EngineFault.UNSUPPORTED)
    return card.reward


def reward_from_numbers(numbers: Sequence[float], facts: RewardFacts, *, exceeded: bool = False) -> Reward:
    """Name a row of numbers. Leading numbers without meaning may be there or not."""
    count = len(facts.attributes)
    if len(numbers) not in (count, facts.skip + count):
        expected = f"{count}" if not facts.skip else f"{facts.skip + count} or {count}"
        raise _garbled(f"the reward model gave {len(numbers)} numbers, its card says {expected}")
    return _checked(dict(zip(facts.attributes, numbers[-count:], strict=True)), exceeded)


def reward_from_content(content: str, facts: RewardFacts) -> Reward | None:
    """Read `name:number` pairs separated by commas; None if the text is anything else."""
    found: dict[str, float] = {}
    for part in content.split(","):
        name, colon, number = part.partition(":")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            return None
        if not colon:
            return None
    return _chosen(found, facts)


def reward_from_logprobs(entries: Sequence[Mapping[str, object]], facts: RewardFacts) -> Reward:
    """Read the form in which each token is an attribute's name and its log-probability the number."""
    found = {entry["token"]: entry["logprob"] for entry in entries if "token" in entry and "logprob" in entry}
    numbers = {str(name): float(value) for name, value in found.items() if isinstance(value, int | float)}
    return _chosen(numbers, facts)


def _chosen(found: Mapping[str, float], facts: RewardFacts) -> Reward:
    missing = [name for name in facts.attributes if name not in found]
    if missing:
        raise _garbled(f"the reward model did not grade {', '.join(missing)}: it gave {', '.join(found) or 'nothing'}")
    return _checked({name: found[name] for name in facts.attributes}, exceeded=False)


def _checked(attributes: dict[str, float], exceeded: bool) -> Reward:
    wrong = [name for name, value in attributes.items() if not math.isfinite(value)]
    if wrong:
        raise EngineError(f"the reward model gave {attributes[wrong[0]]} for {wrong[0]}", fault=EngineFault.UNGRADED)
    return Reward(attributes, exceeded)


def _garbled(message: str) -> EngineError:
    return EngineError(message, fault=EngineFault.GARBLED)
