import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import RecipeError
from tasks.craft.seedfiles import read_rows

ROWS = [{"q": "Warum süß?", "n": "1"}, {"q": 'a "quoted", line\nof two', "n": "2"}]
CSV = 'q,n\r\nWarum süß?,1\r\n"a ""quoted"", line\nof two",2\r\n'
JSONL = '\ufeff{"q": "Warum süß?", "n": "1"}\n{"q": "a \\"quoted\\", line\\nof two", "n": "2"}\n\n'


def write(path: Path) -> Path:
    if path.name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(ROWS), path)
        return path
    text = (CSV if ".csv" in path.name else JSONL).encode()
    path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)
    return path


@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz", "s.ndjson", "s.parquet", "s.csv", "s.csv.gz"])
def test_read_rows_reads_every_kind_of_file(tmp_path: Path, name: str) -> None:
    rows = list(read_rows(write(tmp_path / name)))
    assert [row.values for row in rows] == ROWS
    assert [row.number for row in rows] == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.jsonl", b'{"q": 1}\n{"q": "\xff"}\n', "row 2: not UTF-8"),
        ("s.csv", b"q,n\n1,2\n1,2,3\n", "row 2: it has more or fewer fields"),
        ("s.csv", b"q,n\n1\n", "row 1: it has more or fewer fields"),
        ("s.csv", b"q,n\n\xff,1\n", "row 1: not UTF-8"),
        ("s.parquet", b"PAR1 no more", "not Parquet"),
        ("s.jsonl.gz", b"not gzip", "can't read"),
        ("s.jsonl.gz", gzip.compress(b'{"q": 1}\n' * 9)[:-9], "can't read"),
    ],
    ids=["jsonl-bytes", "csv-long", "csv-short", "csv-bytes", "no-parquet", "no-gzip", "gzip-cut-off"],
)
def test_read_rows_says_what_is_wrong_and_where(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        list(read_rows(tmp_path / name))
    assert name in str(caught.value)
