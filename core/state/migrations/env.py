"""Runs the schema versions on the connection that `core.state.database` hands over."""

from alembic import context

from core.state.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # SQLite can; the caller's transaction holds all versions at once
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
