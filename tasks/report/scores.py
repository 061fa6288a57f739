"""Distributions for the report: scores of kept and of lost rows, and whether reward goes with length (verbosity bias)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.storage import read_table
from schemas.records import ATTRIBUTES

SAMPLE_ROWS = 100_000
"""Rows looked at. Ids are hashes, so those below a mark are an even sample, the same one every time."""
BINS = 24
POINTS = 400
"""Dots of the reward-length chart: more make the page heavy and show nothing new."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Histogram:
    """One number's distribution over rows that are published and rows that are not."""

    name: str
    edges: tuple[float, ...]
    kept: tuple[int, ...]
    lost: tuple[int, ...]
    kept_mean: float | None
    lost_mean: float | None


@dataclass(frozen=True, slots=True)
class LengthBias:
    """How reward goes with the answer's length."""

    correlation: float | None
    """Pearson's r of reward and completion tokens; None where one of them does not vary."""
    points: tuple[tuple[float, float, bool], ...]
    """Tokens, reward, kept."""


@dataclass(frozen=True, slots=True)
class JudgedFacts:
    """What the pairs of one judge look like: a judge whose chosen answers are mostly the longer ones may be taken in by length."""

    judge: str
    pairs: int
    chosen_characters: float
    rejected_characters: float
    longer_chosen: float
    """Share of pairs in which the chosen answer is the longer one."""


@dataclass(frozen=True, slots=True)
class PairFacts:
    """What pairs look like."""

    chosen_characters: float
    rejected_characters: float
    longer_chosen: float
    judges: tuple[JudgedFacts, ...]
    margin: Histogram | None


@dataclass(frozen=True, slots=True)
class ScoreFacts:
    """All distributions; `rows` is the size of the sample that they are taken from."""

    rows: int
    of: int
    decided: bool
    """False while it is open which rows will be published."""
    histograms: tuple[Histogram, ...]
    length: LengthBias | None
    pairs: PairFacts | None


def gather_scores(scored: Sequence[Path], parts: Mapping[str, Sequence[Path]]) -> ScoreFacts:
    """Read the scored conversations, and tell those that are in the published parts from the rest."""
    of = sum(pq.read_metadata(path).num_rows for path in scored)
    mark = _mark(of)
    rows = _read_sample(scored, "conversation_id", ["scores", "completion_tokens"], mark)
    published = _published_ids(parts, mark)
    decided = len(published) > 0
    kept = pc.is_in(rows.column("conversation_id"), value_set=published).to_numpy() if decided else np.ones(rows.num_rows, np.bool_)
    numbers = _score_columns(rows)
    histograms = tuple(_histogram(name, values, kept) for name, values in numbers.items() if np.isfinite(values).any())
    length = _length_bias(rows, numbers["reward"], kept) if histograms else None
    return ScoreFacts(rows.num_rows, of, decided, histograms, length, _pair_facts(parts.get("preferences", ())))


def length_json(scores: ScoreFacts) -> dict[str, Any]:
    """Say for the manifest whether reward and judges go with length."""
    pairs = scores.pairs
    told: dict[str, Any] = {"reward_correlation": None if scores.length is None else _rounded(scores.length.correlation)}
    if pairs is None:
        return told
    judges = [{name: _rounded(value) if isinstance(value, float) else value for name, value in asdict(one).items()} for one in pairs.judges]
    means = {name: _rounded(getattr(pairs, name)) for name in ("chosen_characters", "rejected_characters", "longer_chosen")}
    return told | means | {"judges": judges}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 4)


def _mark(rows: int) -> str:
    """Give the id below which about SAMPLE_ROWS of `rows` ids lie."""
    return "g" if rows <= SAMPLE_ROWS else f"{int(SAMPLE_ROWS / rows * 16**8):08x}"


