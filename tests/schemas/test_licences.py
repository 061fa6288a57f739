"""What each licence asks and forbids; an unknown one fails closed."""

from typing import get_args

import pytest

from schemas.errors import RecipeError
from schemas.licences import LICENCES, Use, allowed_uses, find_joined, find_licence, refuse_use


def test_nvidia_open_model_license_asks_nothing_of_outputs() -> None:
    for name in ("nvidia-open-model-2024-06", "nvidia-open-model-2025-10"):
        licence = find_licence(name)
        assert (licence.attribution, licence.display, licence.model_name_prefix, dict(licence.forbids)) == (None, None, None, {})
        assert allowed_uses(licence) == get_args(Use)


def test_llama_licences_ask_for_a_name_and_the_older_one_forbids_training() -> None:
    newer, older = find_licence("llama-3.1-community"), find_licence("llama-3-community")
    assert (newer.model_name_prefix, newer.display) == ("Llama", "Built with Llama")
    refuse_use(newer, "commercial-training", what="x")
    assert allowed_uses(older) == ("evaluation",)
    with pytest.raises(RecipeError, match=r"some-model is under .* forbids `use: training` in its clause 1\.b\.v.*declare `use: evaluation`"):
        refuse_use(older, "training", what="some-model")


def test_non_commercial_licence_allows_training_for_no_gain() -> None:
    licence = find_licence("CC-BY-NC-4.0")
    assert allowed_uses(licence) == ("evaluation", "training")
    with pytest.raises(RecipeError, match="commercial advantage"):
        refuse_use(licence, "commercial-training", what="seeds")


def test_every_licence_states_the_version_of_its_text() -> None:
    assert all(licence.version for licence in LICENCES.values())


def test_joined_licences_are_all_found_or_refused() -> None:
    assert [one.id for one in find_joined("nvidia-open-model-2024-06 AND llama-3.1-community")] == ["nvidia-open-model-2024-06", "llama-3.1-community"]
    with pytest.raises(RecipeError, match="unknown licence 'proprietary'"):
        find_joined("mit AND proprietary")
