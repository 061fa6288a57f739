"""What stages `screen` and `dedup` do where the recipe asks for copies in meaning: each record that is left is embedded, then compared. On Dask.

A step of its stage in the ledger (`dedup/embed`), so that what it paid is told; every vector is journalled and kept like any other answer.
"""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from infra.engines.session import shared_session
from infra.storage import read_records, read_table
from schemas.errors import StoppedError
from schemas.recipe import SemanticOptions
from schemas.records import Drop, Provenance
from schemas.run import ShardReport
from tasks.dedup import Copies, join_copies, read_copies
from tasks.dedup.plan import Kind
from tasks.progress import HUB
from tasks.requeue.inherit import CARRIED, INPUTS, goes_back_to
from tasks.rollout import Whose, open_calls
from tasks.run_state import Job, Run
from tasks.semantic import find_alike
from tasks.semantic.texts import Texts, read_texts
from tasks.semantic.vectors import Points, quantise, stack, write_points
from tasks.stages.asking import hand_over_shards, make_room, metered
from tasks.stages.fan_out import map_on_dask

_KINDS: dict[str, Kind] = {"screen": "prompt", "dedup": "conversation"}
_FIRST, _THEN = "work", "alike"
"""Where, in a stage's folder, the search by text and the one by meaning leave what they found."""


def drop_alike(run: Run, stage: str, inputs: Sequence[Path], options: SemanticOptions | None) -> None:
    """Embed what the search by text has left, and find what is alike in it; `read_found` then gives both."""
    if options is None:
        return
    step, shards = f"{stage}/embed", len(inputs)
    committed = run.committed(step, shards)
    left = [shard for shard in range(shards) if shard not in committed]
    work = partial(embed_shard, stage=stage, carried=goes_back_to(run, stage))
    HUB.say(f"embedding for {stage}" if left else "")
    stops, done = list[StoppedError](), len(committed)
    for shard, report in map_on_dask(run, work, left, stage=stage) if left else ():
        if isinstance(report, StoppedError):
            stops.append(report)
            continue
        run.commit(step, shard, report)
        done += 1
        HUB.say(f"embedding for {stage}: {done} of {shards} shards")
        run.view.tell_progress()
    HUB.say("")
    if stops:
        raise stops[0]
    hand_over_shards(run, step, shards)
    find_alike(run.client, inputs, [run.folder.part(step, shard) for shard in range(shards)], run.folder.root / stage / _THEN, options)


def read_found(root: Path, stage: str, shard: int, *, semantic: bool) -> Copies:
    """Read what the searches of a stage found in one shard."""
    found = [read_copies(root / stage / folder, shard) for folder in ((_FIRST, _THEN) if semantic else (_FIRST,))]
    return join_copies(*found)


def touch_of(job: Job, recipe: str) -> Provenance:
    """Say that the embedding model had a hand in a row."""
    card = job.cast.cards["embedding"]
    return Provenance(recipe, card.rehearsal, (job.cast.use("embedding"),))


def embed_shard(job: Job, shard: int, *, stage: str, carried: bool) -> ShardReport | StoppedError:
    """Embed one shard's records; all its rows pass on. An error given, not raised, says that the run must spend no more."""
    started, step, table = time.monotonic(), f"{stage}/embed", read_table(job.folder.part(INPUTS[stage], shard))
    card = job.cast.cards["embedding"]
    texts = read_texts(table, _KINDS[stage], read_copies(job.folder.root / stage / _FIRST, shard).records, context_tokens=card.context_tokens)
    session, gate = shared_session(job.settings, job.addresses), job.allowance.gate
    calls, journal = open_calls(session, job.folder, step, shard, texts.ids, gate=gate)
    make_room()
    asked = {text: one for text, one in zip(reversed(texts.texts), reversed(texts.ids), strict=True) if text.strip()}
    try:
        with journal, metered(session):
            found = session.run(calls.embed(card, dict(reversed(asked.items())), batch=job.cast.facts[card.id].batch, whose=Whose("semantic", "embedding")))
    except StoppedError as stop:
        return stop
    write_points(job.folder.part(step, shard), _points(texts, {text: one.vector for text, one in found.items() if one is not None}, card.id))
    rows = table.num_rows + _passed_by(job, stage, shard, carried=carried)
    return calls.report(rows_in=rows, rows_out=rows, dropped={}, seconds=time.monotonic() - started)


def _points(texts: Texts, vectors: dict[str, tuple[float, ...]], model: str) -> Points:
    """Lay out what has a vector; what has none, or one of zeros, is compared with nothing and stays."""
    told = [place for place, text in enumerate(texts.texts) if any(vectors.get(text, ()))]
    return Points(texts.facts[told], quantise(stack([vectors[texts.texts[place]] for place in told], model)))


def _passed_by(job: Job, stage: str, shard: int, *, carried: bool) -> int:
    """Count the rows of the stage's account that are in no file of its input: those that were dropped on the way to it."""
    before = read_records(job.folder.dropped("screen/in", shard), Drop) if stage == "screen" else []
    stays = read_records(job.folder.part(CARRIED, shard), Drop) if carried else []
    return len(before) + sum(one.rows for one in stays)
