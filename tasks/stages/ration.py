"""Where a recipe asks for exactly N rows: answers prompts round by round until there are enough, and decides which shards are spared.

Each round's rows are made by the very stages that make the release, on a copy of the run of which nothing is committed. A regrade and a requeue of a later
stage than `responses` have their answers already: there only the rows are counted, and cut off.
"""

from collections.abc import Mapping
from dataclasses import fields, replace

import pyarrow.parquet as pq

from infra.storage import RunFolder
from infra.trees import link_tree, remove_tree
from schemas.records import STAGES
from schemas.run import ShardReport
from tasks.catalogue import LoadedRecipe
from tasks.progress import HUB
from tasks.purposes import share_of
from tasks.ration import SPARED_REASON, Cutoffs, Decision, Round, find_cutoff, first_shards, keep_decision, next_shards, read_decision
from tasks.run_state import Run
from tasks.stages.dedup import dedup_conversations
from tasks.stages.filter import filter_conversations
from tasks.stages.pair import pair_conversations
from tasks.stages.reshard import count_rows
from tasks.stages.responses import answer_prompts
from tasks.stages.score import score_conversations

NOTE = "ration"
"""The ledger note that holds the decision."""
_IDS = {"sft": "conversation_id", "preferences": "preference_id"}


class Trial(Run):
    """A run whose stages leave their mark in a folder of their own and none in the ledger."""

    def commit(self, stage: str, shard: int, report: ShardReport) -> None:
        """Do nothing: it will all be done again."""

    def committed(self, stage: str, shards: int) -> dict[int, ShardReport]:
        """Have nothing done."""
        return {}


def ration_answers(run: Run, shards: int) -> None:
    """Answer as many prompts as it takes; nothing where the recipe asks for no number of rows, or where it is decided already."""
    rows = run.loaded.recipe.release.rows
    if rows is None or not rows.wanted or not shards or read_decision(run.folder):
        return
    if run.requeue is not None and STAGES.index(run.requeue.stage) > STAGES.index("responses"):
        return
    first, most = _bounds(run, rows.wanted, shards)
    upto: int | None = first
    rounds: list[Round] = []
    while upto is not None:
        HUB.say(f"round {len(rounds) + 1}: {upto} of {shards} shards answered, for {_told(rows.wanted)} rows")
        trial = _answer(run, shards, upto)
        rounds.append(_count(trial, rows.wanted, upto))
        upto = next_shards(rows.wanted, rounds[-1], shards=most)
    _decide(run, trial, rows.wanted, Decision(shards, rounds[-1].shards, tuple(rounds)))


def ration_rows(run: Run, shards: int) -> None:
    """Cut off the rows of answers that were there before; nothing where the recipe asks for no number of rows, or where it is decided already."""
    rows = run.loaded.recipe.release.rows
    if rows is None or not rows.wanted or not shards or read_decision(run.folder):
        return
    answered = _answered(run, run.run_id, shards)
    trial = _open_trial(run, "dedup")
    pair_conversations(trial, shards)
    _decide(run, trial, rows.wanted, Decision(shards, answered, (_count(trial, rows.wanted, answered),)))


def _bounds(run: Run, wanted: Mapping[str, int], shards: int) -> tuple[int, int]:
    """Say how many shards the first round answers, and how many there are to be answered. A requeue of `responses` begins with those that had been."""
    requeue = run.requeue
    if requeue is not None and requeue.stage == "responses":
        before = _answered(run, requeue.source.run_id, shards)
        return before, shards if requeue.names("responses", SPARED_REASON) else before
    prompts = count_rows(run.folder.parts("screen"))
    return first_shards(wanted, {name: prompts * _share(run.loaded, name) for name in wanted}, shards=shards), shards


def _share(loaded: LoadedRecipe, data_set: str) -> float:
    """Say which share of all prompts may come to rows of a data set."""
    return sum(one.requested * share_of(data_set, one.name, loaded.recipe.split) for one in loaded.prompts) / sum(one.requested for one in loaded.prompts)


def _answered(run: Run, run_id: str, shards: int) -> int:
    """Say how many shards, from the first on, a run has answered: the others were spared."""
    reports = run.ledger.committed(run_id, "responses")
    return min((shard for shard, report in reports.items() if report.dropped.get(SPARED_REASON)), default=shards)


def _count(trial: Trial, wanted: Mapping[str, int], shards: int) -> Round:
    return Round(shards, {name: count_rows(trial.folder.parts(f"pair/{name}")) for name in wanted})


def _decide(run: Run, trial: Trial, wanted: Mapping[str, int], decision: Decision) -> None:
    """Find where the rows end, and write the decision down."""
    cutoffs = Cutoffs(**{name: find_cutoff(trial.folder.parts(f"pair/{name}"), _IDS[name], rows) for name, rows in wanted.items()})
    _tell(run, replace(decision, cutoffs=cutoffs))
    remove_tree(trial.folder.root)
    HUB.say("")


def _answer(run: Run, shards: int, upto: int) -> Trial:
    """Answer the prompts of the first shards, and try what comes of them."""
    answer_prompts(run, shards, upto=upto)
    score_conversations(run, shards, upto=upto)
    filter_conversations(run, shards, upto=upto)
    trial = _open_trial(run, "filter")
    dedup_conversations(trial, upto)
    pair_conversations(trial, upto)
    return trial


def _open_trial(run: Run, stage: str) -> Trial:
    """Copy a run whose stage is done. Of a requeue's drops that stay dropped none is a row, so the copy need not know of them."""
    folder = RunFolder(run.folder.data, f"{run.run_id}/trial")
    remove_tree(folder.root)
    link_tree(run.folder.root / stage, folder.root / stage)
    return Trial(**{one.name: getattr(run, one.name) for one in fields(run)} | {"folder": folder, "requeue": None})


def _tell(run: Run, decision: Decision) -> None:
    """Note the decision in the ledger, for the release to tell; then write it down, which makes it one."""
    prompts = count_rows(run.folder.parts("screen"))
    answered = sum(pq.read_metadata(run.folder.part("screen", shard)).num_rows for shard in range(decision.answered))
    rounds = [{"shards": one.shards, "rows": dict(one.rows)} for one in decision.rounds]
    run.ledger.note(run.run_id, NOTE, {"prompts": prompts, "answered": answered, "shards": decision.shards, "rounds": rounds})
    keep_decision(run.folder, decision)


def _told(wanted: Mapping[str, int]) -> str:
    return " and ".join(f"{rows:,} {name}" for name, rows in wanted.items())
