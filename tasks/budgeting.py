"""A run's budget from where it is opened: what each stage may spend, the clock, the prices used, and whether a release that was cut short goes on."""

import contextlib
import math
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from infra.ledger import Ledger
from infra.purse import Caps, Purse, Sums
from infra.settings import Settings
from infra.storage import RunFolder
from schemas.errors import SettingsError
from schemas.recipe import BudgetOptions
from schemas.run import RunRecord, add_reports
from schemas.spending import PriceTable, read_prices
from tasks.budget import Allowance
from tasks.catalogue import LoadedRecipe
from tasks.release.inputs import PRICES_NOTE
from tasks.rollout import OVER_BUDGET

if TYPE_CHECKING:
    from tasks.run_state import Run

CUT_NOTE = "budget_reached"
"""Ledger note of a run whose release was cut short by its budget: that budget."""
_TICK_S = 1.0
_CAPS = ("calls", "tokens", "hours", "money")


@dataclass(frozen=True, slots=True)
class Share:
    """Of a plan, what is planned up to the end of a stage."""

    calls: float = 1.0
    tokens: float = 1.0


@dataclass(frozen=True)
class Budget:
    """What a run may spend."""

    options: BudgetOptions
    purse: Path | None = None
    prices: PriceTable | None = None
    shares: Mapping[str, Share] = field(default_factory=lambda: MappingProxyType({}))
    """Stage to its share, where a run at its limit publishes."""
    opened: str = field(default_factory=lambda: uuid.uuid4().hex)

    def allowance(self, stage: str, processes: int = 1) -> Allowance:
        """Say what a stage may spend, at so many processes that share its engines."""
        return Allowance(
            purse=self.purse,
            caps=cap_stage(self.options, self.shares.get(stage, Share())),
            prices=tuple(self.prices.models.items()) if self.prices else (),
            version=self.prices.version if self.prices else "",
            failures=self.options.failures,
            publish=self.options.at_limit == "publish",
            engine_share=1 / processes,
            opened=self.opened,
        )


def cap_stage(options: BudgetOptions, share: Share) -> Caps:
    """Bound what a run may have spent by the end of a stage. Time goes by calls, money by tokens."""
    return Caps(
        calls=None if options.calls is None else math.ceil(options.calls * share.calls),
        tokens=None if options.tokens is None else math.ceil(options.tokens * share.tokens),
        seconds=None if options.hours is None else options.hours * 3600 * share.calls,
        money=None if options.money is None else options.money * share.tokens,
    )


def share_out(loaded: LoadedRecipe) -> dict[str, Share]:
    """Give each stage what the plan gives it and the stages before: a run with half of what it needs then has about half its answers, graded."""
    from tasks.plan import plan_calls

    planned = plan_calls(loaded)
    calls = sum(one.calls for one in planned) or 1
    tokens = sum(one.prompt_tokens + one.completion_tokens for one in planned) or 1
    shares, stages = {}, ("prompts", "screen", "responses", "score", "dedup", "pair")
    for number, stage in enumerate(stages, 1):
        so_far = [one for one in planned if one.stage in stages[:number]]
        shares[stage] = Share(sum(one.calls for one in so_far) / calls, sum(one.prompt_tokens + one.completion_tokens for one in so_far) / tokens)
    return shares


def price_all(loaded: LoadedRecipe, settings: Settings) -> PriceTable | None:
    """Read the table of prices. Raises SettingsError where the recipe caps money and a model has no price."""
    prices = read_prices(settings.prices)
    if loaded.recipe.budget.money is None:
        return prices
    missing = sorted({card.id for card in loaded.cards.values()} - set(prices.models if prices else ()))
    if missing:
        what = "names no table of prices" if prices is None else f"{settings.prices} has no price"
        raise SettingsError(f"the recipe caps money (budget.money), and GRISTMILL_PRICES {what}: give prices of {', '.join(missing)}")
    return prices


@contextlib.contextmanager
def open_budget(loaded: LoadedRecipe, prices: PriceTable | None, ledger: Ledger, record: RunRecord, folder: RunFolder) -> Iterator[Budget]:
    """Open a run's budget, with what earlier processes have spent of it, and let its clock run."""
    options = loaded.recipe.budget
    if prices is not None:
        _keep_prices(ledger, record.run_id, prices)
    capped = any(getattr(options, name) is not None for name in _CAPS)
    if not capped:
        yield Budget(options, prices=prices)
        return
    purse = Purse.open(folder.local / "spent")
    with contextlib.closing(purse), _clock(purse):
        purse.at_least(known_sums(ledger, record.run_id))
        yield Budget(options, purse.path, prices, share_out(loaded) if options.at_limit == "publish" else {})


def known_sums(ledger: Ledger, run_id: str) -> Sums:
    """Add up what the ledger knows to be spent."""
    total = add_reports(*(stage.total for stage in ledger.stages(run_id)))
    cost = sum(one.cost or 0.0 for one in total.spent)
    return Sums(total.calls, total.prompt_tokens, total.completion_tokens, cost)


def may_go_on(ledger: Ledger, record: RunRecord, loaded: LoadedRecipe) -> bool:
    """Say whether a finished run was cut short by a budget that has been raised since: then it is run anew, paying only for what it lacks."""
    cut = ledger.notes(record.run_id).get(CUT_NOTE)
    if cut is None:
        return False
    before, now = BudgetOptions.model_validate(cut), loaded.recipe.budget
    pairs = [(getattr(before, name) or math.inf, getattr(now, name) or math.inf) for name in _CAPS]
    return any(new > old for old, new in pairs) and all(new >= old for old, new in pairs)


def note_if_cut(run: "Run") -> None:
    """Keep in the ledger that a release is less than the recipe asks for."""
    stages = run.ledger.stages(run.run_id)
    if any(OVER_BUDGET in stage.total.dropped for stage in stages):
        run.ledger.note(run.run_id, CUT_NOTE, run.loaded.recipe.budget.model_dump(mode="json"))


def _keep_prices(ledger: Ledger, run_id: str, prices: PriceTable) -> None:
    """Note a table that is used. Raises SettingsError where costs would not add up."""
    known = dict(ledger.notes(run_id).get(PRICES_NOTE, {}))
    used = {"currency": prices.currency, "sha256": prices.digest}
    if prices.version in known and known[prices.version] != used:
        raise SettingsError(f"GRISTMILL_PRICES: the table of version {prices.version} is another than the one that this run has used: give it a new version")
    other = next((one["currency"] for one in known.values() if one["currency"] != prices.currency), None)
    if other is not None:
        raise SettingsError(f"GRISTMILL_PRICES: prices are in {prices.currency}, this run's so far in {other}: costs of one run are in one currency")
    ledger.note(run_id, PRICES_NOTE, known | {prices.version: used})


@contextlib.contextmanager
def _clock(purse: Purse) -> Iterator[None]:
    """Count the time at work, by a clock that nobody sets."""
    over = threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not over.wait(_TICK_S):
            now = time.monotonic()
            purse.add(seconds=now - last)
            last = now

    thread = threading.Thread(target=tick, name="gristmill-clock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
