import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.triton.rehearsal_language.replay import Replay, ReplayFileError, read_replays


def test_read_replays_joins_the_rows_of_a_question_in_file_order(tmp_path: Path) -> None:
    rows = [{"question": " Q ", "solution": "one", "model": "a"}, {"prompt": "P", "answers": ["x", "y"]}, {"question": "Q", "solution": "two", "model": "b"}]
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert read_replays([path]) == {"Q": ["one", "two"], "P": ["x", "y"]}


def test_read_replays_reads_the_recorded_gsm8k_solutions(shared_data: Path) -> None:
    recorded = read_replays([shared_data / "gsm8k_model_solutions.jsonl.gz"])
    assert sum(map(len, recorded.values())) == 2736
    assert {len(answers) for answers in recorded.values()} == {4}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"rows\.jsonl, line 2: not JSON"),
        ('{"prompt": "P"}', r"line 2: expected"),
        ('{"prompt": "P", "answers": []}', r"line 2: expected"),
        ('{"prompt": "P", "answers": [1]}', r"line 2: expected"),
        ('["P"]', r"line 2: expected"),
    ],
    ids=["json", "no answers", "empty", "number", "list"],
)
def test_read_replays_names_the_wrong_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "rows.jsonl").write_text(f'{{"question": "Q", "solution": "one"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ReplayFileError, match=message):
        read_replays([tmp_path / "rows.jsonl"])


def test_read_replays_refuses_what_is_not_gzip(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl.gz").write_bytes(b"plain")
    with pytest.raises(ReplayFileError, match="can't read the replay file"):
        read_replays([tmp_path / "rows.jsonl.gz"])


@given(st.lists(st.integers(0, 2**63 - 1), unique=True, min_size=4, max_size=4), st.permutations(range(4)))
def test_replay_gives_four_samples_the_four_answers_in_any_order_and_again_on_retry(seeds: list[int], order: list[int]) -> None:
    replay = Replay({"Q": ["a", "b", "c", "d"]})
    first = {seeds[index]: replay.answer("Q", seeds[index]) for index in order}
    assert sorted(map(str, first.values())) == ["a", "b", "c", "d"]
    assert {seed: replay.answer(" Q\n", seed) for seed in seeds} == first


def test_replay_goes_round_and_knows_no_other_prompts() -> None:
    replay = Replay({"Q": ["a", "b"]})
    assert [replay.answer("Q", seed) for seed in (9, 8, 7, 9)] == ["a", "b", "a", "a"]
    assert replay.answer("R", 9) is None
