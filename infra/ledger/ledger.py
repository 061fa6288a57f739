"""What runs there are, what of them is committed, and what was published. Each method is one transaction; any number of processes may share a ledger."""

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.ledger import leases
from infra.ledger.appraisals import Appraisals
from infra.ledger.database import Database
from infra.ledger.finding import find_run, now, run_row
from infra.ledger.models import Note, Run, Shard, Stage
from infra.ledger.releases import Releases
from infra.ledger.spending import spending_rows, spent_at, spent_by_shard
from schemas.errors import AccountingError, LedgerError
from schemas.run import RunRecord, RunStatus, ShardReport, StageReport, add_reports
from schemas.spending import add_spent


class Ledger(Releases, Appraisals):
    """The open ledger. Safe to use from several threads; pickles as its URL and opens again where it is unpickled."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._url = url
        self._tokens: dict[str, str] = {}

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect and bring the tables up to date. Raises LedgerError within seconds, never showing the URL's password."""
        return cls(Database(url), url)

    def __reduce__(self) -> tuple[Callable[[str], Self], tuple[str]]:
        return (type(self).open, (self._url,))

    def __repr__(self) -> str:
        return f"Ledger({str(self._database)!r})"

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()

    def begin_run(self, *, fingerprint: str, name: str, recipe: dict[str, Any], rehearsal: bool, fresh: bool) -> RunRecord:
        """Take up the newest run of a recipe, or start a new one if there is none or if `fresh`; a finished one is given as it is."""

        def work(session: Session) -> RunRecord:
            newest = _newest_run(session, fingerprint)
            if newest is None or fresh:
                attempt = newest.attempt + 1 if newest else 1
                newest = Run(run_id=_run_id(fingerprint, attempt), fingerprint=fingerprint, attempt=attempt, started_at=now())
                newest.name, newest.recipe, newest.rehearsal, newest.status = name, recipe, rehearsal, "running"
                session.add(newest)
            elif newest.status != "finished":
                # Of one fingerprint, recipes differ in what is no part of it: their budgets.
                newest.status, newest.error, newest.finished_at, newest.recipe = "running", None, None, recipe
            session.flush()
            return newest.record()

        return self._database.write(work)

    @contextmanager
    def hold_run(self, run_id: str, data: Path) -> Iterator[None]:
        """Be the only process that works on a run, wherever the others are. Raises RunBusyError; so does a commit once the lease is lost."""
        with leases.hold(self._database, run_id, leases.Holder.here(data)) as token:
            self._tokens[run_id] = token
            try:
                yield
            finally:
                del self._tokens[run_id]

    def last_holder(self, run_id: str) -> leases.Holder | None:
        """Give who works on a run, or did last."""
        return self._database.read(lambda session: leases.last_holder(session, run_id))

    def set_status(self, run_id: str, status: RunStatus, *, error: str | None = None) -> None:
        """Say how a run stands."""

        def work(session: Session) -> None:
            run = run_row(session, run_id)
            run.status, run.error = status, error and _storable(error)
            run.finished_at = None if status == "running" else now()

        self._database.write(work)

    def run(self, run_id: str) -> RunRecord:
        """Find a run by its id, or by the beginning of its id where only one begins so. Raises NotFoundError."""
        return self._database.read(lambda session: find_run(session, run_id).record())

    def newest_run(self, fingerprint: str) -> RunRecord | None:
        """Find the newest run of a recipe, by its fingerprint."""

        def work(session: Session) -> RunRecord | None:
            found = _newest_run(session, fingerprint)
            return found.record() if found else None

        return self._database.read(work)

    def runs(self, limit: int = 50) -> list[RunRecord]:
        """List runs, the newest first."""
        query = select(Run).order_by(Run.started_at.desc(), Run.run_id.desc()).limit(limit)
        return self._database.read(lambda session: [run.record() for run in session.scalars(query)])

    def plan_stage(self, run_id: str, stage: str, shards: int) -> None:
        """Say how many shards a stage has. Raises LedgerError if it was planned otherwise and some are committed."""

        def work(session: Session) -> None:
            run_row(session, run_id)
            planned = session.get(Stage, (run_id, stage))
            if planned is None:
                position = session.scalar(select(func.count()).where(Stage.run_id == run_id)) or 0
                session.add(Stage(run_id=run_id, stage=stage, position=position, shards=shards))
            elif planned.shards != shards:
                _refuse_replanning(session, planned, shards)
                planned.shards = shards

        self._database.write(work)

    def commit_shard(self, run_id: str, stage: str, shard: int, report: ShardReport) -> bool:
        """Commit a shard whose files are in place; False, and nothing changed, if it is committed already. Raises AccountingError."""
        if not report.closes:
            raise AccountingError(
                f"{stage} shard {shard} of run {run_id} lost rows: {report.rows_in} in, {report.rows_out} out, {sum(report.dropped.values())} dropped "
                f"({report.dropped}); this is a defect of Gristmill: please report it with the run's log"
            )

        def work(session: Session) -> bool:
            leases.guard(session, run_id, self._tokens.get(run_id))
            planned = session.get(Stage, (run_id, stage))
            if planned is None or not 0 <= shard < planned.shards:
                raise LedgerError(f"{stage} of run {run_id} has no shard {shard}: {planned.shards if planned else 'none'} planned")
            if session.get(Shard, (run_id, stage, shard)) is not None:
                return False
            session.add(_shard_row(run_id, stage, shard, report))
            session.flush()
            session.add_all(spending_rows(run_id, stage, shard, report.spent))
            return True

        return self._database.write(work)

    def take_over(self, run_id: str, source: str, stages: Container[str]) -> None:
        """Plan and commit some of another run's stages as they stand there; what those cost was that run's, and is not counted again."""

        def work(session: Session) -> None:
            query = select(Stage).where(Stage.run_id == source).order_by(Stage.position, Stage.stage)
            for stage in [one for one in session.scalars(query) if one.stage in stages and session.get(Stage, (run_id, one.stage)) is None]:
                session.add(Stage(run_id=run_id, stage=stage.stage, position=stage.position, shards=stage.shards))
                session.flush()
                for shard in session.scalars(select(Shard).where(Shard.run_id == source, Shard.stage == stage.stage)):
                    told = shard.report()
                    session.add(_shard_row(run_id, stage.stage, shard.shard, ShardReport(told.rows_in, told.rows_out, told.dropped)))

        self._database.write(work)

    def committed(self, run_id: str, stage: str) -> dict[int, ShardReport]:
        """Give the committed shards of a stage by number, in order."""
        query = select(Shard).where(Shard.run_id == run_id, Shard.stage == stage).order_by(Shard.shard)

        def work(session: Session) -> dict[int, ShardReport]:
            spent = spent_by_shard(session, run_id, stage)
            return {row.shard: replace(row.report(), spent=add_spent(spent.get(row.shard, ()))) for row in session.scalars(query)}

        return self._database.read(work)

    def stages(self, run_id: str) -> list[StageReport]:
        """Add up each planned stage, in the order of planning."""

        def work(session: Session) -> list[StageReport]:
            planned = session.scalars(select(Stage).where(Stage.run_id == run_id).order_by(Stage.position, Stage.stage))
            totals = _totals(session, run_id)
            return [_stage_report(stage, *totals.get(stage.stage, (0, ShardReport(0, 0)))) for stage in planned]

        return self._database.read(work)

    def note(self, run_id: str, key: str, value: Any) -> None:
        """Keep a JSON value under a key of a run, in place of what was there."""

        def work(session: Session) -> None:
            run_row(session, run_id)
            session.merge(Note(run_id=run_id, key=key, value=value))

        self._database.write(work)

    def notes(self, run_id: str) -> dict[str, Any]:
        """Give all that a run has noted, by key."""
        query = select(Note).where(Note.run_id == run_id).order_by(Note.key)
        return self._database.read(lambda session: {note.key: note.value for note in session.scalars(query)})


