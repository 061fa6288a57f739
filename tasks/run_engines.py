"""A run's engines: where its cards are served, what serves them, and what its session has asked of them so far."""

import contextlib
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from infra.engines.session import EngineSession
from infra.settings import Address, Settings
from schemas.engine import EngineFacts, refuse_raw, refuse_unsupported
from schemas.model_card import ModelCard
from tasks.catalogue import LoadedRecipe
from tasks.progress import HUB, Calls
from tasks.rollout import Cast


def open_addresses(
    loaded: LoadedRecipe, settings: Settings, stack: contextlib.ExitStack, *, log_path: Path | None, roles: Container[str] | None = None
) -> dict[str, tuple[Address, ...]]:
    """Say where each card is served, starting the embedded Triton for rehearsal cards that have no address."""
    return place_cards(wanted_cards(loaded, roles).values(), settings, stack, log_path=log_path)


def place_cards(cards: Iterable[ModelCard], settings: Settings, stack: contextlib.ExitStack, *, log_path: Path | None) -> dict[str, tuple[Address, ...]]:
    """Say where cards are served, starting the embedded Triton for rehearsal cards that have no address."""
    addresses = dict(settings.addresses)
    homeless = {card.id for card in cards if card.rehearsal and card.id not in addresses}
    if homeless:
        from infra.triton.server import serve_triton

        HUB.say("starting the embedded Triton")
        served = stack.enter_context(serve_triton(python=settings.triton_python, log=log_path))
        addresses |= {card: where for card, where in served.addresses().items() if card in homeless}
    return addresses


def wanted_cards(loaded: LoadedRecipe, roles: Container[str] | None = None) -> dict[str, ModelCard]:
    """Give the cards of some roles, or of all, by role."""
    return {role: card for role, card in loaded.cards.items() if roles is None or role in roles}


def check_engines(loaded: LoadedRecipe, session: EngineSession, roles: Container[str] | None = None, *, patient: bool = False) -> Cast:
    """Ask every wanted engine what it is, and refuse before any work what it can't do; if patient, wait for one that is just being restarted."""
    HUB.say("checking engines")
    wanted = wanted_cards(loaded, roles)
    facts = {card.id: session.inspect(card, patient=patient) for card in wanted.values()}
    for role in wanted:
        refuse_unable(loaded, facts, role)
    kinds = ", ".join(sorted({f"{one.kind} at {one.address}" for one in facts.values()}))
    HUB.say("", engine=kinds)
    return Cast(dict(loaded.cards), facts, loaded.recipe.seed)


def refuse_unable(loaded: LoadedRecipe, facts: Mapping[str, EngineFacts], role: str | None = None) -> None:
    """Raise EngineError(UNSUPPORTED) where an engine, by its card's id, can't do what the recipe asks of it; of one role, or of all."""
    for asked, sampling in loaded.samplings():
        if role in (None, asked):
            refuse_unsupported(facts[loaded.cards[asked].id], sampling)
    for raw in loaded.raw_roles():
        if role in (None, raw):
            refuse_raw(facts[loaded.cards[raw].id])


def read_meter(session: EngineSession) -> Calls:
    """Read a session's counters in the display's terms."""
    now = session.meter.read()
    return Calls(
        made=now.calls,
        failed=sum(now.failures.values()),
        retries=now.retries,
        in_flight=now.in_flight,
        limit=now.limit,
        prompt_tokens=now.prompt_tokens,
        completion_tokens=now.completion_tokens,
        waiting=now.waiting,
        latency_s=now.latency_s,
        latencies=now.latencies,
    )


def describe(facts: EngineFacts) -> dict[str, Any]:
    """Write what an engine is machine-readably, for the ledger."""
    return {
        "address": facts.address,
        "served_model": facts.served_model,
        "kind": facts.kind,
        "server": facts.server,
        "decoupled": facts.decoupled,
        "options": sorted(facts.options),
        "tells": sorted(facts.tells),
        "attributes": list(facts.attributes),
    }
