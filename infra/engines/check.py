"""Ask many engines at once what they are: every replica by itself, the unreachable ones included."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from infra.engines import open_engine
from infra.settings import Address, Settings
from schemas.engine import EngineFacts
from schemas.errors import EngineFault, GristmillError
from schemas.model_card import ModelCard


@dataclass(frozen=True, slots=True)
class Checked:
    """One replica of one card: what it is, or what is wrong."""

    card: ModelCard
    address: Address | None
    """None where no setting gives one."""
    facts: EngineFacts | None
    error: str | None = None
    fault: EngineFault | None = None


def check_engines(wanted: Iterable[tuple[ModelCard, tuple[Address, ...]]], settings: Settings) -> list[Checked]:
    """Inspect every replica; takes as long as the slowest, `connect_s` at most."""
    return asyncio.run(_check_all(list(wanted), settings))


async def _check_all(wanted: list[tuple[ModelCard, tuple[Address, ...]]], settings: Settings) -> list[Checked]:
    checks = [_check(card, address, settings) for card, addresses in wanted for address in (addresses or (None,))]
    return list(await asyncio.gather(*checks))


async def _check(card: ModelCard, address: Address | None, settings: Settings) -> Checked:
    if address is None:
        return Checked(card, None, None, f"no address: set GRISTMILL_ENGINES={card.id}=grpc://HOST:8001/MODEL (or https://HOST/v1#MODEL)")
    try:
        engine = open_engine(address, card, settings)
        try:
            return Checked(card, address, await engine.inspect())
        finally:
            await engine.close()
    except GristmillError as error:
        return Checked(card, address, None, str(error), getattr(error, "fault", None))
