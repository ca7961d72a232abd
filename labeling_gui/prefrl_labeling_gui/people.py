"""Who may come in: tokens that become signed cookies, and what a cookie is still worth.

Tokens are random and only their hashes are stored. A cookie names a person and the token hash it was made under,
so a new link or a revocation ends every session that the old link began.
"""

import hashlib
import hmac
import secrets
import threading
from typing import Literal

from itsdangerous import BadData, URLSafeTimedSerializer

from prefrl.errors import SettingError
from prefrl.store import Labeler, Role, Store
from prefrl_labeling_gui.names import clean_name, look_alike
from prefrl_labeling_gui.used_tickets import UsedTickets

SESSION_SECONDS = 90 * 24 * 3600
TICKET_SECONDS = 600
"""How long the owner has to use a ticket."""
OWNER = "owner"
"""Name under which the owner's answers are stored."""


class People:
    """The people of a run. One server per run changes them, so they are kept in memory as well.

    Args:
        store: Where they are stored.
        secret: Signs the cookies.
        used_tickets: The owner's tickets that have let somebody in.
    """

    def __init__(self, store: Store, secret: str, used_tickets: UsedTickets) -> None:
        self._store = store
        self._signer = URLSafeTimedSerializer(secret, salt="prefrl-session")
        # Cookies know no ports, so two runs served by one machine need two names.
        self.cookie_name = f"prefrl_{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
        self._tickets = _ticket_signer(secret)
        self._used_tickets = used_tickets
        self._changing = threading.Lock()
        self._by_name: dict[str, Labeler] = {}
        self._owner_token_hash = ""

    def open(self) -> str:
        """Read the people, add the owner to a new run, and return the owner's token, good for one use.

        Raises:
            StoreError: The store cannot be read or written.
        """
        known = self._store.labelers()
        if not any(person.role == "owner" for person in known):
            taken = {person.name for person in known}  # labels that were imported may be of another owner
            names = (OWNER, *(f"{OWNER} {number}" for number in range(2, len(taken) + 3)))
            self._store.add_labeler(next(name for name in names if name not in taken), role="owner")
        self._read()
        token = secrets.token_urlsafe(32)
        self._owner_token_hash = token_hash(token)
        return token

    @property
    def owner(self) -> Labeler:
        """The owner whose run it is, and who came first: others may be invited to do all that an owner may."""
        return next(person for person in self._by_name.values() if person.role == "owner")

    def all(self) -> list[Labeler]:
        """Return everybody, the revoked included."""
        return list(self._by_name.values())

    def named(self, name: str) -> Labeler | None:
        """Return the person of that name."""
        return self._by_name.get(name)

    def sign_in(self, token: str) -> Labeler | None:
        """Return whose token it is; the owner's is used up by that. None if it is nobody's (any more).

        Raises:
            RunError: The use of a ticket cannot be written down.
        """
        hashed = token_hash(token)
        if self._is_ticket(token):
            return self.owner if self._used_tickets.use(hashed) else None
        with self._changing:
            if self._owner_token_hash and hmac.compare_digest(hashed, self._owner_token_hash):
                self._owner_token_hash = ""
                return self.owner
        for person in self.all():
            if person.token_hash and not person.revoked and hmac.compare_digest(hashed, person.token_hash):
                return person
        return None

    def cookie(self, person: Labeler) -> str:
        """Return the value of the cookie that keeps this person in."""
        return str(self._signer.dumps([person.name, _generation(person)]))

    def by_cookie(self, value: str | None) -> Labeler | None:
        """Return whose cookie it is; None if it is forged, too old, or its link is not valid any more."""
        person, generation = self._signed(value)
        return person if person and self.is_valid(person) and _generation(person) == generation else None

    def why_out(self, value: str | None) -> Literal["unknown", "locked out", "replaced"]:
        """Return why a cookie that lets nobody in does not."""
        person, _ = self._signed(value)
        if person is None:
            return "unknown"
        return "locked out" if person.revoked else "replaced"

    def _signed(self, value: str | None) -> tuple[Labeler | None, str]:
        """Return of whom a cookie was made and under which link; nobody if it is forged or too old."""
        try:
            name, generation = self._signer.loads(value or "", max_age=SESSION_SECONDS)
        except (BadData, TypeError, ValueError):
            return None, ""
        return self._by_name.get(name), generation

    def is_valid(self, person: Labeler) -> bool:
        """Say whether what this person came in by still holds."""
        now = self._by_name.get(person.name)
        return now is not None and not now.revoked and now.token_hash == person.token_hash

    def invite(self, name: str, role: Role = "labeler", quota: int | None = None) -> str:
        """Add somebody and return the token of the invitation.

        Args:
            name: Of the person; kept as `clean_name` writes it.
            role: What this person may do: answer, or all that an owner may.
            quota: How many comparisons are asked for at most; None for no bound.

        Raises:
            SettingError: The name is taken, looks like one that is, or cannot be shown safely; or the quota is
                below 1, or an owner's.
            StoreError: The store cannot be written.
        """
        name = clean_name(name)
        token = secrets.token_urlsafe(32)
        with self._changing:
            other = look_alike(name, self._by_name)
            if other is not None:
                raise SettingError(f"{name} looks like {other}, who is here already; choose another name.")
            self._store.add_labeler(name, role=role, token_hash=token_hash(token), quota=quota)
            self._read()
        return token

    def renew(self, name: str) -> str:
        """Return a new token; the old one, and all sessions it began, end.

        Raises:
            StoreError: There is nobody of that name, or the store cannot be written.
        """
        token = secrets.token_urlsafe(32)
        with self._changing:
            self._store.set_token_hash(name, token_hash(token))
            self._read()
        return token

    def revoke(self, name: str) -> None:
        """Let somebody in no more, starting now.

        Raises:
            StoreError: There is nobody of that name, or the store cannot be written.
        """
        with self._changing:
            self._store.revoke(name)
            self._read()

    def set_aside(self, name: str, aside: bool) -> None:
        """Have nothing be learned from what somebody says, or again from all of it.

        Raises:
            StoreError: There is nobody of that name, or the store cannot be written.
        """
        with self._changing:
            self._store.set_aside(name, aside)
            self._read()

    def set_quota(self, name: str, quota: int | None) -> None:
        """Ask somebody for so many comparisons at most, None for no bound.

        Raises:
            SettingError: The quota is below 1, or an owner's.
            StoreError: There is nobody of that name, or the store cannot be written.
        """
        with self._changing:
            self._store.set_quota(name, quota)
            self._read()

    def _is_ticket(self, token: str) -> bool:
        try:
            self._tickets.loads(token, max_age=TICKET_SECONDS)
        except BadData:
            return False
        return True

    def _read(self) -> None:
        self._by_name = {person.name: person for person in self._store.labelers()}


def new_ticket(secret: str) -> str:
    """Return a token of the owner's, good for one use in the next minutes, with whatever server the run has.

    Whoever can read the run's secret can make one: the owner, on this machine.
    """
    return str(_ticket_signer(secret).dumps(secrets.token_urlsafe(16)))


def _ticket_signer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt="prefrl-ticket")


def token_hash(token: str) -> str:
    """Return what is stored of a token. It is random and long, so a plain hash does."""
    return hashlib.sha256(token.encode()).hexdigest()


def _generation(person: Labeler) -> str:
    return (person.token_hash or "")[:16]
