from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.contract import to_table
from schemas.errors import RecipeError
from schemas.records import Conversation, Drop, Source, drop_record
from tasks.release.accounts import draw_accounts
from tasks.release.card import write_card, write_notice
from tasks.release.obligations import ModelOnRows, SourceOnRows, Usage, compute_obligations
from tests.tasks.release_builders import LLAMA, NVIDIA, REHEARSAL, a_conversation, a_provenance, some_inputs

ROWS = {"sft/train": 9, "sft/validation": 0, "preferences/train": 4, "preferences/validation": 2, "dropped": 3}


def usage_of(*models: tuple[str, str], **more: Any) -> Usage:
    usage = Usage()
    usage.count(to_table([a_conversation(number, provenance=a_provenance(*models, **more)) for number in range(3)], Conversation), Conversation, "sft")
    return usage


def card_and_notice(tmp_path: Path, usage: Usage, **changes: Any) -> tuple[str, str]:
    inputs, obligations = some_inputs(tmp_path, **changes), compute_obligations(usage.licences())
    return write_card(inputs, ROWS, usage, obligations, draw_accounts(inputs.stages)), write_notice(inputs, usage, obligations)


def front_matter(card: str) -> Any:
    return yaml.safe_load(card.split("---\n")[1])


def test_card_front_matter_names_splits_that_have_rows(tmp_path: Path) -> None:
    card, _ = card_and_notice(tmp_path, usage_of(NVIDIA))

    front = front_matter(card)
    assert front["configs"] == [
        {"config_name": "sft", "data_files": [{"split": "train", "path": "sft/train/*.parquet"}], "default": True},
        {
            "config_name": "preferences",
            "data_files": [{"split": "train", "path": "preferences/train/*.parquet"}, {"split": "validation", "path": "preferences/validation/*.parquet"}],
        },
        {"config_name": "dropped", "data_files": [{"split": "train", "path": "dropped/*.parquet"}]},
    ]
    assert (front["language"], front["size_categories"], front["license"]) == (["en"], ["n<1K"], "other")
    assert "rehearsal" not in front["tags"]


def test_card_survives_a_title_that_is_hostile_to_yaml(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)
    recipe = inputs.recipe.model_copy(update={"title": "a: [b] # c | 'd'\n--- e"})

    card, _ = card_and_notice(tmp_path, usage_of(NVIDIA), recipe=recipe)

    assert front_matter(card)["pretty_name"] == "a: [b] # c | 'd'\n--- e"


def test_card_balances_what_was_requested(tmp_path: Path) -> None:
    card, _ = card_and_notice(tmp_path, usage_of(NVIDIA))

    assert "| answers | 30 | 20 | 6 | 4 | 0 |" in card


def test_notice_of_nvidia_models_alone_asks_for_nothing(tmp_path: Path) -> None:
    card, notice = card_and_notice(tmp_path, usage_of(NVIDIA))

    assert "Llama" not in card + notice
    assert "None of them asks for an attribution" in card
    assert "nemotron-4-340b-instruct (revision 1), nvidia-open-model-2024-06" in notice


def test_notice_with_llama_anywhere_says_so(tmp_path: Path) -> None:
    card, notice = card_and_notice(tmp_path, usage_of(NVIDIA, LLAMA))

    attribution = "Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved."
    assert "Built with Llama" in card
    assert attribution in card
    assert notice.splitlines().count("Built with Llama") == 1
    assert attribution in notice
    assert "begins with “Llama”" in notice
    assert front_matter(card)["gristmill"]["obligations"] == {"display": ["Built with Llama"], "model_name_prefixes": ["Llama"]}


def test_rehearsal_is_marked_loudly(tmp_path: Path) -> None:
    card, notice = card_and_notice(tmp_path, usage_of(REHEARSAL, rehearsal=True), rehearsal=True)

    assert "**This is a rehearsal." in card
    assert "REHEARSAL" in notice
    assert "rehearsal" in front_matter(card)["tags"]


def test_usage_counts_a_row_once_for_each_model_and_data_set() -> None:
    usage = usage_of(NVIDIA, NVIDIA, LLAMA, sources=(Source("GSM8K", "mit"),))
    lost = drop_record(a_conversation(9, provenance=a_provenance(LLAMA)), stage="filter", reason="too_short")
    usage.count(to_table([lost], Drop), Drop, "dropped")

    assert usage.models == {
        ModelOnRows("responder", NVIDIA[0], "1", NVIDIA[1], "triton/ensemble"): Counter(sft=3),
        ModelOnRows("responder", LLAMA[0], "1", LLAMA[1], "triton/ensemble"): Counter(sft=3, dropped=1),
    }
    assert usage.sources == {SourceOnRows("GSM8K", "mit"): Counter(sft=3)}
    assert [one.id for one in usage.licences()] == ["llama-3.1-community", "mit", "nvidia-open-model-2024-06"]


def test_usage_fails_closed_on_an_unknown_licence() -> None:
    with pytest.raises(RecipeError, match="unknown licence 'found-on-the-web'"):
        usage_of(NVIDIA, sources=(Source("somewhere", "found-on-the-web"),)).licences()


def test_usage_sees_a_rehearsal_among_the_rows() -> None:
    assert usage_of(REHEARSAL, rehearsal=True).rehearsal
    assert not usage_of(NVIDIA).rehearsal
