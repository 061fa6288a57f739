"""The table at which the processes of a ledger meet that share an endpoint which does not tell its load; what they make of it is infra/engines/company.py's."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from infra.ledger.database import Database, clock
from infra.ledger.models import SeatRow
from schemas.engine import Seat

GONE_S = 5.0
"""A process that was not here for so long is not reckoned with; should it come again, it takes a new seat, behind the others."""
_FORGOTTEN_S = 60.0


class Seats:
    """The open table. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def meet(self, endpoint: str, mine: Seat) -> Sequence[Seat]:
        """Say how this process is, and learn who is there, in the order in which they came. Raises LedgerError."""
        return self._database.write(lambda session: _meet(session, endpoint, mine))

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()


def _meet(session: Session, endpoint: str, mine: Seat) -> list[Seat]:
    now = clock(session)
    row = session.get(SeatRow, (endpoint, mine.token))
    if row is None:
        row = SeatRow(endpoint=endpoint, token=mine.token, taken_at=now, seen_at=now)
        session.add(row)
    elif row.seen_at < now - GONE_S:
        row.taken_at = now
    for name, value in asdict(mine).items():
        setattr(row, name, value)
    row.seen_at = now
    session.flush()
    session.execute(delete(SeatRow).where(SeatRow.seen_at < now - _FORGOTTEN_S))
    here = select(SeatRow).where(SeatRow.endpoint == endpoint, SeatRow.seen_at >= now - GONE_S).order_by(SeatRow.taken_at, SeatRow.token)
    return [one.seat() for one in session.scalars(here)]
