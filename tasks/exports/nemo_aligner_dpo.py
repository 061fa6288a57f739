"""NeMo-Aligner's DPO and RPO: templated `prompt` and responses, and both rewards, always.

Its loader puts 1.0 and 0.0 where a reward is missing, which makes RPO's targets wrong in silence: a pair without both is left out here. The
template is Nemotron-4's. A response ends with the mark of the next turn; and as the loader refuses a tokenizer's merging of prompt and response,
an answer that begins with white space is left out.
"""

from schemas.model_card import load_card
from schemas.records import Message, Messages, Preference
from tasks.release.export_rows import LeftOut, Rows, metadata, reward_of

_CARD = "nemotron-4-340b-instruct"
_TERMINATOR = "\n<extra_id_1>"


def from_preferences(row: Preference) -> Rows | LeftOut:
    """Write a pair with its rewards."""
    chosen, rejected = reward_of(row.chosen_scores), reward_of(row.rejected_scores)
    if chosen is None or rejected is None:
        return LeftOut("missing_reward", f"chosen {chosen}, rejected {rejected}")
    if chosen < rejected:
        return LeftOut("rewards_contradict_choice", f"chosen {chosen}, rejected {rejected}")
    fault = _fault(row)
    if fault:
        return fault
    prompt = load_card(_CARD).render(row.prompt, generate=True)
    better, worse = (_response(row.prompt, side[0]) for side in (row.chosen, row.rejected))
    fields = {"prompt": prompt, "chosen_response": better, "rejected_response": worse, "chosen_reward": chosen, "rejected_reward": rejected}
    return [{**fields, "metadata": metadata(row)}] if better != worse else LeftOut("chosen_equals_rejected", "without the template's own tokens")


def _fault(row: Preference) -> LeftOut | None:
    if len(row.chosen) > 1 or len(row.rejected) > 1:
        return LeftOut("several_turns_in_answer")
    spaced = [name for name, side in (("chosen", row.chosen), ("rejected", row.rejected)) if side[0].content[0].isspace()]
    return LeftOut("answer_begins_with_space", spaced[0]) if spaced else None


def _response(prompt: Messages, answer: Message) -> str:
    """Render an answer as the template would after the prompt, its own control tokens taken out of the text."""
    card = load_card(_CARD)
    whole, before = card.render((*prompt, answer), generate=False), card.render(prompt, generate=True)
    return whole.removeprefix(before).removesuffix("\n") + _TERMINATOR
