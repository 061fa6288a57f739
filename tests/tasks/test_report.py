import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import Ledger
from infra.storage import RunFolder, write_records
from schemas.records import Conversation, Drop, Message, Scores, drop_record
from schemas.run import ShardReport
from tasks.release.inputs import ReleaseInputs, read_inputs
from tasks.report import gather_facts, write_report
from tasks.report.scores import SAMPLE_ROWS, gather_scores
from tasks.report.text import LIMIT, compact, duration, show
from tests.tasks.release_builders import LLAMA, a_conversation, a_pair, a_provenance, a_recipe, some_inputs, write_parts

HOSTILE = "</script></p><script>alert('x')</script><img src=x onerror=\"alert(1)\"> & {{ 7*7 }} \u202egnp.exe\u202c"
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Collects a page's elements, and whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def a_report(inputs: ReleaseInputs) -> str:
    return write_report(gather_facts(inputs))


def test_report_is_one_page_without_scripts_or_outside_resources(tmp_path: Path) -> None:
    page = Page(a_report(some_inputs(tmp_path)))

    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.elements}
    targets = [value or "" for _, attrs in page.elements for name, value in attrs.items() if name in ("href", "src", "action", "data", "xlink:href")]
    assert targets
    assert all(target.startswith("#") for target in targets)
    assert not [attrs for _, attrs in page.elements if any(name.startswith("on") for name in attrs)]
    assert "url(" not in page.text
    assert "@import" not in page.text
    policy = next(attrs for attrs in page.named("meta") if "http-equiv" in attrs)
    assert "default-src 'none'" in (policy["content"] or "")


def test_report_links_lead_to_its_sections(tmp_path: Path) -> None:
    page = Page(a_report(some_inputs(tmp_path)))
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}

    assert {(attrs["href"] or "")[1:] for attrs in page.named("a")} <= ids
    assert {attrs["aria-labelledby"] for attrs in page.named("section")} <= ids


def test_report_charts_speak_to_screen_readers(tmp_path: Path) -> None:
    charts = Page(a_report(some_inputs(tmp_path))).named("svg")

    assert len(charts) >= 2 + 6 + 1
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_report_tells_the_conservation_of_rows(tmp_path: Path) -> None:
    text = re.sub(r"\s+", " ", Page(a_report(some_inputs(tmp_path))).text)

    assert "30 requested = 20 kept + 6 dropped + 4 deduplicated + 0 contaminated closes" in text
    assert "near_duplicate" in text


def test_report_of_a_run_under_way_counts_what_is_pending(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path, version="")
    stages = tuple(replace(one, total=ShardReport(7, 7), committed=1) if one.stage == "score" else one for one in inputs.stages[:5])

    text = re.sub(r"\s+", " ", Page(a_report(replace(inputs, stages=stages))).text)

    assert "30 requested = 7 kept + 0 dropped + 0 deduplicated + 0 contaminated + 23 pending still open" in text


def test_report_escapes_what_models_and_seeds_wrote(tmp_path: Path) -> None:
    turns = (Message("user", HOSTILE), Message("assistant", HOSTILE))
    hostile = a_conversation(0, conversation_id="0" * 32, messages=turns, technique=HOSTILE, category=HOSTILE, response=HOSTILE)
    lost = drop_record(hostile, stage="filter", reason=HOSTILE, detail=HOSTILE, raw=HOSTILE, points_to=HOSTILE)
    inputs = some_inputs(tmp_path, recipe=a_recipe(title=HOSTILE), recipe_text=HOSTILE, error=HOSTILE, sft=[hostile])
    inputs = replace(inputs, parts={**inputs.parts, "dropped": write_parts(tmp_path / "lost", [lost], Drop, 1)})

    html = a_report(inputs)

    page = Page(html)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert "<script" not in html
    assert "49" not in re.findall(r"\{\{.*?\}\}|&amp; (\S+)", html)
    assert "{{ 7*7 }}" in html
    assert "\u202e" not in html
    assert "⟦U+202E⟧gnp.exe⟦U+202C⟧" in html


def test_report_cuts_long_texts_and_says_by_how_much(tmp_path: Path) -> None:
    long = a_conversation(0, conversation_id="0" * 32, messages=(Message("user", "Why?"), Message("assistant", "x" * 1_000_000)))

    html = a_report(some_inputs(tmp_path, sft=[long]))

    assert f"[{1_000_000 - LIMIT:,} more characters]" in html
    assert len(html) < 200_000


def test_report_says_loudly_what_it_must(tmp_path: Path) -> None:
    touched = [a_conversation(0, provenance=a_provenance(LLAMA, rehearsal=True))]

    text = Page(a_report(some_inputs(tmp_path, sft=touched))).text

    assert "REHEARSAL" in text
    assert "Built with Llama" in text


def test_report_shows_pairs_side_by_side(tmp_path: Path) -> None:
    html = a_report(some_inputs(tmp_path))

    assert html.count('class="turn chosen"') == html.count('class="turn rejected"') == 3


