"""Reward and embedding models on Triton: one text in, a row of numbers out.

A reward model takes `sentences` (the rendered conversation) and gives `rewards` and, if it tells, `exceeded`; that is NeMo-Aligner's server contract
widened, so those servers are understood as well. A one-number reward model may also be served as a text generator: then the logit of one token at the
first generated position is the reward. An embedding model takes one text and gives one row of floats, whatever it calls them; several texts are rows of one
request, as many as its `max_batch_size` allows.
"""

import math
from collections.abc import Sequence

from tritonclient.grpc import InferInput, InferResult

from infra.engines.rewards import reward_facts, reward_from_numbers
from infra.engines.triton_dialects import Dialect, generation_dialect
from infra.engines.triton_model import ServedModel, values_in
from schemas.engine import Answer, EmbedBatch, Embedding, Embeddings, Request, texts_of
from schemas.errors import EngineError, EngineFault
from schemas.model_card import ModelCard, RewardFacts

_LOGITS, _RETURN_LOGITS = "generation_logits", "return_generation_logits"


def dialect_of(model: ServedModel, card: ModelCard, *, stream: bool = False) -> Dialect:
    """Choose how to talk to a model that plays the card's role, asking for texts piece by piece where `stream` says so.

    Raises EngineError(UNSUPPORTED) if it can't play it.
    """
    if card.role == "reward":
        return LogitDialect(model, card) if gives_logits(model, card) else RewardDialect(model, card)
    if card.role == "embedding":
        return EmbeddingDialect(model)
    return generation_dialect(model, card, stream=stream)


def gives_logits(model: ServedModel, card: ModelCard) -> bool:
    """Say whether a text generator can play a reward card's role: the card knows which logit counts, and the server hands logits out."""
    return card.reward is not None and card.reward.logit is not None and {"text_input", _RETURN_LOGITS} <= model.inputs.keys() and _LOGITS in model.outputs


def check_reward_model(model: ServedModel, card: ModelCard) -> RewardFacts:
    """Check that a served model keeps the reward contract, and give what the card says of its numbers. Raises EngineError(UNSUPPORTED)."""
    if "sentences" not in model.inputs or "rewards" not in model.outputs:
        raise _unfit(model, "a reward model takes `sentences` and gives `rewards` (or, where its card names a logit, takes `return_generation_logits`)")
    facts = reward_facts(card)
    served = tuple(name.strip() for name in model.parameters.get("attributes", "").split(",") if name.strip())
    if served and served[-len(facts.attributes) :] != facts.attributes:
        message = f"the model {model.name} grades {', '.join(served)}, the card {card.id} says {', '.join(facts.attributes)}: is it another model?"
        raise EngineError(message, fault=EngineFault.UNSUPPORTED)
    return facts


class RewardDialect:
    """`sentences` in, `rewards` out."""

    kind = "triton/reward"
    options: frozenset[str] = frozenset()

    def __init__(self, model: ServedModel, card: ModelCard) -> None:
        self._facts = check_reward_model(model, card)
        self._model = model
        self.attributes = self._facts.attributes
        # NeMo-Aligner's newer servers cut what is too long and say nothing.
        self.tells = frozenset({"exceeded"} if "exceeded" in model.outputs else ())

    def inputs(self, request: Request) -> list[InferInput]:
        """Give the conversation."""
        # Always the same set of inputs: Triton batches only requests that have equal ones.
        return [self._model.tensor("sentences", request.prompt.encode())]

    def answer(self, results: Sequence[InferResult], request: Request) -> Answer:
        """Name the numbers."""
        exceeded = values_in(results[-1], "exceeded")
        too_long = exceeded is not None and exceeded.size > 0 and bool(exceeded.flat[0])
        return reward_from_numbers(_floats(results[-1], "rewards"), self._facts, exceeded=too_long)


class LogitDialect:
    """A text generator asked for one token, of which the logit that the card names is the reward."""

    kind = "triton/logits"
    options: frozenset[str] = frozenset()
    tells: frozenset[str] = frozenset({"exceeded"})
    """By refusing: TensorRT-LLM takes no prompt that is longer than its engine was built for."""

    def __init__(self, model: ServedModel, card: ModelCard) -> None:
        self._facts = reward_facts(card)
        assert self._facts.logit is not None
        self._model, self._logit = model, self._facts.logit
        self.attributes = self._facts.attributes
        wanted = {"max_tokens": 1, "top_k": 1, _RETURN_LOGITS: True, "exclude_input_in_output": True, "stream": False}
        self._constant = [model.tensor(name, value) for name, value in wanted.items() if name in model.inputs]

    def inputs(self, request: Request) -> list[InferInput]:
        """Give the conversation and the constant rest."""
        return [self._model.tensor("text_input", request.prompt.encode()), *self._constant]

    def answer(self, results: Sequence[InferResult], request: Request) -> Answer:
        """Read the first position's row of logits, of which all others are of no meaning."""
        # [batch, beam, position, vocabulary]: the first row, whatever the rank.
        logits = values_in(results[0], _LOGITS)
        if logits is None or logits.size == 0 or logits.shape[-1] <= self._logit:
            shape = "none" if logits is None else f"of the shape {list(logits.shape)}"
            built = "was the engine built with --gather_generation_logits?"
            raise EngineError(f"the logits are {shape}, and number {self._logit} of them is the reward: {built}", fault=EngineFault.GARBLED)
        return reward_from_numbers([float(logits.reshape(-1)[self._logit])], self._facts)


class EmbeddingDialect:
    """One text in, one row of floats out."""

    kind = "triton/embedding"
    options: frozenset[str] = frozenset()
    tells: frozenset[str] = frozenset()
    attributes: tuple[str, ...] = ()

    def __init__(self, model: ServedModel) -> None:
        texts = [name for name, datatype in model.inputs.items() if datatype == "BYTES"]
        vectors = [name for name, datatype in model.outputs.items() if datatype.startswith("FP")]
        if len(texts) != 1 or len(vectors) != 1:
            raise _unfit(model, "an embedding model takes one text and gives one row of floats")
        self._model, self._text, self._vector = model, texts[0], vectors[0]

    def inputs(self, request: Request) -> list[InferInput]:
        """Give the texts, a row each."""
        return [self._model.column(self._text, *(one.prompt.encode() for one in texts_of(request)))]

    def answer(self, results: Sequence[InferResult], request: Request) -> Answer:
        """Read the vectors."""
        wanted, numbers = len(texts_of(request)), _floats(results[-1], self._vector)
        if not numbers or len(numbers) % wanted or not all(map(math.isfinite, numbers)):
            raise EngineError(f"{self._vector} holds {len(numbers)} numbers for {wanted} texts, or one that is not finite", fault=EngineFault.GARBLED)
        length = len(numbers) // wanted
        vectors = tuple(Embedding(tuple(numbers[start : start + length])) for start in range(0, len(numbers), length))
        return Embeddings(vectors) if isinstance(request, EmbedBatch) else vectors[0]


def _floats(result: InferResult, name: str) -> list[float]:
    array = values_in(result, name)
    if array is None:
        raise EngineError(f"the answer has no {name}", fault=EngineFault.GARBLED)
    try:
        return [float(value) for value in array.flat]
    except (TypeError, ValueError) as error:
        raise EngineError(f"{name} is not numbers", fault=EngineFault.GARBLED) from error


def _unfit(model: ServedModel, wanted: str) -> EngineError:
    message = f"the model {model.name} takes {', '.join(model.inputs)} and gives {', '.join(model.outputs)}: {wanted}"
    return EngineError(message, fault=EngineFault.UNSUPPORTED)
