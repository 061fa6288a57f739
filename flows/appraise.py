"""A reward engine measured against pairs of which the better answer is known."""

from pathlib import Path

from prefect import flow

from infra.privacy import switch_off_telemetry
from infra.settings import read_settings
from schemas.appraisal import AppraisalRecord
from schemas.recipe import ScoreOptions
from tasks.appraisal.work import conclude, grade_pairs, known_appraisal, open_bench, plan_appraisal
from tasks.prefect_view import name_appraisal

switch_off_telemetry()


@flow(
    name="appraise",
    flow_run_name=name_appraisal,
    description="Measure a reward engine against known pairs, and keep how it did in the ledger.",
    persist_result=False,
    validate_parameters=True,
)
def appraise(
    model: str, pairs: str, columns: dict[str, str] | None = None, score: ScoreOptions | None = None, data: str | None = None, fresh: bool = False
) -> AppraisalRecord:
    """Grade both sides of every pair, and count how often the better one got the higher reward.

    Args:
        model: card id of the reward model
        pairs: path of a file of pairs (.jsonl, .jsonl.gz, .parquet, .csv)
        columns: part (prompt, chosen, rejected, first, second, label, category) to column, where the names don't tell
        score: how attributes become one number, as in a recipe (default: as the model's publisher says)
        data: folder of runs, calls and releases (default: GRISTMILL_DATA, else ./data)
        fresh: tally anew although the ledger has it; grades already paid for are used again

    """
    settings = read_settings(data=data)
    work = plan_appraisal(model, Path(pairs), settings, columns=columns or {}, score=score or ScoreOptions())
    known = None if fresh else known_appraisal(work, settings)
    if known is not None:
        return known
    with open_bench(work, settings) as bench:
        grade_pairs(bench)
        return conclude(bench, settings)
