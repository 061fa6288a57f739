"""Each format's rows, held against what its trainer's documentation says a row is."""

import json
from dataclasses import replace

import pytest

from schemas.records import Message, Preference, Reference, Scores
from tasks.release.export_rows import REASONS, LeftOut
from tasks.release.exporting import find_format, format_names
from tests.tasks.export_builders import a_dialogue, a_followed_up_pair, one_row, written
from tests.tasks.release_builders import LLAMA, a_conversation, a_pair, a_prompt, a_provenance

PUBLISHED = (
    *("helpsteer2", "nemo-aligner-dpo", "nemo-aligner-regression", "nemo-aligner-sft", "nemo-gym", "nemo-rl"),
    *("openai", "sharegpt", "trl-dpo", "trl-kto", "trl-reward", "trl-sft"),
)


def plain(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in messages]


def refusal(to: str, record: Preference) -> str:
    made = written(to, record)
    assert isinstance(made, LeftOut), made
    assert made.reason in REASONS
    return made.reason


def several_turns() -> Preference:
    longer = (Message("assistant", "Light."), Message("user", "How so?"), Message("assistant", "It scatters."))
    return a_pair(1, chosen=longer)


def test_formats_are_found_by_their_files() -> None:
    assert set(PUBLISHED) <= set(format_names())


@pytest.mark.parametrize("name", format_names())
def test_a_format_says_what_it_is_for_and_reads_something(name: str) -> None:
    found = find_format(name)

    assert found.purpose.endswith((".", ":"))
    assert found.reads


def test_trl_sft_keeps_a_conversation_whole() -> None:
    assert one_row("trl-sft", a_dialogue())["messages"] == plain(a_dialogue().messages)


def test_trl_dpo_parts_the_prompt_from_the_answers() -> None:
    pair = a_followed_up_pair()
    row = one_row("trl-dpo", pair)

    assert (row["prompt"], row["chosen"], row["rejected"]) == (plain(pair.prompt), plain(pair.chosen), plain(pair.rejected))


def test_trl_kto_labels_both_sides() -> None:
    pair = a_followed_up_pair()
    rows = written("trl-kto", pair)

    assert isinstance(rows, list)
    assert [(row["prompt"], row["completion"], row["label"]) for row in rows] == [
        (plain(pair.prompt), plain(pair.chosen), True),
        (plain(pair.prompt), plain(pair.rejected), False),
    ]


def test_trl_reward_repeats_the_prompt_in_both() -> None:
    pair = a_followed_up_pair()
    row = one_row("trl-reward", pair)

    assert (row["chosen"], row["rejected"]) == (plain(pair.prompt + pair.chosen), plain(pair.prompt + pair.rejected))
    assert "prompt" not in row


def test_nemo_rl_ranks_the_chosen_completion_first() -> None:
    pair = a_followed_up_pair()
    row = one_row("nemo-rl", pair)

    assert row["context"] == plain(pair.prompt)
    assert row["completions"] == [{"rank": 0, "completion": plain(pair.chosen)}, {"rank": 1, "completion": plain(pair.rejected)}]
    assert one_row("nemo-rl", a_dialogue())["messages"] == plain(a_dialogue().messages)


def test_nemo_aligner_sft_labels_the_graded_turn_alone() -> None:
    row = one_row("nemo-aligner-sft", a_dialogue(scores=Scores(4.0, "weights", 3.5, 4.2, -0.3, 2.49, 1.0)))

    assert (row["system"], row["mask"], row["type"]) == ("Be brief.", "User", "VALUE_TO_TEXT")
    assert [(turn["from"], turn["label"]) for turn in row["conversations"]] == [
        ("User", None),
        ("Assistant", None),
        ("User", None),
        ("Assistant", "helpfulness:4,correctness:4,coherence:0,complexity:2,verbosity:1"),
    ]
    assert [turn["value"] for turn in row["conversations"]] == [turn.content for turn in a_dialogue().messages[1:]]


def test_nemo_aligner_sft_without_scores_has_no_label() -> None:
    assert one_row("nemo-aligner-sft", a_conversation(1, scores=None))["conversations"][-1]["label"] is None


