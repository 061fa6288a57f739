"""Rewards are read from numbers, from text, and from log-probabilities."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines.rewards import reward_facts, reward_from_content, reward_from_logprobs, reward_from_numbers
from schemas.errors import EngineError, EngineFault
from schemas.model_card import RewardFacts, load_card
from schemas.records import ATTRIBUTES
from tests.infra.engines.builders import a_card

FIVE = RewardFacts(attributes=ATTRIBUTES, skip=4, comparable_across_prompts=True)
ONE = RewardFacts(attributes=("reward",), comparable_across_prompts=False)


def read(content: str, facts: RewardFacts) -> Mapping[str, float]:
    reward = reward_from_content(content, facts)
    assert reward is not None
    return reward.attributes


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, min_size=5, max_size=5), st.sampled_from([[], [9.0, 9.0, 9.0, 9.0]]))
def test_reward_from_numbers_names_the_last_five(numbers: list[float], untrained: list[float]) -> None:
    assert reward_from_numbers([*untrained, *numbers], FIVE).attributes == dict(zip(ATTRIBUTES, numbers, strict=True))


@pytest.mark.parametrize("count", [0, 1, 4, 6, 8, 10])
def test_reward_from_numbers_refuses_another_count(count: int) -> None:
    with pytest.raises(EngineError, match=f"gave {count} numbers") as caught:
        reward_from_numbers([1.0] * count, FIVE)
    assert caught.value.fault is EngineFault.GARBLED


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_reward_from_numbers_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(EngineError) as caught:
        reward_from_numbers([value], ONE)
    assert caught.value.fault is EngineFault.UNGRADED


def test_reward_from_content_reads_what_nim_says() -> None:
    content = "helpfulness:4.09375,correctness:4.03125,coherence:4.25,complexity:0.5703125,verbosity:1.109375"
    assert read(content, FIVE) == dict(zip(ATTRIBUTES, (4.09375, 4.03125, 4.25, 0.5703125, 1.109375), strict=True))


def test_reward_from_content_reads_one_number() -> None:
    assert read("reward:-7.3", ONE) == {"reward": -7.3}


@given(st.permutations(ATTRIBUTES), st.lists(finite, min_size=5, max_size=5), st.sampled_from([",", ", ", " ,\n"]))
def test_reward_from_content_reads_any_order_and_spacing(names: list[str], numbers: list[float], comma: str) -> None:
    content = comma.join(f"{name}:{number!r}" for name, number in zip(names, numbers, strict=True))
    found = read(content, FIVE)
    assert found == dict(zip(names, numbers, strict=True))
    assert tuple(found) == ATTRIBUTES


@given(st.text())
def test_reward_from_content_never_makes_numbers_up(content: str) -> None:
    with suppress(EngineError):
        reward = reward_from_content(content, ONE)
        assert reward is None or math.isfinite(reward.attributes["reward"])


def test_reward_from_content_refuses_a_missing_attribute() -> None:
    with pytest.raises(EngineError, match="did not grade correctness"):
        reward_from_content("helpfulness:1.0", FIVE)


def test_reward_from_logprobs_reads_tokens_as_names() -> None:
    entries: list[dict[str, Any]] = [{"token": name, "logprob": float(index), "bytes": None, "top_logprobs": []} for index, name in enumerate(ATTRIBUTES)]
    assert list(reward_from_logprobs(entries, FIVE).attributes.values()) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_reward_from_logprobs_refuses_a_chat_model() -> None:
    with pytest.raises(EngineError, match="did not grade"):
        reward_from_logprobs([{"token": "The", "logprob": -0.1}], FIVE)


def test_reward_facts_asks_for_them_on_the_card() -> None:
    with pytest.raises(EngineError, match="rehearsal-instruct"):
        reward_facts(a_card())
    assert reward_facts(load_card("nemotron-4-340b-reward")).skip == 4
