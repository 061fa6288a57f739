"""A run from its start to its end: ledger entry, lock, engines, Dask cluster; and what is told of it.

`open_run` gives the flow everything a stage needs; `Job` is the part of it that travels to Dask workers.
"""

import contextlib
import logging
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from infra.arrow import leave_pandas_out
from infra.calls import CallStore
from infra.engines.session import EngineSession
from infra.ledger import Ledger
from infra.metrics import serve_metrics
from infra.settings import Address, Settings
from infra.storage import RunFolder, hold_run, write_text
from infra.traces import headers, run_traced
from schemas.errors import BudgetReachedError, GristmillError, LedgerError, RunInterruptedError, StorageError
from schemas.records import Provenance
from schemas.run import RunRecord, RunStatus, ShardReport
from tasks.appraisal.demand import refuse_unappraised
from tasks.budget import UNLIMITED, Allowance
from tasks.budgeting import Budget, may_go_on, open_budget, price_all
from tasks.catalogue import LoadedRecipe
from tasks.earlier import check_earlier
from tasks.metrics import write_metrics
from tasks.progress import HUB, snapshot
from tasks.rollout import Cast
from tasks.run_engines import check_engines, describe, open_addresses, read_meter, wanted_cards

if TYPE_CHECKING:
    from distributed import Client

    from tasks.prefect_view import RunView
    from tasks.requeue.plan import Requeue

log = logging.getLogger("gristmill")


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended."""

    run_id: str
    status: RunStatus
    release: str | None
    """name/version, once published."""
    path: str | None
    rows: dict[str, int] = field(default_factory=dict)
    """Of the release: data set and split to rows."""
    already_finished: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What a Dask worker must know to work on a shard of a run; small, and picklable."""

    folder: RunFolder
    settings: Settings
    addresses: dict[str, tuple[Address, ...]]
    cast: Cast
    allowance: Allowance = UNLIMITED
    trace: Mapping[str, str] = field(default_factory=dict)
    """The span that it is handed out in, as W3C headers."""


