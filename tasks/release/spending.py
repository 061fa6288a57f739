"""What a release cost, for its manifest and report: by technique, role and model, each also for one accepted answer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from schemas.run import add_reports
from schemas.spending import Spent, total_spent
from tasks.release.accounts import draw_accounts
from tasks.release.inputs import ReleaseInputs


@dataclass(frozen=True, slots=True)
class Bill:
    """A run's spending over all its resumes."""

    lines: tuple[Spent, ...]
    accepted: int
    """Answers that stand in the data, as instruction data or on a side of a pair."""
    prices: Mapping[str, Mapping[str, str]]
    """Version of each table of prices used to its currency and digest."""

    @property
    def total(self) -> Spent:
        """Everything added up."""
        return total_spent(self.lines)

    @property
    def currency(self) -> str:
        """What the costs are in; empty where nothing has a price."""
        return next((one["currency"] for one in self.prices.values()), "")

    def each(self, amount: float | None) -> float | None:
        """Share an amount out over the accepted answers."""
        return amount / self.accepted if amount is not None and self.accepted else None


def draw_bill(inputs: ReleaseInputs) -> Bill:
    """Add up what a run spent."""
    account = next((one for one in draw_accounts(inputs.stages) if one.unit == "answers" and one.stages[-1].stage == "pair"), None)
    return Bill(add_reports(*(stage.total for stage in inputs.stages)).spent, account.kept if account else 0, inputs.prices)


def spending_json(inputs: ReleaseInputs) -> dict[str, Any]:
    """Write the bill as the manifest has it."""
    bill = draw_bill(inputs)
    lines = [_line(bill, one) for one in bill.lines]
    return {"accepted": bill.accepted, "currency": bill.currency, "prices": dict(bill.prices), "lines": lines, "total": _line(bill, bill.total)}


def _line(bill: Bill, one: Spent) -> dict[str, Any]:
    rounded = {"gpu_seconds": round(one.gpu_seconds, 3), "cost": one.cost if one.cost is None else round(one.cost, 6)}
    gpu_seconds, cost = bill.each(one.gpu_seconds), bill.each(one.cost)
    each = {"gpu_seconds_per_accepted": gpu_seconds and round(gpu_seconds, 6), "cost_per_accepted": cost and round(cost, 9)}
    return {**{name: value for name, value in asdict(one).items() if value != ""}, **rounded, **each}
