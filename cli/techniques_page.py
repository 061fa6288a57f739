"""Writes docs/techniques.md out of the modules found and of a rehearsal's release: `python -m cli.techniques_page docs RELEASE` (`make techniques`).

What a technique makes, from what, its options, the report's size, and a row that it made: nothing of it is written by hand but the sizes below.
`make docs` brings everything but the examples up to date, and keeps those.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.discovery import ModuleDoc

_SIZES = {
    "open_qa": "3,000 topics; every question revised",
    "writing": "the same topics times kinds of text; every task revised",
    "closed_qa": "documents of C4; no number given",
    "math": "17,000 keywords, with those of `entities`",
    "entities": "part of 17,000 keywords of mathematics and 12,000 of Python",
    "coding": "12,000 keywords of Python, with those of `entities`",
    "genetic_instruct": "some 800,000 samples of code, after dedup and filtering",
    "two_turn": "ShareGPT's first turns, for preferences; no number given",
    "instruction_following": "random synthetic prompts with IFEval's constraints; no number given",
    "seeds": "LMSYS-Chat-1M, GSM8K, MATH; no number given",
    "dialogue": "three user turns, greedy; 200,000 conversations in the blend for SFT",
    "answer": "160,000 pairs for DPO, 300,000 for RPO",
}
"""What the Nemotron-4 340B report says of sizes; what is not here is no part of the report."""
_HEADS = {
    "prompts": "Ways to get prompts",
    "responses": "Ways to answer them",
    "judges": "Judges",
    "verifiers": "Verifiers",
}
_SIZED = ("prompts", "responses")
"""Kinds of which the report gives sizes."""
_LONGEST = 600
_SHORTEST = 110
_MARKED = re.compile(r"^(#{2,3} )", re.MULTILINE)
_SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_KEPT = re.compile(r"^### (\w+)\n(?:(?!^### ).)*?^```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_ORIGINS = {"drawn_from": "prompts that the recipe has written", "path": "a file of yours"}
"""An option of such a name says what a technique starts from."""


Example = Callable[[str, str], str]
"""Of a kind and a name: a row, or nothing."""


def page(example: Example) -> str:
    """Describe every technique, with an example each."""
    lines = [
        "# Techniques\n",
        "<!-- Written by `make techniques` from the code and from a rehearsal's release: change it there. -->\n",
        "The examples are rows of a release of `recipes/all-techniques.yaml` on the built-in rehearsal models, whose language is a small grammar: they show",
        "the form, and real models give it sense. Sizes are the Nemotron-4 340B report's. Options are explained in [recipes](recipes.md).\n",
    ]
    for kind, head in _HEADS.items():
        lines += [f"## {head}\n", *_table(kind, example), *_section(kind, example)]
    return "\n".join(lines).rstrip() + "\n"


def refreshed(path: Path) -> str:
    """Describe every technique anew, with the examples that a page has."""
    kept: dict[tuple[str, str], str] = {}
    kinds = {head: kind for kind, head in _HEADS.items()}
    for head, section in _SECTION.findall(path.read_text(encoding="utf-8") if path.exists() else ""):
        kept |= {(kinds.get(head, ""), name): text for name, text in _KEPT.findall(section)}
    return page(lambda kind, name: kept.get((kind, name), ""))


def _section(kind: Any, example: Example) -> Iterator[str]:
    from tasks.discovery import describe

    for doc in describe(kind):
        yield f"### {doc.name}\n\n{doc.purpose}\n"
        if kind == "prompts":
            yield f"- starts from {_origin(doc)}"
        if kind in ("prompts", "responses"):
            yield f"- in the report: {_SIZES.get(doc.name, 'not there')}"
        yield f"- options: {_keys(doc)}\n"
        shown = example(kind, doc.name)
        if shown:
            yield f"```text\n{shown}\n```\n"


def _table(kind: Any, example: Example) -> Iterator[str]:
    """Lay all of a kind out in one table."""
    from tasks.discovery import describe

    heads = ["name", "what it makes", *(("from", "in the report") if kind in _SIZED else ()), "recipe keys", "an example"]
    yield _row(heads)
    yield _row(["---"] * len(heads))
    for doc in describe(kind):
        tells = (_origin(doc) if kind == "prompts" else "a prompt", _SIZES.get(doc.name, "not there")) if kind in _SIZED else ()
        yield _row([f"[{doc.name}](#{doc.name})", doc.purpose, *tells, _keys(doc), _inline(example(kind, doc.name))])
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _keys(doc: "ModuleDoc") -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(option.name.partition(".")[0] for option in doc.options)) or "none"


def _inline(text: str) -> str:
    """Shorten an example to what a table bears."""
    plain = " ".join(text.replace("`", "'").split())
    return f"`{plain[:_SHORTEST]}{' …' if len(plain) > _SHORTEST else ''}`" if plain else ""


def _origin(doc: "ModuleDoc") -> str:
    names = {option.name for option in doc.options}
    return " or ".join(told for name, told in _ORIGINS.items() if name in names) or "nothing but the models"


def example_of(release: Path, kind: str, name: str) -> str:
    """Give the first row, in the order of ids, that a technique, judge or verifier had a hand in."""
    import polars as pl

    prompts, sft, pairs = (_rows(release, data_set) for data_set in ("prompts", "sft", "preferences"))
    if kind == "prompts" and prompts is not None:
        return _talk(prompts.filter(pl.col("technique") == name), "messages")
    if kind == "responses" and sft is not None:
        return _talk(sft.filter(pl.col("response") == name), "messages")
    if kind == "judges" and pairs is not None:
        found = pairs.filter(pl.col("judge") == name)
        return "\n".join(_talk(found, column) for column in ("prompt", "chosen", "rejected")).strip()
    if kind == "verifiers" and sft is not None:
        found = sft.filter(pl.col("verdict").struct.field("verifier") == name)
        return "" if found.is_empty() else "\n".join(f"{key}: {_short(str(value))}" for key, value in found["verdict"][0].items())
    return ""


def _rows(release: Path, data_set: str) -> Any:
    import polars as pl

    paths = sorted((release / data_set).rglob("*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in paths]) if paths else None


def _talk(found: Any, column: str) -> str:
    return "" if found.is_empty() else "\n".join(f"{turn['role']}: {_short(turn['content'])}" for turn in found[column][0])


def _short(text: str) -> str:
    plain = text.replace("```", "'''")
    plain = _MARKED.sub(r"\\\1", plain)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]} …"


if __name__ == "__main__":
    written = Path(sys.argv[1]) / "techniques.md"
    written.write_text(page(partial(example_of, Path(sys.argv[2]))), encoding="utf-8")
    print(f"wrote {written}")
