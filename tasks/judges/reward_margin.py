"""The answer with the higher reward is better, where the rewards are far enough apart."""

from pydantic import Field

from schemas.recipe import Strict
from schemas.records import Conversation
from tasks.judges import Preferred, reward_margin_of

READS_REWARD = True


class Options(Strict):
    """How far apart."""

    min_margin: float = Field(0.0, ge=0)
    """Least difference of the two rewards; with equal rewards there is no opinion."""


def prefer(options: Options, a: Conversation, b: Conversation) -> Preferred | None:
    """Judge two answers by their rewards."""
    margin = reward_margin_of(a, b)
    if margin is None or margin == 0 or abs(margin) < options.min_margin:
        return None
    return Preferred(a, b) if margin > 0 else Preferred(b, a)
