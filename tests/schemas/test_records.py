"""Ids follow content, provenance only grows, drops keep the record."""

import json
from dataclasses import replace

from schemas.contract import from_row
from schemas.engine import as_messages
from schemas.records import Lineage, ModelUse, Prompt, Provenance, Source, drop_record, merge_provenance, prompt_id


def a_prompt(text: str = "Why is the sky blue?") -> Prompt:
    messages = as_messages(("user", text))
    return Prompt(prompt_id("open_qa", messages), "open_qa", "general", messages, None, Lineage(), Provenance("f", False))


def test_prompt_id_follows_content_alone() -> None:
    assert a_prompt().prompt_id == a_prompt().prompt_id
    assert a_prompt().prompt_id != a_prompt("Why is the sea blue?").prompt_id
    assert len(a_prompt().prompt_id) == 32


def test_drop_keeps_the_record_whole() -> None:
    prompt = a_prompt()
    drop = drop_record(prompt, stage="screen", reason="exact_duplicate", points_to="other")
    assert from_row(Prompt, json.loads(drop.record)) == prompt
    assert (drop.kind, drop.record_id, drop.points_to, drop.rows) == ("prompt", prompt.prompt_id, "other", 1)


def test_drop_ids_differ_by_reason_and_ordinal() -> None:
    prompt = a_prompt()
    ids = {drop_record(prompt, stage="screen", reason=reason, nth=nth).drop_id for reason in ("a", "b") for nth in (0, 1)}
    assert len(ids) == 4


def test_merged_provenance_keeps_every_hand_once() -> None:
    use = ModelUse("writer", "m", "1", "mit", "triton/ensemble")
    first = Provenance("f", False, (use,), (Source("a", "mit"),))
    second = Provenance("f", True, (use, replace(use, role="responder")), (Source("b", "mit"),))
    merged = merge_provenance(first, second)
    assert [one.role for one in merged.models] == ["writer", "responder"]
    assert [one.name for one in merged.sources] == ["a", "b"]
    assert merged.rehearsal
