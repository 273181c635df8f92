"""Why a photo that came cannot be taken: kept instead of its bytes, for its batch to tell in the end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    # Of a table that is there, Alembic does not look up the schema, as SQLAlchemy does of a new one.
    schemas = op.get_bind().get_execution_options().get("schema_translate_map", {})
    op.add_column("photos", sa.Column("refusal", sa.LargeBinary), schema=schemas.get(None))
