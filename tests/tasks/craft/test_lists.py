import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.craft.lists import parse_list

WORDS = st.sampled_from(
    "Optics waves the of soil café history's 42 river-trade C++ naïve 光学 history? planning, money (early) e-mail 3.5 über x=2 rock&roll".split()  # noqa: SIM905
)
ITEMS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join).filter(lambda item: item[0].isalpha() and not item.endswith(","))
LISTS = st.lists(ITEMS, min_size=2, max_size=12, unique_by=str.casefold)


RENDERINGS = {
    "numbered": lambda items: "\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)),
    "numbered-parenthesis": lambda items: "\n".join(f"{n}) {item}" for n, item in enumerate(items, 1)),
    "numbered-in-parentheses": lambda items: "\n".join(f"({n}) {item}" for n, item in enumerate(items, 1)),
    "numbered-right-aligned": lambda items: "\n".join(f"{n:>3}. {item}" for n, item in enumerate(items, 1)),
    "numbered-blank-lines": lambda items: "\n\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)),
    "numbered-bold": lambda items: "\n".join(f"{n}. **{item}**" for n, item in enumerate(items, 1)),
    "bold-numbers": lambda items: "\n".join(f"**{n}.** {item}" for n, item in enumerate(items, 1)),
    "all-bold": lambda items: "\n".join(f"**{n}. {item}**" for n, item in enumerate(items, 1)),
    "numbered-quoted": lambda items: "\n".join(f'{n}. "{item}"' for n, item in enumerate(items, 1)),
    "headings": lambda items: "\n\n".join(f"### {n}. {item}" for n, item in enumerate(items, 1)),
    "labelled": lambda items: "\n".join(f"Question {n}: {item}" for n, item in enumerate(items, 1)),
    "windows-lines": lambda items: "\r\n".join(f"{n}. {item}" for n, item in enumerate(items, 1)),
    "dashes": lambda items: "\n".join(f"- {item}" for item in items),
    "stars": lambda items: "\n".join(f"* {item}" for item in items),
    "dots": lambda items: "\n".join(f"• {item}" for item in items),
    "indented-bullets": lambda items: "\n".join(f"  - {item}" for item in items),
    "json": lambda items: json.dumps(items),
    "json-indented": lambda items: json.dumps(items, indent=2, ensure_ascii=False),
    "json-object": lambda items: json.dumps({"topics": items}, ensure_ascii=False),
    "json-numbered-object": lambda items: json.dumps({str(n): item for n, item in enumerate(items, 1)}),
    "json-objects": lambda items: json.dumps([{"topic": item, "why": "because"} for item in items]),
    "python": lambda items: str(items),
    "yaml": lambda items: "topics:\n" + "\n".join(f"  - {item}" for item in items),
    "yaml-quoted": lambda items: "topics:\n" + "\n".join(f"  - '{item}'" if "'" not in item else f'  - "{item}"' for item in items),
    "yaml-objects": lambda items: "\n".join(f"- topic: {item}" for item in items),
    "nested": lambda items: "\n".join(f"{n}. {item}\n   - something about it\n   - and more" for n, item in enumerate(items, 1)),
    "nested-bullets": lambda items: "\n".join(f"- {item}\n  - something about it" for item in items),
    "bullets-under-numbers": lambda items: "\n".join(f"{n}. {item}\n- something about it" for n, item in enumerate(items, 1)),
    "repeated": lambda items: "\n".join(f"- {item}" for item in [*items, *(item.upper() for item in items)]),
}
CHATTER = {
    "bare": "{}",
    "before": "Sure, here is the list you asked for:\n\n{}",
    "after": "{}\n\nLet me know if you would like more of them!",
    "around": "Of course! Below is what I came up with.\n\n{}\n\nI hope that this helps.",
    "fenced": "```\n{}\n```",
    "fenced-with-chatter": "Here you are:\n\n```json\n{}\n```\nAnything else?",
}


@pytest.mark.parametrize("chatter", CHATTER.values(), ids=CHATTER)
@pytest.mark.parametrize("render", RENDERINGS.values(), ids=RENDERINGS)
@settings(max_examples=6)  # of each of 174 combinations
@given(items=LISTS)
def test_parse_list_reads_back_every_rendering(render, chatter, items):  # type: ignore[no-untyped-def]
    assert list(parse_list(chatter.format(render(items)))) == items


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=400) | st.text(alphabet='-*12.)( \n\t"[]{}`#:ab,\\', max_size=120))
def test_parse_list_never_raises_and_never_invents(text):  # type: ignore[no-untyped-def]
    seen = without_markup(text)
    for item in parse_list(text):
        assert item.strip()
        assert without_markup(item) in seen or without_markup(json.dumps(item)) in seen


def without_markup(text: str) -> str:
    return re.sub(r"[\s\\\"'`*_“”‘’«»]+", "", text)


@pytest.mark.parametrize(
    "prose",
    [
        "",
        "   \n",
        "I can't help with that.",
        "Topics are many. In 1984. there were few, and 3.5 of them were good.",
        "The ratio is 3:4, at 10:30 in the morning.\n10:45 is too late.",
        "There is [one link](https://example.org) in here, and {braces} too.",
        "Well, it depends.\n\nOn the one hand, this; on the other hand, that.",
    ],
)
def test_parse_list_finds_nothing_in_prose(prose: str) -> None:
    assert parse_list(prose) == ()


def test_parse_list_keeps_an_item_and_its_explanation_together() -> None:
    text = "1. **Physics**: how things move\n2. **Biology** - how things live"
    assert parse_list(text) == ("Physics: how things move", "Biology - how things live")


def test_parse_list_joins_the_indented_lines_of_an_item() -> None:
    assert parse_list("1. A train leaves at noon.\n   When does it arrive?\n2. Another one") == ("A train leaves at noon. When does it arrive?", "Another one")


@pytest.mark.parametrize(
    ("broken", "items"),
    [
        ('["optics", "waves", "so', ("optics", "waves")),
        ('["optics", "waves" "heat"]', ("optics", "waves", "heat")),
        ('```json\n["optics",\n "waves",', ("optics", "waves")),
        ("1. optics\n2.\n3. waves\n4. ...", ("optics", "waves")),
        ('{"physics": ["optics"], "music": ["jazz"]}', ("physics", "music")),
        ('[1, 2, "three", null, {"name": "four"}]', ("1", "2", "three", "four")),
    ],
    ids=["cut-off", "comma-missing", "fence-never-closed", "empty-items", "several-arrays", "mixed-types"],
)
def test_parse_list_keeps_the_good_part_of_a_broken_list(broken: str, items: tuple[str, ...]) -> None:
    assert parse_list(broken) == items


def test_parse_list_is_not_led_astray_by_brackets_inside_items() -> None:
    assert parse_list("1. Solve [1, 2] + [3, 4]\n2. Sort {3, 1}") == ("Solve [1, 2] + [3, 4]", "Sort {3, 1}")


def test_parse_list_survives_deep_nesting_and_long_lines() -> None:
    assert parse_list("[" * 20_000) == ()
    assert parse_list("- " + "a " * 50_000) == (" ".join(["a"] * 50_000),)


def test_parse_list_gives_nothing_that_utf8_can_not_write() -> None:
    assert parse_list(r'["optics", "\ud83d broken"]') == ("optics",)
