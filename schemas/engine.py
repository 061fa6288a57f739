"""The seam to served models: what is asked, what comes back, and the protocol that every adapter fulfils.

Three requests (generate, reward, embed), an answer type for each, and one `call` for all of them, so that limiter, retry, journal
and metrics know one thing. Texts to embed also travel several to a call; each one's answer is kept by itself. Requests and answers are plain
frozen values: no Triton, no HTTP in sight.
"""

import base64
import dataclasses
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.errors import EngineError, EngineFault
from schemas.identity import content_id
from schemas.records import FinishReason, Message, Messages


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw an answer. None leaves a knob at the engine's own default and is not sent."""

    max_tokens: int = 1024
    temperature: float = 1.0
    """0 is greedy."""
    top_p: float = 1.0
    top_k: int | None = None
    repetition_penalty: float | None = None
    stop: tuple[str, ...] = ()
    """Beside the model card's own stop strings."""
    json_schema: str | None = None
    """Guided decoding: the answer must fit this JSON schema. Only some dialects can."""
    reasoning: bool | None = None
    """Reason first, or don't: the model's card puts it into the prompt, so no engine is told and the key need not say it twice."""

    def fields(self) -> list[object]:
        """List the values for a call's key. Written out: `dataclasses.astuple` takes most of the 11 µs that a key costs."""
        return [self.max_tokens, self.temperature, self.top_p, self.top_k, self.repetition_penalty, self.stop, self.json_schema]


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Ask a model to go on from a prompt."""

    model: str
    """The model card's id."""
    revision: str
    messages: Messages
    """Empty where only a raw prompt was given: chat-only engines refuse it."""
    prompt: str
    """The conversation rendered by the card's chat template, or the raw prompt."""
    sampling: Sampling
    seed: int

    @property
    def key(self) -> str:
        """The call's identity: the same content asked anywhere is the same call."""
        return content_id("generate", [self.model, self.revision, self.prompt, self.sampling.fields(), self.seed])


@dataclass(frozen=True, slots=True)
class RewardRequest:
    """Ask a reward model to grade the last assistant turn of a conversation."""

    model: str
    revision: str
    messages: Messages
    prompt: str

    @property
    def key(self) -> str:
        """The call's identity."""
        return content_id("reward", [self.model, self.revision, self.prompt])


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Ask an embedding model for a text's vector."""

    model: str
    revision: str
    prompt: str

    @property
    def key(self) -> str:
        """The call's identity."""
        return content_id("embed", [self.model, self.revision, self.prompt])


@dataclass(frozen=True, slots=True)
class EmbedBatch:
    """Ask an embedding model for several texts' vectors in one call; at most as many as `EngineFacts.batch`."""

    requests: tuple[EmbedRequest, ...]

    @property
    def prompt(self) -> str:
        """All texts, for people to look at."""
        return "\n".join(one.prompt for one in self.requests)

    @property
    def key(self) -> str:
        """Names the call to the server, and nothing more: what is paid for, and kept, is each text by its own key."""
        return content_id("embed-batch", [one.key for one in self.requests])


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to a GenerateRequest, without the prompt and without a trailing stop string."""

    text: str
    finish_reason: FinishReason
    finish_reason_inferred: bool
    """True where the engine does not tell and it was judged from token counts."""
    prompt_tokens: int
    completion_tokens: int
    tokens_inferred: bool
    """True where the engine does not count and the numbers are estimates."""
    reasoning: str = ""
    """What the model thought before, where the engine tells it apart; else it is in the text, and the card parts them."""


@dataclass(frozen=True, slots=True)
class Reward:
    """The answer to a RewardRequest: finite numbers by attribute; `{"reward": x}` from one-number models."""

    attributes: Mapping[str, float]
    exceeded: bool = False
    """The conversation was too long for the model and was cut: the grade is of a part."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """The answer to an EmbedRequest."""

    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The answer to an EmbedBatch, in its order."""

    vectors: tuple[Embedding, ...]


Request = GenerateRequest | RewardRequest | EmbedRequest | EmbedBatch
Answer = Completion | Reward | Embedding | Embeddings

