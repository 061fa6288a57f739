"""The rows that flow through a run, and the rows that are published.

Every record is frozen; a step returns new ones (`dataclasses.replace`). Ids are content hashes, stable across runs and machines.
No record carries a clock time: those are in the ledger and the manifest, so that a resumed run's files equal an undisturbed one's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import orjson

from schemas.contract import Float32, Id, Int32, NonEmpty, OneOf, Range, UInt64, Unique, to_row
from schemas.identity import content_id

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
RecordKind = Literal["item", "prompt", "conversation", "preference"]

PersonalKind = Literal["access_key", "email_address", "bank_account", "payment_card", "social_security_number", "ip_address", "phone_number"]

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
"""HelpSteer2's five attributes, in the order in which reward models give them."""

STAGES = ("prompts", "screen", "responses", "score", "filter", "dedup", "pair", "validate", "publish")
"""The stages of a run, in order."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn."""

    role: Annotated[str, OneOf(("system", "user", "assistant"))]
    content: Annotated[str, NonEmpty()]


Messages = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model's hand in a row: which role it played, under which licence, asked how."""

    role: Annotated[str, NonEmpty()]
    """The recipe's role: writer, responder, user, reward, …"""
    model: Annotated[str, NonEmpty()]
    revision: str
    licence: Annotated[str, NonEmpty()]
    engine: str
    """The wire and dialect that served it, for example `triton/ensemble`."""
    max_tokens: Int32 | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Int32 | None = None
    seed: UInt64 | None = None
    licence_version: str = ""
    """The dates or numbers of the licences' texts, in the order of `licence`."""
    reasoning: bool | None = None
    """Whether the model was told to reason first, or not to; null where it was told nothing of the kind."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a seed came from, and on what terms."""

    name: Annotated[str, NonEmpty()]
    licence: Annotated[str, NonEmpty()]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a row comes from. Merged, never overwritten, from step to step."""

    recipe: Annotated[str, NonEmpty()]
    """The recipe's fingerprint: the run's identity."""
    rehearsal: bool
    models: tuple[ModelUse, ...] = ()
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a row was made from."""

    seeds: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    """From the broadest topic to the narrowest."""
    parent: str | None = None
    """The prompt that this one was derived from."""
    parents: tuple[str, ...] = ()
    """All of them, where an evolution took more than one."""
    operator: str | None = None
    """How it was derived: `depth`, `breadth`, `crossover`, `mutation`, …"""
    generation: Int32 | None = None
    """Steps of evolution between the seed and this row."""
    colony: Int32 | None = None
    """The population that it evolved in."""
    unsafe: bool = False
    """The seed's own source flags it as unsafe: preference data only."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known of the right answer."""

    verifier: Annotated[str, NonEmpty()]
    """Name of the module in tasks/verifiers/ that can judge an answer by it."""
    value: str
    """The answer itself, or JSON where the verifier takes more than a string."""
    origin: Annotated[str, OneOf(("given", "majority"))] = "given"
    """`given` with the prompt, or `majority`: what most samples said, where nobody knew."""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How often the samples of a prompt were right, before any of them was filtered out."""

    pass_rate: Float32
    samples: Int32
    """How many were judged."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """One time that a language model was asked to judge answers."""

    order: tuple[str, ...]
    """Ids of the answers, in the order in which it was shown them."""
    verdict: str
    """What its words came to: the id of the better answer, `tie`, `unreadable`; a rating for each answer from a rubric."""
    raw: str
    """Its words."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier found, with its evidence."""

    verifier: str
    passed: bool
    expected: str
    found: str | None
    """What was read from the answer; null where nothing could be read."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Scores:
    """A reward model's opinion. One-number models leave the attributes null."""

    reward: Float32
    """One number; `reduction` says how it was made."""
    reduction: Annotated[str, NonEmpty()]
    helpfulness: Annotated[Float32, Range(0, 4, warn=True)] | None = None
    correctness: Annotated[Float32, Range(0, 4, warn=True)] | None = None
    coherence: Annotated[Float32, Range(0, 4, warn=True)] | None = None
    complexity: Annotated[Float32, Range(0, 4, warn=True)] | None = None
    verbosity: Annotated[Float32, Range(0, 4, warn=True)] | None = None


