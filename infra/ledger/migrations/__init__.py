"""Alembic's environment and the migrations of the ledger, oldest first in versions/."""
