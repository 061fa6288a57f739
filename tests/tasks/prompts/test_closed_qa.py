import asyncio
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.errors import RecipeError
from schemas.records import Prompt, Source
from tasks.prompts.closed_qa import STEPS, Options, files, items, start, write_instructions
from tasks.technique import Made, Opening
from tests.tasks.builders import A_RUN, ScriptedAsk, numbered

TERMS = {"path": "texts.jsonl", "source": "own", "licence": "cc0-1.0"}


def write_texts(folder: Path, *texts: str) -> None:
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in texts))


def make(folder: Path, ask: ScriptedAsk, **more: object) -> list[Made]:
    options = Options.model_validate(TERMS | more)
    assert items(options, folder) == len(list(start(options, Opening(A_RUN, 0, folder))))
    made = [asyncio.run(write_instructions(item, options, ask)) for item in start(options, Opening(A_RUN, 0, folder))]
    assert all(len(one.out) + len(one.drops) == STEPS[0].yields(options) for one in made)
    return made


def test_closed_qa_joins_each_instruction_to_its_document(tmp_path: Path) -> None:
    write_texts(tmp_path, "Basil likes warmth.", "Rivers {bend}.")
    made = make(tmp_path, ScriptedAsk(lambda label, text: numbered("What is said?", "Sum it up.")))
    prompts = [one for result in made for one in result.out if isinstance(one, Prompt)]
    assert len(prompts) == 4
    assert all("Rivers {bend}." in one.messages[0].content for one in prompts[2:])
    assert "Sum it up." in prompts[3].messages[0].content
    assert prompts[0].provenance.sources == (Source("own", "cc0-1.0"),)
    assert [one.lineage.seeds for one in prompts] == [("own:1",)] * 2 + [("own:2",)] * 2
    assert prompts[0].provenance.models[0].role == "writer"


def test_closed_qa_pays_for_no_document_that_does_not_fit(tmp_path: Path) -> None:
    write_texts(tmp_path, "word " * 100)
    ask = ScriptedAsk(lambda label, text: numbered("What?"))
    made = make(tmp_path, ask, max_tokens=50)
    assert ask.asked == []
    assert [drop.reason for drop in made[0].drops] == ["over_token_budget"] * 2


def test_closed_qa_drops_what_the_instruction_makes_too_long(tmp_path: Path) -> None:
    write_texts(tmp_path, "word " * 30)
    made = make(tmp_path, ScriptedAsk(lambda label, text: numbered("why " * 100, "Short?")), max_tokens=80)
    assert [drop.reason for drop in made[0].drops] == ["over_token_budget"]
    assert len(made[0].out) == 1


def test_closed_qa_reads_a_folder_of_texts(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "c.png"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "docs" / name).write_text(f"text {name}")
    options = Options.model_validate(TERMS | {"path": "docs"})
    assert [item.lineage.seeds for item in start(options, Opening(A_RUN, 0, tmp_path))] == [("own:a.md",), ("own:b.txt",)]
    assert [path.name for path in files(options, tmp_path)] == ["a.md", "b.txt"]


@pytest.mark.parametrize(("line", "why"), [('{"text": " "}', "row 2: column 'text' is empty"), ('{"txet": "a"}', "row 2: no column 'text'")])
def test_closed_qa_names_the_document_that_is_wrong(tmp_path: Path, line: str, why: str) -> None:
    write_texts(tmp_path, "good")
    with (tmp_path / "texts.jsonl").open("a") as file:
        file.write(line)
    with pytest.raises(RecipeError, match=why):
        items(Options.model_validate(TERMS), tmp_path)


@pytest.mark.parametrize("more", [{"licence": "unheard-of"}, {"licence": ""}, {"source": ""}, {"instructions": 0}])
def test_closed_qa_refuses_options_that_make_no_sense(more: dict[str, object]) -> None:
    with pytest.raises((ValidationError, RecipeError)):
        Options.model_validate(TERMS | more)