def test_nemo_aligner_dpo_gives_text_that_concatenates_to_the_template() -> None:
    row = one_row("nemo-aligner-dpo", a_followed_up_pair())

    assert row["prompt"] == (
        "<extra_id_0>System\nBe brief.\n<extra_id_1>User\nWhy is the sky blue?\n<extra_id_1>Assistant\nLight.\n"
        "<extra_id_1>User\nHow so?\n<extra_id_1>Assistant\n"
    )
    assert row["chosen_response"] == "It scatters.\n\nBlue most.\n<extra_id_1>"
    assert row["rejected_response"] == "Magic.\n<extra_id_1>"
    assert (row["chosen_reward"], row["rejected_reward"]) == (4.0, 3.0)


@pytest.mark.parametrize("side", ["chosen_scores", "rejected_scores"])
@pytest.mark.parametrize("scores", [None, Scores(float("nan"), "weights")], ids=["none", "not a number"])
def test_nemo_aligner_dpo_never_leaves_a_reward_to_the_loader(side: str, scores: Scores | None) -> None:
    assert refusal("nemo-aligner-dpo", a_pair(1, **{side: scores})) == "missing_reward"


def test_nemo_aligner_dpo_refuses_what_its_trainer_would_misread() -> None:
    spaced = a_pair(1, rejected=(Message("assistant", "\n\nNo."),))
    contradicted = a_pair(1, chosen_scores=a_pair(1).rejected_scores, rejected_scores=a_pair(1).chosen_scores)
    forged = a_pair(1, chosen=(Message("assistant", "Same.<extra_id_1>"),), rejected=(Message("assistant", "Same."),))

    assert refusal("nemo-aligner-dpo", spaced) == "answer_begins_with_space"
    assert refusal("nemo-aligner-dpo", contradicted) == "rewards_contradict_choice"
    assert refusal("nemo-aligner-dpo", forged) == "chosen_equals_rejected"


def test_nemo_aligner_dpo_lets_no_text_break_out_of_its_turn() -> None:
    row = one_row("nemo-aligner-dpo", a_pair(1, chosen=(Message("assistant", "A\n<extra_id_1>User\nB"),)))

    assert row["chosen_response"].count("<extra_id_1>") == 1


@pytest.mark.parametrize("to", ["nemo-aligner-dpo", "openai", "sharegpt"])
def test_formats_of_single_answers_refuse_longer_ones(to: str) -> None:
    assert refusal(to, several_turns()) == "several_turns_in_answer"


def test_nemo_aligner_regression_has_nine_numbers_of_which_four_are_missing() -> None:
    row = one_row("nemo-aligner-regression", a_conversation(1, scores=Scores(4.0, "weights", 3.5, None, 3.25, 2.0, 1.0)))

    assert row["label"] == [-100.0] * 4 + [3.5, -100.0, 3.25, 2.0, 1.0]
    assert row["text"].startswith("<extra_id_0>System\n")
    assert row["text"].endswith("many words.\n<extra_id_2>")


def test_nemo_aligner_regression_writes_both_sides_of_a_pair() -> None:
    rows = written("nemo-aligner-regression", a_pair(1))

    assert isinstance(rows, list)
    assert [row["label"][7] for row in rows] == [2.0, 2.1]


@pytest.mark.parametrize("to", ["nemo-aligner-regression", "helpsteer2"])
def test_formats_of_attributes_refuse_one_number_rewards(to: str) -> None:
    assert refusal(to, a_pair(1, rejected_scores=Scores(-3.28, "raw"))) == "no_attribute_scores"


def test_nemo_gym_reads_the_number_out_of_a_worked_solution() -> None:
    row = one_row("nemo-gym", a_prompt(1, reference=Reference("final_number", "6 * 7 = 42\n#### 42")))

    assert row["responses_create_params"] == {"input": [{"role": "user", "content": "Question 1?"}]}
    assert (row["question"], row["expected_answer"]) == ("Question 1?", "42")
    assert row["verifier_metadata"]["verifier"] == "final_number"


def test_nemo_gym_gives_instructions_as_their_environment_takes_them() -> None:
    wanted = {"instruction_id_list": ["length_constraints:number_words"], "kwargs": [{"num_words": 204, "relation": "less than"}]}
    row = one_row("nemo-gym", a_prompt(1, reference=Reference("ifeval", json.dumps({**wanted, "mode": "strict"}))))

    assert {name: row[name] for name in wanted} == wanted
    assert (row["prompt"], row["grading_mode"]) == ("Question 1?", "binary")
    assert 0 <= row["id"] < 2**53


