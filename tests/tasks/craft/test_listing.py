import asyncio

from schemas.engine import Sampling
from schemas.records import Message
from tasks.craft.listing import Listing, ListRequest, ask_for_list, list_shortfall
from tasks.craft.made import first_item
from tasks.technique import Opening
from tests.tasks.builders import A_RUN, ScriptedAsk, a_completion, answering, numbered


def get(ask: ScriptedAsk, n: int, besides: tuple[str, ...] = ()) -> Listing:
    return asyncio.run(ask_for_list(ask, ListRequest(f"Name {n} broad topics.", n, "topics", Sampling(), besides)))


def test_ask_for_list_takes_a_full_list_in_one_call() -> None:
    ask = answering(numbered("optics", "waves"))
    assert get(ask, 2).items == ("optics", "waves")
    assert ask.labels == ["topics"]
    assert ask.asked[0][2] == (Message("user", "Name 2 broad topics.\nAnswer with a numbered list, one item a line."),)


def test_ask_for_list_cuts_off_what_is_beyond_n() -> None:
    assert get(answering(numbered("optics", "waves", "heat")), 2).items == ("optics", "waves")


def test_ask_for_list_repairs_an_answer_that_was_no_list() -> None:
    ask = answering("Happy to help! Topics are manifold.", numbered("optics", "waves"))
    assert get(ask, 2).items == ("optics", "waves")
    assert ask.labels == ["topics", "topics/repair"]
    repair = ask.asked[1][2]
    assert [turn.role for turn in repair] == ["user", "assistant", "user"]
    assert "Give the list again" in repair[-1].content


def test_ask_for_list_tops_up_a_short_list_without_repeats() -> None:
    ask = answering(numbered("optics"), numbered("Optics", "waves"), numbered("heat", "waves", "sound"))
    assert get(ask, 4).items == ("optics", "waves", "heat", "sound")
    assert ask.labels == ["topics", "topics/repair", "topics/more/0"]
    assert "<<<\noptics\nwaves\n>>>" in ask.asked[2][2][-1].content


def test_ask_for_list_gives_up_after_a_bounded_number_of_calls() -> None:
    ask = ScriptedAsk(lambda label, text: numbered("optics"))
    listing = get(ask, 3)
    assert listing.items == ("optics",)
    assert ask.labels == ["topics", "topics/repair", "topics/more/0", "topics/more/1"]
    assert len(listing.uses) == 4


def test_ask_for_list_leaves_out_what_there_is_already() -> None:
    ask = answering(numbered("Gardening", "waves"), numbered("heat"))
    assert get(ask, 2, besides=("gardening",)).items == ("waves", "heat")
    assert "<<<\ngardening\n>>>" in ask.asked[0][2][0].content


def test_ask_for_list_drops_the_half_item_of_an_answer_cut_off() -> None:
    ask = answering(a_completion(numbered("optics", "wav"), "length"), numbered("waves", "heat"))
    assert get(ask, 2).items == ("optics", "waves")


def test_list_shortfall_makes_a_drop_of_each_missing_item() -> None:
    item = first_item("open_qa", Opening(A_RUN, 0, None))  # type: ignore[arg-type]
    request = ListRequest("Name", 5, "topics", Sampling())
    drops = list_shortfall(item, request, Listing(("optics", "waves"), (), "1. optics"), rows=20)
    assert [(drop.reason, drop.rows, drop.raw) for drop in drops] == [("list_shortfall", 20, "1. optics")] * 3
    assert len({drop.drop_id for drop in drops}) == 3
