"""How many calls an endpoint should be given at once where its server tells how busy it is: fair among all who share it. Pure; no clock of its own.

Capacity finds the limit by experiments, each of which costs some throughput and minutes, and can't see that another process wants the same slots. A server that
tells what runs and what waits makes both easy. Of all calls there, the share running / (running + waiting) is in service, of ours as of everybody's, so:

    calls wait     limit = our calls in service + a few                                (few = 1 + running / 32, the same number for every client)
    none waits     half as much again at each look while starting; afterwards 1 %, 2 %, 4 % …, so that the end of a queue is answered gently and a
                   server that grew is filled within seconds

With m clients the fixed point is m · few calls in the queue and the same limit for each, whatever they started from: at each look a difference between two
shrinks by the share that waits. It is additive increase and multiplicative decrease (Chiu and Jain 1989) with the server's queue as everybody's signal. A step
down is followed at once: calls in service are what the server says. While the queue drains, the same limit comes out again, so nothing is cut twice.

A refusal says that the server's queue is shorter than `few`: for a while none is added, only one call more at each look at which none waits.
"""

from dataclasses import dataclass

from infra.engines.capacity import MOST, START
from schemas.engine import ServerLoad

_SPARE_SHARE = 1 / 32
_START_GROWTH = 0.5
_FIRST_GROWTH = 0.01
_FULL_CACHE = 0.95
"""With so much of the KV cache in use a further call would make the server take another out of service: no growth."""
_REFUSED = 0.85
_WARY_LOOKS = 60


@dataclass(slots=True)
class Guided:
    """The limit of one endpoint, moved by what its server tells."""

    limit: int = START
    most: int = MOST
    _starting: bool = True
    _idle_looks: int = 0
    """In a row, at which no call waited though we used our limit."""
    _wary: int = 0
    """Looks to come at which nothing is added."""
    _cut_at: float = float("-inf")

    def looked(self, load: ServerLoad, *, in_flight: int, full: bool) -> None:
        """Take in a look at the server; `full` says whether our limit was used up since the look before: if not, nothing is learnt."""
        self._wary = max(0, self._wary - 1)
        if not full:
            return
        if load.waiting > 0:
            self._starting, self._idle_looks = False, 0
            spare = 0.0 if self._wary else 1 + load.running * _SPARE_SHARE
            self._set(round(in_flight * load.running / (load.running + load.waiting) + spare))
        elif load.cache < _FULL_CACHE:
            self._grow()

    def refused(self, now: float, started: float) -> None:
        """Take in a refusal; of those that were asked for before the last cut, nothing is learnt."""
        if started >= self._cut_at:
            self._starting, self._idle_looks, self._wary, self._cut_at = False, 0, _WARY_LOOKS, now
            self._set(int(self.limit * _REFUSED))

    def _grow(self) -> None:
        self._idle_looks += 1
        growth = _START_GROWTH if self._starting else min(_START_GROWTH, _FIRST_GROWTH * 2**self._idle_looks)
        self._set(self.limit + (1 if self._wary else max(1, round(self.limit * growth))))

    def _set(self, limit: int) -> None:
        self.limit = min(max(limit, 1), self.most)
