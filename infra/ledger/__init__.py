"""The ledger: the SQL database of runs, stages, shards, releases and their versions; SQLite by default, PostgreSQL by URL."""

from infra.ledger.ledger import Ledger

__all__ = ["Ledger"]
