"""How the tables of app/bulk/ledger.py came to be what they are, one step a file; run at every start."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


def upgrade(connection: Connection) -> None:
    """Take every step that a database has not taken yet, in the transaction of a connection.

    Args:
        connection: To the database, for which nobody else takes steps meanwhile.
    """
    # Imported here: whoever only reads the tables' names need not load it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # A percent sign in a path is not for the reader of ini files that Alembic is.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
