"""Requests drawn from a base model: a few examples, numbered, and the model goes on with the list. Raw-prompt engines only.

A base model has read what people ask, and no alignment has narrowed it. The examples are drawn anew for every call, out of a file of yours
or out of those here, so that calls differ in what they lead on to. A request that repeats an example is dropped.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from schemas.engine import Sampling
from schemas.errors import RecipeError
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Lineage, Source, WorkItem, item_id
from tasks.craft.made import as_request, derive_prompt, first_item
from tasks.craft.seedtexts import SeedText, SeedTexts, count_texts, read_texts, text_files
from tasks.craft.wording import drop_text, fault_in_request, fault_in_text
from tasks.technique import Ask, GoOn, Made, Opening, Step, Told

NAME = "base_continuation"

_EXAMPLES = (
    "My bread comes out dense although I follow the recipe. What are the three likeliest causes, and how do I tell which one it is?",
    "Write a short letter to my landlord that asks for the heating to be repaired before the first frost.",
    "Explain what a confidence interval is to somebody who has never had statistics, with an example from a bakery.",
    "I have 40 minutes, two eggs, rice and a tin of tomatoes. What can I cook for three people?",
    "Turn these notes into a table with a column for the date, one for the place and one for the price: Mon Oslo 120, Wed Bergen 95, Fri Bergen 80.",
    "What is the difference between weather and climate? Answer in two sentences.",
    "Write a Python function that returns the second largest number of a list, and say what it does with a list of one.",
    "Give me five names for a bicycle repair shop that also sells coffee, and say in a word or two what each one suggests.",
    "Summarise the argument for and against four-day working weeks, three points each.",
    "A train leaves at 9:40 and takes 2 hours and 35 minutes. When does it arrive if it loses 12 minutes on the way?",
    "Put this into polite, plain English: we can not do nothing about you're order till the parts is here.",
    "Plan a week of evening walks for somebody who is getting over a knee injury, and say when to stop.",
    "Who was Ada Lovelace, and why do people still argue about what she contributed?",
    "Tell a story of about 150 words in which a lighthouse keeper receives a letter meant for somebody else.",
    "Which questions should I ask before I sign the contract for a used car?",
    "Classify each of these as fruit or vegetable in a cook's sense: tomato, rhubarb, cucumber, plum.",
)
_LEAD = "A list of requests that people have sent to an assistant. Each is complete in itself, and each is about something else."
_MARK = re.compile(r"\n\s*Request \d+:")


class Options(Strict):
    """How many, and after which examples."""

    continuations: int = Field(10, ge=1)
    """Calls, each with examples of its own."""
    requests: int = Field(4, ge=1)
    """Requests taken from each continuation."""
    shots: int = Field(6, ge=1)
    """Examples before each continuation."""
    examples: SeedTexts | None = None
    """Examples of your own, in place of those here: `path`, `column`, `source`, `licence`, `limit`."""
    words: int = Field(3, ge=1)
    """Fewest words of a request; shorter ones are dropped."""
    category: str = Field("base_continuation", min_length=1)
    """The prompts' category in the release."""
    sampling: SamplingOptions = SamplingOptions(max_tokens=768)
    """How the base model samples."""


def files(options: Options, folder: Path) -> tuple[Path, ...]:
    """Name the files whose bytes are part of the run's identity."""
    return text_files(options.examples, folder) if options.examples else ()


def items(options: Options, folder: Path) -> int:
    """Check the examples, and count the continuations."""
    there = count_texts(options.examples, folder) if options.examples else len(_EXAMPLES)
    if options.shots > there:
        raise RecipeError(f"shots is {options.shots}, but there are {there} examples")
    return options.continuations


def start(options: Options, opening: Opening) -> Iterator[WorkItem]:
    """Give a work item for each continuation: its value is the raw prompt, with examples drawn for it."""
    plain, examples = first_item(NAME, opening), _examples(options, opening.folder)
    sources = (Source(options.examples.source, options.examples.licence),) if options.examples else ()
    for number in range(options.continuations):
        shots = random.Random(derive_seed(NAME, opening.seed, number)).sample(examples, options.shots)
        lineage = Lineage(seeds=tuple(shot.name for shot in shots) if options.examples else (f"continuation:{number}",))
        value = _raw_prompt([shot.text for shot in shots])
        provenance = replace(plain.provenance, sources=sources)
        yield replace(plain, item_id=item_id(NAME, number, value, lineage), value=value, lineage=lineage, provenance=provenance)


async def go_on(item: WorkItem, options: Options, ask: Ask) -> Made:
    """Let the base model go on with the list, and take its first requests."""
    told = await ask("base", GoOn(item.value), _sampling(options), label="continue")
    found = [" ".join(piece.split()) if "\n" not in piece.strip() else piece.strip() for piece in _MARK.split(told.completion.text)]
    cut_off = len(found) - 1 if told.completion.finish_reason == "length" else -1
    known, out, drops = {" ".join(one.split()).casefold() for one in _shots(item.value)}, [], []
    for nth in range(options.requests):
        text = found[nth] if nth < len(found) else ""
        fault = _fault(text, known, options, told, missing=nth >= len(found), cut_off=nth == cut_off)
        known.add(" ".join(text.split()).casefold())
        if fault:
            drops.append(drop_text(item, fault, told, detail=f"request {nth + 1} of a continuation", nth=nth))
        else:
            out.append(derive_prompt(item, as_request(text), category=options.category, uses=(told.use,)))
    return Made(tuple(out), tuple(drops))


def _fault(text: str, known: set[str], options: Options, told: Told, *, missing: bool, cut_off: bool) -> str | None:
    if missing:
        return fault_in_text(told) or "list_shortfall"
    if cut_off:
        return "truncated_prompt"
    if not text:
        return "empty_prompt"
    if " ".join(text.split()).casefold() in known:
        return "copied_example"
    return fault_in_request(text) or ("too_few_words" if len(text.split()) < options.words else None)


def _examples(options: Options, folder: Path) -> list[SeedText]:
    if options.examples is None:
        return [SeedText(str(number), text) for number, text in enumerate(_EXAMPLES)]
    return [replace(one, name=f"{options.examples.source}:{one.name}") for one in read_texts(options.examples, folder)]


def _raw_prompt(shots: list[str]) -> str:
    listed = "\n\n".join(f"Request {number}: {_MARK.sub(' ', shot)}" for number, shot in enumerate(shots, 1))
    return f"{_LEAD}\n\n{listed}\n\nRequest {len(shots) + 1}:"


def _shots(raw: str) -> list[str]:
    return [piece.strip() for piece in _MARK.split(raw)[1:]]


def _sampling(options: Options) -> Sampling:
    """Stop where the request after the last one that is wanted would begin."""
    sampling = options.sampling.sampling()
    return replace(sampling, stop=(*sampling.stop, f"\nRequest {options.shots + options.requests + 1}:"))


STEPS = (Step("continue", go_on, lambda o: o.requests, lambda o: 1, _sampling, role="base", raw=True),)
