"""A process that fans out has no pandas, and one that wants it later still gets it."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from infra.arrow import leave_pandas_out
from infra.storage import read_records, write_records
from schemas.records import Lineage, Message, Prompt, Provenance

leave_pandas_out()
prompt = Prompt("ab" * 16, "bench", "open_qa", (Message("user", "Why?"),), None, Lineage(), Provenance("r", rehearsal=True))
write_records(Path(sys.argv[1]), [prompt], Prompt)
assert read_records(Path(sys.argv[1]), Prompt) == [prompt]
assert "pandas" not in sys.modules

import pandas
import pyarrow

assert pyarrow.array([1, None]).to_pandas().isna().tolist() == [False, True]
assert pyarrow.array(pandas.Series([1.5, float("nan")]), from_pandas=True).null_count == 1
leave_pandas_out()
assert "pandas" in sys.modules
"""


def test_records_are_written_and_read_without_pandas_which_comes_when_asked_for(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "prompts.parquet")], check=True)