@dataclass(frozen=True, slots=True)
class Redaction:
    """What placeholders stand for in one part of a row."""

    kind: Annotated[str, OneOf(get_args(PersonalKind))]
    where: Annotated[str, OneOf(("prompt", "answer", "chosen", "rejected", "reference"))]
    """The last turn and the thoughts before it are the `answer`, all earlier turns and what they come from the `prompt`."""
    count: Annotated[Int32, Range(1, 1_000_000)]


@dataclass(frozen=True, slots=True)
class Prompt:
    """A request to be answered: one turn or several, the last from the user."""

    prompt_id: Annotated[Id, Unique()]
    technique: Annotated[str, NonEmpty()]
    category: Annotated[str, NonEmpty()]
    messages: Annotated[tuple[Message, ...], NonEmpty()]
    reference: Reference | None
    lineage: Lineage
    provenance: Provenance
    difficulty: Difficulty | None = None
    """Known once its answers were judged."""
    redacted: tuple[Redaction, ...] = ()
    """Personal data that stands as placeholders."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt with an answer: `messages` ends with the assistant."""

    conversation_id: Annotated[Id, Unique()]
    prompt_id: Id
    technique: Annotated[str, NonEmpty()]
    category: Annotated[str, NonEmpty()]
    response: Annotated[str, NonEmpty()]
    """Name of the response technique: answer, dialogue, …"""
    sample_index: Annotated[Int32, Range(0, 1_000_000)]
    prompt_turns: Annotated[Int32, Range(1, 1_000_000)]
    """How many leading messages are the prompt; the rest was generated."""
    messages: Annotated[tuple[Message, ...], NonEmpty()]
    finish_reason: Annotated[str, OneOf(("stop", "length"))]
    finish_reason_inferred: bool
    prompt_tokens: Annotated[Int32, Range(0, 10_000_000)]
    completion_tokens: Annotated[Int32, Range(0, 10_000_000)]
    tokens_inferred: bool
    scores: Scores | None
    verdict: Verdict | None
    reference: Reference | None
    lineage: Lineage
    provenance: Provenance
    gate: str | None = None
    """Name of the filter that bars this row from SFT and from being chosen; it may still be a pair's rejected side."""
    reasoning: str | None = None
    """What the model thought before its last answer, where its card says how to tell that from the answer."""
    difficulty: Difficulty | None = None
    redacted: tuple[Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class Preference:
    """Two answers to one prompt, the better one chosen. Readable by DPO trainers as it is."""

    preference_id: Annotated[Id, Unique()]
    prompt_id: Id
    technique: Annotated[str, NonEmpty()]
    category: Annotated[str, NonEmpty()]
    prompt: Annotated[tuple[Message, ...], NonEmpty()]
    chosen: Annotated[tuple[Message, ...], NonEmpty()]
    rejected: Annotated[tuple[Message, ...], NonEmpty()]
    chosen_id: Id
    rejected_id: Id
    chosen_scores: Scores | None
    rejected_scores: Scores | None
    margin: Float32 | None
    """chosen reward − rejected reward; null where no reward model was asked. A ground-truth pair's may be negative."""
    judge: Annotated[str, NonEmpty()]
    chosen_verdict: Verdict | None
    rejected_verdict: Verdict | None
    reference: Reference | None
    lineage: Lineage
    provenance: Provenance
    hearings: tuple[Hearing, ...] = ()
    """What a language model said where it was the judge: each time it was asked, in which order, and what it answered."""
    chosen_reasoning: str | None = None
    rejected_reasoning: str | None = None
    difficulty: Difficulty | None = None
    redacted: tuple[Redaction, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkItem:
    """What a prompt technique works on between its steps: a topic, a subtopic, a keyword."""

    item_id: Id
    technique: Annotated[str, NonEmpty()]
    step: Int32
    value: str
    """The topic itself, or JSON where a technique needs more."""
    lineage: Lineage
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Drop:
    """A record that did not make it, whole, with the reason."""

    drop_id: Annotated[Id, Unique()]
    stage: Annotated[str, OneOf(STAGES)]
    reason: Annotated[str, NonEmpty()]
    """The name of the filter or fault, in snake_case."""
    detail: str
    kind: Annotated[str, OneOf(("item", "prompt", "conversation", "preference"))]
    record_id: str
    record: str
    """The record as JSON."""
    raw: str | None = None
    """The engine's answer word for word, where the fault is in it."""
    points_to: str | None = None
    """The record kept in its place, or the benchmark row that it matches."""
    benchmark: str | None = None
    """Name of the benchmark of which it holds a text; `points_to` says which row."""
    ngram: str | None = None
    """The words that it shares with that row; null where the two resemble each other as wholes."""
    sample_index: Int32 | None = None
    """Which answer to its prompt it stands for, where an answer was lost."""
    similarity: Float32 | None = None
    rows: Annotated[Int32, Range(0, 2_000_000_000)] = 1
    """How many of the rows requested it stands for (a lost topic stands for all its questions)."""
    attempts: Annotated[Int32, Range(0, 1_000_000)] = 1
    """How often it was tried: calls for one list, or times that it was put through its stage (see tasks/requeue)."""


def prompt_id(technique: str, messages: Messages) -> str:
    """Name a prompt by its technique and turns."""
    return content_id("prompt", [technique, [[turn.role, turn.content] for turn in messages]])


def conversation_id(prompt: str, response: str, sample_index: int, messages: Messages) -> str:
    """Name a conversation by its prompt, how it was asked for, and its turns."""
    return content_id("conversation", [prompt, response, sample_index, [[turn.role, turn.content] for turn in messages]])


def preference_id(chosen: str, rejected: str) -> str:
    """Name a pair by its two conversations."""
    return content_id("preference", [chosen, rejected])


def item_id(technique: str, step: int, value: str, lineage: Lineage) -> str:
    """Name a work item by its technique, step, value and where it came from."""
    return content_id("item", [technique, step, value, _identifying(lineage)])


def _identifying(lineage: Lineage) -> dict[str, Any]:
    """Leave out what says nothing of the fields that came later: items from before, and the calls paid for them, keep their names."""
    return {name: value for name, value in to_row(lineage).items() if value or name in ("seeds", "topics", "parent")}


def drop_record(record: Any, *, stage: str, reason: str, **more: Any) -> Drop:
    """Make the drop of a record; `more` are further fields of `Drop`, `detail` defaulting to empty."""
    return drop_row(_kind_of(record), to_row(record), stage=stage, reason=reason, **more)


def drop_row(kind: RecordKind, row: Mapping[str, Any], *, stage: str, reason: str, **more: Any) -> Drop:
    """Make the same drop of a record that is a plain row still, as `to_row` or Arrow's `to_pylist` makes it."""
    record_id = row[f"{kind}_id"]
    unique = content_id("drop", [stage, reason, kind, record_id, more.pop("nth", 0)])
    return Drop(unique, stage, reason, more.pop("detail", ""), kind, record_id, record_json(row), **more)


def record_json(row: Mapping[str, Any]) -> str:
    """Write a record that is a plain row as the JSON that a drop keeps: sorted keys, no spaces; four times as fast as the standard library."""
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode()


def _kind_of(record: Any) -> RecordKind:
    match record:
        case WorkItem():
            return "item"
        case Prompt():
            return "prompt"
        case Conversation():
            return "conversation"
        case Preference():
            return "preference"
    raise TypeError(f"not a record: {type(record).__name__}")


def merge_provenance(first: Provenance, *others: Provenance) -> Provenance:
    """Join what touched several rows into what touched the one made of them; order kept, repeats dropped."""
    models = dict.fromkeys(use for one in (first, *others) for use in one.models)
    sources = dict.fromkeys(source for one in (first, *others) for source in one.sources)
    rehearsal = any(one.rehearsal for one in (first, *others))
    return Provenance(first.recipe, rehearsal, tuple(models), tuple(sources))
