"""The spending of committed shards: rows in, and sums out, which the database adds up."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.ledger.models import Spending
from schemas.spending import Spent

_FIELDS = tuple(field.name for field in fields(Spent))


def spending_rows(run_id: str, stage: str, shard: int, spent: Iterable[Spent]) -> list[Spending]:
    """Give the rows of one shard."""
    return [Spending(run_id=run_id, stage=stage, shard=shard, **asdict(one)) for one in spent]


def spent_by_shard(session: Session, run_id: str, stage: str) -> dict[int, list[Spent]]:
    """Read a stage's spending, shard by shard."""
    spent: dict[int, list[Spent]] = {}
    for row in session.scalars(select(Spending).where(Spending.run_id == run_id, Spending.stage == stage)):
        spent.setdefault(row.shard, []).append(Spent(**{name: getattr(row, name) for name in _FIELDS}))
    return spent


def spent_at(session: Session, run_id: str, stage: str) -> Iterator[Spent]:
    """Add up a stage's spending; a sum of costs is none where any call made has no price."""
    key = {name: getattr(Spending, name) for name in ("technique", "role", "model", "prices")}
    counts = {name: func.sum(getattr(Spending, name)) for name in ("calls", "reused", "prompt_tokens", "completion_tokens")}
    unpriced = func.count().filter(Spending.cost.is_(None), Spending.calls > 0)
    columns = [*(column.label(name) for name, column in (key | counts).items()), unpriced.label("unpriced")]
    query = select(*columns, func.sum(Spending.cost).label("cost"), func.sum(Spending.gpu_seconds).label("gpu_seconds"))
    for row in session.execute(query.where(Spending.run_id == run_id, Spending.stage == stage).group_by(*key.values())).mappings():
        sums: dict[str, Any] = {name: row[name] for name in key} | {name: int(row[name]) for name in counts}
        yield Spent(**sums, gpu_seconds=row["gpu_seconds"], cost=None if row["unpriced"] else row["cost"])
