import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from infra.storage import write_records, write_table
from schemas.contract import arrow_schema, to_table
from schemas.errors import ContractError
from schemas.expectations import ROW_RULES
from schemas.records import Conversation, Message, ModelUse, Preference, Prompt, Provenance, Scores, drop_record
from tasks.release.record_ids import count_distinct_ids
from tasks.validation.partitions import merge_results, partition_parts, read_contracted, refuse_failures, split_failures, validate_partition, validate_table
from tasks.validation.row_rules import row_rules
from tests.tasks.release_builders import a_conversation, a_pair, a_prompt, a_provenance

USER, ANSWER = Message("user", "Why?"), Message("assistant", "Because.")
NAN_SCORES = Scores(float("nan"), "weights")


def broken(record: type, rows: list[Any]) -> set[str]:
    """Name the rules that the last of the rows breaks and the others keep."""
    found = row_rules(to_table(rows, record).to_struct_array().combine_chunks(), record, context_tokens=100)
    assert set(found) == {rule.name for rule in ROW_RULES[record]}
    assert all(found[name][:-1].all() for name in found)
    return {name for name in found if not found[name][-1]}


@pytest.mark.parametrize(
    ("turns", "rules"),
    [
        ((USER, ANSWER), set()),
        ((Message("system", "Be brief."), USER, ANSWER), set()),
        ((USER, ANSWER, USER, ANSWER), set()),
        ((USER, ANSWER, USER), {"ends_with_assistant"}),
        ((USER, USER, ANSWER), {"turns_alternate"}),
        ((ANSWER, USER, ANSWER), {"turns_alternate"}),
        ((USER, Message("system", "x"), ANSWER), {"turns_alternate"}),
        ((USER, Message("robot", "x")), {"turns_alternate", "ends_with_assistant"}),
        ((), {"ends_with_assistant", "prompt_is_shorter_than_messages"}),
    ],
    ids=lambda value: None,
)
def test_row_rules_of_conversations_know_good_turns(turns: tuple[Message, ...], rules: set[str]) -> None:
    assert broken(Conversation, [a_conversation(1), a_conversation(2, messages=turns)]) == rules


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"prompt_turns": 2}, "prompt_is_shorter_than_messages"),
        ({"completion_tokens": 101}, "completion_fits_context"),
        ({"gate": "refusal"}, "is_not_gated"),
        ({"scores": Scores(float("inf"), "weights")}, "rewards_are_finite"),
        ({"scores": Scores(1.0, "weights", verbosity=float("nan"))}, "rewards_are_finite"),
        ({"provenance": Provenance("f" * 32, False)}, "a_model_touched_it"),
        ({"provenance": a_provenance(("some-model", "my-own-licence"))}, "licences_are_known"),
    ],
    ids=["prompt_turns", "context", "gate", "infinite", "nan", "no model", "licence"],
)
def test_row_rules_of_conversations_find_the_fault(changes: dict[str, Any], rule: str) -> None:
    assert broken(Conversation, [a_conversation(1), a_conversation(2, **changes)]) == {rule}


def test_row_rules_forgive_estimated_token_counts() -> None:
    assert broken(Conversation, [a_conversation(1), a_conversation(2, completion_tokens=101, tokens_inferred=True)]) == set()


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"margin": 1.5}, {"margin_is_the_difference"}),
        ({"margin": None}, {"margin_is_the_difference"}),
        ({"chosen_scores": None, "margin": None}, set()),
        ({"chosen_scores": None}, {"margin_is_the_difference"}),
        ({"rejected": a_conversation(2).messages[1:]}, {"chosen_differs_from_rejected"}),
        ({"rejected_id": a_conversation(2).conversation_id}, {"chosen_differs_from_rejected"}),
        ({"chosen": (USER, ANSWER)}, {"answers_end_with_assistant"}),
        ({"prompt": (USER, ANSWER)}, {"prompt_ends_with_user"}),
    ],
    ids=["margin", "no margin", "unscored", "margin unscored", "same text", "same id", "chosen", "prompt"],
)
def test_row_rules_of_preferences_find_the_fault(changes: dict[str, Any], rules: set[str]) -> None:
    assert broken(Preference, [a_pair(1), a_pair(2, **changes)]) == rules


def test_row_rules_of_prompts_find_the_fault() -> None:
    assert broken(Prompt, [a_prompt(1), a_prompt(2, messages=(USER, ANSWER))]) == {"ends_with_user"}


@pytest.mark.parametrize("record", [Conversation, Preference, Prompt])
def test_row_rules_take_an_empty_partition(record: type) -> None:
    rows = pa.StructArray.from_arrays([pa.array([], field.type) for field in arrow_schema(record)], fields=list(arrow_schema(record)))

    assert all(len(found) == 0 for found in row_rules(rows, record).values())


def test_read_contracted_refuses_another_schema(tmp_path: Path) -> None:
    write_table(tmp_path / "part-00000.parquet", to_table([a_conversation()], Conversation).drop_columns("gate"))

    with pytest.raises(ContractError, match="its columns are not those of Conversation"):
        read_contracted(tmp_path / "part-00000.parquet", Conversation)


def test_partition_parts_groups_small_files_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"part-{number:05d}.parquet" for number in range(5)]
    for path in paths:
        write_records(path, [a_prompt(number) for number in range(4)], Prompt)

    assert partition_parts(paths, rows=10) == (tuple(paths[:2]), tuple(paths[2:4]), (paths[4],))
    assert partition_parts(paths, rows=1) == tuple((path,) for path in paths)
    assert partition_parts(paths, size=1) == tuple((path,) for path in paths)
    assert partition_parts(paths) == (tuple(paths),)


