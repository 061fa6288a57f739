"""From what a page's address asks for to the rows that answer it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlencode

import numpy as np
import polars as pl

from schemas.errors import NotFoundError
from tasks.browse.index import FACETS, Index, count_values

PAGE = 25
"""Rows of one page."""
_ORDERS = ("as published", "highest first", "lowest first")
Order = Literal["as published", "highest first", "lowest first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which rows, in which order, which page of them."""

    data_set: str
    facets: Mapping[str, str] = field(default_factory=dict)
    split: str = ""
    least: float | None = None
    most: float | None = None
    order: Order = "as published"
    id: str = ""
    """The beginning of an id."""
    page: int = 1

    def address(self, **changes: object) -> str:
        """Write it as a page's address, with some of it changed; an empty value leaves that out."""
        told: dict[str, object] = {**self.facets, "split": self.split, "least": self.least, "most": self.most, "id": self.id}
        told |= {"order": self.order if self.order != "as published" else "", "page": self.page if self.page > 1 else ""}
        told |= changes
        wanted = urlencode({name: value for name, value in told.items() if value not in ("", None)})
        return f"/{self.data_set}" + (f"?{wanted}" if wanted else "")


@dataclass(frozen=True, slots=True)
class Found:
    """An answer: how many rows there are, and those of the page by their number in the index."""

    total: int
    numbers: tuple[int, ...]
    pages: int
    counts: Mapping[str, tuple[tuple[str, int], ...]]
    """Facet to its values with the rows that each would leave, the other filters kept; the commonest first."""


def read_question(data_set: str, told: Mapping[str, str]) -> Question:
    """Read a page's parameters. Raises NotFoundError naming the one that is wrong."""
    unknown = sorted(set(told) - {*FACETS[data_set], "split", "least", "most", "order", "id", "page"})
    if unknown:
        raise NotFoundError(f"no such filter on {data_set}: {', '.join(unknown)}; there are {', '.join(FACETS[data_set])}, split, least, most, order, id, page")
    order = told.get("order") or "as published"
    if order not in _ORDERS:
        raise NotFoundError(f"unknown order {order!r}: choose {', '.join(_ORDERS)}")
    return Question(
        data_set=data_set,
        facets={name: told[name] for name in FACETS[data_set] if told.get(name)},
        split=told.get("split", ""),
        least=_number(told, "least"),
        most=_number(told, "most"),
        order=order,  # type: ignore[arg-type]  # checked above
        id=told.get("id", "").strip().lower(),
        page=max(1, int(_number(told, "page") or 1)),
    )


def answer(index: Index, question: Question) -> Found:
    """Find a page of rows; a page past the end is the last one."""
    conditions = _conditions(index, question)
    # Of a million rows only what is sorted by goes along: to gather their texts would take ten times as long.
    numbered = index.frame.lazy().with_row_index("number")
    kept = (
        (numbered.filter(*conditions.values()) if conditions else numbered).select("number", *(["score"] if "score" in index.frame.columns else [])).collect()
    )
    pages = max(1, -(-len(kept) // PAGE))
    start = (min(question.page, pages) - 1) * PAGE
    counts = {facet: _count(index, conditions, facet) for facet in index.counts}
    return Found(len(kept), _page(kept, question.order, start), pages, counts)


def _page(kept: pl.DataFrame, order: Order, start: int) -> tuple[int, ...]:
    """Give the numbers of a page's rows. Rows of one score stay in the order of the files, and those without a score are last either way."""
    if order == "as published" or "score" not in kept.columns:
        return tuple(kept["number"].slice(start, PAGE).to_list())
    scores = kept["score"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    # NumPy's stable sort takes 0.1 s of a million; polars' by score and number took 1 to 2.
    places = np.argsort(-scores if order == "highest first" else scores, kind="stable")[start : start + PAGE]
    return tuple(kept["number"].gather(places).to_list())


def _conditions(index: Index, question: Question) -> dict[str, pl.Expr]:
    wanted = {name: pl.col(name) == value for name, value in question.facets.items()}
    if question.split:
        wanted["split"] = pl.col("split") == question.split
    if question.id:
        wanted["id"] = pl.any_horizontal(pl.col(name).str.starts_with(question.id) for name in ("id", "prompt", "record") if name in index.frame.columns)
    if "score" in index.frame.columns:
        if question.least is not None:
            wanted["least"] = pl.col("score") >= question.least
        if question.most is not None:
            wanted["most"] = pl.col("score") <= question.most
    return wanted


def _count(index: Index, conditions: Mapping[str, pl.Expr], facet: str) -> tuple[tuple[str, int], ...]:
    others = [condition for name, condition in conditions.items() if name != facet]
    return count_values(index.frame.lazy().filter(*others), facet) if others else index.counts[facet]


def _number(told: Mapping[str, str], name: str) -> float | None:
    given = told.get(name, "").strip()
    if not given:
        return None
    try:
        return float(given)
    except ValueError as error:
        raise NotFoundError(f"{name} is {given!r}, not a number") from error
