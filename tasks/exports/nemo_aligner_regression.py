"""NeMo-Aligner's regression reward model: templated `text` and a `label` of nine numbers, -100 where one is missing.

The nine are quality, toxicity, humor, creativity, which we never know, and HelpSteer2's five. Where a release has pairs, both sides of each are
written, as a reward model must see bad answers too.
"""

from schemas.model_card import load_card
from schemas.records import Conversation, Messages, Preference, Scores
from tasks.release.export_rows import LeftOut, Published, Rows, attributes_of, metadata

MISSING = -100.0
"""The loader's mark of a number whose loss is masked."""
_UNKNOWN = (MISSING,) * 4
_CARD = "nemotron-4-340b-reward"


def from_sft(row: Conversation) -> Rows | LeftOut:
    """Write a graded conversation."""
    return _graded(row, ((row.messages, row.scores),))


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write both graded sides of a pair, the chosen one first."""
    return _graded(row, ((row.prompt + row.chosen, row.chosen_scores), (row.prompt + row.rejected, row.rejected_scores)))


def _graded(row: Published, graded: tuple[tuple[Messages, Scores | None], ...]) -> Rows | LeftOut:
    labels = [list(attributes_of(scores).values()) for _, scores in graded]
    if any(all(value is None for value in label) for label in labels):
        return LeftOut("no_attribute_scores")
    texts = [load_card(_CARD).render(messages, generate=False) for messages, _ in graded]
    numbers = [[*_UNKNOWN, *(MISSING if value is None else value for value in label)] for label in labels]
    return [{"text": text, "label": label, "metadata": metadata(row)} for text, label in zip(texts, numbers, strict=True)]
