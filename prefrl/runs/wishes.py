"""What the owner of a run wishes of its agent while it trains: said on the page, or by Ctrl-C."""

import threading
from uuid import uuid4

from prefrl.store import Store, WishRecord


class Wishes:
    """What is wished of one training. A wish for another one, such as before a resume, is none of its own.

    Args:
        store: Where the page says it.
        stop: Set when the training should save and end; also set elsewhere, by Ctrl-C.
    """

    def __init__(self, store: Store, stop: threading.Event) -> None:
        """Give the training its name, by which wishes for it are known."""
        self.training = uuid4().hex
        self.stop = stop
        self.pause = False
        """Whether the agent should not train until it is told to go on."""
        self._store = store

    def look(self) -> None:
        """Read what is wished now.

        Raises:
            StoreError: It cannot be read.
        """
        said = self._store.published(WishRecord)
        if said is None or said.training != self.training:
            return
        self.pause = said.wish == "pause"
        if said.wish == "stop":
            self.stop.set()
