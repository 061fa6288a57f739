"""A small release to export, with every kind of record that exports are careful of; imported by the tests of exports and of the command."""

import json
from pathlib import Path
from typing import Any

from schemas.records import Conversation, Message, Preference, Prompt, Reference
from tasks.release.export_rows import LeftOut, Rows
from tasks.release.exporting import ExportOptions, export_release, find_format
from tasks.release.publish import publish_release
from tests.tasks.release_builders import a_conversation, a_pair, a_prompt, some_inputs, write_parts


def a_release(data: Path, *, prompts: int = 10, **changes: Any) -> Path:
    """Publish a small release; the even prompts have a reference answer."""
    inputs = some_inputs(data, prompts=prompts, **changes)
    asked = [a_prompt(number, reference=None if number % 2 else Reference("final_number", f"So it is {number}.\n#### {number}")) for number in range(prompts)]
    write_parts(data / "runs" / inputs.run_id / "prompts", asked, Prompt, 3)
    return Path(publish_release(inputs).path)


def exported(release: Path, to: str, out: Path, **options: Any) -> dict[str, Any]:
    """Export, and give the manifest."""
    return export_release(release, find_format(to), out, ExportOptions(**options))


def rows_of(out: Path, name: str) -> list[dict[str, Any]]:
    """Read a data set's or a split's rows back."""
    return [json.loads(line) for path in sorted((out / name).rglob("part-*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]


def written(to: str, record: Conversation | Preference | Prompt) -> Rows | LeftOut:
    """Write one record in a format."""
    data_set = {Conversation: "sft", Preference: "preferences", Prompt: "prompts"}[type(record)]
    return find_format(to).reads[data_set](record)


def one_row(to: str, record: Conversation | Preference | Prompt) -> dict[str, Any]:
    """Write one record that becomes one row."""
    rows = written(to, record)
    assert isinstance(rows, list), rows
    assert len(rows) == 1
    return rows[0]


def a_dialogue(**changes: Any) -> Conversation:
    """A conversation with a system turn and two rounds."""
    said = ("system", "Be brief."), ("user", "Why is the sky blue?"), ("assistant", "Light."), ("user", "How so?"), ("assistant", "It scatters.\n\nBlue most.")
    return a_conversation(1, messages=tuple(Message(role, text) for role, text in said), prompt_turns=2, **changes)


def a_followed_up_pair(**changes: Any) -> Preference:
    """A pair over a prompt of several turns."""
    whole = a_dialogue().messages
    return a_pair(1, **{"prompt": whole[:-1], "chosen": whole[-1:], "rejected": (Message("assistant", "Magic."),), **changes})
