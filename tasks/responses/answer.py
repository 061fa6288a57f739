"""One answer in one turn."""

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Conversation, Drop, Message, Prompt
from tasks.craft.conversing import lose_sample, make_conversation, with_system
from tasks.technique import Ask

NAME = "answer"


class Options(Strict):
    """How it is answered."""

    sampling: SamplingOptions = SamplingOptions()
    """How the responder samples."""
    system: str = ""
    """A system message before the prompt; a prompt's own system message is kept in its place."""


def calls(options: Options) -> int:
    """One call a sample."""
    return 1


def samplings(options: Options) -> tuple[tuple[str, Sampling], ...]:
    """Say which roles are asked, and how they sample."""
    return (("responder", options.sampling.sampling()),)


async def respond(prompt: Prompt, sample_index: int, options: Options, ask: Ask) -> Conversation | Drop:
    """Answer a prompt once."""
    messages = with_system(prompt.messages, options.system)
    told = await ask("responder", messages, options.sampling.sampling(), label=f"sample/{sample_index}")
    text = told.completion.text.strip()
    if not text:
        return lose_sample(prompt, NAME, sample_index, "empty_answer", raw=told.completion.text)
    whole = (*messages, Message("assistant", text))
    return make_conversation(prompt, whole, (told,), response=NAME, sample_index=sample_index)