@dataclass
class Run:
    """An open run."""

    record: RunRecord
    loaded: LoadedRecipe
    settings: Settings
    ledger: Ledger
    folder: RunFolder
    session: EngineSession
    addresses: dict[str, tuple[Address, ...]]
    cast: Cast
    view: "RunView"
    budget: Budget
    _cluster: "Future[Client]"
    requeue: "Requeue | None" = None
    """The drops of another run that this one puts through again."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.run_id

    @cached_property
    def provenance(self) -> Provenance:
        """What every row of the run carries before any model has touched it."""
        return Provenance(self.record.fingerprint, self.record.rehearsal)

    def allowance(self, stage: str) -> Allowance:
        """Say what a stage may spend."""
        return self.budget.allowance(stage)

    def job(self, stage: str, workers: int) -> Job:
        """Give the run as each of some workers needs it at a stage."""
        return Job(self.folder, self.settings, self.addresses, self.cast, self.budget.allowance(stage, workers), headers())

    @cached_property
    def client(self) -> "Client":
        """The Dask cluster."""
        if not self._cluster.done():
            HUB.say("starting Dask")
        client = self._cluster.result()
        HUB.say("")
        return client

    def commit(self, stage: str, shard: int, report: ShardReport) -> None:
        """Record a finished shard, once. Its files must be in place."""
        self.ledger.commit_shard(self.run_id, stage, shard, report)

    def committed(self, stage: str, shards: int) -> dict[int, ShardReport]:
        """Plan a stage and say which of its shards an earlier process had finished."""
        self.ledger.plan_stage(self.run_id, stage, shards)
        return self.ledger.committed(self.run_id, stage)


@contextlib.contextmanager
def open_run(
    loaded: LoadedRecipe, settings: Settings, *, fresh: bool = False, roles: Container[str] | None = None, descent: Mapping[str, Any] | None = None
) -> Iterator[Run | RunOutcome]:
    """Open a run, or give the outcome of one that is finished already.

    Raises RunBusyError where another process holds it, EngineError where an engine is not what the recipe needs. On the way out the
    ledger is told how it ended, and whatever was started for it is stopped. `roles` are those whose engines are wanted, all where none is given;
    `descent` says what release the run comes from.
    """
    from tasks.prefect_control import is_begun_here

    prices = price_all(loaded, settings)
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(contextlib.closing(Ledger.open(settings.ledger_url)))
        refuse_unappraised(loaded, settings, ledger)
        record = _begin(ledger, loaded, fresh=fresh and not is_begun_here(ledger, loaded.fingerprint))
        if record.status == "finished" and may_go_on(ledger, record, loaded):
            record = _begin(ledger, loaded, fresh=True)
        if descent is not None:
            ledger.note(record.run_id, "descent", dict(descent))
        if record.status == "finished":
            yield finished_outcome(ledger, record)
            return
        folder, before = stack.enter_context(hold_run(settings.data, record.run_id)), ledger.last_holder(record.run_id)
        stack.enter_context(ledger.hold_run(record.run_id, settings.data))
        _refuse_missing_files(ledger, folder, f"{before}, in {before.folder}" if before else "another process")
        traced = run_traced(settings.trace_calls, gristmill__run=record.run_id, gristmill__recipe=record.name, gristmill__rehearsal=record.rehearsal)
        with traced, _told_to_ledger(ledger, record):
            budget = stack.enter_context(open_budget(loaded, prices, ledger, record, folder))
            yield _prepare(_Opening(loaded, settings, ledger, record, roles, budget), stack)


def _begin(ledger: Ledger, loaded: LoadedRecipe, *, fresh: bool) -> RunRecord:
    return ledger.begin_run(
        fingerprint=loaded.fingerprint,
        name=loaded.recipe.name,
        recipe=loaded.recipe.model_dump(mode="json"),
        rehearsal=loaded.rehearsal,
        fresh=fresh,
    )


def finished_outcome(ledger: Ledger, record: RunRecord, *, already: bool = True) -> RunOutcome:
    """Describe a finished run by its release."""
    if record.release is None:
        return RunOutcome(record.run_id, record.status, None, None, already_finished=already)
    name, _, version = record.release.rpartition("/")
    release = ledger.release(name, version)
    return RunOutcome(record.run_id, record.status, record.release, release.path, release.rows, already)


@contextlib.contextmanager
def _told_to_ledger(ledger: Ledger, record: RunRecord) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        _note_end(ledger, record, "interrupted", _SIGNAL)
        raise RunInterruptedError(f"run {record.run_id} was stopped; everything finished is kept") from stop
    except BudgetReachedError as stop:
        _note_end(ledger, record, "interrupted", str(stop))
        raise
    except Exception as error:
        known = isinstance(error, GristmillError)
        _note_end(ledger, record, "failed", str(error) if known else f"{type(error).__name__}: {error}")
        raise
    except BaseException:
        # Prefect's TerminationSignal (SIGTERM, or Cancel in its UI) and its kin.
        _note_end(ledger, record, "interrupted", _SIGNAL)
        raise


_SIGNAL = "stopped by a signal"


def _note_end(ledger: Ledger, record: RunRecord, status: RunStatus, why: str) -> None:
    """Tell the ledger how a run ended, if it is there: where it hears nothing, it still sees that nobody works on the run."""
    try:
        ledger.set_status(record.run_id, status, error=why)
    except LedgerError as error:
        log.warning("the ledger could not be told that run %s is %s: %s", record.run_id, status, error)


@dataclass(frozen=True, slots=True)
class _Opening:
    loaded: LoadedRecipe
    settings: Settings
    ledger: Ledger
    record: RunRecord
    roles: Container[str] | None
    budget: Budget


def _refuse_missing_files(ledger: Ledger, folder: RunFolder, before: str) -> None:
    """Refuse to go on with a run whose finished shards are in some other data folder, as where hosts share a ledger and no storage."""
    if not (folder.root / "recipe.yaml").exists() and any(stage.committed for stage in ledger.stages(folder.run_id)):
        raise StorageError(
            f"run {folder.run_id} was begun by {before}; what it has finished is not in {folder.data}: go on where it is, "
            "name that folder with GRISTMILL_DATA, or run the recipe anew here with --fresh"
        )


def _prepare(opening: _Opening, stack: contextlib.ExitStack) -> Run:
    from tasks.prefect_control import note_flow_run, turn_at
    from tasks.prefect_view import RunView

    loaded, settings, ledger, record, roles = opening.loaded, opening.settings, opening.ledger, opening.record, opening.roles
    leave_pandas_out()
    HUB.start(run_id=record.run_id, name=record.name, rehearsal=record.rehearsal)
    note_flow_run(ledger, record.run_id)
    check_earlier(loaded.recipe, settings.data)
    folder = RunFolder(settings.data, record.run_id)
    write_text(folder.root / "recipe.yaml", loaded.path.read_text(encoding="utf-8"))
    CallStore(settings.data / "calls").sweep(settings.local / "journal", {record.run_id})
    stack.enter_context(turn_at({card.id for card in wanted_cards(loaded, roles).values()}))
    addresses = open_addresses(loaded, settings, stack, log_path=folder.local / "triton.log", roles=roles)
    session = stack.enter_context(contextlib.closing(EngineSession(settings, addresses)))
    HUB.watch("this process", lambda: read_meter(session))
    stack.enter_context(serve_metrics(settings.metrics_port, lambda: write_metrics(snapshot())))
    cast = check_engines(loaded, session, roles, patient=True)
    ledger.note(record.run_id, "recipe", {"path": str(loaded.path.absolute())})
    for card_id, facts in cast.facts.items():
        ledger.note(record.run_id, f"engine:{card_id}", describe(facts))
    cluster = stack.enter_context(_cluster_in_background(settings))
    return Run(record, loaded, settings, ledger, folder, session, addresses, cast, RunView(record.name), opening.budget, cluster)


@contextlib.contextmanager
def _cluster_in_background(settings: Settings) -> "Iterator[Future[Client]]":
    """Open the Dask cluster while the first prompts are written: it takes some 3 s, and its workers' imports 8 more."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(1, "gristmill-dask") as thread:

        def start() -> "Client":
            from infra.cluster import flush_traces, open_cluster, preload

            client = stack.enter_context(open_cluster(settings))
            stack.callback(flush_traces, client)
            preload(client, ["tasks.dedup.steps", "great_expectations"])
            return client

        yield thread.submit(start)
