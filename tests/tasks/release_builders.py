"""Small records and the inputs of a release made of them; imported by the tests of validation, release, card and report."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from infra.storage import write_records
from schemas.model_card import load_card
from schemas.recipe import Recipe
from schemas.records import (
    Conversation,
    Drop,
    Lineage,
    Message,
    ModelUse,
    Preference,
    Prompt,
    Provenance,
    Scores,
    Source,
    conversation_id,
    drop_record,
    preference_id,
    prompt_id,
)
from schemas.run import ShardReport, StageReport
from tasks.release.inputs import ReleaseInputs

REHEARSAL = ("rehearsal-instruct", "apache-2.0")
NVIDIA = ("nemotron-4-340b-instruct", "nvidia-open-model-2024-06")
LLAMA = ("llama-3.1-nemotron-70b-reward", "nvidia-open-model-2024-06 AND llama-3.1-community")


def a_provenance(*models: tuple[str, str], rehearsal: bool = False, sources: tuple[Source, ...] = ()) -> Provenance:
    uses = tuple(ModelUse("responder", model, "1", licence, "triton/ensemble", 512, 0.8, seed=2**63 + 1) for model, licence in models or (NVIDIA,))
    return Provenance("f" * 32, rehearsal, uses, sources)


def a_prompt(number: int = 0, **changes: Any) -> Prompt:
    turns = changes.get("messages", (Message("user", f"Question {number}?"),))
    fields = {"technique": "open_qa", "category": "general", "messages": turns, "reference": None, "lineage": Lineage(), "provenance": a_provenance()}
    return Prompt(**{"prompt_id": prompt_id("open_qa", turns), **fields, **changes})


def a_conversation(number: int = 0, sample: int = 0, **changes: Any) -> Conversation:
    asked = a_prompt(number)
    messages = changes.get("messages", (*asked.messages, Message("assistant", f"Answer {sample} to question {number}, in {'many ' * number}words.")))
    fields: dict[str, Any] = {
        "conversation_id": conversation_id(asked.prompt_id, "answer", sample, messages),
        "prompt_id": asked.prompt_id,
        "technique": "open_qa",
        "category": "general",
        "response": "answer",
        "sample_index": sample,
        "prompt_turns": 1,
        "messages": messages,
        "finish_reason": "stop",
        "finish_reason_inferred": False,
        "prompt_tokens": 5,
        "completion_tokens": 10 + number,
        "tokens_inferred": False,
        "scores": Scores(4.0 - sample, "weights", 3.0, 3.0, 3.5, 2.0 + sample / 10, 1.0),
        "verdict": None,
        "reference": None,
        "lineage": Lineage(),
        "provenance": a_provenance(),
    }
    return Conversation(**{**fields, **changes})


def a_pair(number: int = 0, **changes: Any) -> Preference:
    better, worse = a_conversation(number, 0), a_conversation(number, 1)
    fields: dict[str, Any] = {
        "preference_id": preference_id(better.conversation_id, worse.conversation_id),
        "prompt_id": better.prompt_id,
        "technique": "open_qa",
        "category": "general",
        "prompt": better.messages[:1],
        "chosen": better.messages[1:],
        "rejected": worse.messages[1:],
        "chosen_id": better.conversation_id,
        "rejected_id": worse.conversation_id,
        "chosen_scores": better.scores,
        "rejected_scores": worse.scores,
        "margin": 1.0,
        "judge": "reward_margin",
        "chosen_verdict": None,
        "rejected_verdict": None,
        "reference": None,
        "lineage": Lineage(),
        "provenance": a_provenance(),
    }
    return Preference(**{**fields, **changes})


def a_recipe(**changes: Any) -> Recipe:
    given: dict[str, Any] = {
        "name": "small",
        "title": "A small set",
        "models": {"writer": "nemotron-4-340b-instruct", "responder": "nemotron-4-340b-instruct"},
        "prompts": [{"technique": "open_qa"}],
        "responses": [{"technique": "answer", "samples": 3}],
        "filters": [{"filter": "too_short"}],
        "release": {"validation": 0.3, "rows_per_file": 4},
    }
    return Recipe.model_validate({**given, **changes})


def some_inputs(data: Path, *, prompts: int = 10, cut: int = 3, run_id: str = "run0", version: str = "v1", **changes: Any) -> ReleaseInputs:
    """Ten prompts with three answers each: one taught and chosen, one rejected, one filtered out."""
    sft = changes.pop("sft", [a_conversation(number, 0) for number in range(prompts)])
    pairs = changes.pop("pairs", [a_pair(number) for number in range(prompts)])
    lost = [a_conversation(number, 2) for number in range(prompts)]
    drops = [drop_record(one, stage="filter", reason="too_short" if number % 3 else "near_duplicate", detail="3 words") for number, one in enumerate(lost)]
    asked = [a_prompt(number) for number in range(prompts)]
    folder = data / "runs" / run_id
    scored = [a_conversation(number, sample) for number in range(prompts) for sample in range(3)]
    parts = {
        "sft": write_parts(folder / "sft", sft, Conversation, cut),
        "preferences": write_parts(folder / "preferences", pairs, Preference, cut),
        "prompts": write_parts(folder / "prompts", asked, Prompt, cut),
        "dropped": write_parts(folder / "dropped", drops, Drop, cut),
    }
    given: dict[str, Any] = {
        "data": data,
        "run_id": run_id,
        "fingerprint": "f" * 32,
        "name": "small",
        "version": version,
        "recipe": a_recipe(),
        "recipe_text": "name: small  # as given\n",
        "rehearsal": False,
        "cards": {"responder": load_card("nemotron-4-340b-instruct")},
        "engines": {"nemotron-4-340b-instruct": {"kind": "triton/ensemble", "server": "triton 2.51.0", "address": "grpc://inner-host:8001/ensemble"}},
        "stages": some_stages(prompts, dict(Counter(drop.reason for drop in drops))),
        "parts": parts,
        "scored": write_parts(folder / "score", scored, Conversation, cut),
        "started_at": "2026-11-23T10:00:00+00:00",
    }
    return ReleaseInputs(**{**given, **changes})


def some_stages(prompts: int, filtered: dict[str, int]) -> tuple[StageReport, ...]:
    asked, kept = prompts * 3, prompts * 2
    through = ShardReport(prompts, prompts)
    return (
        StageReport("prompts/0-open_qa/0-topics", 1, 1, ShardReport(prompts, prompts, calls=1, completion_tokens=30, seconds=0.5)),
        StageReport("prompts/0-open_qa/1-questions", 1, 1, through),
        StageReport("screen", 1, 1, through),
        StageReport("responses", 2, 2, ShardReport(asked, asked, calls=asked, prompt_tokens=5 * asked, completion_tokens=400, seconds=2.0)),
        StageReport("score", 2, 2, ShardReport(asked, asked, calls=asked - 1, reused=1)),
        StageReport("filter", 2, 2, ShardReport(asked, kept, filtered)),
        StageReport("dedup", 2, 2, ShardReport(kept, kept)),
        StageReport("pair", 2, 2, ShardReport(kept, kept)),
    )


def write_parts(folder: Path, records: Sequence[Any], record: type, cut: int) -> tuple[Path, ...]:
    """Write records as `cut` files, every cut-th record in each."""
    paths = tuple(folder / f"part-{number:05d}.parquet" for number in range(cut))
    for number, path in enumerate(paths):
        write_records(path, records[number::cut], record)
    return paths


def data_bytes(release: Path) -> dict[str, bytes]:
    """Read a release's data files."""
    return {str(path.relative_to(release)): path.read_bytes() for path in _parquet(release)}


def _parquet(release: Path) -> Iterable[Path]:
    return sorted(release.rglob("*.parquet"))
