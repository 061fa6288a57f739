"""The table at which processes meet that share an endpoint which does not tell its load."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "seats",
        sa.Column("endpoint", sa.String(255), nullable=False),
        sa.Column("token", sa.String(32), nullable=False),
        *(sa.Column(name, sa.Double, nullable=False) for name in ("taken_at", "seen_at")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("limit", "answered", "refused")),
        sa.Column("hungry", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "token", name="pk_seats"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("seats")
