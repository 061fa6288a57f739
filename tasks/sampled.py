"""What is found out from all samples of a prompt together, before any of them is filtered out: verdicts, votes, and how hard the prompt is.

Filters and dedup would falsify it: of five equal right answers one stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from schemas.records import Conversation, Difficulty, Prompt
from tasks.catalogue import LoadedJudge, find_verifier


def judge_samples(conversations: Iterable[Conversation], judges: Sequence[LoadedJudge]) -> list[Conversation]:
    """Verify each answer whose reference is known, let judges convene where they do, and note how often each prompt was answered rightly."""
    ordered = sorted(conversations, key=lambda one: (one.prompt_id, one.conversation_id))
    judged = [one for _, same in groupby(ordered, key=lambda one: one.prompt_id) for one in _judge_prompt(list(same), judges)]
    return sorted(judged, key=lambda one: one.conversation_id)


def verify(conversation: Conversation) -> Conversation:
    """Judge an answer by its reference, where there is one."""
    if conversation.reference is None:
        return conversation
    verifier = find_verifier(conversation.reference.verifier)
    return replace(conversation, verdict=verifier.verify(conversation.messages[-1].content, conversation.reference.value))


def rate_prompts(prompts: Iterable[Prompt], conversations: Iterable[Conversation]) -> list[Prompt]:
    """Note on each prompt how often its own question was answered rightly."""
    found = {one.prompt_id: one.difficulty for one in conversations if one.difficulty}
    return [replace(one, difficulty=found.get(one.prompt_id)) for one in prompts]


def _judge_prompt(answers: list[Conversation], judges: Sequence[LoadedJudge]) -> list[Conversation]:
    answers = [verify(one) for one in answers]
    for judge in judges:
        if hasattr(judge.module, "convene"):
            answers = judge.module.convene(judge.options, answers)
    return [replace(one, difficulty=_rate(one, answers)) for one in answers]


def _rate(one: Conversation, answers: Iterable[Conversation]) -> Difficulty | None:
    """Rate by the samples that were judged by the same reference: an answer in JSON is asked for something else than a number."""
    passed = [other.verdict.passed for other in answers if other.verdict and other.reference == one.reference]
    return Difficulty(sum(passed) / len(passed), len(passed)) if one.verdict and passed else None
