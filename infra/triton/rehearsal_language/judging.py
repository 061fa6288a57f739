"""The rehearsal model as judge: it compares and rates by the rules of the rehearsal reward model, and has the faults of judges.

At set rates it likes best whatever it reads first, says what can't be read, or sees no difference.
"""

from collections.abc import Sequence

from infra.triton.rehearsal_language.draw import Draw, hash_parts
from infra.triton.rehearsal_language.grading import grade

_SAME = 0.05
_REASONS = (
    "It speaks more to the point and can be acted on.",
    "The other one leaves open what was asked.",
    "It gives reasons where the other only states.",
    "Both are of about the same length, but this one holds more.",
    "What it says can be followed step by step.",
)
_MUDDLED = ("Both have their merits, and it depends on the reader.", "I would have to know more to say which one helps more.", "Judging such things is hard.")
_VERDICTS = ("Verdict: {}", "Verdict: {}", "Verdict: {}", "**Verdict: {}**", "[[{}]]", "Therefore, Answer {} is better.")


def compare(quoted: Sequence[str], draw: Draw, *, biased_rate: float, malformed_rate: float) -> str:
    """Say which of two answers is better, with a reason before it."""
    if len(quoted) != 3 or draw.chance(malformed_rate):
        return draw.pick(_MUDDLED)
    question, *answers = quoted
    # Who is biased is so in both orders, hence by the texts without their order.
    biased = Draw("bias", *sorted(answers)).chance(biased_rate)
    first, second = (_quality(question, answer) for answer in answers)
    better = "A" if biased or first > second else "B"
    if not biased and abs(first - second) < _SAME:
        return f"{draw.pick(_MUDDLED)}\nVerdict: tie"
    return f"Answer {better} serves better. {draw.pick(_REASONS)}\n{draw.pick(_VERDICTS).format(better)}"


def rate(quoted: Sequence[str], draw: Draw, *, biased_rate: float, malformed_rate: float) -> str:
    """Rate each answer from 1 to 10, a line each."""
    if len(quoted) < 2 or draw.chance(malformed_rate):
        return draw.pick(_MUDDLED)
    question, *answers = quoted
    biased = Draw("bias", *sorted(answers)).chance(biased_rate)
    ratings = [max(1, min(10, round(1 + 9 * _quality(question, answer) / 4) + (2 if biased and not place else 0))) for place, answer in enumerate(answers)]
    form = draw.pick(("Answer {}: {}", "Answer {}: {}", "{}. {}/10", "- Answer {}: **{}**"))
    lines = [form.format(number, rating) for number, rating in enumerate(ratings, 1)]
    return "\n".join([draw.pick(_REASONS), *lines[: len(lines) - draw.chance(malformed_rate)]])


def _quality(question: str, answer: str) -> float:
    helpfulness, correctness, coherence, *_ = grade(f"<extra_id_1>User\n{question}\n<extra_id_1>Assistant\n{answer}")
    taste = (hash_parts("taste", question, answer) % 1000) / 1000
    return 0.5 * helpfulness + 0.35 * correctness + 0.1 * coherence + 0.2 * taste
