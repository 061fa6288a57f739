"""Bring a ledger's tables up to date, once, however many processes open it at the same time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from schemas.errors import LedgerError

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x6772697374
"""Key of the advisory lock: no other program should take the same one in our database."""


def migrate(connection: Connection, *, to: str = "head") -> None:
    """Upgrade inside the connection's transaction, which must hold SQLite's write lock. Raises LedgerError if the database is ahead of this code."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise LedgerError(
            f"the ledger is of a newer version (revision {current}; this Gristmill knows up to {scripts.get_current_head()}): "
            "upgrade Gristmill, or name another database with GRISTMILL_DATABASE_URL"
        )
    if current != scripts.get_current_head():
        command.upgrade(config, to)


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
