"""Version numbers handed out by the ledger, and notes that a run keeps."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, and count the versions of the releases that are there as handed out."""
    op.create_table(
        "versions",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("run_id", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("name", "number", name="pk_versions"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_versions_runs"),
        sa.UniqueConstraint("name", "run_id", name="uq_versions_name_run_id"),
    )
    op.create_table(
        "notes",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "key", name="pk_notes"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_notes_runs", ondelete="CASCADE"),
    )
    op.execute("INSERT INTO versions (name, number, run_id) SELECT name, max(number), max(run_id) FROM releases GROUP BY name")


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("notes")
    op.drop_table("versions")
