"""Looks at a server's load while calls are made there, and tells the limiter."""

import asyncio
import random

from infra.engines.endpoint import Endpoint

_EVERY_S = 0.5
_SELDOM_S = 30.0
"""How often a server that does not tell is asked again whether it does."""
_MISSES = 3
"""Looks in a row that may fail before the limiter goes without."""


async def watch(endpoint: Endpoint) -> None:
    """Look for ever, twice a second; processes that look at one server do so at different moments."""
    misses = 0
    while True:
        await asyncio.sleep((_SELDOM_S if misses >= _MISSES else _EVERY_S) * random.uniform(0.9, 1.1))
        if endpoint.limiter.in_flight == 0:
            continue
        load = await endpoint.engine.load()
        misses = 0 if load else misses + 1
        if load or misses >= _MISSES:
            endpoint.limiter.looked(load)
