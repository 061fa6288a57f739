"""Check a release of tests/recipes/gsm8k-replay.yaml against the publisher's own verdicts. Shares no code with the product.

    python check_gsm8k_pairs.py RELEASE gsm8k_model_solutions.jsonl.gz

By the file's `is_correct` column, each question's right answers pair with each of its wrong ones, texts compared as they are.
Prints the counts; exits 1 naming a few pairs if any is missing or too many.
"""

import gzip
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq

Pair = tuple[str, str, str]


def expected_pairs(solutions: Path) -> set[Pair]:
    answers: dict[str, dict[bool, set[str]]] = {}
    with gzip.open(solutions, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            answers.setdefault(row["question"].strip(), {True: set(), False: set()})[bool(row["is_correct"])].add(row["solution"].strip())
    return {(question, right, wrong) for question, by in answers.items() for right in by[True] for wrong in by[False]}


def published_pairs(release: Path) -> set[Pair]:
    found = set()
    for path in sorted((release / "preferences").rglob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            question, right, wrong = row["prompt"][-1]["content"], row["chosen"][-1]["content"], row["rejected"][-1]["content"]
            found.add((question.strip(), right.strip(), wrong.strip()))
    return found


def main(release: str, solutions: str) -> int:
    wanted, found = expected_pairs(Path(solutions)), published_pairs(Path(release))
    print(f"called for {len(wanted)} published {len(found)} missing {len(wanted - found)} too many {len(found - wanted)}")
    for what, pairs in (("missing", wanted - found), ("too many", found - wanted)):
        for question, right, wrong in sorted(pairs)[:3]:
            print(f"{what}: {question[:80]!r}\n  right {right[-80:]!r}\n  wrong {wrong[-80:]!r}")
    return 0 if wanted == found else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