def test_report_tells_of_each_judge_whether_the_longer_answer_wins_also_where_nothing_was_scored(tmp_path: Path) -> None:
    sides = [("rubric", "A long answer, the better one.", "Short."), ("rubric", "No.", "Twelve chars"), ("llm_pairwise", "Yes, it is.", "Nay.")]
    pairs = [
        a_pair(number, judge=judge, margin=None, chosen=(Message("assistant", better),), rejected=(Message("assistant", worse),))
        for number, (judge, better, worse) in enumerate(sides)
    ]
    inputs = replace(some_inputs(tmp_path, pairs=pairs), scored=())

    text = re.sub(r"\s+", " ", Page(a_report(inputs)).text)

    assert "No answer was scored." in text
    assert "in 67 % the chosen one is the longer" in text
    assert "llm_pairwise1114100 % rubric216950 %" in text  # pairs, characters chosen and rejected, longer chosen


def test_report_of_a_run_that_has_made_nothing(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path, version="", stages=(), parts={}, scored=(), status="failed", error="no engine at grpc://nowhere:1")

    text = Page(a_report(inputs)).text

    assert "no engine at grpc://nowhere:1" in text
    assert "No stage has finished a shard yet." in text
    assert "Load it" not in text


def test_report_of_an_unfinished_run_comes_from_ledger_and_folder(tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    run = ledger.begin_run(fingerprint="a" * 32, name="small", recipe=a_recipe().model_dump(mode="json"), rehearsal=False, fresh=False)
    folder = RunFolder(tmp_path, run.run_id)
    ledger.plan_stage(run.run_id, "responses", 2)
    write_records(folder.part("responses", 0), [a_conversation(0, scores=None)], Conversation)
    write_records(folder.dropped("responses", 0), [drop_record(a_conversation(1), stage="responses", reason="truncated")], Drop)
    ledger.commit_shard(run.run_id, "responses", 0, ShardReport(2, 1, {"truncated": 1}, calls=2))
    folder.part("responses", 1).write_bytes(b"PAR1 cut off")

    facts = gather_facts(read_inputs(ledger, tmp_path, run.run_id))
    text = re.sub(r"\s+", " ", Page(write_report(facts)).text)
    ledger.close()

    assert facts.status == "running"
    assert "2 requested = 1 kept + 1 dropped" in text
    assert "1 of 2" in text
    assert "truncated" in text
    assert "No answer was scored." in text
    assert "part-00001.parquet" in facts.gaps[0]


def test_scores_part_published_from_lost_rows(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)

    scores = gather_scores(inputs.scored, inputs.parts)

    reward = scores.histograms[0]
    assert (reward.name, sum(reward.kept), sum(reward.lost)) == ("reward", 20, 10)
    assert (reward.kept_mean, reward.lost_mean) == (3.5, 2.0)
    assert scores.pairs is not None
    assert scores.pairs.margin is not None
    assert scores.length is not None
    assert len(scores.length.points) == 30


def test_scores_sample_is_even_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SAMPLE_ROWS >= 10_000
    monkeypatch.setattr("tasks.report.scores.SAMPLE_ROWS", 100)
    inputs = some_inputs(tmp_path, prompts=200)

    scores = gather_scores(inputs.scored, inputs.parts)

    assert scores.of == 600
    assert 60 <= scores.rows <= 140
    assert sum(scores.histograms[0].kept) + sum(scores.histograms[0].lost) == scores.rows


def test_scores_take_numbers_that_do_not_vary_or_are_missing(tmp_path: Path) -> None:
    same = [a_conversation(number, completion_tokens=5, scores=Scores(1.0, "one number")) for number in range(3)]
    paths = write_parts(tmp_path, [*same, a_conversation(4, scores=None)], Conversation, 1)

    scores = gather_scores(paths, {})

    assert [one.name for one in scores.histograms] == ["reward"]
    assert scores.length is not None
    assert scores.length.correlation is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ntext\t!", "plain\ntext\t!"),
        ("a\x00b\x1b[31m", "a⟦U+0000⟧b⟦U+001B⟧[31m"),
        ("\u2066x\u2069\u200b", "⟦U+2066⟧x⟦U+2069⟧⟦U+200B⟧"),
        ("می\u200cخواهم 👩\u200d🔬", "می\u200cخواهم 👩\u200d🔬"),
        ("abcdef", "abcd… [2 more characters]"),
    ],
    ids=["plain", "controls", "bidi", "joiners", "cut"],
)
def test_show_makes_text_fit_to_be_seen(text: str, shown: str) -> None:
    assert show(text, 4 if text == "abcdef" else LIMIT) == shown


def test_numbers_are_written_for_people() -> None:
    many: dict[float, str] = {0: "0", 0.125: "0.12", 1_563: "1,563", 70_795: "70.8k", 2_000_000: "2M", 3.2e9: "3.2G"}
    spans: dict[float, str] = {3.25: "3.2 s", 90: "1 min 30 s", 7_260: "2 h 01 min"}

    assert {number: compact(number) for number in many} == many
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_gather_facts_does_not_touch_the_run(tmp_path: Path) -> None:
    inputs = some_inputs(tmp_path)
    before = _listing(tmp_path)

    a_report(inputs)

    assert _listing(tmp_path) == before


def _listing(folder: Path) -> list[Any]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))
