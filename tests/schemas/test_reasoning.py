import pytest

from schemas.engine import Completion, Sampling, as_messages
from schemas.model_card import ModelCard, ReasoningFacts

ON, OFF, UNSAID = Sampling(reasoning=True), Sampling(reasoning=False), Sampling()


def a_card(where: str = "system") -> ModelCard:
    facts = ReasoningFacts.model_validate({"switch_on": "think", "switch_off": "no think", "where": where})
    template = "{% for turn in messages %}[{{ turn.role }}]{{ turn.content }}{% endfor %}"
    more = {"chat_template": template, "control_tokens": ("[",), "reasoning": facts}
    return ModelCard(id="r", title="R", role="instruct", licences=("apache-2.0",), revision="1", context_tokens=100).model_copy(update=more)


def a_completion(text: str, reasoning: str = "") -> Completion:
    return Completion(text, "stop", False, 1, 1, False, reasoning)


@pytest.mark.parametrize(
    ("where", "sampling", "prompt"),
    [
        ("system", ON, "[system]think[user]Hi"),
        ("system", OFF, "[system]no think[user]Hi"),
        ("system", UNSAID, "[user]Hi"),
        ("user", ON, "[user]Hi think"),
    ],
)
def test_a_card_says_how_reasoning_is_switched(where: str, sampling: Sampling, prompt: str) -> None:
    assert a_card(where).generate_request(as_messages(("user", "Hi")), sampling, 0).prompt == prompt


def test_the_switch_stands_before_a_system_message() -> None:
    request = a_card().generate_request(as_messages(("system", "Be kind."), ("user", "Hi")), ON, 0)
    assert request.prompt == "[system]think\n\nBe kind.[user]Hi"


def test_twins_are_two_calls() -> None:
    messages = as_messages(("user", "Hi"))
    assert len({a_card().generate_request(messages, how, 0).key for how in (ON, OFF, UNSAID)}) == 3


@pytest.mark.parametrize(
    ("said", "reasoning", "answer"),
    [
        ("<think>\nFirst.\n</think>\n\nSo.", "First.", "So."),
        ("First.\n</think>\nSo.", "First.", "So."),
        ("<think>\n\n</think>\n\nSo.", "", "So."),
        ("So.", "", "So."),
        ("<think>\nFirst, and then", "First, and then", ""),
    ],
    ids=["both", "opened-by-the-template", "empty", "none", "never-closed"],
)
def test_a_card_tells_thoughts_from_the_answer(said: str, reasoning: str, answer: str) -> None:
    parted = a_card().part_reasoning(a_completion(said))
    assert (parted.reasoning, parted.text) == (reasoning, answer)


def test_what_an_engine_has_told_apart_stays_so() -> None:
    told = a_completion("So, </think> it is.", "First.")
    assert a_card().part_reasoning(told) == told


def test_a_card_without_reasoning_leaves_texts_alone() -> None:
    plain = a_card().model_copy(update={"reasoning": None})
    assert plain.part_reasoning(a_completion("<think>x</think>y")).text == "<think>x</think>y"
    assert plain.generate_request(as_messages(("user", "Hi")), ON, 0).prompt == "[user]Hi"