def _storable(text: str) -> str:
    """Escape what PostgreSQL or UTF-8 can't hold: an error may quote a garbled answer."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _run_id(fingerprint: str, attempt: int) -> str:
    return fingerprint[:12] if attempt == 1 else f"{fingerprint[:12]}-{attempt}"


def _newest_run(session: Session, fingerprint: str) -> Run | None:
    return session.scalars(select(Run).where(Run.fingerprint == fingerprint).order_by(Run.attempt.desc()).limit(1)).first()


def _refuse_replanning(session: Session, planned: Stage, shards: int) -> None:
    done = session.scalar(select(func.count()).where(Shard.run_id == planned.run_id, Shard.stage == planned.stage))
    if done:
        raise LedgerError(
            f"{planned.stage} of run {planned.run_id} has {done} of {planned.shards} shards committed and can't become {shards} shards: start anew with --fresh"
        )


def _shard_row(run_id: str, stage: str, shard: int, report: ShardReport) -> Shard:
    return Shard(
        run_id=run_id,
        stage=stage,
        shard=shard,
        rows_in=report.rows_in,
        rows_out=report.rows_out,
        dropped=report.dropped,
        calls=report.calls,
        reused=report.reused,
        prompt_tokens=report.prompt_tokens,
        completion_tokens=report.completion_tokens,
        seconds=report.seconds,
        committed_at=now(),
    )


def _totals(session: Session, run_id: str) -> dict[str, tuple[int, ShardReport]]:
    """Add up committed shards by stage: their number and their sum; the database adds, for a run may have ten thousand."""
    dropped: dict[str, list[ShardReport]] = {}
    for stage, reasons in session.execute(select(Shard.stage, Shard.dropped).where(Shard.run_id == run_id)):
        dropped.setdefault(stage, []).append(ShardReport(0, 0, reasons))
    names = ("rows_in", "rows_out", "calls", "reused", "prompt_tokens", "completion_tokens")
    sums = [func.sum(getattr(Shard, name)) for name in names]
    totals = {}
    for stage, shards, seconds, *counts in session.execute(
        select(Shard.stage, func.count(), func.sum(Shard.seconds), *sums).where(Shard.run_id == run_id).group_by(Shard.stage)
    ):
        whole = {name: int(count) for name, count in zip(names, counts, strict=True)}
        spent = add_spent(spent_at(session, run_id, stage))
        totals[stage] = (shards, ShardReport(**whole, dropped=add_reports(*dropped[stage]).dropped, seconds=seconds, spent=spent))
    return totals


def _stage_report(stage: Stage, committed: int, total: ShardReport) -> StageReport:
    return StageReport(stage=stage.stage, shards=stage.shards, committed=committed, total=total)
