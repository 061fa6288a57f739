"""How far a reward engine agrees with pairs of which it is known which answer is the better one: what the ledger stores and the command line shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from schemas.contract import Int32, NonEmpty, OneOf


@dataclass(frozen=True, slots=True)
class GradedPair:
    """One known pair and what became of it."""

    row: Int32
    """Its number in the file, from 1."""
    category: str
    outcome: Annotated[str, OneOf(("won", "lost", "tied", "dropped"))]
    """`won`: the better answer got the higher reward."""
    reason: str = ""
    """Why it was dropped."""
    chosen_reward: float | None = None
    rejected_reward: float | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """How many of some pairs were won, with a 95 % interval (Wilson's, unless said otherwise)."""

    pairs: int
    won: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AppraisalRecord:
    """One measurement of one reward engine on one file of pairs."""

    appraisal_id: Annotated[str, NonEmpty()]
    model: str
    """The model card's id."""
    revision: str
    engine: str
    """The wire and dialect that served it."""
    reduction: str
    """How attributes became one number."""
    pairs_name: str
    """The file's name without its endings."""
    pairs_sha256: str
    pairs: int
    """Rows of the file: judged (won, lost, tied) and dropped."""
    won: int
    lost: int
    tied: int
    """Equal rewards: no win, as RewardBench counts."""
    dropped: Mapping[str, int]
    """By reason."""
    score: float
    """RewardBench's, the mean of its sections, where the categories are its; else the share of judged pairs that were won."""
    low: float
    high: float
    appraised_at: str
    rehearsal: bool
    categories: Mapping[str, Share] = field(default_factory=dict)
    sections: Mapping[str, float] = field(default_factory=dict)
    """RewardBench's sections, of those categories that are its."""