def _read_sample(paths: Sequence[Path], id_column: str, columns: list[str], mark: str) -> pa.Table:
    tables = [read_table(path, columns=[id_column, *columns]) for path in paths]
    kept = [table.filter(pc.less(table.column(id_column), mark)) for table in tables]
    return pa.concat_tables(kept) if kept else pa.table({name: pa.array([], pa.string()) for name in (id_column, *columns)})


def _published_ids(parts: Mapping[str, Sequence[Path]], mark: str) -> pa.Array:
    columns = [(path, "conversation_id") for path in parts.get("sft", ())]
    columns += [(path, side) for path in parts.get("preferences", ()) for side in ("chosen_id", "rejected_id")]
    ids = [pc.unique(_read_sample([path], column, [], mark).column(column)) for path, column in columns]
    return pa.concat_arrays(ids) if ids else pa.array([], pa.string())


def _score_columns(rows: pa.Table) -> dict[str, Floats]:
    scores = rows.column("scores").combine_chunks()
    if rows.num_rows == 0 or not pa.types.is_struct(scores.type):
        return {"reward": np.zeros(0)}
    return {name: _floats(pc.struct_field(scores, name)) for name in ("reward", *ATTRIBUTES)}


def _floats(column: pa.Array) -> Floats:
    numbers: Floats = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


def _histogram(name: str, values: Floats, kept: npt.NDArray[np.bool_]) -> Histogram:
    finite = np.isfinite(values)
    low, high = float(values[finite].min()), float(values[finite].max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    mine, rest = values[finite & kept], values[finite & ~kept]
    counts = [tuple(int(one) for one in np.histogram(part, edges)[0]) for part in (mine, rest)]
    return Histogram(name, tuple(float(edge) for edge in edges), counts[0], counts[1], _mean(mine), _mean(rest))


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _length_bias(rows: pa.Table, reward: Floats, kept: npt.NDArray[np.bool_]) -> LengthBias | None:
    tokens = rows.column("completion_tokens").to_numpy().astype(np.float64)
    finite = np.isfinite(reward)
    if not finite.any():
        return None
    tokens, reward, kept = tokens[finite], reward[finite], kept[finite]
    varies = len(reward) > 2 and tokens.std() > 0 and reward.std() > 0
    step = max(1, len(reward) // POINTS)
    points = tuple((float(x), float(y), bool(ok)) for x, y, ok in zip(tokens[::step], reward[::step], kept[::step], strict=True))
    return LengthBias(float(np.corrcoef(tokens, reward)[0, 1]) if varies else None, points[:POINTS])


def _pair_facts(paths: Sequence[Path]) -> PairFacts | None:
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    sample = _read_sample(paths, "preference_id", ["judge", "margin", "chosen", "rejected"], _mark(rows))
    if sample.num_rows == 0:
        return None
    margin = _floats(sample.column("margin").combine_chunks())
    histogram = _histogram("margin", margin, np.ones(len(margin), np.bool_)) if np.isfinite(margin).any() else None
    chosen, rejected = (_lengths(sample, side) for side in ("chosen", "rejected"))
    judged = np.array(sample.column("judge").to_pylist())
    by_judge = tuple(_judged(name, chosen[judged == name], rejected[judged == name]) for name in sorted(set(judged.tolist())))
    whole = _judged("", chosen, rejected)
    return PairFacts(whole.chosen_characters, whole.rejected_characters, whole.longer_chosen, by_judge, histogram)


def _judged(judge: str, chosen: Floats, rejected: Floats) -> JudgedFacts:
    return JudgedFacts(judge, len(chosen), float(chosen.mean()), float(rejected.mean()), float((chosen > rejected).mean()))


def _lengths(rows: pa.Table, side: str) -> Floats:
    """Count the characters of each row's last turn on one side; it is the only one there."""
    last = pc.list_element(rows.column(side).combine_chunks(), 0)
    lengths: Floats = pc.utf8_length(pc.struct_field(last, "content")).to_numpy(zero_copy_only=False).astype(np.float64)
    return lengths
