"""Makes a Conversation of a prompt and the turns that were generated for it, or the Drop that stands for it."""

from schemas.identity import derive_seed
from schemas.records import Conversation, Drop, Message, Messages, Prompt, conversation_id, drop_record
from tasks.craft.made import touched
from tasks.technique import Told

System = str | tuple[str, ...]
"""A technique's option: no system message (empty), one, or several to draw from."""


def system_choices(system: System) -> tuple[str, ...]:
    """List the system messages that an option names; an empty one among several is a share of prompts without any."""
    return (system,) if isinstance(system, str) else system


def with_system(prompt: Prompt, system: System) -> Messages:
    """Put a system message before a prompt that has none.

    Of several, one is drawn by the prompt's id: all samples of a prompt have the same, as answers under different ones can't be compared.
    """
    choices = system_choices(system)
    if prompt.messages[0].role == "system" or not choices:
        return prompt.messages
    drawn = choices[derive_seed("system", prompt.prompt_id) % len(choices)]
    return (Message("system", drawn), *prompt.messages) if drawn else prompt.messages


def without_answer(told: Told) -> str:
    """Name the reason why a model's turn holds no answer."""
    return "unfinished_reasoning" if told.completion.reasoning else "empty_answer"


def make_conversation(prompt: Prompt, messages: Messages, told: tuple[Told, ...], *, response: str, sample_index: int) -> Conversation:
    """Make the record; `told` is every answer in it, in order.

    Finish reason and token counts are those of the last turn, whose prompt is all that went before: together they are the whole's length.
    What is known of the right answer goes with the prompt's own answer only: after further turns the last answer is to another question.
    """
    last = told[-1].completion
    system_added = messages[0].role == "system" and prompt.messages[0].role != "system"
    prompt_turns = len(prompt.messages) + system_added
    return Conversation(
        conversation_id=conversation_id(prompt.prompt_id, response, sample_index, messages),
        prompt_id=prompt.prompt_id,
        technique=prompt.technique,
        category=prompt.category,
        response=response,
        sample_index=sample_index,
        prompt_turns=prompt_turns,
        messages=messages,
        finish_reason=last.finish_reason,
        finish_reason_inferred=last.finish_reason_inferred,
        prompt_tokens=last.prompt_tokens,
        completion_tokens=last.completion_tokens,
        tokens_inferred=last.tokens_inferred,
        scores=None,
        verdict=None,
        reference=prompt.reference if len(messages) == prompt_turns + 1 else None,
        lineage=prompt.lineage,
        provenance=touched(prompt.provenance, *(one.use for one in told)),
        reasoning=last.reasoning or None,
    )


def lose_sample(prompt: Prompt, response: str, sample_index: int, reason: str, **more: str) -> Drop:
    """Make the drop that stands for one sample of a prompt; `more` are its detail and raw."""
    return drop_record(prompt, stage="responses", reason=reason, nth=f"{response}/{sample_index}", sample_index=sample_index, **more)
