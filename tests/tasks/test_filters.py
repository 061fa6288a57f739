"""Each filter by true and false examples: a batch of one conversation, asked whether it has the fault."""

from dataclasses import replace

import polars as pl
import pytest

from schemas.contract import to_table
from schemas.records import Conversation, Message
from tasks import filters
from tasks.discovery import find_filter, names
from tasks.filtering import to_batch
from tests.tasks.builders import a_conversation, rewarded, verified

ENGLISH = "The kettle boils the water, and then the tea has to stand for about four minutes."
GERMAN = "Der Kessel bringt das Wasser zum Kochen, danach muss der Tee etwa vier Minuten ziehen."


def hits(name: str, conversation: Conversation, **parameters: object) -> bool:
    batch = to_batch(to_table([conversation], Conversation))
    found = find_filter(name)(batch, **parameters)
    series = found if isinstance(found, pl.Series) else batch.select(found.alias("hit"))["hit"]
    return bool(series.fill_null(False)[0])


def said(*answers: str) -> Conversation:
    one = a_conversation(answers[0])
    more = [turn for answer in answers[1:] for turn in (Message("user", "And then?"), Message("assistant", answer))]
    return replace(one, messages=(*one.messages, *more))


Examples = dict[str, list[tuple[Conversation, dict[str, object]]]]

TRUE: Examples = {
    "too_short": [(said("Yes."), {"words": 2}), (said(ENGLISH, "Fine."), {"words": 2}), (said("是的"), {"words": 2})],
    "too_long": [(said("word " * 11), {"words": 10}), (said("word " * 6, "word " * 5), {"words": 10}), (said("水" * 30), {"words": 10})],
    "truncated": [(replace(said("And so it"), finish_reason="length"), {})],
    "refusal": [
        (said("I'm sorry, but I can't help with that."), {}),
        (said("I’m really sorry, but I cannot assist with that request."), {}),
        (said("I cannot provide instructions for this."), {}),
        (said("Unfortunately, I am unable to answer this."), {}),
        (said("As an AI language model, I cannot have a favourite."), {}),
        (said("I'm just an AI assistant and cannot taste food."), {}),
        (said("Your request goes against my guidelines."), {}),
        (said(ENGLISH, "I won't continue this conversation."), {}),
    ],
    "repeated_ngrams": [(said("the cat sat on the mat " * 5), {}), (said("go go go go go go"), {"n": 1, "share": 0.5}), (said("天 天 天 天 天 天 天 天"), {})],
    "wrong_language": [(said(GERMAN), {}), (said(ENGLISH), {"language": "de"}), (said("茶壶把水烧开，然后茶需要泡大约四分钟才可以喝。"), {})],
    "below_reward": [(rewarded(said("x"), 1.9), {"minimum": 2.0}), (rewarded(said("x"), 9.0, helpfulness=1.0), {"minimum": 2.0, "attribute": "helpfulness"})],
    "wrong_answer": [(verified(said("5"), passed=False), {})],
}
FALSE: Examples = {
    "too_short": [(said("It is four."), {"words": 3}), (said("Yes.", ENGLISH), {}), (said("这是一个很好的回答"), {"words": 4})],
    "too_long": [(said("word " * 10), {"words": 10}), (said(ENGLISH), {})],
    "truncated": [(said("And so it is."), {})],
    "refusal": [
        (said(ENGLISH), {}),
        (said("I can't believe how well rust shows what iron does."), {}),
        (said("Sorry to hear that your bicycle was stolen. First, tell the police."), {}),
        (said("She said: 'I cannot help you', and went away."), {}),
        (said("As an aid to memory, write the steps down. I cannot stress this enough."), {}),
        (said("I cannot recommend it enough: read the manual."), {}),
    ],
    "repeated_ngrams": [(said(ENGLISH), {}), (said("go on"), {}), (said("the cat and the dog and the cat"), {"n": 3, "share": 0.5})],
    "wrong_language": [
        (said(ENGLISH), {}),
        (said(GERMAN), {"language": "de"}),
        (said("Ja, das ist gut."), {}),
        (said("```python\nfür = [eins for eins in range(10) if eins > zwei and nicht_das and auch_nicht_jenes]\n```"), {}),
        (said(r"$$\int_0^1 x^2 \, dx = \frac{1}{3}$$ 1 2 3 4 5 6 7 8 9"), {}),
    ],
    "below_reward": [
        (rewarded(said("x"), 2.0), {"minimum": 2.0}),
        (said("x"), {"minimum": 2.0}),
        (rewarded(said("x"), 0.0), {"minimum": 1.0, "attribute": "helpfulness"}),
    ],
    "wrong_answer": [(verified(said("4"), passed=True), {}), (said("4"), {})],
}


@pytest.mark.parametrize(("name", "example"), [(name, example) for name, examples in TRUE.items() for example in examples])
def test_filter_finds_its_fault(name: str, example: tuple[Conversation, dict[str, object]]) -> None:
    assert hits(name, example[0], **example[1])


@pytest.mark.parametrize(("name", "example"), [(name, example) for name, examples in FALSE.items() for example in examples])
def test_filter_leaves_the_faultless_alone(name: str, example: tuple[Conversation, dict[str, object]]) -> None:
    assert not hits(name, example[0], **example[1])


def test_every_filter_has_true_and_false_examples() -> None:
    assert set(TRUE) == set(FALSE) == set(names("filters"))
    assert all(getattr(filters, name).__doc__ for name in names("filters"))
