"""Limits within a streamed answer: how long until its first piece, how long from each to the next."""

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from schemas.engine import Deadlines
from schemas.errors import EngineError, EngineFault

Piece = TypeVar("Piece")


async def paced(pieces: AsyncIterator[Piece], deadlines: Deadlines) -> AsyncIterator[Piece]:
    """Pass a stream's pieces on. Raises EngineError(DEADLINE) that says which limit was missed, and after how many pieces."""
    limit, count = deadlines.first_s, 0
    while True:
        try:
            async with asyncio.timeout(limit):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            missed = f"no token within {limit:g} s" if count == 0 else f"nothing further within {limit:g} s after piece {count} of the answer"
            raise EngineError(missed, fault=EngineFault.DEADLINE) from error
        yield piece
        limit, count = deadlines.between_s, count + 1