def test_nemo_gym_gives_a_schema_as_its_environment_takes_it() -> None:
    row = one_row("nemo-gym", a_prompt(1, reference=Reference("json_schema", '{"type": "object"}')))

    assert (row["schema_str"], row["schema_type"]) == ('{"type": "object"}', "json")


def test_nemo_gym_passes_another_verifiers_reference_on() -> None:
    row = one_row("nemo-gym", a_prompt(1, reference=Reference("multiple_choice", "C")))

    assert (row["expected_answer"], row["verifier_metadata"]) == ("C", {"verifier": "multiple_choice", "reference": "C"})


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (None, "not_verifiable"),
        (Reference("final_number", " "), "not_verifiable"),
        (Reference("final_number", "none"), "bad_reference"),
        (Reference("ifeval", '{"kwargs": []}'), "bad_reference"),
        (Reference("json_schema", "{"), "bad_reference"),
    ],
    ids=["none", "blank", "no number", "no instructions", "no schema"],
)
def test_nemo_gym_leaves_out_what_cannot_be_verified(reference: Reference | None, reason: str) -> None:
    made = written("nemo-gym", a_prompt(1, reference=reference))

    assert isinstance(made, LeftOut)
    assert made.reason == reason


def test_openai_has_no_key_that_the_service_does_not_know() -> None:
    pair = a_followed_up_pair()

    assert one_row("openai", a_dialogue()) == {"messages": plain(a_dialogue().messages)}
    assert one_row("openai", pair) == {
        "input": {"messages": plain(pair.prompt)},
        "preferred_output": plain(pair.chosen),
        "non_preferred_output": plain(pair.rejected),
    }


def test_helpsteer2_has_whole_grades_and_raw_ones() -> None:
    row = one_row("helpsteer2", a_conversation(1, scores=Scores(4.0, "weights", 3.5, 4.3, 0.0, 2.49, -0.2)))

    assert [row[name] for name in ("helpfulness", "correctness", "coherence", "complexity", "verbosity")] == [4, 4, 0, 2, 0]
    assert [row[f"{name}_raw"] for name in ("helpfulness", "correctness", "coherence", "complexity", "verbosity")] == [3.5, 4.3, 0.0, 2.49, -0.2]
    assert row["prompt"] == "Question 1?"


def test_helpsteer2_flattens_turns_and_folds_the_system_turn() -> None:
    row = one_row("helpsteer2", a_dialogue())

    assert row["prompt"] == "Be brief.\n\nWhy is the sky blue?\n<extra_id_1>Assistant\nLight.\n<extra_id_1>User\nHow so?"
    assert row["response"] == "It scatters.\n\nBlue most."


def test_helpsteer2_keeps_a_pairs_sides_together() -> None:
    rows = written("helpsteer2", a_pair(1))

    assert isinstance(rows, list)
    assert rows[0]["prompt"] == rows[1]["prompt"]
    assert [row["response"] for row in rows] == [a_pair(1).chosen[0].content, a_pair(1).rejected[0].content]


def test_sharegpt_names_its_speakers() -> None:
    pair = a_followed_up_pair()
    row = one_row("sharegpt", pair)

    assert [turn["from"] for turn in one_row("sharegpt", a_dialogue())["conversations"]] == ["system", "human", "gpt", "human", "gpt"]
    assert [turn["value"] for turn in row["conversations"]] == [turn.content for turn in pair.prompt]
    assert (row["chosen"], row["rejected"]) == ({"from": "gpt", "value": pair.chosen[0].content}, {"from": "gpt", "value": "Magic."})


@pytest.mark.parametrize("to", [name for name in PUBLISHED if name not in ("openai", "nemo-gym")])
def test_rows_say_where_they_come_from_where_there_is_room(to: str) -> None:
    record = a_pair(1, provenance=a_provenance(LLAMA, rehearsal=True)) if "preferences" in find_format(to).reads else None
    rows = written(to, record or replace(a_dialogue(), provenance=a_provenance(LLAMA, rehearsal=True)))

    assert isinstance(rows, list)
    for row in rows:
        assert row["metadata"]["rehearsal"] is True
        assert row["metadata"]["licences"] == ["llama-3.1-community", "nvidia-open-model-2024-06"]
