"""What each committed shard spent, by technique, role, model and table of prices."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = ("run_id", "stage", "shard", "technique", "role", "model", "prices")


def upgrade() -> None:
    """Create the table. Shards committed before have their sums in `shards` and no rows here."""
    op.create_table(
        "spending",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(64), nullable=False),
        sa.Column("shard", sa.BigInteger, nullable=False, autoincrement=False),
        *(sa.Column(name, sa.String(128), nullable=False) for name in ("technique", "role", "model", "prices")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("calls", "reused", "prompt_tokens", "completion_tokens")),
        sa.Column("gpu_seconds", sa.Double, nullable=False),
        sa.Column("cost", sa.Double, nullable=True),
        sa.PrimaryKeyConstraint(*_KEY, name="pk_spending"),
        sa.ForeignKeyConstraint(_KEY[:3], ["shards.run_id", "shards.stage", "shards.shard"], name="fk_spending_shards", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("spending")
