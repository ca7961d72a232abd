"""How a database gets from any older schema to `schema.metadata`: Alembic, driven from code."""

from threading import Lock

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

_lock = Lock()
"""Alembic keeps its current context in a global."""


def upgrade(connection: Connection, version: str = "head") -> None:
    """Bring a database to the newest schema, inside the transaction that `connection` has open.

    Args:
        connection: A connection with a write transaction.
        version: Number of another schema to stop at.

    Raises:
        sqlalchemy.exc.DBAPIError: The database refuses; nothing has changed once the caller rolls back.
    """
    config = Config()
    config.set_main_option("script_location", "prefrl.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _lock:
        command.upgrade(config, version)
