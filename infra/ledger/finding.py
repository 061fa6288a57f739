"""Finds a run's row, by its id or by less, and says what is near where there is none; and the ledger's clock."""

from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches

from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.ledger.models import Run
from schemas.errors import NotFoundError


def now() -> str:
    """Give the time as the ledger keeps it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_row(session: Session, run_id: str) -> Run:
    """Get a run by its whole id. Raises NotFoundError."""
    run = session.get(Run, run_id)
    if run is None:
        raise NotFoundError(f"no run {run_id!r}: see `gristmill runs list`")
    return run


def find_run(session: Session, wanted: str) -> Run:
    """Find a run by its id, or by the beginning of its id where only one begins so. Raises NotFoundError."""
    exact = session.get(Run, wanted)
    if exact is not None:
        return exact
    beginning = session.scalars(select(Run).where(Run.run_id.startswith(wanted, autoescape=True)).order_by(Run.run_id).limit(5)).all()
    if len(beginning) == 1:
        return beginning[0]
    if beginning:
        raise NotFoundError(f"several runs begin with {wanted!r}: {', '.join(run.run_id for run in beginning)}; give more of the id")
    known = session.execute(select(Run.run_id, Run.name).order_by(Run.started_at.desc()).limit(1000)).all()
    named = [run_id for run_id, name in known if name == wanted][:3]
    raise NotFoundError(f"no run {wanted!r}{_did_you_mean(named) or near(wanted, [run_id for run_id, _ in known])}: see `gristmill runs list`")


def near(wanted: str, known: Iterable[str]) -> str:
    """Ask whether one of the names was meant that are like it; empty where none is."""
    return _did_you_mean(get_close_matches(wanted, list(known), n=3, cutoff=0.5))


def _did_you_mean(names: list[str]) -> str:
    return f"; did you mean {' or '.join(names)}?" if names else ""
