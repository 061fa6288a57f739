"""Looks at a server's load while calls are made there, and tells the limiter; where it tells nothing, looks who else makes calls there."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

from infra.engines.company import MEET_S
from infra.engines.endpoint import Endpoint
from schemas.engine import Seat
from schemas.errors import LedgerError

Meet = Callable[[Seat], Sequence[Seat]]
"""One's own seat to all seats at an endpoint; may wait for a database. Raises LedgerError."""

_EVERY_S = 0.5
_SELDOM_S = 30.0
"""How often a server that does not tell is asked again whether it does, and a table that could not be read is tried again."""
_MISSES = 3
"""Looks in a row that may fail before the limiter goes without."""
_log = logging.getLogger("gristmill")


async def watch(endpoint: Endpoint, meet: Meet) -> None:
    """Look for ever, twice a second; processes that look at one server do so at different moments."""
    misses, look_at, meet_at = 0, 0.0, 0.0
    while True:
        silent = misses >= _MISSES
        await asyncio.sleep((MEET_S if silent else _EVERY_S) * random.uniform(0.9, 1.1))
        now = asyncio.get_running_loop().time()
        if endpoint.limiter.in_flight == 0:
            continue
        if now >= look_at:
            load = await endpoint.engine.load()
            misses = 0 if load else misses + 1
            look_at = now + _SELDOM_S if misses >= _MISSES else 0.0
            if load or misses >= _MISSES:
                endpoint.limiter.looked(load)
        if misses >= _MISSES and now >= meet_at and not await _met(endpoint, meet):
            meet_at = now + _SELDOM_S


async def _met(endpoint: Endpoint, meet: Meet) -> bool:
    seat = endpoint.limiter.seat
    if seat is None:
        return True
    try:
        seats = await asyncio.to_thread(meet, seat)
    except LedgerError as error:
        _log.warning("%s: who else makes calls there can't be seen, so its limit is found alone: %s", endpoint.name, error)
        return False
    endpoint.limiter.met(seats)
    return True
