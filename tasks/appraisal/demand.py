"""What a run demands of its reward engine, by its recipe or by the settings: measured on known pairs, and good enough there."""

from infra.ledger import Ledger
from infra.settings import Settings
from schemas.appraisal import AppraisalRecord
from schemas.errors import EngineError, EngineFault, SettingsError
from schemas.model_card import ModelCard
from schemas.recipe import AppraisalOptions
from tasks.catalogue import LoadedRecipe
from tasks.grading import reduction_of


def refuse_unappraised(loaded: LoadedRecipe, settings: Settings, ledger: Ledger) -> None:
    """Raise EngineError(UNSUPPORTED) telling every demand, of the recipe and of the settings, that the reward engine was not appraised for or fell short of."""
    score = loaded.recipe.score
    if score is None or "reward" not in loaded.cards:
        return
    card = loaded.cards["reward"]
    formula = reduction_of(score, card).formula
    known = [one for one in ledger.appraisals(card.id) if one.revision == card.revision and one.reduction == formula]
    demands = [demand for demand in (score.appraisal, read_demand(settings.appraisal)) if demand is not None]
    faults = [_find_fault(card, demand, [one for one in known if one.pairs_name == demand.pairs], formula) for demand in demands]
    if told := "\n".join(fault for fault in faults if fault):
        raise EngineError(told, fault=EngineFault.UNSUPPORTED)


def read_demand(told: str) -> AppraisalOptions | None:
    """Read the setting: `PAIRS` or `PAIRS>=0.8`. Raises SettingsError."""
    if not told.strip():
        return None
    name, sign, mark = (part.strip() for part in told.partition(">="))
    try:
        return AppraisalOptions(pairs=name, at_least=float(mark) if sign else 0.0)
    except ValueError as error:
        raise SettingsError(f"GRISTMILL_APPRAISAL: can't read {told!r}: expected PAIRS or PAIRS>=MARK, for example llmbar_pairs>=0.8") from error


def _find_fault(card: ModelCard, demand: AppraisalOptions, found: list[AppraisalRecord], formula: str) -> str | None:
    if not found:
        return (
            f"the reward engine {card.id} (revision {card.revision}, {formula}) was not appraised on {demand.pairs}, which is demanded: "
            f"run `gristmill appraise {card.id} {demand.pairs}.jsonl` first"
        )
    newest = found[0]
    if newest.score >= demand.at_least:
        return None
    return (
        f"the reward engine {card.id} scored {newest.score:.3f} ({newest.low:.3f} to {newest.high:.3f}) on {demand.pairs}, "
        f"and {demand.at_least:g} is demanded: choose another engine, or lower the mark"
    )
