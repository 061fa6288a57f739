"""placeholder of this commit's grading; widened next."""

from infra.triton.rehearsal_language.chat import read_turns
from infra.triton.rehearsal_language.tokens import count_tokens

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")


def grade(conversation: str) -> tuple[float, ...]:
    answer = read_turns(conversation)[-1].text
    base = (sum(answer.encode()) % 400) / 100
    return (base, base, base, 1.5, min(4.0, count_tokens(answer) / 50))
