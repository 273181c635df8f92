"""What Alembic runs to take the steps in versions/, with the connection that it is handed."""

from __future__ import annotations

from alembic import context

from app.bulk.ledger import metadata

connection = context.config.attributes["connection"]
schema = connection.get_execution_options().get("schema_translate_map", {}).get(None)
context.configure(connection, target_metadata=metadata, version_table_schema=schema)
with context.begin_transaction():
    context.run_migrations()
