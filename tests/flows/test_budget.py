"""A budget is kept to the call, over resumes; a run at its cap goes on once it is raised, or publishes what it has; one that makes nothing stops early."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.triton.server import ServedTriton
from tests.faults.middle import chosen
from tests.flows.side import beside
from tests.harness import SMALL, Factory, Finished, data_files, engines_of, served_keys
from tests.infra.engines.triton_stand_in import Model, reply, serve

# Several whole runs a test: half a minute each where two cores are shared.
pytestmark = [pytest.mark.triton, pytest.mark.slow, pytest.mark.timeout(900)]

PRICES = """
version: 2026-11
currency: EUR
models:
  rehearsal-instruct: {gpus: 8, gpu_hour: 3.6, output_mtok: 2.0}
  rehearsal-reward: {call: 0.001}
"""


def a_recipe(folder: Path, budget: str = "", text: str = SMALL) -> str:
    path = folder / "small.yaml"
    path.write_text(f"{text}budget: {{{budget}}}\n", encoding="utf-8")
    return str(path)


def priced(factory: Factory, folder: Path, prices: str = PRICES) -> Factory:
    (folder / "prices.yaml").write_text(prices, encoding="utf-8")
    return Factory(factory.data, factory.engines, {"GRISTMILL_PRICES": str(folder / "prices.yaml")})


def the_run(factory: Factory) -> dict[str, Any]:
    (listed,) = json.loads(factory.call("runs", "list", "--json").out)[:1]
    shown: dict[str, Any] = json.loads(factory.call("runs", "show", listed["run_id"], "--json").out)
    return shown


def manifest_of(done: Finished) -> dict[str, Any]:
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads((Path(done.json["path"]) / "manifest.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, triton: ServedTriton) -> tuple[Mapping[str, str], int]:
    """The data files of a run without a cap, and its calls."""
    folder = tmp_path_factory.mktemp("uncapped")
    done = Factory(folder / "data", engines_of(triton)).call("run", a_recipe(folder), "--json")
    manifest = manifest_of(done)
    return dict(data_files(Path(done.json["path"]))), sum(stage["calls"] for stage in manifest["stages"])


def test_a_cap_on_calls_is_kept_to_the_call_and_raising_it_goes_on(
    factory: Factory, tmp_path: Path, call_log: Path, undisturbed: tuple[Mapping[str, str], int]
) -> None:
    files, needed = undisturbed
    before = len(served_keys(call_log))
    fingerprints = set()
    for cap in (10, needed // 3, needed - 20):  # in the prompts, the answers, the grades
        stopped = factory.call("run", a_recipe(tmp_path, f"calls: {cap}"))
        assert stopped.code == 9, stopped.err
        assert f"the budget's cap of {cap:,} calls is reached" in " ".join(stopped.err.split())
        assert "Traceback" not in stopped.err
        assert len(served_keys(call_log)) - before == cap
        assert the_run(factory)["status"] == "interrupted"
        fingerprints.add(the_run(factory)["fingerprint"])
    done = factory.call("run", a_recipe(tmp_path, f"calls: {needed}"), "--json")
    manifest = manifest_of(done)
    asked = served_keys(call_log)[before:]
    assert len(asked) == len(set(asked)) == needed
    assert fingerprints == {manifest["fingerprint"]}
    assert sum(line["calls"] for line in manifest["spending"]["lines"]) == manifest["spending"]["total"]["calls"] == needed
    assert manifest["spending"]["total"]["reused"] == 0
    assert manifest["recipe"]["budget"]["calls"] == needed
    assert dict(data_files(Path(done.json["path"]))) == files


def test_a_run_that_publishes_at_its_limit_keeps_to_it_and_goes_on_when_it_is_raised(
    factory: Factory, tmp_path: Path, call_log: Path, undisturbed: tuple[Mapping[str, str], int]
) -> None:
    files, needed = undisturbed
    before = len(served_keys(call_log))
    cut = factory.call("run", a_recipe(tmp_path, f"calls: {needed // 2}, at_limit: publish"), "--json")
    manifest = manifest_of(cut)
    assert len(served_keys(call_log)) - before <= needed // 2
    lost = [loss for account in manifest["accounts"] for loss in account["losses"] if loss["reason"] == "over_budget"]
    assert lost
    assert all(account["closes"] for account in manifest["accounts"])
    assert sum(rows for name, rows in manifest["rows"].items() if name.startswith("sft")) > 0
    again = factory.call("run", a_recipe(tmp_path, f"calls: {needed // 2}, at_limit: publish"), "--json")
    assert again.json["already_finished"]
    whole = factory.call("run", a_recipe(tmp_path, "at_limit: publish"), "--json")
    assert manifest_of(whole)["version"] == "v2"
    asked = served_keys(call_log)[before:]
    assert len(asked) == len(set(asked)) == needed
    assert dict(data_files(Path(whole.json["path"]))) == files


def test_a_cap_on_money_stops_and_costs_add_up_over_resumes(factory: Factory, tmp_path: Path) -> None:
    rich = priced(factory, tmp_path)
    stopped = rich.call("run", a_recipe(tmp_path, "money: 0.05"))
    assert stopped.code == 9, stopped.err
    assert "cap of 0.05 money is reached" in " ".join(stopped.err.split())
    changed = priced(factory, tmp_path, PRICES.replace("3.6", "2.0")).call("run", a_recipe(tmp_path, "money: 100"))
    assert changed.code == 2
    assert "give it a new version" in " ".join(changed.err.split())
    rich = priced(factory, tmp_path)
    done = rich.call("run", a_recipe(tmp_path, "money: 100"), "--json")
    spending = manifest_of(done)["spending"]
    lines = {(line["technique"], line["role"]): line for line in spending["lines"]}
    assert {"math", "open_qa", "answer", "dialogue", "reward"} == {technique for technique, _ in lines}
    assert spending["currency"] == "EUR"
    assert list(spending["prices"]) == ["2026-11"]
    assert spending["total"]["cost"] == pytest.approx(sum(line["cost"] for line in spending["lines"]), abs=1e-5)
    graded = lines["reward", "reward"]
    assert graded["cost"] == pytest.approx(0.001 * graded["calls"])
    answers = lines["answer", "responder"]
    assert answers["cost"] == pytest.approx(answers["gpu_seconds"] / 1000 + answers["completion_tokens"] * 2e-6, rel=1e-3)
    assert answers["gpu_seconds_per_accepted"] == pytest.approx(answers["gpu_seconds"] / spending["accepted"], rel=1e-3)
    with closing(sqlite3.connect(factory.data / "ledger.db")) as ledger:
        assert ledger.execute("SELECT sum(cost) FROM spending").fetchone()[0] == pytest.approx(spending["total"]["cost"], abs=1e-5)
    report = (Path(done.json["path"]) / "report.html").read_text(encoding="utf-8")
    assert "Prices: version 2026-11 (EUR" in report
    shown = rich.call("runs", "show", done.json["run_id"])
    assert "by prices 2026-11" in shown.out


def test_a_cap_on_money_without_prices_is_refused_before_any_work(factory: Factory, tmp_path: Path) -> None:
    refused = factory.call("run", a_recipe(tmp_path, "money: 5"))
    assert refused.code == 2
    assert "GRISTMILL_PRICES names no table of prices: give prices of rehearsal-instruct, rehearsal-reward" in " ".join(refused.err.split())
    assert not (factory.data / "ledger.db").exists()


def test_a_cap_on_time_stops_and_goes_on(factory: Factory, tmp_path: Path, call_log: Path) -> None:
    stopped = factory.call("run", a_recipe(tmp_path, f"hours: {0.5 / 3600}"))
    assert stopped.code == 9, stopped.err
    begun = len(served_keys(call_log))
    again = factory.call("run", a_recipe(tmp_path, f"hours: {0.5 / 3600}"))  # the time of the first one counts
    assert again.code == 9
    assert len(served_keys(call_log)) == begun
    assert factory.call("run", a_recipe(tmp_path)).code == 0


SEEDED = """
name: seeded
models: {responder: rehearsal-instruct}
prompts: [{technique: seeds, path: rows.jsonl, source: made-up, licence: cc0-1.0, columns: {prompt: question}}]
responses: [{technique: answer, samples: 2}]
score: null
pairs: null
dedup: {near: null}
screen: {dedup: {near: null}}
shard_records: 64
"""


def refusing(rate: float) -> Model:
    """A server that calls an even share of requests invalid."""

    async def respond(request: Any, context: Any) -> Any:
        nth = len(model.requests)
        if int(nth * rate) > int((nth - 1) * rate):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the request is not to the model's liking")
        return reply(text_output=f"The answer to request {request.id} is that nobody knows.")

    model = Model(respond)
    return model


def garbling(share: float) -> Model:
    """A server that answers a share of requests, always the same ones, with what is no text."""

    async def respond(request: Any, context: Any) -> Any:
        return reply(text_output=b"\xff\xfe" if chosen(request.id, share) else f"The answer to request {request.id} is that nobody knows.")

    return Model(respond)


def run_on(model: Model, data: Path, recipe: str) -> Finished:
    with beside(serve(model)) as address:
        return Factory(data, f"rehearsal-instruct={address}").call("run", recipe)


def seeded(folder: Path) -> str:
    rows = [json.dumps({"question": f"Which of the numbers {number} and {number * 7} is larger, and why?"}) for number in range(400)]
    (folder / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return a_recipe(folder, text=SEEDED)


def test_a_run_whose_records_come_to_nothing_stops_early_and_goes_on_once_the_cause_is_mended(tmp_path: Path) -> None:
    broken, recipe = refusing(0.9), seeded(tmp_path)
    stopped = run_on(broken, tmp_path / "data", recipe)
    assert stopped.code == 9, stopped.err
    said = " ".join(stopped.err.split())
    assert re.search(r"of the last \d+ records of answer, \d+ came to nothing, surely more than 50%; the commonest causes: engine_refused \d+", said)
    assert len(broken.requests) < 400
    assert the_run(Factory(tmp_path / "data", ""))["status"] == "failed"
    mended = run_on(refusing(0.0), tmp_path / "data", recipe)
    assert mended.code == 0, mended.err


def test_an_error_rate_of_four_per_cent_stops_nothing(tmp_path: Path) -> None:
    done = run_on(refusing(0.041), tmp_path / "data", seeded(tmp_path))
    assert done.code == 0, done.err
    (account,) = [one for one in the_run(Factory(tmp_path / "data", ""))["stages"] if one["stage"] == "responses"]
    assert account["total"]["dropped"] == {"engine_refused": 32}


def test_records_answered_with_garbage_for_ever_are_dropped_and_the_others_published(tmp_path: Path) -> None:
    model = garbling(0.05)
    done = run_on(model, tmp_path / "data", seeded(tmp_path))
    assert done.code == 0, done.err
    asked = Counter(request.id for request in model.requests)
    garbled = [times for key, times in asked.items() if chosen(key, 0.05)]
    assert garbled
    assert set(garbled) == {3}
    (account,) = [one for one in the_run(Factory(tmp_path / "data", ""))["stages"] if one["stage"] == "responses"]
    assert account["total"]["dropped"] == {"garbled_answer": len(garbled)}


def test_an_engine_that_answers_nothing_but_garbage_stops_the_run_early(tmp_path: Path) -> None:
    stopped = run_on(garbling(1.0), tmp_path / "data", seeded(tmp_path))
    assert stopped.code == 9, stopped.err
    assert "the commonest causes: garbled_answer" in " ".join(stopped.err.split())
