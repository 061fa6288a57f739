"""Makes a Conversation of a prompt and the turns that were generated for it, or the Drop that stands for it."""

from schemas.records import Conversation, Drop, Message, Messages, Prompt, conversation_id, drop_record
from tasks.craft.made import touched
from tasks.technique import Told


def with_system(messages: Messages, system: str) -> Messages:
    """Put a system message before a prompt that has none."""
    if not system or messages[0].role == "system":
        return messages
    return (Message("system", system), *messages)


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
    )


def lose_sample(prompt: Prompt, response: str, sample_index: int, reason: str, **more: str) -> Drop:
    """Make the drop that stands for one sample of a prompt; `more` are its detail and raw."""
    return drop_record(prompt, stage="responses", reason=reason, nth=f"{response}/{sample_index}", **more)
