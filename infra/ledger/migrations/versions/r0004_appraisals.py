"""Appraisals of reward engines on known pairs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "appraisals",
        sa.Column("appraisal_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("engine", sa.String(64), nullable=False),
        sa.Column("reduction", sa.Text, nullable=False),
        sa.Column("pairs_name", sa.Text, nullable=False),
        sa.Column("pairs_sha256", sa.String(64), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("pairs", "won", "lost", "tied")),
        sa.Column("dropped", sa.JSON, nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("score", "low", "high")),
        sa.Column("appraised_at", sa.String(32), nullable=False),
        sa.Column("rehearsal", sa.Boolean, nullable=False),
        sa.Column("categories", sa.JSON, nullable=False),
        sa.Column("sections", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("appraisal_id", name="pk_appraisals"),
    )
    op.create_index("ix_appraisals_model", "appraisals", ["model"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("appraisals")
