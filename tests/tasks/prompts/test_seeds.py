import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.errors import RecipeError
from schemas.records import Drop, Message, Prompt, Reference, Source, WorkItem
from tasks.prompts.seeds import Columns, Options, files, items, start, take_prompt
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, answering

TERMS = {"source": "own", "licence": "cc0-1.0"}


def write_rows(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def options(columns: dict[str, str], **more: Any) -> Options:
    return Options.model_validate({"path": "seeds.jsonl", "columns": columns, **TERMS, **more})


def take(options: Options, folder: Path) -> tuple[list[Prompt], list[Drop]]:
    ask = answering()
    made = [asyncio.run(take_prompt(item, options, ask)) for item in start(options, Opening(A_RUN, 0, folder))]
    assert all(len(one.out) + len(one.drops) == 1 for one in made)
    prompts = [record for one in made for record in one.out if isinstance(record, Prompt)]
    return prompts, [drop for one in made for drop in one.drops]


def test_seeds_make_a_prompt_of_each_row_with_its_source(tmp_path: Path) -> None:
    write_rows(tmp_path, {"question": "Why?", "kind": "short"}, {"question": "How so?", "kind": "long"})
    prompts, drops = take(options({"prompt": "question", "category": "kind"}), tmp_path)
    assert [(one.messages, one.category) for one in prompts] == [((Message("user", "Why?"),), "short"), ((Message("user", "How so?"),), "long")]
    assert [one.lineage.seeds for one in prompts] == [("own:1",), ("own:2",)]
    assert prompts[0].provenance.sources == (Source("own", "cc0-1.0"),)
    assert drops == []


def test_seeds_take_reference_and_system_message(tmp_path: Path) -> None:
    write_rows(tmp_path, {"q": "6 * 7?", "a": "#### 42", "s": "Be brief.", "name": "x-1"})
    prompts, _ = take(options({"prompt": "q", "reference": "a", "system": "s", "id": "name"}, verifier="final_number"), tmp_path)
    assert prompts[0].reference == Reference("final_number", "#### 42")
    assert prompts[0].messages == (Message("system", "Be brief."), Message("user", "6 * 7?"))
    assert prompts[0].lineage.seeds == ("own:x-1",)


def test_seeds_read_conversations_in_either_spelling(tmp_path: Path) -> None:
    plain = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Why?"}]
    shared = [{"from": "human", "value": "Hi!"}, {"from": "gpt", "value": "Hello."}, {"from": "human", "value": "Why?"}]
    write_rows(tmp_path, {"turns": plain}, {"turns": shared})
    prompts, _ = take(options({"messages": "turns"}), tmp_path)
    assert [[turn.role for turn in one.messages] for one in prompts] == [["user", "assistant", "user"]] * 2


def test_seeds_keep_a_repeated_prompt_once_and_account_for_its_copies(tmp_path: Path) -> None:
    write_rows(tmp_path, {"q": "Why?"}, {"q": "How?"}, {"q": "Why?"}, {"q": "Why? "})
    prompts, drops = take(options({"prompt": "q"}), tmp_path)
    assert [one.messages[0].content for one in prompts] == ["Why?", "How?"]
    assert [(drop.reason, drop.points_to, drop.rows) for drop in drops] == [("duplicate_seed", prompts[0].prompt_id, 1)] * 2
    assert len({drop.drop_id for drop in drops}) == 2
    assert "row 1 of seeds.jsonl" in drops[0].detail


def test_seeds_read_no_more_rows_than_the_limit(tmp_path: Path) -> None:
    path = write_rows(tmp_path, {"q": "Why?"}, {"q": "How?"})
    path.write_text(path.read_text() + "not JSON\n")
    chosen = options({"prompt": "q"}, limit=2)
    assert items(chosen, tmp_path) == 2
    assert len(take(chosen, tmp_path)[0]) == 2


def test_seeds_work_items_are_distinct_and_repeatable(tmp_path: Path) -> None:
    write_rows(tmp_path, *[{"q": "Why?", "n": "same"}] * 3)
    chosen = options({"prompt": "q", "id": "n"})
    first, second = ([item.item_id for item in start(chosen, Opening(A_RUN, 0, tmp_path)) if isinstance(item, WorkItem)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object but list"),
        ("", "the line is empty"),
        ('{"q": "  "}', "column 'q' is empty"),
        ('{"q": null}', "column 'q' is empty"),
        ('{"question": "Why?"}', "no column 'q': there are question"),
        ('{"q": ["Why?"]}', "column 'q' is empty or no text"),
    ],
    ids=["not-json", "not-object", "blank-line", "blank-prompt", "null-prompt", "column-missing", "no-text"],
)
def test_seeds_name_the_row_that_is_wrong_before_any_work(tmp_path: Path, broken: str, why: str) -> None:
    good = json.dumps({"q": "Why?"})
    (tmp_path / "seeds.jsonl").write_text("\n".join([good] * 16 + [broken, good]) + "\n")
    with pytest.raises(RecipeError, match="row 17: ") as caught:
        items(options({"prompt": "q"}), tmp_path)
    assert why in str(caught.value)
    assert "seeds.jsonl" in str(caught.value)


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([{"role": "assistant", "content": "Hi."}], "turn 1 is by 'assistant'"),
        ([{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}], "the last turn is by 'assistant'"),
        ([], "there is no turn"),
        ("Hi", "Expecting value"),
        ([{"role": "user"}], "a turn has no content"),
        (["Hi"], "a turn is not an object"),
    ],
    ids=["assistant-first", "assistant-last", "no-turns", "text", "no-content", "strings"],
)
def test_seeds_refuse_conversations_out_of_order(tmp_path: Path, turns: object, why: str) -> None:
    write_rows(tmp_path, {"turns": turns})
    with pytest.raises(RecipeError, match=r"row 1: ") as caught:
        items(options({"messages": "turns"}), tmp_path)
    assert why in str(caught.value)


