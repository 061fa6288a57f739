"""Asks language models as judges about the answers to one prompt: only of pairs on which no earlier judge has an opinion, and only while pairs are wanted.

Of a prompt that is for instruction data alone none are.

What they said is handed to tasks/pairing.py, which decides as if it had always been known.
"""

from collections.abc import Sequence

from schemas.recipe import PairOptions, Recipe
from schemas.records import Conversation
from tasks.catalogue import LoadedJudge
from tasks.judges import Heard
from tasks.pairing import NOTHING_HEARD, Hearings, comparable_pairs, judge_pair, judge_pairs, select_pairs
from tasks.purposes import purpose_of
from tasks.technique import Ask


async def hear_judges(conversations: Sequence[Conversation], recipe: Recipe, judges: Sequence[LoadedJudge], ask: Ask) -> Hearings:
    """Ask the judges that ask, in the recipe's order; a later one is asked about what the earlier ones left open."""
    options = recipe.pairs
    if options is None or not conversations or purpose_of(conversations[0], recipe.split) == "sft":
        return NOTHING_HEARD
    heard: dict[tuple[int, str, str, str], Heard] = {}
    for rank, judge in enumerate(judges):
        if not judge.asks:
            continue
        before = judges[:rank]
        if _has_enough(conversations, options, before, heard):
            break
        open_pairs = [pair for pair in comparable_pairs(conversations) if judge_pair(*pair, before, heard) is None]
        for (a, b), said in zip(open_pairs, await judge.module.consult(judge.options, open_pairs, ask) if open_pairs else (), strict=True):
            heard[rank, judge.name, a.conversation_id, b.conversation_id] = said
    return heard


def _has_enough(conversations: Sequence[Conversation], options: PairOptions, judges: Sequence[LoadedJudge], heard: Hearings) -> bool:
    """Say whether the judges so far give all the pairs that the recipe wants of a prompt: later ones' pairs would come after them."""
    if options.strategy in ("all", "margin_window") and options.per_prompt is None:
        return False
    wanted = 1 if options.strategy == "best_worst" else options.per_prompt or 1
    return len(select_pairs(judge_pairs(conversations, judges, heard), options)) >= wanted
