"""One answer in one turn."""

from schemas.engine import Sampling
from schemas.recipe import SamplingOptions, Strict
from schemas.records import Conversation, Drop, Message, Prompt
from tasks.craft.conversing import System, lose_sample, make_conversation, with_system, without_answer
from tasks.technique import Ask

NAME = "answer"


class Options(Strict):
    """How it is answered."""

    sampling: SamplingOptions = SamplingOptions()
    """How the responder samples."""
    system: System = ""
    """A system message before the prompt, or several, of which each prompt draws one by stable hash; a prompt's own is kept in its place."""


def calls(options: Options) -> int:
    """One call a sample."""
    return 1


def samplings(options: Options) -> tuple[tuple[str, Sampling], ...]:
    """Say which roles are asked, and how they sample."""
    return (("responder", options.sampling.sampling()),)


async def respond(prompt: Prompt, sample_index: int, options: Options, ask: Ask) -> Conversation | Drop:
    """Answer a prompt once."""
    messages = with_system(prompt, options.system)
    told = await ask("responder", messages, options.sampling.sampling(), label=f"sample/{sample_index}")
    text = told.completion.text.strip()
    if not text:
        return lose_sample(prompt, NAME, sample_index, without_answer(told), raw=told.completion.text or told.completion.reasoning)
    whole = (*messages, Message("assistant", text))
    return make_conversation(prompt, whole, (told,), response=NAME, sample_index=sample_index)
