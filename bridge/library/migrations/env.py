"""Alembic runs this with the connection that `bridge.library.database` gives it."""

from alembic import context

from bridge.library.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
