"""Where nobody knows the right answer, what most samples say is taken for it; whoever says so is better than who does not.

The samples of a prompt vote before any of them is filtered out or dropped as a copy: five answers that agree are five votes. A verifier reads each
answer's result and says which are the same. The winner becomes the row's reference, with the origin `majority`, and all samples are judged by it; a tie
gives none. An answer that was cut off has no vote.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import Field, field_validator

from schemas.recipe import Strict
from schemas.records import Conversation, Reference, Verdict
from tasks.discovery import find_module, names
from tasks.judges import Preferred, is_by_majority


class Options(Strict):
    """Who votes, and when a vote counts."""

    verifier: str = "final_number"
    """Reads the results and compares them: final_number or math_equivalence."""
    categories: tuple[str, ...] = Field(("math",), min_length=1)
    """Categories of prompts whose answers end in a result; prompts with a known answer have no vote."""
    min_votes: int = Field(3, ge=2)
    """Fewest samples with a result that can be read."""
    min_share: float = Field(0.5, gt=0, le=1)
    """Least share of those votes that the winner must have."""

    @field_validator("verifier")
    @classmethod
    def _can_read(cls, name: str) -> str:
        readers = [one for one in names("verifiers") if hasattr(find_module("verifiers", one), "read")]
        if name not in readers:
            raise ValueError(f"only verifiers that read a result can count votes: {', '.join(readers)}")
        return name


def convene(options: Options, answers: Sequence[Conversation]) -> list[Conversation]:
    """Let the samples of one prompt vote, and judge each by the winner; without a winner they are given back as they are."""
    if any(one.reference for one in answers) or not answers or answers[0].category not in options.categories:
        return list(answers)
    verifier = find_module("verifiers", options.verifier)
    # A dialogue's last answer is to another question than the prompt's.
    voters = [one for one in answers if one.finish_reason != "length" and len(one.messages) == one.prompt_turns + 1]
    results = [found for one in voters if (found := verifier.read(one.messages[-1].content)) is not None]
    winner, votes = _count(options, results)
    if winner is None:
        return list(answers)
    reference = Reference(options.verifier, winner, "majority")
    told = f"the majority's answer, by {votes} of {len(results)} votes"
    return [_judge(one, reference, told) if len(one.messages) == one.prompt_turns + 1 else one for one in answers]


def prefer(options: Options, a: Conversation, b: Conversation) -> Preferred | None:
    """Judge two answers by the vote."""
    if a.verdict is None or b.verdict is None or a.verdict.passed == b.verdict.passed or not is_by_majority(a):
        return None
    return Preferred(a, b) if a.verdict.passed else Preferred(b, a)


def _count(options: Options, results: Sequence[str]) -> tuple[str | None, int]:
    """Count equal results together; give the one winner and its votes, if it has the share."""
    verifier = find_module("verifiers", options.verifier)
    groups: list[list[str]] = []
    for result in sorted(results):
        same = next((group for group in groups if verifier.verify(result, group[0]).passed), None)
        if same is None:
            groups.append([result])
        else:
            same.append(result)
    groups.sort(key=len, reverse=True)
    if len(results) < options.min_votes or (len(groups) > 1 and len(groups[0]) == len(groups[1])):
        return None, 0
    votes = len(groups[0])
    return (groups[0][0], votes) if votes / len(results) >= options.min_share else (None, 0)


def _judge(one: Conversation, reference: Reference, told: str) -> Conversation:
    verdict: Verdict = find_module("verifiers", reference.verifier).verify(one.messages[-1].content, reference.value)
    return replace(one, reference=reference, verdict=replace(verdict, detail=f"{verdict.detail}; {told}".lstrip("; ")))
