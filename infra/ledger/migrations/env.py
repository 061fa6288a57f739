"""What Alembic runs to migrate: always on the open connection and inside the transaction of infra/ledger/migrate.py, never from an ini file."""

from alembic import context

from infra.ledger.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
