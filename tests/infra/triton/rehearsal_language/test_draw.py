from infra.triton.rehearsal_language.draw import Draw


def test_draw_makes_the_same_choices_in_every_process() -> None:
    draw = Draw("a", 1, 0.5)
    assert [draw.number(0, 999) for _ in range(4)] == [97, 372, 895, 584]


def test_draw_gives_all_there_is_where_more_is_wanted() -> None:
    assert sorted(Draw("a").several("abc", 9)) == ["a", "b", "c"]
