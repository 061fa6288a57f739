"""The ledger's tables, as SQLAlchemy 2 declarative classes. A change here needs a migration: a test compares the two on both databases.

Times are ISO 8601 in UTC, as text that sorts; they live here and in manifests, never in data files.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, ForeignKeyConstraint, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from schemas.appraisal import AppraisalRecord, Share
from schemas.engine import Seat
from schemas.run import ReleaseRecord, RunRecord, ShardReport


class Base(DeclarativeBase):
    """Root of all tables; names every constraint, so that a migration can name it too."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy reads it from the class
        dict[str, Any]: JSON,
        dict[str, int]: JSON,
        int: BigInteger,
        float: Double,
    }


class Run(Base):
    """One run: a recipe's fingerprint and the attempt at it."""

    __tablename__ = "runs"
    __table_args__ = (UniqueConstraint("fingerprint", "attempt"), Index(None, "started_at"))

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    attempt: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    recipe: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    rehearsal: Mapped[bool]
    started_at: Mapped[str] = mapped_column(String(32))
    finished_at: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[str | None] = mapped_column(Text)
    release: Mapped[str | None] = mapped_column(Text)

    def record(self) -> RunRecord:
        """Give the row as a value."""
        return RunRecord(
            run_id=self.run_id,
            fingerprint=self.fingerprint,
            attempt=self.attempt,
            name=self.name,
            recipe=self.recipe,
            status=self.status,  # type: ignore[arg-type]  # only Ledger writes it
            started_at=self.started_at,
            finished_at=self.finished_at,
            error=self.error,
            release=self.release,
            rehearsal=self.rehearsal,
        )


class Stage(Base):
    """One planned stage of a run."""

    __tablename__ = "stages"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
    stage: Mapped[str] = mapped_column(String(64), primary_key=True)
    position: Mapped[int]
    """Its place in the order of planning."""
    shards: Mapped[int]


class Shard(Base):
    """One committed shard; its presence is the commit."""

    __tablename__ = "shards"
    __table_args__ = (ForeignKeyConstraint(["run_id", "stage"], ["stages.run_id", "stages.stage"], ondelete="CASCADE"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    stage: Mapped[str] = mapped_column(String(64), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rows_in: Mapped[int]
    rows_out: Mapped[int]
    dropped: Mapped[dict[str, int]]
    calls: Mapped[int]
    reused: Mapped[int]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    seconds: Mapped[float]
    committed_at: Mapped[str] = mapped_column(String(32))

    def report(self) -> ShardReport:
        """Give the row as a value."""
        return ShardReport(
            rows_in=self.rows_in,
            rows_out=self.rows_out,
            dropped=dict(self.dropped),
            calls=self.calls,
            reused=self.reused,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seconds=self.seconds,
        )


class Spending(Base):
    """What one committed shard asked of one model, on one account."""

    __tablename__ = "spending"
    __table_args__ = (ForeignKeyConstraint(["run_id", "stage", "shard"], ["shards.run_id", "shards.stage", "shards.shard"], ondelete="CASCADE"),)

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    stage: Mapped[str] = mapped_column(String(64), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    technique: Mapped[str] = mapped_column(String(128), primary_key=True)
    role: Mapped[str] = mapped_column(String(128), primary_key=True)
    model: Mapped[str] = mapped_column(String(128), primary_key=True)
    prices: Mapped[str] = mapped_column(String(128), primary_key=True)
    calls: Mapped[int]
    reused: Mapped[int]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    gpu_seconds: Mapped[float]
    cost: Mapped[float | None]


class Release(Base):
    """One published release."""

    __tablename__ = "releases"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int]
    """The version as a number, so that v10 comes after v9 whatever the clock said."""
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    path: Mapped[str] = mapped_column(Text)
    rows: Mapped[dict[str, int]]
    manifest_sha256: Mapped[str] = mapped_column(String(64))
    published_at: Mapped[str] = mapped_column(String(32))

    def record(self) -> ReleaseRecord:
        """Give the row as a value."""
        return ReleaseRecord(
            name=self.name,
            version=self.version,
            run_id=self.run_id,
            path=self.path,
            rows=dict(self.rows),
            manifest_sha256=self.manifest_sha256,
            published_at=self.published_at,
        )


class Version(Base):
    """One version number handed out for a release name, published or not: none is handed out twice."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("name", "run_id"),)

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    """The run that it is kept for; a resumed run gets it again."""


class Note(Base):
    """One JSON value that a run keeps under a key, for example what its engines turned out to be."""

    __tablename__ = "notes"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)


class Lease(Base):
    """Who works on a run, or did last."""

    __tablename__ = "leases"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True)
    token: Mapped[str] = mapped_column(String(32))
    """Empty once it was given back."""
    expires_at: Mapped[float]
    """Seconds since 1970, by the database's clock."""
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    place: Mapped[str] = mapped_column(Text)
    born: Mapped[str] = mapped_column(Text)
    folder: Mapped[str] = mapped_column(Text)


class SeatRow(Base):
    """One process at one endpoint that several share."""

    __tablename__ = "seats"

    endpoint: Mapped[str] = mapped_column(String(255), primary_key=True)
    token: Mapped[str] = mapped_column(String(32), primary_key=True)
    taken_at: Mapped[float]
    """Seconds since 1970, by the database's clock; so is `seen_at`."""
    seen_at: Mapped[float]
    limit: Mapped[int]
    answered: Mapped[int]
    refused: Mapped[int]
    hungry: Mapped[bool]

    def seat(self) -> Seat:
        """Give the row as a value."""
        return Seat(self.token, self.limit, self.hungry, self.answered, self.refused)


class Appraisal(Base):
    """How one reward engine did on one file of known pairs."""

    __tablename__ = "appraisals"
    __table_args__ = (Index(None, "model"),)

    appraisal_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(128))
    revision: Mapped[str] = mapped_column(Text)
    engine: Mapped[str] = mapped_column(String(64))
    reduction: Mapped[str] = mapped_column(Text)
    pairs_name: Mapped[str] = mapped_column(Text)
    pairs_sha256: Mapped[str] = mapped_column(String(64))
    pairs: Mapped[int]
    won: Mapped[int]
    lost: Mapped[int]
    tied: Mapped[int]
    dropped: Mapped[dict[str, int]]
    score: Mapped[float]
    low: Mapped[float]
    high: Mapped[float]
    appraised_at: Mapped[str] = mapped_column(String(32))
    rehearsal: Mapped[bool]
    categories: Mapped[dict[str, Any]]
    sections: Mapped[dict[str, Any]]

    def record(self) -> AppraisalRecord:
        """Give the row as a value."""
        plain = {name: getattr(self, name) for name in AppraisalRecord.__dataclass_fields__ if name != "categories"}
        return AppraisalRecord(**plain, categories={name: Share(**one) for name, one in self.categories.items()})
