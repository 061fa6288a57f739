"""Makes what a technique hands on: items and prompts that carry where they came from and which models touched them."""

from dataclasses import replace

from schemas.records import Lineage, Message, Messages, ModelUse, Prompt, Provenance, Reference, WorkItem, item_id, merge_provenance, prompt_id
from tasks.technique import Opening


def first_item(technique: str, opening: Opening) -> WorkItem:
    """Make the one item from which a technique that needs no seeds starts."""
    lineage = Lineage()
    return WorkItem(item_id(technique, 0, "", lineage), technique, 0, "", lineage, opening.provenance)


def derive_item(item: WorkItem, value: str, *, topics: tuple[str, ...], uses: tuple[ModelUse, ...] = ()) -> WorkItem:
    """Make an item of the next step out of one of this step."""
    step = item.step + 1
    lineage = replace(item.lineage, topics=topics)
    return WorkItem(item_id(item.technique, step, value, lineage), item.technique, step, value, lineage, touched(item.provenance, *uses))


def derive_prompt(item: WorkItem, messages: Messages, *, category: str, reference: Reference | None = None, uses: tuple[ModelUse, ...] = ()) -> Prompt:
    """Make a prompt out of an item, named by its content."""
    unique = prompt_id(item.technique, messages)
    return Prompt(unique, item.technique, category, messages, reference, item.lineage, touched(item.provenance, *uses))


def as_request(text: str) -> Messages:
    """Make a text the user's only turn."""
    return (Message("user", text),)


def touched(provenance: Provenance, *uses: ModelUse) -> Provenance:
    """Note that models had a hand in a row."""
    return merge_provenance(provenance, replace(provenance, models=uses, sources=()))
