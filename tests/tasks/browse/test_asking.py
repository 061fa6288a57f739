import pytest

from schemas.errors import NotFoundError
from tasks.browse.asking import PAGE, Found, read_question
from tasks.browse.library import Library, Listed


def find(library: Library, data_set: str = "sft", **told: str) -> tuple[Found, list[Listed]]:
    return library.find(read_question(data_set, told))


def test_pages_hold_every_row_once(library: Library) -> None:
    seen = [one.id for page in range(1, 4) for one in find(library, page=str(page))[1]]

    assert len(seen) == len(set(seen)) == 60
    assert len(find(library)[1]) == PAGE


def test_a_page_past_the_end_is_the_last(library: Library) -> None:
    assert [one.id for one in find(library, page="99")[1]] == [one.id for one in find(library, page="3")[1]]


def test_filters_narrow_and_count_what_each_value_would_leave(library: Library) -> None:
    found, rows = find(library, technique="open_qa")

    assert found.total == 20
    assert {one.row["technique"] for one in rows} == {"open_qa"}
    # The other values stay on offer: a filter does not hide the way out of it.
    assert dict(found.counts["technique"]) == {"math": 40, "open_qa": 20}
    assert sum(dict(found.counts["split"]).values()) == 20


def test_scores_bound_and_order_rows(library: Library) -> None:
    found, rows = find(library, least="1.95", most="3.05", order="highest first")
    rewards = [one.row["scores"]["reward"] for one in rows]

    assert found.total == 11
    assert rewards == sorted(rewards, reverse=True)
    assert rewards[0] == pytest.approx(3.0)


def test_an_id_is_found_by_its_beginning_and_by_its_prompt(library: Library) -> None:
    one = find(library)[1][3]

    assert one.id in [row.id for row in find(library, id=one.id[:9].upper())[1]]
    assert one.id in [row.id for row in find(library, id=one.row["prompt_id"])[1]]


def test_dropped_rows_are_told_apart_by_reason(library: Library) -> None:
    found, rows = find(library, "dropped", reason="near_duplicate")

    assert found.total == 20
    assert {one.row["reason"] for one in rows} == {"near_duplicate"}
    assert rows[0].row["record"]["messages"][0]["content"].startswith("Question")


@pytest.mark.parametrize("told", [{"colour": "red"}, {"least": "much"}, {"order": "random"}])
def test_a_wrong_question_is_refused_with_what_there_is(told: dict[str, str]) -> None:
    with pytest.raises(NotFoundError, match=r"colour|much|random"):
        read_question("sft", told)


def test_an_address_leads_back_to_its_question(library: Library) -> None:
    question = read_question("sft", {"technique": "math", "least": "1", "order": "lowest first", "page": "2"})
    from urllib.parse import parse_qsl, urlsplit

    assert read_question("sft", dict(parse_qsl(urlsplit(question.address()).query))) == question
