"""The answer that its verifier found right is better than the one that it found wrong."""

from schemas.recipe import Strict
from schemas.records import Conversation
from tasks.judges import Preferred, is_by_majority


class Options(Strict):
    """Nothing to set."""


def prefer(options: Options, a: Conversation, b: Conversation) -> Preferred | None:
    """Judge two answers by their verdicts."""
    if a.verdict is None or b.verdict is None or a.verdict.passed == b.verdict.passed or is_by_majority(a):
        return None
    return Preferred(a, b) if a.verdict.passed else Preferred(b, a)
