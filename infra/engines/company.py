"""Processes that share an endpoint which does not tell its load: one finds the limit, all use the same one. Pure; no clock of its own.

Alone, each would find by its experiments (capacity.py) that asking for more brings it more, at a full server from its neighbours, and the queue there would
grow without end. So they meet, once a second, at a table that all see (infra/ledger/seats.py): the first of those that have enough to do leads, the
others take its limit. As all raise and cut together, the leader's experiments show what they would show a single process; the limit is the same for all,
so the shares are fair; and what all have in flight together stays what it was when one comes or goes: the limit is divided anew among those who are
there. The others' answers and refusals are told at the table, and count as the leader's own.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.engines.capacity import Capacity
from schemas.engine import Seat
from schemas.errors import EngineFault

MEET_S = 1.0
"""How often each looks at the table and says how it is."""
LAG_S = 2 * MEET_S
"""How long a change of the limit takes until surely all have it: nothing is measured before."""


@dataclass(slots=True)
class Company:
    """The limit of one endpoint in this process, found by itself or taken from whoever leads."""

    capacity: Capacity
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _followed: int | None = None
    _size: int = 1
    _answered: int = 0
    _refused: int = 0
    _elsewhere: dict[str, Seat] = field(default_factory=dict)
    """The others, as they were seen last."""

    @property
    def limit(self) -> int:
        """Most calls in flight."""
        return self.capacity.limit if self._followed is None else self._followed

    def answered(self, now: float, *, full: bool) -> None:
        """Take in an answer."""
        self._answered += 1
        if self._followed is None:
            self.capacity.answered(now, full=full)

    def failed(self, now: float, started: float, fault: EngineFault) -> None:
        """Take in a failure."""
        if self._followed is None:
            self.capacity.failed(now, started, fault)
        elif fault in (EngineFault.OVERLOADED, EngineFault.DEADLINE):
            self._refused += 1

    def seat(self, *, hungry: bool) -> Seat:
        """Say how it is here."""
        return Seat(self.token, self.limit, hungry, self._answered, self._refused)

    def met(self, now: float, seats: Sequence[Seat]) -> None:
        """Take in who is at the table, this process among them."""
        leader = next((one for one in seats if one.hungry), seats[0])
        if leader.token == self.token:
            self._lead(now, seats)
        else:
            self._followed = leader.limit
        self._size = len(seats)
        self._elsewhere = {one.token: one for one in seats if one.token != self.token}

    def _lead(self, now: float, seats: Sequence[Seat]) -> None:
        if self._followed is not None:
            self.capacity = Capacity.holding(now, self._followed)
            self._followed = None
        self.capacity.sharers, self.capacity.lag_s = len(seats), LAG_S if len(seats) > 1 else 0.0
        if len(seats) != self._size:
            self.capacity.scale(now, self._size / len(seats))
        known = [(one, self._elsewhere[one.token]) for one in seats if one.token in self._elsewhere]
        if any(one.refused > before.refused for one, before in known):
            # Such calls may be from before the last cut: what they say is not taken in twice.
            self.capacity.failed(now, now - LAG_S, EngineFault.OVERLOADED)
        elif answers := sum(one.answered - before.answered for one, before in known):
            self.capacity.answered(now, full=True, answers=answers)
