"""Keeps pandas out of a process that has no use for it."""

import sys
from collections.abc import Sequence
from types import ModuleType


class _NoPandas:
    """Finds that there is no pandas."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Be asked before all others."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is left out for a moment (infra/arrow.py)", name=name)


def leave_pandas_out() -> None:
    """Have pyarrow do without pandas until somebody asks for a pandas object.

    At its first array pyarrow imports pandas, only to see whether what it was handed is one of its objects: 40 MB and half a second for a process that
    has none. It tries once, so it is made to try where there is nothing to be found; `to_pandas` looks again. To be called where no other thread may be
    importing pandas.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    nothing = _NoPandas()
    sys.meta_path.insert(0, nothing)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(nothing)
