"""An `Ask` that the rehearsal language answers, without a server between: the cards' own rendering, the models' own words."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.triton.rehearsal_language.speak import Asked, Temper, speak
from schemas.engine import Completion, Sampling
from schemas.identity import derive_seed
from schemas.model_card import load_card
from schemas.records import FinishReason, ModelUse
from tasks.rollout import make_request
from tasks.technique import Question, Told

CARDS: Mapping[str, str] = {"base": "rehearsal-base"}
"""Roles that are not played by `rehearsal-instruct`."""


@dataclass
class RehearsalAsk:
    """Answers as the embedded Triton's models do."""

    record: str = ""
    """Seeds follow from it and the label, as in a run."""
    temper: Temper = field(default_factory=Temper)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """(role, label) of each call."""

    async def __call__(self, role: str, question: Question, sampling: Sampling, *, label: str) -> Told:
        card = load_card(CARDS.get(role, "rehearsal-instruct"))
        request = make_request(card, question, sampling, derive_seed(1, self.record, label))
        how = request.sampling
        said = speak(Asked(request.prompt, how.max_tokens, how.temperature, request.seed, how.stop, how.json_schema), self.temper)
        self.asked.append((role, label))
        finish: FinishReason = "length" if said.finish_reason == "length" else "stop"
        completion = Completion(said.text, finish, False, said.prompt_tokens, said.completion_tokens, False)
        return Told(completion, ModelUse(role, card.id, card.revision, card.licence, "triton/ensemble", seed=request.seed))
