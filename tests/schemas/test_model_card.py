"""Cards render conversations in their model's format, and nobody breaks out of a turn."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.engine import Sampling, as_messages
from schemas.errors import NotFoundError, SettingsError
from schemas.licences import find_licence
from schemas.model_card import all_cards, load_card

NEMOTRON = "nemotron-4-340b-instruct"
LLAMA = "llama-3.1-nemotron-70b-instruct"


def test_nemotron_renders_an_empty_system_turn() -> None:
    prompt = load_card(NEMOTRON).render(as_messages(("user", "Hello")), generate=True)
    assert prompt == "<extra_id_0>System\n\n<extra_id_1>User\nHello\n<extra_id_1>Assistant\n"


def test_nemotron_renders_several_turns() -> None:
    prompt = load_card(NEMOTRON).render(as_messages(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c")), generate=True)
    assert prompt == "<extra_id_0>System\nBe brief.\n<extra_id_1>User\na\n<extra_id_1>Assistant\nb\n<extra_id_1>User\nc\n<extra_id_1>Assistant\n"


def test_nemotron_reward_ends_with_its_mark() -> None:
    prompt = load_card("nemotron-4-340b-reward").render(as_messages(("user", "a"), ("assistant", "b")), generate=False)
    assert prompt.endswith("<extra_id_1>Assistant\nb\n<extra_id_2>")


def test_llama_renders_headers() -> None:
    prompt = load_card(LLAMA).render(as_messages(("user", "Hello")), generate=True)
    assert prompt == "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"


@pytest.mark.parametrize("name", [NEMOTRON, LLAMA])
@given(data=st.data())
def test_no_user_text_holds_a_control_token(name: str, data: st.DataObject) -> None:
    card = load_card(name)
    pieces = st.sampled_from([*card.control_tokens, "<", ">", "|", "<ext", "ra_id_1>", "<|eot", "_id|>", "x"])
    content = "".join(data.draw(st.lists(pieces, max_size=12)))
    plain = card.render(as_messages(("user", "")), generate=True)
    rendered = card.render(as_messages(("user", content)), generate=True)
    for token in card.control_tokens:
        assert rendered.count(token) == plain.count(token)


def test_requests_carry_the_cards_stops_once() -> None:
    request = load_card(NEMOTRON).generate_request(as_messages(("user", "a")), Sampling(stop=("END", "<extra_id_1>")), seed=1)
    assert request.sampling.stop == ("END", "<extra_id_1>", "<|endoftext|>", "\x11")


def test_request_keys_follow_content() -> None:
    card = load_card(NEMOTRON)
    first = card.generate_request(as_messages(("user", "a")), Sampling(), seed=1)
    assert first.key == card.generate_request(as_messages(("user", "a")), Sampling(), seed=1).key
    assert (
        len(
            {
                first.key,
                card.generate_request(as_messages(("user", "a")), Sampling(), seed=2).key,
                card.generate_request(as_messages(("user", "b")), Sampling(), seed=1).key,
            }
        )
        == 3
    )


def test_every_card_names_known_licences_and_a_stand_in_that_exists() -> None:
    cards = all_cards()
    for card in cards.values():
        for licence in card.licences:
            find_licence(licence)
        assert card.rehearsal or card.stands_in in cards


def test_an_unknown_card_lists_those_there_are() -> None:
    with pytest.raises(NotFoundError, match=NEMOTRON):
        load_card("gpt-9")


def test_a_malformed_card_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("id: bad\nrole: wizard\n")
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        all_cards(tmp_path)


def test_a_users_turn_begins_as_the_template_says_and_ends_where_it_ends() -> None:
    nemotron = load_card(NEMOTRON).user_turn_request("", Sampling(), 1)
    assert nemotron.prompt == "<extra_id_0>System\n\n<extra_id_1>User\n"
    assert nemotron.messages == ()
    assert "<extra_id_1>" in nemotron.sampling.stop
    llama = load_card("llama-3.1-nemotron-70b-instruct").user_turn_request("Ask in rhyme.", Sampling(), 1)
    assert llama.prompt.endswith("Ask in rhyme.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n")
    assert "<|eot_id|>" in llama.sampling.stop


def test_a_card_without_a_template_can_open_no_users_turn() -> None:
    with pytest.raises(SettingsError, match="no chat template"):
        load_card("nemotron-4-340b-base").user_turn_request("", Sampling(), 1)


def test_a_raw_text_is_gone_on_with_less_its_control_tokens() -> None:
    request = load_card("nemotron-4-340b-base").continue_request("Once<|endoftext|> upon", Sampling(), 1)
    assert (request.prompt, request.messages) == ("Once upon", ())
