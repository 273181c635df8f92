"""Which secret the rows are sealed with: a digest of it that tells one from another, and nothing else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table("vaults", sa.Column("fingerprint", sa.Text, primary_key=True))
