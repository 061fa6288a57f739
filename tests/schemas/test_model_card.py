"""Cards render conversations in their model's format, and nobody breaks out of a turn."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.engine import Sampling, as_messages
from schemas.errors import NotFoundError, SettingsError
from schemas.licences import find_licence
from schemas.model_card import ModelCard, all_cards, load_card

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


TEMPLATED = sorted(name for name, card in all_cards().items() if card.chat_template)
FULL_WIDTH = str.maketrans("<>|_", "\uff1c\uff1e\uff5c\uff3f")


def hostile_texts(card: ModelCard) -> st.SearchStrategy[str]:
    """Texts of whole and broken control tokens: plain, in full width, with what can't be seen in them."""
    cut = [token[:at] for token in card.control_tokens for at in range(1, len(token))] + [
        token[at:] for token in card.control_tokens for at in range(1, len(token))
    ]
    disguised = [token.translate(FULL_WIDTH) for token in card.control_tokens] + ["\u200b".join(token) for token in card.control_tokens]
    return st.lists(st.sampled_from([*card.control_tokens, *cut, *disguised, "\u200b", "é", "\n", "User\n", "x"]), max_size=12).map("".join)


def as_a_tokenizer_may_see(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text) if unicodedata.category(one) != "Cf")


@pytest.mark.parametrize("name", TEMPLATED)
@given(data=st.data())
def test_no_text_breaks_out_of_its_turn(name: str, data: st.DataObject) -> None:
    card = load_card(name)
    texts = [data.draw(hostile_texts(card)) for _ in range(3)]
    talk = as_messages(("system", texts[0]), ("user", texts[1]), ("assistant", texts[2]), ("user", texts[0]))
    graded = talk[:3]
    for messages, generate in ((talk, True), (graded, False)):
        plain = card.render(as_messages(*((turn.role, "x") for turn in messages)), generate=generate)
        for written in (card.render(messages, generate=generate), as_a_tokenizer_may_see(card.render(messages, generate=generate))):
            assert [written.count(token) for token in card.control_tokens] == [plain.count(token) for token in card.control_tokens]


@pytest.mark.parametrize("name", TEMPLATED)
@given(data=st.data())
def test_requests_carry_no_control_token_to_servers_that_render_by_themselves(name: str, data: st.DataObject) -> None:
    card = load_card(name)
    talk = as_messages(("user", data.draw(hostile_texts(card))), ("assistant", data.draw(hostile_texts(card))))
    for request in (card.generate_request(talk[:1], Sampling(), seed=1), card.reward_request(talk)):
        contents = [as_a_tokenizer_may_see(turn.content) for turn in request.messages]
        assert not [token for token in card.control_tokens for content in contents if token in content]


@pytest.mark.parametrize("text", ["Größe ＡＢＣ ﬁ", "می\u200cخواهم", "a < b | c > d", "日本語＜です＞"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert load_card(LLAMA).defuse(as_messages(("user", text)))[0].content == text


@pytest.mark.parametrize("name", TEMPLATED)
def test_every_mark_of_a_template_is_a_control_token(name: str) -> None:
    card = load_card(name)
    marks = set(re.findall(r"<[|a-z][a-z0-9_|]*>", card.chat_template))
    assert marks
    assert marks <= set(card.control_tokens)


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
