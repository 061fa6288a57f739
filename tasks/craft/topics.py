"""What techniques that go from topics to tasks share: subtopics of a topic, in one step, or in none where none are wanted."""

from schemas.engine import Sampling
from schemas.records import WorkItem
from tasks.craft.listing import ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import derive_item
from tasks.craft.turns import in_quotes
from tasks.technique import Ask, Made


async def name_subtopics_of(item: WorkItem, n: int, sampling: Sampling, ask: Ask, *, rows: int) -> Made:
    """Name n subtopics of a topic, each worth `rows` prompts; with n = 0 the topic goes on as it is."""
    if not n:
        return Made((derive_item(item, item.value, topics=item.lineage.topics),))
    what = f"Name {n} subtopics of {in_quotes(item.value)} that differ from each other as much as they can. A few words each."
    request = ListRequest(what, n, "subtopics", sampling)
    listing = await ask_for_list(ask, request)
    named = tuple(derive_item(item, one, topics=(*item.lineage.topics, one), uses=listing.uses) for one in listing.items)
    return Made(named, list_shortfall(item, request, listing, rows=rows))


def how_many(subtopics: int) -> int:
    """Say how many items come out of a topic."""
    return max(1, subtopics)
