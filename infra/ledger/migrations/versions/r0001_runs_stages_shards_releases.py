"""Runs, stages, shards and releases: the tables that resuming and publishing stand on."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_runs()
    op.create_table(
        "stages",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("shards", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "stage", name="pk_stages"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_stages_runs", ondelete="CASCADE"),
    )
    _create_shards()
    _create_releases()


def downgrade() -> None:
    """Drop the tables."""
    for table in ("releases", "shards", "stages", "runs"):
        op.drop_table(table)


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("rehearsal", sa.Boolean, nullable=False),
        sa.Column("started_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32), nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("release", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.UniqueConstraint("fingerprint", "attempt", name="uq_runs_fingerprint_attempt"),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at"])


def _create_shards() -> None:
    op.create_table(
        "shards",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("shard", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("rows_in", sa.BigInteger, nullable=False),
        sa.Column("rows_out", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.JSON, nullable=False),
        sa.Column("calls", sa.BigInteger, nullable=False),
        sa.Column("reused", sa.BigInteger, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("committed_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "stage", "shard", name="pk_shards"),
        sa.ForeignKeyConstraint(["run_id", "stage"], ["stages.run_id", "stages.stage"], name="fk_shards_stages", ondelete="CASCADE"),
    )


def _create_releases() -> None:
    op.create_table(
        "releases",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("rows", sa.JSON, nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=False),
        sa.Column("published_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_releases"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_releases_runs"),
    )