def test_seeds_refuse_a_file_that_is_missing_empty_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no seed file at"):
        files(options({"prompt": "q"}), tmp_path)
    write_rows(tmp_path)
    with pytest.raises(RecipeError, match="has no rows"):
        items(options({"prompt": "q"}), tmp_path)
    (tmp_path / "seeds.txt").write_text("Why?")
    with pytest.raises(RecipeError, match="known endings"):
        files(options({"prompt": "q"}).model_copy(update={"path": "seeds.txt"}), tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": {}},
        {"columns": {"prompt": "q", "messages": "m"}},
        {"columns": {"prompt": "q", "reference": "a"}},
        {"verifier": "final_number"},
        {"limit": 0},
    ],
    ids=["no-prompt", "two-prompts", "no-verifier", "no-reference", "no-rows"],
)
def test_seeds_refuse_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"path": "x.jsonl", "columns": {"prompt": "q"}, **TERMS} | wrong)


def test_seeds_refuse_unknown_terms_and_verifiers() -> None:
    with pytest.raises(RecipeError, match="unknown licence 'found-on-the-web'"):
        options({"prompt": "q"}, licence="found-on-the-web")
    with pytest.raises(RecipeError, match="unknown verifier 'last_number': did you mean 'final_number'"):
        options({"prompt": "q", "reference": "a"}, verifier="last_number")


def test_seeds_takes_a_flag_of_unsafe_prompts_into_their_lineage(tmp_path: Path) -> None:
    rows = [{"q": "How?", "bad": True}, {"q": "Why?", "bad": "safe"}, {"q": "When?", "bad": 0}]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = Options(path="s.jsonl", columns=Columns(prompt="q", unsafe="bad"), source="own", licence="mit")
    assert [item.lineage.unsafe for item in start(options, Opening(A_RUN, 0, tmp_path))] == [True, False, False]


def test_seeds_names_the_row_whose_flag_is_none(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(json.dumps({"q": "How?", "bad": "rather"}) + "\n")
    options = Options(path="s.jsonl", columns=Columns(prompt="q", unsafe="bad"), source="own", licence="mit")
    with pytest.raises(RecipeError, match="row 1: column 'bad' is no flag"):
        items(options, tmp_path)