_ANSWERS: dict[str, type[Answer]] = {"completion": Completion, "reward": Reward, "embedding": Embedding}


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Limits on one attempt, in seconds. Time spent in our own queue is never limited."""

    connect_s: float = 5.0
    total_s: float = 600.0
    first_s: float | None = None
    """Until the first token. None: no limit of its own."""
    between_s: float | None = None
    """From each token to the next."""

    @property
    def streams(self) -> bool:
        """Whether an answer must be streamed for these to be kept."""
        return self.first_s is not None or self.between_s is not None


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine turned out to be, read from the engine itself."""

    address: str
    served_model: str
    kind: str
    """Wire and dialect, for example `triton/ensemble`, `triton/llmapi`, `triton/vllm`, `openai/chat`."""
    server: str
    """The server's name and version, as it tells them."""
    decoupled: bool = False
    options: frozenset[str] = field(default_factory=frozenset)
    """Sampling fields (names as in `Sampling`, and `seed`) that this engine can be told; and `raw`, where it takes a prompt as it stands."""
    tells: frozenset[str] = field(default_factory=frozenset)
    """Of `finish_reason` and `tokens`, what the engine reports itself."""
    attributes: tuple[str, ...] = ()
    """A reward engine's attributes, in order."""
    batch: int = 1
    """Most texts that one call to an embedding engine may hold."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One process as the others see it; seats are in the order in which they were taken."""

    token: str
    limit: int
    hungry: bool
    """Whether it used its limit to the full since it was here last."""
    answered: int
    """Calls of its, so far."""
    refused: int
    """Of its calls, those that found the server too full, so far."""


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """One model's load at one moment, of all clients together."""

    running: float
    """Calls in service."""
    waiting: float
    """Calls in the server's queue, and calls that were taken out of service for want of memory."""
    cache: float = 0.0
    """Share of the KV cache in use; 0 where it is not told."""


class Engine(Protocol):
    """One served model at one address.

        facts = await engine.inspect()                      # EngineError if it is not there or not what it should be
        answer = await engine.call(request, Deadlines())    # Completion for a GenerateRequest, and so on
        await engine.close()

    An adapter makes one attempt and raises EngineError; retrying, limiting and journalling are its caller's.
    Cancelling the awaiting task cancels the call at the server where the wire can.
    """

    async def inspect(self) -> EngineFacts:
        """Read what is served here, within seconds; the same facts on every later call."""
        ...

    async def call(self, request: Request, deadlines: Deadlines) -> Answer:
        """Make one attempt at one request."""
        ...

    async def load(self) -> ServerLoad | None:
        """Read how busy the server says it is; None where it does not say, or can't be asked now. Raises nothing."""
        ...

    async def close(self) -> None:
        """Let the connection go."""
        ...


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """Encode an answer for the journal."""
    kind = next(name for name, cls in _ANSWERS.items() if isinstance(answer, cls))
    if isinstance(answer, Embedding):
        return {"kind": kind, "vector": _pack(answer.vector)}
    return {"kind": kind} | {field.name: _plain(getattr(answer, field.name)) for field in dataclasses.fields(answer)}


def answer_from_json(value: Mapping[str, Any]) -> Answer:
    """Decode what `answer_to_json` made."""
    fields = {name: item for name, item in value.items() if name != "kind"}
    if value["kind"] == "embedding":
        fields["vector"] = _unpack(fields["vector"])
    return _ANSWERS[value["kind"]](**fields)


def texts_of(request: Request) -> tuple[EmbedRequest, ...]:
    """List the texts of a call to an embedding model."""
    match request:
        case EmbedBatch(requests):
            return requests
        case EmbedRequest():
            return (request,)
    raise TypeError(f"{type(request).__name__} is not for an embedding model")


def refuse_unsupported(facts: EngineFacts, sampling: Sampling) -> None:
    """Raise EngineError(UNSUPPORTED) if the engine can't be told something that `sampling` sets."""
    wanted = {f.name for f in dataclasses.fields(sampling) if getattr(sampling, f.name) not in (None, ())}
    always = {"max_tokens", "temperature", "top_p", "reasoning"}
    missing = sorted(wanted - always - facts.options)
    if missing:
        raise EngineError(
            f"{facts.kind} at {facts.address} can't be told {', '.join(missing)}: "
            "leave it out of the recipe's sampling, or serve the model by a dialect that has it",
            fault=EngineFault.UNSUPPORTED,
        )


def refuse_raw(facts: EngineFacts) -> None:
    """Raise EngineError(UNSUPPORTED) if the engine does not take a prompt as it stands."""
    if "raw" not in facts.options:
        raise EngineError(
            f"{facts.kind} at {facts.address} puts every prompt into the model's chat format: magpie and base_continuation need it taken as it stands. "
            "Serve the model on Triton (grpc://…), or leave these techniques out",
            fault=EngineFault.UNSUPPORTED,
        )


def as_messages(*turns: tuple[str, str]) -> Messages:
    """Build messages from (role, content) pairs."""
    return tuple(Message(role, content) for role, content in turns)


def _pack(vector: tuple[float, ...]) -> str | list[float]:
    """Write a vector as its 32-bit floats in base64, a quarter of what digits take; as digits where these would not be the same numbers."""
    try:
        packed = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError:
        return list(vector)
    return base64.b64encode(packed).decode() if struct.unpack(f"<{len(vector)}f", packed) == vector else list(vector)


def _unpack(written: str | list[float]) -> tuple[float, ...]:
    if isinstance(written, list):
        return tuple(written)
    packed = base64.b64decode(written)
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