def test_ids_are_counted_across_partitions_in_bounded_memory(tmp_path: Path) -> None:
    prompts = [a_prompt(number) for number in range(200)]
    write_records(tmp_path / "a.parquet", prompts[:150], Prompt)
    write_records(tmp_path / "b.parquet", prompts[149:], Prompt)
    columns = [(tmp_path / "a.parquet", "prompt_id"), (tmp_path / "b.parquet", "prompt_id")]

    for at_once in (10, 1_000):
        assert count_distinct_ids(columns, at_once=at_once) == 200


BAD: dict[str, dict[str, Any]] = {
    "conversation_id_hex_id": {"conversation_id": "not-a-hash"},
    "technique_not_empty": {"technique": ""},
    "finish_reason_in_set": {"finish_reason": "bored"},
    "sample_index_in_range": {"sample_index": -1},
    "messages_not_empty": {"messages": ()},
    "messages_role_in_set": {"messages": (USER, Message("robot", "x"), USER, ANSWER)},
    "messages_content_not_empty": {"messages": (USER, Message("assistant", ""))},
    "scores_reduction_not_empty": {"scores": Scores(1.0, "")},
    "scores_reward_not_null": {"scores": NAN_SCORES},
    "provenance_models_licence_not_empty": {"provenance": Provenance("f" * 32, False, (ModelUse("responder", "m", "1", "", "triton/vllm"),))},
    "provenance_recipe_not_empty": {"provenance": replace(a_provenance(), recipe="")},
    "is_not_gated": {"gate": "refusal"},
}


@pytest.mark.slow
def test_great_expectations_fails_on_every_kind_of_bad_row(tmp_path: Path) -> None:
    good = [a_conversation(number) for number in range(3)]
    twice = [a_conversation(90), a_conversation(90)]
    rows = [*good, *twice, *(a_conversation(100 + place, **changes) for place, changes in enumerate(BAD.values()))]
    write_records(tmp_path / "part-00000.parquet", rows, Conversation)

    result = validate_partition(tmp_path / "part-00000.parquet", Conversation, context_tokens=4096)

    found = {check.name: check.rows for check in result.failures}
    assert found["conversation_id_unique"] == (3, 4)
    for place, name in enumerate(BAD):
        assert 5 + place in found[name], name
    assert not {row for rows in found.values() for row in rows} & {0, 1, 2}
    with pytest.raises(ContractError, match="nothing was published"):
        refuse_failures([result])
    split = split_failures(read_contracted(tmp_path / "part-00000.parquet", Conversation), result, Conversation)
    assert split.good.column("conversation_id").to_pylist() == [one.conversation_id for one in good]
    assert len(split.drops) == len(rows) - 3
    assert len({drop.drop_id for drop in split.drops}) == len(split.drops)
    assert {drop.reason for drop in split.drops} <= set(found)


@pytest.mark.slow
def test_great_expectations_finds_a_null_where_none_may_be() -> None:
    table = to_table([a_prompt(number) for number in range(3)], Prompt)
    nulled = pc.if_else(pa.array([True, False, True]), table.column("category"), None)

    result = validate_table(table.set_column(table.schema.get_field_index("category"), "category", nulled), Prompt)

    assert [(check.name, check.rows) for check in result.failures] == [("category_not_null", (1,))]


@pytest.mark.slow
def test_great_expectations_only_warns_of_a_score_beyond_the_usual() -> None:
    table = to_table([a_conversation(0), a_conversation(1, scores=Scores(1.0, "weights", helpfulness=4.25))], Conversation)

    result = validate_table(table, Conversation, part="part-00000.parquet")

    assert result.failures == ()
    warned = [check for check in result.checks if check.unexpected]
    assert [(check.name, check.severity, check.record_ids) for check in warned] == [
        ("scores_helpfulness_in_range", "warning", (a_conversation(1).conversation_id,))
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("record", "row"), [(Prompt, a_prompt()), (Conversation, a_conversation()), (Preference, a_pair())], ids=["prompt", "sft", "pair"])
def test_merge_results_adds_up_partitions_into_one_document(record: type, row: Any) -> None:
    empty = validate_table(to_table([], record), record, part="part-00001.parquet")
    full = validate_table(to_table([row], record), record, part="part-00000.parquet")

    document = merge_results([empty, full], record)

    assert json.loads(json.dumps(document)) == document
    assert (document["success"], document["rows"], document["partitions"]) == (True, 1, 2)
    assert all(one["success"] and one["unexpected"] == 0 for one in document["expectations"])


@pytest.mark.slow
def test_validation_writes_no_file_and_opens_no_connection(tmp_path: Path) -> None:
    write_records(tmp_path / "in" / "part-00000.parquet", [a_conversation(1)], Conversation)
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import os, socket, sys\n"
        "from pathlib import Path\n"
        "sent = []\n"
        "def watch(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n        sent.append((event, args[1:]))\n"
        "sys.addaudithook(watch)\n"
        "from schemas.records import Conversation\n"
        "from tasks.validation.partitions import validate_partition\n"
        f"result = validate_partition(Path({str(tmp_path / 'in' / 'part-00000.parquet')!r}), Conversation)\n"
        "assert not result.failures\n"
        "assert not sent, sent\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert list(home.rglob("*")) == []


def test_drop_record_of_a_failed_row_is_whole() -> None:
    drop = drop_record(a_conversation(1), stage="validate", reason="turns_alternate")

    assert json.loads(drop.record)["conversation_id"] == a_conversation(1).conversation_id
