"""Where a recipe asks for exactly N rows: answers prompts round by round until there are enough, and decides which shards are spared.

Each round's rows are made by the very stages that make the release, on a copy of the run of which nothing is committed.
"""

from dataclasses import fields

import pyarrow.parquet as pq

from infra.storage import RunFolder
from infra.trees import link_tree, remove_tree
from schemas.run import ShardReport
from tasks.progress import HUB
from tasks.purposes import share_of
from tasks.ration import Cutoffs, Decision, Round, find_cutoff, first_shards, keep_decision, next_shards, read_decision
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
    prompts = count_rows(run.folder.parts("screen"))
    fit = {name: prompts * share_of(name, run.loaded.recipe) for name in rows.wanted}
    upto: int | None = first_shards(rows.wanted, fit, shards=shards)
    rounds: list[Round] = []
    while upto is not None:
        HUB.say(f"round {len(rounds) + 1}: {upto} of {shards} shards answered, for {_told(rows.wanted)} rows")
        trial = _answer(run, shards, upto)
        made = {name: count_rows(trial.folder.parts(f"pair/{name}")) for name in rows.wanted}
        rounds.append(Round(upto, made))
        upto = next_shards(rows.wanted, rounds[-1], shards=shards)
    cutoffs = Cutoffs(**{name: find_cutoff(trial.folder.parts(f"pair/{name}"), _IDS[name], wanted) for name, wanted in rows.wanted.items()})
    _tell(run, Decision(shards, rounds[-1].shards, tuple(rounds), cutoffs), prompts)
    remove_tree(trial.folder.root)
    HUB.say("")


def _answer(run: Run, shards: int, upto: int) -> Trial:
    """Answer the prompts of the first shards, and try what comes of them."""
    answer_prompts(run, shards, upto=upto)
    score_conversations(run, shards, upto=upto)
    filter_conversations(run, shards, upto=upto)
    trial = _open_trial(run)
    dedup_conversations(trial, upto)
    pair_conversations(trial, upto)
    return trial


def _open_trial(run: Run) -> Trial:
    folder = RunFolder(run.folder.data, f"{run.run_id}/trial")
    remove_tree(folder.root)
    link_tree(run.folder.root / "filter", folder.root / "filter")
    return Trial(**{one.name: getattr(run, one.name) for one in fields(run)} | {"folder": folder})


def _tell(run: Run, decision: Decision, prompts: int) -> None:
    """Note the decision in the ledger, for the release to tell; then write it down, which makes it one."""
    answered = sum(pq.read_metadata(run.folder.part("screen", shard)).num_rows for shard in range(decision.answered))
    rounds = [{"shards": one.shards, "rows": dict(one.rows)} for one in decision.rounds]
    run.ledger.note(run.run_id, NOTE, {"prompts": prompts, "answered": answered, "shards": decision.shards, "rounds": rounds})
    keep_decision(run.folder, decision)


def _told(wanted: dict[str, int]) -> str:
    return " and ".join(f"{rows:,} {name}" for name, rows in wanted.items())
