"""Which one-time tickets have been used: kept on disk, so that a restart does not make them good again."""

import os
import threading
from pathlib import Path

from prefrl.errors import RunError
from prefrl.files import sync_folder

_PRIVATE = 0o600


class UsedTickets:
    """A file of the hashes of used tickets, one per line. One process at a time may have it.

    Args:
        path: The file; made at the first use. Its folder must be there by then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._hashes: set[str] | None = None

    def use(self, ticket_hash: str) -> bool:
        """Use a ticket up; return whether it was still good. That is on the disk before this returns.

        Raises:
            RunError: The file cannot be read or written; the ticket then lets nobody in.
        """
        with self._lock:
            try:
                if self._hashes is None:
                    self._hashes = set(self._path.read_text().split()) if self._path.exists() else set()
                if ticket_hash in self._hashes:
                    return False
                self._hashes.add(ticket_hash)  # before it is written: where that fails, the ticket stays used
                self._append(ticket_hash)
            except (OSError, UnicodeDecodeError) as error:
                raise RunError(f"{self._path} cannot be used: {error}; nobody was let in.") from error
            return True

    def _append(self, ticket_hash: str) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"\n{ticket_hash}\n")  # a line of its own also after one that a power cut tore
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._path.parent)
