"""An engine's raw text becomes a Completion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines.completion import Said, as_completion, estimate_tokens, strip_echo, strip_stop
from schemas.errors import EngineError, EngineFault
from tests.infra.engines.builders import ask


def test_as_completion_keeps_what_the_engine_tells() -> None:
    done = as_completion(Said("Four.", "length", 12, 3), ask())
    assert (done.text, done.finish_reason, done.prompt_tokens, done.completion_tokens) == ("Four.", "length", 12, 3)
    assert not done.finish_reason_inferred
    assert not done.tokens_inferred


@pytest.mark.parametrize(("tokens", "reason"), [(9, "stop"), (10, "length"), (11, "length")])
def test_as_completion_infers_the_reason_from_the_count(tokens: int, reason: str) -> None:
    done = as_completion(Said("Four.", None, 12, tokens), ask(max_tokens=10))
    assert (done.finish_reason, done.finish_reason_inferred) == (reason, True)


def test_as_completion_infers_stop_where_a_stop_string_ended_the_answer() -> None:
    done = as_completion(Said("Four.<extra_id_1>", None, 12, 10), ask(max_tokens=10))
    assert (done.text, done.finish_reason) == ("Four.", "stop")


def test_as_completion_estimates_missing_counts_and_says_so() -> None:
    done = as_completion(Said("Four is it.", "stop"), ask())
    assert (done.completion_tokens, done.tokens_inferred) == (3, True)
    assert done.prompt_tokens > 0


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", "eos"])
def test_as_completion_takes_other_reasons_for_a_stop(reason: str) -> None:
    assert as_completion(Said("Four.", reason, 1, 1), ask()).finish_reason == "stop"


@pytest.mark.parametrize(("reason", "fault"), [("timeout", EngineFault.DEADLINE), ("cancelled", EngineFault.CANCELLED), ("abort", EngineFault.CANCELLED)])
def test_as_completion_refuses_an_answer_that_was_broken_off(reason: str, fault: EngineFault) -> None:
    with pytest.raises(EngineError, match=reason) as caught:
        as_completion(Said("Fo", reason, 1, 1), ask())
    assert caught.value.fault is fault


def test_strip_stop_takes_the_longest_that_fits() -> None:
    assert strip_stop("Yes\n<extra_id_1>User", ("User", "<extra_id_1>User", "")) == "Yes\n"


@given(st.text(), st.text(min_size=1))
def test_strip_stop_takes_off_one_stop_string_only(text: str, stop: str) -> None:
    assert strip_stop(text + stop, (stop,)) == text


@given(st.text(min_size=1), st.text())
def test_strip_echo_cuts_the_prompt_off(prompt: str, text: str) -> None:
    assert strip_echo(prompt + text, prompt, ()) == text


def test_strip_echo_knows_a_prompt_without_its_control_tokens() -> None:
    assert strip_echo("User\nHi\nAssistant\nHello", "<x>User\nHi\n<x>Assistant\n", ("<x>",)) == "Hello"


@given(st.text())
def test_estimate_tokens_is_zero_for_nothing_only(text: str) -> None:
    assert (estimate_tokens(text) == 0) == (text == "")
