"""Decides what becomes of the answers to one prompt: instruction data, sides of preference pairs, or drops with a reason.

All functions are pure and take the conversations of one prompt; the order in which these come makes no difference. What language models said as
judges was asked before (tasks/judging.py) and is handed in.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby, islice
from types import MappingProxyType

from schemas.identity import derive_seed
from schemas.recipe import PairOptions, Recipe, SftOptions
from schemas.records import Conversation, Drop, Preference, drop_record, merge_provenance, preference_id
from tasks.catalogue import LoadedJudge
from tasks.judges import Heard, Preferred, reward_margin_of
from tasks.purposes import purpose_of

Hearings = Mapping[tuple[int, str, str, str], Heard]
"""Of a judge's place in the recipe's order, its name and two conversations' ids, the lower first: what it said of them."""
NOTHING_HEARD: Hearings = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the answers to one prompt. Each answer is in `sft`, in a pair, or a drop."""

    sft: tuple[Conversation, ...]
    preferences: tuple[Preference, ...]
    drops: tuple[Drop, ...]


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two answers of which a judge preferred one."""

    rank: int
    """Place in the recipe's order of the judge that decided."""
    judge: str
    opinion: Preferred

    @property
    def margin(self) -> float | None:
        """By how much the chosen one's reward is the higher."""
        return reward_margin_of(self.opinion.chosen, self.opinion.rejected)

    @property
    def order(self) -> tuple[int, float, str, str]:
        """Earlier judges first, then the widest margin, then by id."""
        return (self.rank, -(self.margin or 0.0), self.opinion.chosen.conversation_id, self.opinion.rejected.conversation_id)


def settle(conversations: Sequence[Conversation], recipe: Recipe, judges: Sequence[LoadedJudge], heard: Hearings = NOTHING_HEARD) -> Settlement:
    """Settle the answers to one prompt as a recipe says."""
    purpose = purpose_of(conversations[0], recipe.split) if conversations else "both"
    sft = select_sft(conversations, recipe.sft) if recipe.sft and purpose != "preferences" else ()
    preferences = pair(conversations, recipe.pairs, judges, heard) if recipe.pairs and purpose != "sft" else ()
    return Settlement(sft, preferences, leftovers(conversations, sft, preferences, heard))


def pair(conversations: Sequence[Conversation], options: PairOptions, judges: Sequence[LoadedJudge], heard: Hearings = NOTHING_HEARD) -> tuple[Preference, ...]:
    """Make preference pairs of the answers to one prompt that differ in their last turn alone.

    An answer that is gated, cut off or known to be wrong is never chosen; equal texts are never paired.
    """
    return tuple(map(_make_preference, select_pairs(judge_pairs(conversations, judges, heard), options)))


def comparable_pairs(conversations: Sequence[Conversation]) -> Iterator[tuple[Conversation, Conversation]]:
    """Give the pairs that could be judged, the lower id first: at least one side may be chosen, and only the last turn differs."""
    ordered = sorted(conversations, key=lambda one: one.conversation_id)
    return ((a, b) for a, b in combinations(ordered, 2) if _are_comparable(a, b) and (may_be_chosen(a) or may_be_chosen(b)))


def judge_pairs(conversations: Sequence[Conversation], judges: Sequence[LoadedJudge], heard: Hearings = NOTHING_HEARD) -> list[JudgedPair]:
    """Have each comparable pair judged by the first judge with an opinion; only pairs whose better side may be chosen are given."""
    judged = (judge_pair(a, b, judges, heard) for a, b in comparable_pairs(conversations))
    return sorted((one for one in judged if one and may_be_chosen(one.opinion.chosen)), key=lambda one: one.order)


def judge_pair(a: Conversation, b: Conversation, judges: Sequence[LoadedJudge], heard: Hearings = NOTHING_HEARD) -> JudgedPair | None:
    """Find the first judge with an opinion on two answers; of one that asks a language model, what was heard counts."""
    for rank, judge in enumerate(judges):
        said = heard.get((rank, judge.name, a.conversation_id, b.conversation_id))
        opinion = (said.preferred if said else None) if judge.asks else judge.module.prefer(judge.options, a, b)
        if opinion is not None:
            return JudgedPair(rank, judge.name, opinion)
    return None


def select_pairs(judged: Sequence[JudgedPair], options: PairOptions) -> list[JudgedPair]:
    """Choose by the recipe's strategy among judged pairs in their order."""
    match options.strategy:
        case "best_worst":
            return list(judged[:1])
        case "best_random":
            return _against_random(judged, options.per_prompt or 1)
        case "margin_window":
            return [one for one in judged if _is_within(one.margin, options)][: options.per_prompt]
        case "all":
            return list(judged[: options.per_prompt])


