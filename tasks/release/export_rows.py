"""What a format module looks like, what its rows are made of, and the checks that every row passes whatever the format.

A format (a module in tasks/exports/) offers one or more of

    from_sft(conversation)        -> list of rows | LeftOut
    from_preferences(pair)        -> list of rows | LeftOut
    from_prompts(prompt)          -> list of rows | LeftOut

each a pure function from a published record to rows of JSON. The first line of its docstring is its purpose. Rows of one data set have the same
keys and types always, as `datasets` guesses a file's columns from its beginning (NeMo Gym's differ by environment; its own loader reads them one by
one). A record that has no place in the format is a `LeftOut`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.licences import Licence, find_joined
from schemas.records import ATTRIBUTES, Conversation, Message, Messages, Preference, Prompt, Provenance, Scores
from tasks.craft.turns import estimate_tokens

TURN_MARKS = 8
"""Tokens that a chat template spends on the marks of a turn, by generous estimate."""

Published = Conversation | Preference | Prompt
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a record is not in an export."""

    reason: str
    """In snake_case; one of REASONS."""
    detail: str = ""


REASONS: Mapping[str, str] = {
    "llama_touched": "a model or source under a Llama licence had a hand in it, and --without-llama was given",
    "training_not_allowed": "a licence on it does not allow training",
    "empty_turn": "a turn has no text",
    "roles_do_not_alternate": "user and assistant do not take turns, or the last turn is not whose it must be",
    "chosen_equals_rejected": "both answers of the pair have the same text",
    "too_long": "it is longer than --max-tokens, by estimate",
    "missing_reward": "an answer has no reward, and the trainer would put a number of its own in its place",
    "rewards_contradict_choice": "the chosen answer has the lower reward: a trainer that aims at their distance would learn the reverse",
    "no_attribute_scores": "it has no scores by attribute, only one number or none",
    "several_turns_in_answer": "an answer of the pair is a conversation, and the format has room for one turn",
    "answer_begins_with_space": "the trainer's tokenizer would merge the answer's beginning with the end of the prompt",
    "not_verifiable": "no reference answer is known",
    "bad_reference": "the reference answer can't be put into the form that the environment expects",
}
"""Every reason for leaving a row out, and what it means."""


def turns(messages: Iterable[Message]) -> list[dict[str, str]]:
    """Write turns as role and content."""
    return [{"role": turn.role, "content": turn.content} for turn in messages]


def metadata(record: Published) -> dict[str, Any]:
    """Say of a row where it comes from, for formats with room for it: its id, what made it, under which licences, and whether it is a rehearsal's."""
    return {
        "id": record_id(record),
        "technique": record.technique,
        "category": record.category,
        "rehearsal": record.provenance.rehearsal,
        "licences": sorted({licence.id for licence in licences_of(record.provenance)}),
    }


def record_id(record: Published) -> str:
    """Give a record's own id."""
    match record:
        case Conversation():
            return record.conversation_id
        case Preference():
            return record.preference_id
        case Prompt():
            return record.prompt_id


def licences_of(provenance: Provenance) -> list[Licence]:
    """List the licences of every model and source that touched a row. Raises RecipeError for an unknown one."""
    return [licence for _, joined in _hands(provenance) for licence in find_joined(joined)]


def _hands(provenance: Provenance) -> list[tuple[str, str]]:
    """Give the name and licence of each model and source, whatever its role, once."""
    models, sources = ((use.model, use.licence) for use in provenance.models), ((source.name, source.licence) for source in provenance.sources)
    return list(dict.fromkeys((*models, *sources)))


def is_llama(licence: Licence) -> bool:
    """Whether a licence asks that a model trained on the data be named for Llama."""
    return (licence.model_name_prefix or "").startswith("Llama")


def exact(number: float) -> float:
    """Give a 32-bit float the shortest decimal that reads back as it, instead of the 17 digits of its 64-bit twin."""
    return float(str(np.float32(number)))


def attributes_of(scores: Scores | None) -> dict[str, float | None]:
    """Give a row's scores by attribute, null where there is none."""
    found = {name: getattr(scores, name, None) for name in ATTRIBUTES}
    return {name: None if value is None or not math.isfinite(value) else exact(value) for name, value in found.items()}


def whole_grade(value: float) -> int:
    """Bring a score to HelpSteer2's scale of whole numbers from 0 to 4, halves upwards."""
    return min(4, max(0, math.floor(value + 0.5)))


def reward_of(scores: Scores | None) -> float | None:
    """Give an answer's reward, null where there is none or it is no number."""
    return exact(scores.reward) if scores is not None and math.isfinite(scores.reward) else None


def fold_system(messages: Messages) -> Messages:
    """Put a system turn's text before the first user turn's, for formats that know no system turn."""
    if len(messages) < 2 or messages[0].role != "system":
        return messages
    system, first, *rest = messages
    return (Message(first.role, f"{system.content}\n\n{first.content}"), *rest)


def check_record(record: Published, *, without_llama: bool = False, max_tokens: int | None = None) -> LeftOut | None:
    """Check what holds of a row in every format: licences, turns, a difference between the answers, length."""
    return _check_licences(record, without_llama) or _check_texts(record) or _check_length(record, max_tokens)


def _texts(record: Published) -> tuple[Messages, ...]:
    """Give the texts that a trainer would see: one conversation, or a pair's two."""
    if isinstance(record, Preference):
        return (record.prompt + record.chosen, record.prompt + record.rejected)
    return (record.messages,)


def _check_licences(record: Published, without_llama: bool) -> LeftOut | None:
    llama = [name for name, joined in _hands(record.provenance) if any(map(is_llama, find_joined(joined)))]
    if without_llama and llama:
        return LeftOut("llama_touched", ", ".join(llama))
    barred = [licence.id for licence in licences_of(record.provenance) if not licence.training_allowed]
    return LeftOut("training_not_allowed", ", ".join(barred)) if barred else None


def _check_texts(record: Published) -> LeftOut | None:
    last = "user" if isinstance(record, Prompt) else "assistant"
    for messages in _texts(record):
        fault = _check_turns(messages, last)
        if fault:
            return fault
    if isinstance(record, Preference):
        if record.prompt[-1].role != "user":
            return LeftOut("roles_do_not_alternate", f"the prompt ends with {record.prompt[-1].role!r}")
        if _stripped(record.chosen) == _stripped(record.rejected):
            return LeftOut("chosen_equals_rejected")
    return None


def _stripped(messages: Messages) -> list[str]:
    return [turn.content.strip() for turn in messages]


def _check_turns(messages: Messages, last: str) -> LeftOut | None:
    empty = [number for number, turn in enumerate(messages, 1) if not turn.content.strip()]
    if empty:
        return LeftOut("empty_turn", f"turn {empty[0]}")
    spoken = [turn.role for turn in (messages[1:] if messages and messages[0].role == "system" else messages)]
    if not spoken or spoken[-1] != last or any(role != ("user", "assistant")[number % 2] for number, role in enumerate(spoken)):
        return LeftOut("roles_do_not_alternate", " ".join(turn.role for turn in messages))
    return None


def _check_length(record: Published, most: int | None) -> LeftOut | None:
    if most is None:
        return None
    longest = max(sum(TURN_MARKS + estimate_tokens(turn.content) for turn in messages) for messages in _texts(record))
    return LeftOut("too_long", f"about {longest} tokens, {most} allowed") if longest > most else None
