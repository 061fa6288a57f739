"""A conversation of several turns, in which a model also plays the user, in one of several moods.

Three user turns are the Nemotron-4 340B report's default (§3.2.2). What the simulated user says is stripped of thanks and flattery, and a
conversation that would outgrow the model's context is dropped with that reason, never cut.
"""

from pydantic import Field

from schemas.engine import Sampling
from schemas.identity import derive_seed
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Conversation, Drop, Message, Messages, Prompt
from tasks.craft.conversing import System, lose_sample, make_conversation, with_system, without_answer
from tasks.craft.courtesies import strip_courtesies
from tasks.craft.turns import between_marks, estimate_tokens, fault_in_turns, show_turns
from tasks.technique import Ask, Told

NAME = "dialogue"

PERSONAS = {
    "plain": "You are an ordinary person who wants to know more.",
    "thorough": "You think in depth: your message has several parts, takes up a detail of the last answer and opens a new side of the matter.",
    "critical": "You are hard to satisfy: in few words you point at what is missing or doubtful in the last answer, as somebody who needs it to work.",
    "practical": "You have a real situation at hand, and you tell just enough of it to ask how the answer applies.",
}

TURN_MARKS = 8
"""Tokens that a chat template spends on the marks of a turn, by generous estimate."""


class Options(Strict):
    """How long, and by whom."""

    user_turns: int = Field(3, ge=2, le=50)
    """Turns by the user, the prompt's own included."""
    personas: tuple[str, ...] = Field(tuple(PERSONAS), min_length=1)
    """Moods of the simulated user to choose from: plain, thorough, critical, practical, or a description of your own."""
    context_tokens: int = Field(4096, ge=64)
    """Tokens that a whole conversation may have, the next answer's max_tokens included."""
    system: System = ""
    """A system message before the prompt, or several, of which each prompt draws one by stable hash; a prompt's own is kept in its place."""
    sampling: SamplingOptions = SamplingOptions()
    """How the responder samples."""
    user_sampling: SamplingOptions = SamplingOptions(max_tokens=256)
    """How the simulated user samples."""


def calls(options: Options) -> int:
    """One call a turn; the first turn is the prompt."""
    return 2 * options.user_turns - 1


def samplings(options: Options) -> tuple[tuple[str, Sampling], ...]:
    """Say which roles are asked, and how they sample."""
    return (("responder", options.sampling.sampling()), ("user", options.user_sampling.sampling()))


async def respond(prompt: Prompt, sample_index: int, options: Options, ask: Ask) -> Conversation | Drop:
    """Hold one conversation over a prompt."""
    fault = fault_in_turns(prompt.messages, last="user")
    if fault:
        return lose_sample(prompt, NAME, sample_index, "wrong_turns", detail=fault)
    talk = _Talk(prompt, sample_index, options, ask)
    try:
        for turn in range(options.user_turns):
            if turn:
                await talk.let_user_speak(turn)
            await talk.let_model_answer(turn)
    except _LostError as lost:
        return lose_sample(prompt, NAME, sample_index, lost.reason, **lost.more)
    return make_conversation(prompt, talk.messages, tuple(talk.told), response=NAME, sample_index=sample_index)


class _LostError(Exception):
    """The conversation can't go on; caught in `respond`."""

    def __init__(self, reason: str, **more: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.more = more


class _Talk:
    """A conversation while it is being had."""

    def __init__(self, prompt: Prompt, sample_index: int, options: Options, ask: Ask) -> None:
        self.messages = with_system(prompt, options.system)
        self.told: list[Told] = []
        self._options = options
        self._ask = ask
        self._label = f"sample/{sample_index}"
        self._size = sum(map(_estimate, self.messages))
        """Tokens of the conversation so far: estimated, from the first answer on as the engine counts them."""
        self._persona = choose_persona(options, prompt.prompt_id, sample_index)

    async def let_model_answer(self, turn: int) -> None:
        sampling = self._options.sampling.sampling()
        self._refuse_overflow(turn, self._size + sampling.max_tokens)
        told = await self._ask("responder", self.messages, sampling, label=f"{self._label}/assistant/{turn}")
        text = told.completion.text.strip()
        self._size = told.completion.prompt_tokens + told.completion.completion_tokens
        self.told.append(told)
        if not text:
            raise _LostError(without_answer(told), detail=f"answer {turn + 1}", raw=told.completion.text or told.completion.reasoning)
        if told.completion.finish_reason == "length" and turn < self._options.user_turns - 1:
            raise _LostError("truncated", detail=f"answer {turn + 1} of {self._options.user_turns} was cut off", raw=text)
        self.messages = (*self.messages, Message("assistant", text))

    async def let_user_speak(self, turn: int) -> None:
        sampling = self._options.user_sampling.sampling()
        request = Message("user", ask_for_user_turn(self.messages, self._persona))
        self._refuse_overflow(turn, _estimate(request) + sampling.max_tokens)
        told = await self._ask("user", (request,), sampling, label=f"{self._label}/user/{turn}")
        self.told.append(told)
        if told.completion.finish_reason == "length":
            raise _LostError("truncated", detail=f"the simulated user's turn {turn + 1} was cut off", raw=told.completion.text)
        text = strip_courtesies(told.completion.text)
        if not text:
            raise _LostError("empty_user_turn", detail=f"the simulated user's turn {turn + 1} held nothing but courtesies", raw=told.completion.text)
        self.messages = (*self.messages, Message("user", text))
        self._size += _estimate(self.messages[-1])

    def _refuse_overflow(self, turn: int, needed: int) -> None:
        if needed > self._options.context_tokens:
            raise _LostError("over_context", detail=f"turn {turn + 1} would need about {needed} tokens of {self._options.context_tokens}")


def _estimate(message: Message) -> int:
    return estimate_tokens(message.content) + TURN_MARKS


def choose_persona(options: Options, prompt_id: str, sample_index: int) -> str:
    """Choose who plays the user, the same one each time this conversation is had."""
    name = options.personas[derive_seed("persona", prompt_id, sample_index) % len(options.personas)]
    return PERSONAS.get(name, name)


def ask_for_user_turn(messages: Messages, persona: str) -> str:
    """Ask a model to speak as the user."""
    shown = between_marks(show_turns(tuple(one for one in messages if one.role != "system")))
    return (
        "Below, between marks, is a conversation of a user with an assistant. "
        f"Write the user's next message. {persona} Follow up on what was said; no thanks, no praise, no greeting. "
        f"Answer with the message alone, without a name before it.\n{shown}"
    )
