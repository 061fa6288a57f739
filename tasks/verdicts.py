"""Gives conversations their verdicts, where a reference answer is known."""

from dataclasses import replace

from schemas.records import Conversation
from tasks.catalogue import find_verifier


def with_verdict(conversation: Conversation) -> Conversation:
    """Verify the last answer against the reference; without one, the conversation is returned as it is."""
    reference = conversation.reference
    if reference is None:
        return conversation
    verdict = find_verifier(reference.verifier).verify(conversation.messages[-1].content, reference.value)
    return replace(conversation, verdict=verdict)
