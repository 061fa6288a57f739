"""What Prefect is given to show: small whatever the data, and inert."""

import json
from base64 import b64decode
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.run import ShardReport, StageReport
from tasks.prefect_artifacts import MOST_BYTES, funnel, plot_scores, sample_rows, summarise
from tasks.report.samples import Samples
from tasks.report.scores import Histogram

ENDLESS = "🧨<script>alert(1)</script>\u202e " * 100
SVG = "{http://www.w3.org/2000/svg}"


def a_histogram(name: str = "reward", *, kept: tuple[int, ...] = (1, 2, 0), lost: tuple[int, ...] = (0, 5, 1)) -> Histogram:
    return Histogram(name, tuple(float(one) for one in range(len(kept) + 1)), kept, lost, 1.25, None)


def endless_samples() -> Samples:
    turns = [{"role": "user", "content": ENDLESS}, {"role": "assistant", "content": ENDLESS}]
    answer = {"technique": ENDLESS, "messages": turns, "scores": {"reward": 3.14159}}
    pair = {"technique": ENDLESS, "prompt": turns[:1], "chosen": turns[1:], "rejected": turns[1:], "margin": 0.5}
    drop = {"stage": ENDLESS, "reason": ENDLESS, "of": 10**9, "detail": ENDLESS}
    return Samples((answer,) * 9, (pair,) * 9, (drop,) * 9)


def bytes_of(artifact: object) -> int:
    return len(json.dumps(artifact).encode())


def read_plot(markdown: str) -> ET.Element:
    return ET.fromstring(b64decode(markdown.partition("data:image/svg+xml;base64,")[2].partition(")")[0]))


def bars_of(plot: ET.Element) -> int:
    return sum(path.get("d", "").count("M") for path in plot.findall(f"{SVG}path"))


def test_funnel_keeps_all_dropped_rows_in_its_sums() -> None:
    dropped = {f"reason_{number}": number for number in range(1, 10)}
    row = funnel([StageReport("filter", 1, 1, ShardReport(100, 55, dropped))])[0]

    assert row["dropped"].startswith("reason_9 9, reason_8 8")
    assert row["dropped"].endswith("3 more reasons 6")


def test_sample_rows_are_told_apart_and_cut() -> None:
    rows = sample_rows(Samples(endless_samples().sft[:1], endless_samples().preferences[:1], endless_samples().drops[:1]))

    assert [row["of"] for row in rows] == ["sft", "preferences", "dropped"]
    assert rows[0]["score"] == "3.14"
    assert "≻" in rows[1]["answer"]
    assert rows[0]["asked"].endswith("…")
    assert "\u202e" not in json.dumps(rows, ensure_ascii=False)


def test_plot_has_a_bar_for_each_kept_and_each_lost_bin() -> None:
    plot = read_plot(plot_scores([a_histogram()]))

    assert bars_of(plot) == 4
    assert [one.text for one in plot.findall(f"{SVG}text")] == ["reward, mean 1.25", "0.00", "3.00"]


def test_plot_takes_a_name_as_text() -> None:
    plot = read_plot(plot_scores([a_histogram("<script>x</script>&")]))

    assert [one.tag for one in plot.iter() if "script" in one.tag] == []
    assert "<script>x</script>&" in (plot.find(f"{SVG}text").text or "")  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize(
    "artifact",
    [
        funnel([StageReport(f"{ENDLESS}{stage}", 1, 1, ShardReport(10**12, 10**12, {f"{ENDLESS}{n}": 10**12 for n in range(500)})) for stage in range(9)]),
        sample_rows(endless_samples()),
        plot_scores([a_histogram(ENDLESS, kept=(10**9,) * 24, lost=(10**9,) * 24)] * 20),
        summarise(
            "a" * 64 + "/v1", "/" + "b" * 4000, {f"{one}/{split}": 10**12 for one in ("sft", "preferences", "prompts") for split in ("a", "b")}, {"r": 1.0}
        ),
    ],
    ids=["funnel", "rows", "plot", "release"],
)
def test_artifact_is_small_whatever_is_in_it(artifact: object) -> None:
    assert bytes_of(artifact) <= MOST_BYTES


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=24))
def test_plot_draws_any_counts(counts: list[tuple[int, int]]) -> None:
    kept, lost = zip(*counts, strict=True)
    plot = read_plot(plot_scores([a_histogram(kept=kept, lost=lost)]))

    assert bars_of(plot) == sum(one > 0 for pair in counts for one in pair)
