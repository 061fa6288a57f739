"""A key and a TLS identity reach the engines and nothing else: no log, ledger, journal, release, Prefect database or traceback holds a planted one."""

import base64
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest

from infra.settings import Address
from infra.triton.server import ServedTriton
from tests.flows.side import beside, tls_proxy
from tests.harness import SMALL, Factory, Finished
from tests.infra.engines.builders import make_certificate
from tests.infra.engines.triton_stand_in import Model, serve

pytestmark = [pytest.mark.triton, pytest.mark.slow]


UNSCORED = """
name: unscored
models: {writer: rehearsal-instruct, responder: rehearsal-instruct}
prompts: [{technique: open_qa, topics: 3, subtopics: 2, questions: 4, revise: false}]
responses: [{technique: answer}]
score: null
pairs: null
"""


def planted() -> str:
    return f"sk-planted-{secrets.token_hex(12)}"


def over_tls(port: int) -> str:
    return f"rehearsal-instruct=grpcs://localhost:{port}/ensemble rehearsal-reward=grpcs://localhost:{port}/reward"


def places_that_hold(secret: str, folder: Path) -> list[str]:
    """List the files under a folder that hold a secret as it is, in base64 or in hexadecimal; Parquet and SQLite are read, not only their bytes."""
    shapes = [secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()]
    return [str(path) for path in sorted(folder.rglob("*")) if any(shape in text for text in texts_of(path) for shape in shapes)]


def texts_of(path: Path) -> Iterator[str]:
    if not path.is_file() or path.is_symlink():
        return
    with suppress(FileNotFoundError):  # the private Prefect API takes a moment to go, and its database's side files with it
        yield path.read_bytes().decode(errors="replace")
    if path.suffix == ".parquet":
        yield str(pq.read_table(path).to_pylist())
    if path.suffix == ".db":
        with closing(sqlite3.connect(path)) as database:
            yield "\n".join(database.iterdump())


def assert_kept(secret: str, done: Finished, factory: Factory) -> None:
    assert places_that_hold(secret, factory.data) == []
    assert secret not in done.out + done.err


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    secret = planted()
    with closing(sqlite3.connect(tmp_path / "some.db")) as database, database:
        database.execute("CREATE TABLE notes (value TEXT)")
        database.execute("INSERT INTO notes VALUES (?)", (f"Bearer {secret}",))
    (tmp_path / "some.log").write_text(base64.b64encode(secret.encode()).decode(), encoding="utf-8")
    assert len(places_that_hold(secret, tmp_path)) == 2


def test_a_run_over_mutual_tls_publishes_and_keeps_its_key(tmp_path: Path, triton: ServedTriton) -> None:
    secret = planted()
    certificate, key = make_certificate(tmp_path)
    recipe = tmp_path / "small.yaml"
    recipe.write_text(SMALL, encoding="utf-8")
    settings = {"GRISTMILL_API_KEY": secret, "GRISTMILL_TLS_CA": str(certificate), "GRISTMILL_TLS_CERT": str(certificate), "GRISTMILL_TLS_KEY": str(key)}
    with beside(tls_proxy(triton.grpc_port, certificate, key, mutual=True)) as port:
        factory = Factory(tmp_path / "data", over_tls(port), settings)
        unknown = Factory(tmp_path / "other", over_tls(port), {"GRISTMILL_API_KEY": secret, "GRISTMILL_TLS_CA": str(certificate)})
        refused = unknown.call("--debug", "run", str(recipe))
        done = factory.call("--debug", "run", str(recipe))
        report = factory.call("runs", "list", "--json")
    assert refused.code == 3, refused.err
    assert done.code == 0, done.err
    assert '"finished"' in report.out
    private = "".join(key.read_text(encoding="ascii").splitlines()[1:-1])
    for held in (secret, private[:40]):
        assert_kept(held, refused, unknown)
        assert_kept(held, done, factory)
        assert held not in report.out


def test_a_run_whose_server_quotes_the_key_fails_and_keeps_it(tmp_path: Path) -> None:
    secret = planted()

    async def quote_what_was_shown(request: Any, context: Any) -> Any:
        shown = dict(context.invocation_metadata())["authorization"]
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"who is {shown}?")

    certificate, key = make_certificate(tmp_path)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    model = Model(quote_what_was_shown)
    recipe = tmp_path / "unscored.yaml"
    recipe.write_text(UNSCORED)
    with beside(serve(model, credentials)) as address:
        assert isinstance(address, Address)
        factory = Factory(
            tmp_path / "data",
            f"rehearsal-instruct={address}",
            {"GRISTMILL_API_KEYS": f"localhost={secret}", "GRISTMILL_TLS_CA": str(certificate)},
        )
        done = factory.call("--debug", "run", str(recipe))
    assert done.code == 3, done.err
    assert "who is Bearer ***?" in done.err
    assert "Traceback" in done.err
    assert {one["authorization"] for one in model.headers} == {f"Bearer {secret}"}
    assert_kept(secret, done, factory)
