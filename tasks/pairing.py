"""Decides what becomes of the answers to one prompt: instruction data, sides of preference pairs, or drops with a reason.

All functions are pure and take the conversations of one prompt; the order in which these come makes no difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, islice

from schemas.recipe import PairOptions, Recipe, SftOptions
from schemas.records import Conversation, Drop, Preference, drop_record, merge_provenance, preference_id
from tasks.catalogue import LoadedJudge
from tasks.judges import reward_margin_of


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the answers to one prompt. Each answer is in `sft`, in a pair, or a drop."""

    sft: tuple[Conversation, ...]
    preferences: tuple[Preference, ...]
    drops: tuple[Drop, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    rank: int
    """Place in the recipe's order of the judge that decided."""
    judge: str
    chosen: Conversation
    rejected: Conversation

    @property
    def order(self) -> tuple[int, float, str, str]:
        """Earlier judges first, then the widest margin, then by id."""
        margin = reward_margin_of(self.chosen, self.rejected) or 0.0
        return (self.rank, -margin, self.chosen.conversation_id, self.rejected.conversation_id)


def settle(conversations: Sequence[Conversation], recipe: Recipe, judges: Sequence[LoadedJudge]) -> Settlement:
    """Settle the answers to one prompt as a recipe says."""
    sft = select_sft(conversations, recipe.sft) if recipe.sft else ()
    preferences = pair(conversations, recipe.pairs, judges) if recipe.pairs else ()
    return Settlement(sft, preferences, leftovers(conversations, sft, preferences))


def pair(conversations: Sequence[Conversation], options: PairOptions, judges: Sequence[LoadedJudge]) -> tuple[Preference, ...]:
    """Make preference pairs of the answers to one prompt that differ in their last turn alone.

    An answer that is gated, cut off or known to be wrong is never chosen; equal texts are never paired.
    """
    ordered = sorted(conversations, key=lambda one: one.conversation_id)
    judged = (_judge(a, b, judges) for a, b in combinations(ordered, 2) if _are_comparable(a, b))
    pairs = sorted((one for one in judged if one and may_be_chosen(one.chosen)), key=lambda one: one.order)
    most = 1 if options.strategy == "best_worst" else options.per_prompt
    return tuple(map(_make_preference, pairs[:most]))


def select_sft(conversations: Sequence[Conversation], options: SftOptions) -> tuple[Conversation, ...]:
    """Select the best answers to one prompt by each response technique: by verdict, then reward, then id.

    A gated or cut-off one is never selected. A dialogue is no rival of a single answer: their rewards are of different questions.
    """
    fit = [one for one in conversations if one.gate is None and one.finish_reason != "length" and not (options.require_correct and _is_wrong(one))]
    ordered = sorted(fit, key=lambda one: (one.response, _merit(one)))
    return tuple(one for _, same in groupby(ordered, key=lambda one: one.response) for one in islice(same, options.per_prompt))


def leftovers(conversations: Sequence[Conversation], sft: Sequence[Conversation], preferences: Sequence[Preference]) -> tuple[Drop, ...]:
    """Make a drop of each answer to one prompt that is neither instruction data nor in a pair.

    Reasons: the name of the filter that gated it; `truncated`; `wrong_answer`; `not_selected` where answers to its prompt were
    published; `no_contrast` where none was.
    """
    used = {one.conversation_id for one in sft} | {side for one in preferences for side in (one.chosen_id, one.rejected_id)}
    ordered = sorted(conversations, key=lambda one: one.conversation_id)
    return tuple(
        drop_record(one, stage="pair", reason=_why_left(one, published=bool(used)), detail=_detail(one)) for one in ordered if one.conversation_id not in used
    )


def may_be_chosen(one: Conversation) -> bool:
    """Say whether an answer is fit to be a pair's chosen side."""
    return one.gate is None and one.finish_reason != "length" and not _is_wrong(one)


def _judge(a: Conversation, b: Conversation, judges: Sequence[LoadedJudge]) -> _Pair | None:
    for rank, judge in enumerate(judges):
        opinion = judge.module.prefer(judge.options, a, b)
        if opinion is not None:
            return _Pair(rank, judge.name, opinion.chosen, opinion.rejected)
    return None


def _are_comparable(a: Conversation, b: Conversation) -> bool:
    """Only the last turn may differ: else the pair would teach a preference between two users."""
    return a.messages[:-1] == b.messages[:-1] and a.messages[-1].content.strip() != b.messages[-1].content.strip()


def _make_preference(one: _Pair) -> Preference:
    chosen, rejected = one.chosen, one.rejected
    return Preference(
        preference_id=preference_id(chosen.conversation_id, rejected.conversation_id),
        prompt_id=chosen.prompt_id,
        technique=chosen.technique,
        category=chosen.category,
        prompt=chosen.messages[:-1],
        chosen=chosen.messages[-1:],
        rejected=rejected.messages[-1:],
        chosen_id=chosen.conversation_id,
        rejected_id=rejected.conversation_id,
        chosen_scores=chosen.scores,
        rejected_scores=rejected.scores,
        margin=reward_margin_of(chosen, rejected),
        judge=one.judge,
        chosen_verdict=chosen.verdict,
        rejected_verdict=rejected.verdict,
        reference=chosen.reference,
        lineage=chosen.lineage,
        provenance=merge_provenance(chosen.provenance, rejected.provenance),
    )


def _is_wrong(one: Conversation) -> bool:
    return one.verdict is not None and not one.verdict.passed


def _merit(one: Conversation) -> tuple[int, float, str]:
    verdict = 1 if one.verdict is None else 0 if one.verdict.passed else 2
    reward = float("inf") if one.scores is None else -one.scores.reward
    return (verdict, reward, one.conversation_id)


def _why_left(one: Conversation, *, published: bool) -> str:
    if one.gate is not None:
        return one.gate
    if one.finish_reason == "length":
        return "truncated"
    if _is_wrong(one):
        return "wrong_answer"
    return "not_selected" if published else "no_contrast"


def _detail(one: Conversation) -> str:
    if one.verdict is None:
        return ""
    return f"{one.verdict.verifier}: expected {one.verdict.expected}, found {one.verdict.found}"
