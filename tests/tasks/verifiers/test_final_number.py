import gzip
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.verifiers.final_number import find_final_number, verify


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("He has 3 + 4 = 7 apples.\n#### 7", 7),
        ("#### -1,234.50", Fraction(-2469, 2)),
        ("7 apples. The answer is 12. That took 3 steps.", 12),
        ("The answer is:\n\n**42**", 42),
        ("The answer is $3 + 4 = 7$ apples. I used 3 steps.", 7),
        ("Answer: 5 dollars, in 2 days", 5),
        ("She sells 5 a day.\nA: 90,000", 90_000),
        (r"So \boxed{1{,}234} of 5", 1234),
        (r"\boxed{\frac{3}{4}}", Fraction(3, 4)),
        (r"-\frac{1}{2}", Fraction(-1, 2)),
        ("3 1/2 cups", Fraction(7, 2)),
        ("3/4 of it", Fraction(3, 4)),
        ("It costs -$5", -5),
        ("It costs $-5.00", -5),
        ("about 50%", 50),
        ("x = .5", Fraction(1, 2)),
        ("1.5e3 km", 1500),
        ("from 10 to 10-5", 5),
        ("− 3 is wrong, −3 is right", -3),
        ("It is 12.", 12),
        ("1,2", 2),
        ("#### 7\nBut wait, 8 is closer.", 7),
        ("<<3*4=12>>12 eggs <<1+1=2>>", 12),
        ("The answer is unclear, maybe 6, maybe 8", 6),
    ],
)
def test_find_final_number_reads_what_a_text_ends_up_with(text: str, value: Fraction | int) -> None:
    found = find_final_number(text)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize("text", ["", "none", "1/0", "v1.2.3", "twelve", "9" * 5000])
def test_find_final_number_finds_nothing_where_there_is_none(text: str) -> None:
    assert find_final_number(text) is None


def test_verify_carries_its_evidence() -> None:
    verdict = verify("So she has 8 left.\n#### 1,008", "#### 1008.0")
    assert (verdict.verifier, verdict.passed, verdict.expected, verdict.found, verdict.detail) == ("final_number", True, "1008.0", "1,008", "after ####")


def test_verify_fails_what_has_no_number() -> None:
    assert verify("I can't say.", "#### 7").passed is False
    assert verify("I can't say.", "#### 7").found is None
    assert verify("It is 7.", "unknown").passed is False


@given(st.text(max_size=300) | st.text(alphabet="0123456789.,/-+$%#e {}\\boxed", max_size=60))
def test_verify_never_raises(text: str) -> None:
    assert verify(text, text).passed == (find_final_number(text) is not None)


@given(st.integers(-(10**9), 10**9), st.sampled_from(["#### {:,}", "The answer is {}.", r"\boxed{{{}}}", "It all comes to {:,} euros", "A: {}"]))
def test_verify_accepts_a_number_however_it_is_written(number: int, form: str) -> None:
    assert verify(form.format(number), str(number)).passed
    assert not verify(form.format(number), str(number + 1)).passed


def test_verify_agrees_with_every_recorded_verdict_on_gsm8k(shared_data: Path) -> None:
    with gzip.open(shared_data / "gsm8k_model_solutions.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    wrong = [row["row"] for row in rows if verify(row["solution"], row["ground_truth"]).passed != row["is_correct"]]
    assert len(rows) == 2736
    assert wrong == []


def test_find_final_number_reads_gsm8ks_own_answers(shared_data: Path) -> None:
    for line in (shared_data / "gsm8k_train.jsonl").read_text(encoding="utf-8").splitlines():
        solution = json.loads(line)["answer"]
        found = find_final_number(solution)
        assert found is not None
        assert found.text == solution.rpartition("#### ")[2]
