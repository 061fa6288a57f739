"""A seeded corpus of real sentences with labelled near-copies, for the dedup benchmark.

Documents are drawn from a pool of sentences (t0, SQuAD 2, GSM8K), so that unrelated ones share a sentence now and then, as real ones do. About a
fifth are copies of another document with words replaced, dropped, inserted or swapped at a set rate, or only re-spaced and re-cased.
"""

import gzip
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COPY_SHARE = 0.22
EDIT_RATES = (0.0, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)
"""Shares of words edited. With shingles of 5 words they give Jaccard similarities from 1 down to about 0.6."""
MEAN_SENTENCES, SPREAD = 2.83, 0.6
"""Of the log-normal number of sentences: documents of 1.8 KB on average."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Document:
    """One document and what it was made from."""

    text: str
    family: int
    """Documents of one family are a document and its copies."""
    rate: float | None
    """Share of words edited; None for an original."""


def make_corpus(data: Path, documents: int, seed: int = 1, *, sentences: list[str] | None = None) -> list[Document]:
    """Make a corpus of distinct texts in random order; `sentences` are `read_sentences`', where they are at hand."""
    rng = random.Random(seed)
    sentences = sentences or read_sentences(data)
    words = sorted({word for sentence in sentences for word in sentence.split()})
    made: list[Document] = []
    while len(made) < documents:
        if made and rng.random() < COPY_SHARE:
            first = rng.choice(made)
            rate = rng.choice(EDIT_RATES)
            made.append(Document(edit(first.text, rate, words, rng), first.family, rate))
        else:
            drawn = rng.sample(sentences, max(1, round(rng.lognormvariate(MEAN_SENTENCES, SPREAD))))
            made.append(Document(" ".join(drawn), len(made), None))
    made = list({one.text: one for one in made}.values())
    rng.shuffle(made)
    return made


def edit(text: str, rate: float, words: list[str], rng: random.Random) -> str:
    """Edit a share of a text's words; at rate 0 only its case and spaces."""
    if rate == 0:
        return "  ".join(word.upper() if rng.random() < 0.1 else word for word in text.split(" ")) + "\n"
    edited = text.split(" ")
    for _ in range(max(1, round(rate * len(edited)))):
        place = rng.randrange(len(edited))
        match rng.randrange(4):
            case 0:
                edited[place] = rng.choice(words)
            case 1:
                edited.insert(place, rng.choice(words))
            case 2 if len(edited) > 1:
                edited.pop(place)
            case _:
                other = rng.randrange(len(edited))
                edited[place], edited[other] = edited[other], edited[place]
    return " ".join(edited)


def read_sentences(data: Path) -> list[str]:
    """Read distinct sentences of 4 to 60 words."""
    split = (" ".join(sentence.split()) for text in _texts(data) for sentence in _SENTENCE_END.split(text))
    return sorted({sentence for sentence in split if 4 <= sentence.count(" ") + 1 <= 60})


def _texts(data: Path) -> Iterator[str]:
    with gzip.open(data / "t0_prompt_completion.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["prompt"] + "\n" + row["completion"]
    for name, columns in (("squad2_contexts.jsonl", ("context",)), ("gsm8k_train.jsonl", ("question", "answer"))):
        for line in (data / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield "\n".join(row[column] for column in columns)
