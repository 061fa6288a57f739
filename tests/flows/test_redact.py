"""Personal data in a run's seeds: nowhere in its release, and nothing paid twice for putting it out of sight."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.harness import Factory, data_files, served_keys

pytestmark = [pytest.mark.triton, pytest.mark.slow]

RECIPE = """
name: private
models: {writer: rehearsal-instruct, responder: rehearsal-instruct, user: rehearsal-instruct, reward: rehearsal-reward}
prompts:
  - {technique: seeds, path: seeds.jsonl, source: tests, licence: cc0-1.0, columns: {prompt: prompt}}
responses:
  - {technique: answer, samples: 4}
  - {technique: dialogue, samples: 1, user_turns: 2}
pairs: {strategy: best_worst, judges: [{judge: reward_margin, min_margin: 0.01}]}
shard_records: 4
"""
SECRETS = ["jane.doe@firm.de", "+44 20 7946 0958", "219-09-4567"]
PLACEHOLDERS = ["[EMAIL_ADDRESS]", "[PHONE_NUMBER]", "[SOCIAL_SECURITY_NUMBER]"]


def test_personal_data_is_nowhere_in_a_release_and_costs_no_call(factory: Factory, tmp_path: Path, call_log: Path) -> None:
    subjects = ["glaciers", "bread", "copper wire", "tides", "violins", "rent", "bees", "maps"]
    prompts = [f"Explain {one} to {SECRETS[number % 3]} in a few sentences." for number, one in enumerate(subjects)]
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in [*prompts, prompts[0].upper()]), encoding="utf-8")
    plain, redacting = tmp_path / "plain.yaml", tmp_path / "redacting.yaml"
    plain.write_text(RECIPE, encoding="utf-8")
    redacting.write_text(RECIPE + "redact: {}\n", encoding="utf-8")
    shown = factory.call("run", str(plain), "--json")
    assert shown.code == 0, shown.err
    paid = len(served_keys(call_log))
    done = factory.call("run", str(redacting), "--json")
    assert done.code == 0, done.err
    assert len(served_keys(call_log)) == paid
    open_text, hidden_text = (words_of(Path(one.json["path"])) for one in (shown, done))
    assert all(one in open_text for one in SECRETS)
    for one in SECRETS:
        assert one.lower() not in hidden_text.lower()
    assert all(one in hidden_text for one in PLACEHOLDERS)
    release = Path(done.json["path"])
    for name in ("sft", "preferences", "prompts"):
        rows = pl.read_parquet(release / name / "**" / "*.parquet")
        assert rows.height
        assert rows["redacted"].list.len().min() == 1
    pairs = pl.read_parquet(release / "preferences" / "**" / "*.parquet")
    assert all("[" in row["prompt"][-1]["content"] for row in pairs.to_dicts())
    assert data_files(release).keys() >= {"dropped/part-00000.parquet"}


def words_of(release: Path) -> str:
    """All that a release says, Parquet decoded."""
    documents = (path for path in sorted(release.rglob("*")) if path.is_file() and path.suffix != ".parquet")
    tables = (pl.read_parquet(path) for path in sorted(release.rglob("*.parquet")) if path.parent.name != "index")
    rows = (json.dumps(table.to_dicts(), default=str, ensure_ascii=False) for table in tables)
    return "\n".join([*(path.read_text(encoding="utf-8") for path in documents), *rows])
