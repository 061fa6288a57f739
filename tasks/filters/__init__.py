r"""Filters: each public function in these modules finds one fault, is named for it, and its name is the drop reason.

A filter takes a batch of conversations as columns (`tasks.filtering.to_batch` makes it, and lists them) and says of each row whether it
has the fault: as a polars expression where polars can say it, as a boolean series otherwise. Its keyword parameters are what a recipe
may set. A new filter is a new function in any module here, its docstring saying what the fault is:

    def shouted(batch: pl.DataFrame, *, share: float = 0.5) -> pl.Expr:
        return pl.col("answer").str.count_matches(r"\p{Lu}") > pl.col("answer").str.count_matches(r"\p{L}") * share
"""