def _is_within(margin: float | None, options: PairOptions) -> bool:
    return margin is not None and margin >= options.min_margin and (options.max_margin is None or margin <= options.max_margin)


def _against_random(judged: Sequence[JudgedPair], most: int) -> list[JudgedPair]:
    """Put the best answer against others that lose to it, drawn by stable hash."""
    if not judged:
        return []
    best = judged[0].opinion.chosen.conversation_id
    losers = [one for one in judged if one.opinion.chosen.conversation_id == best]
    return sorted(losers, key=lambda one: derive_seed("best_random", best, one.opinion.rejected.conversation_id))[:most]


def select_sft(conversations: Sequence[Conversation], options: SftOptions) -> tuple[Conversation, ...]:
    """Select the best answers to one prompt by each response technique: by verdict, then reward, then id.

    A gated or cut-off one is never selected. A dialogue is no rival of a single answer: their rewards are of different questions. Nor is an answer
    with its reasoning one of its twin without: a model that is to do both needs both.
    """
    fit = [one for one in conversations if one.gate is None and one.finish_reason != "length" and not (options.require_correct and _is_wrong(one))]
    ordered = sorted(fit, key=lambda one: (_kind(one), _merit(one)))
    return tuple(one for _, same in groupby(ordered, key=_kind) for one in islice(same, options.per_prompt))


def leftovers(
    conversations: Sequence[Conversation], sft: Sequence[Conversation], preferences: Sequence[Preference], heard: Hearings = NOTHING_HEARD
) -> tuple[Drop, ...]:
    """Make a drop of each answer to one prompt that is neither instruction data nor in a pair.

    Reasons: the name of the filter that gated it; `truncated`; `wrong_answer`; `not_selected` where answers to its prompt were
    published; `no_contrast` where none was. The detail says what a verifier found, how many answers have the very same reward, and what became of questions
    to a language model as judge.
    """
    used = {one.conversation_id for one in sft} | {side for one in preferences for side in (one.chosen_id, one.rejected_id)}
    ordered = sorted(conversations, key=lambda one: one.conversation_id)
    return tuple(
        drop_record(one, stage="pair", reason=_why_left(one, published=bool(used)), detail=_detail(one, ordered, heard))
        for one in ordered
        if one.conversation_id not in used
    )


def may_be_chosen(one: Conversation) -> bool:
    """Say whether an answer is fit to be a pair's chosen side."""
    return one.gate is None and one.finish_reason != "length" and not _is_wrong(one)


def _are_comparable(a: Conversation, b: Conversation) -> bool:
    """Only the last turn may differ, else the pair would teach a preference between two users; with reasoning or without is another matter again."""
    return (
        (a.reasoning is None) == (b.reasoning is None)
        and a.messages[:-1] == b.messages[:-1]
        and a.messages[-1].content.strip() != b.messages[-1].content.strip()
    )


def _make_preference(one: JudgedPair) -> Preference:
    chosen, rejected = one.opinion.chosen, one.opinion.rejected
    asked = replace(chosen.provenance, models=one.opinion.uses)
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
        margin=one.margin,
        judge=one.judge,
        chosen_verdict=chosen.verdict,
        rejected_verdict=rejected.verdict,
        reference=chosen.reference,
        lineage=chosen.lineage,
        provenance=merge_provenance(chosen.provenance, rejected.provenance, asked),
        hearings=one.opinion.hearings,
        chosen_reasoning=chosen.reasoning,
        rejected_reasoning=rejected.reasoning,
        difficulty=chosen.difficulty,
        redacted=(
            *(each for each in chosen.redacted if each.where != "answer"),
            *(replace(each, where="chosen") for each in chosen.redacted if each.where == "answer"),
            *(replace(each, where="rejected") for each in rejected.redacted if each.where == "answer"),
        ),
    )


def _is_wrong(one: Conversation) -> bool:
    return one.verdict is not None and not one.verdict.passed


def _kind(one: Conversation) -> tuple[str, bool]:
    return (one.response, one.reasoning is not None)


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


def _detail(one: Conversation, among: Sequence[Conversation], heard: Hearings) -> str:
    parts = [] if one.verdict is None else [f"{one.verdict.verifier}: expected {one.verdict.expected}, found {one.verdict.found}"]
    ties = sum(1 for other in among if other is not one and _are_comparable(one, other) and reward_margin_of(one, other) == 0)
    parts += [f"reward: {ties} tie"] if ties else []
    told = Counter((judge, said.outcome) for (_, judge, *sides), said in heard.items() if one.conversation_id in sides and said.outcome != "decided")
    return "; ".join([*parts, *(f"{judge}: {pairs} {outcome}" for (judge, outcome), pairs in sorted(told.items()))])
