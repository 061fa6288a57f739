import pytest

from infra.triton.rehearsal_language.asks import recognise
from infra.triton.rehearsal_language.chat import Turn
from infra.triton.rehearsal_language.speak import Asked, Temper, speak


def said(request: str) -> str:
    return speak(Asked(f"<extra_id_1>User\n{request}\n<extra_id_1>Assistant\n", 512), Temper()).text


@pytest.mark.parametrize(
    ("request_", "kind", "about", "count"),
    [
        ('Write 3 writing tasks about "rivers". Each is an "e-mail".', "writing_tasks", "rivers", 3),
        ('Name 4 programming keywords of "Python".', "programming_keywords", "", 4),
        ('Write 2 programming problems about "sets" for "an expert".', "programming_problems", "sets", 2),
        ("Write 2 instructions about the document below.\n<<<\nBees warm.\n>>>\nLeave out:\n<<<\nold\n>>>", "document_instructions", "Bees warm.", 2),
        ("Write 3 requests that this person would make.\n<<<\nA diver.\n>>>", "persona_requests", "A diver.", 3),
        ("Make this instruction broader.\n<<<\nSort it.\n>>>", "evolve", "Sort it.", 0),
        ("Rewrite this writing task.\n<<<\nWrite a poem.\n>>>", "rewrite", "Write a poem.", 0),
    ],
)
def test_a_request_of_a_technique_is_recognised(request_: str, kind: str, about: str, count: int) -> None:
    wanted = recognise((Turn("user", request_),))
    assert (wanted.kind, wanted.about, wanted.count) == (kind, about, count)


@pytest.mark.parametrize(
    "request_", ['Write 12 writing tasks about "rivers".', 'Name 12 programming keywords of "C".', 'Write 12 programming problems about "sets".']
)
def test_a_list_of_tasks_has_as_many_lines_as_were_asked_for(request_: str) -> None:
    assert len(said(request_).splitlines()) == 12


def test_an_evolved_instruction_keeps_its_words_and_has_more() -> None:
    evolved = said("Make this instruction deeper.\n<<<\nExplain tides.\n>>>")
    assert evolved.startswith("Explain tides. ")
    assert len(evolved) > len("Explain tides. ")
