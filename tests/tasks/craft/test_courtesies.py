import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.craft.courtesies import strip_courtesies


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Thank you for the explanation! What about rust?", "What about rust?"),
        ("Thanks, but what about rust?", "What about rust?"),
        ("Thank you. Thank you so much for this!  Could you go on", "Could you go on"),
        ("Sure, I'd be happy to help. How many are there?", "How many are there?"),
        ("That's very helpful. Can you give an example? Thanks!", "Can you give an example?"),
        ("This makes a lot of sense. What comes next?", "What comes next?"),
        ("That helps. And then?", "And then?"),
        ("This really helps me a lot! And then?", "And then?"),
        ("Great explanation! And then?", "And then?"),
        ("Wow, great! And then?", "And then?"),
        ("I really appreciate your help. Is it 5?", "Is it 5?"),
        ("Of course! Why?", "Why?"),
        ("Okay, so how do I start?", "How do I start?"),
        ("User: How do I start?", "How do I start?"),
        ("**User:** How do I start?", "How do I start?"),
        ("Sure, here is the user's next message: How do I start?", "How do I start?"),
        ('"How do I start?"', "How do I start?"),
        ("How do I start?\n\nThank you!", "How do I start?"),
        ("Thank you so much! You're welcome.", ""),
    ],
)
def test_strip_courtesies_leaves_what_the_user_has_to_say(said: str, left: str) -> None:
    assert strip_courtesies(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "Why is rust red?",
        "It helps to know the age of the tree. Mine is ninety.",
        "That is great for cats, but what of dogs?",
        "Thanks to the moon, tides rise. Why?",
        "Absolutely not what I asked. Try again.",
        "Is this good? It reads like great expectations.",
        "Good question is what I want from you.",
        "My son said thanks. How do I answer him?",
        "Could you thank her for me?",
        "Version 2.0 fails. Is 3.5 any better?",
    ],
)
def test_strip_courtesies_leaves_the_rest_alone(said: str) -> None:
    assert strip_courtesies(said) == said


@given(st.text(max_size=200) | st.lists(st.sampled_from(["Thanks!", "Sure.", "Why?", "Great.", "\n", '"', "User:", "It rusts."]), max_size=8).map(" ".join))
def test_strip_courtesies_has_nothing_to_do_twice(said: str) -> None:
    once = strip_courtesies(said)
    assert strip_courtesies(once) == once
