"""Parts one item into branches that are asked for a list each (a topic into kinds of text, into levels), so that each branch's drops are its own."""

from dataclasses import replace

from schemas.records import WorkItem, item_id


def branch_item(item: WorkItem, name: str) -> WorkItem:
    """Make a branch of an item, of the same step and value, with the branch's name as its narrowest topic and an id of its own."""
    lineage = replace(item.lineage, topics=(*item.lineage.topics, name))
    return replace(item, item_id=item_id(item.technique, item.step, item.value, lineage), lineage=lineage)
