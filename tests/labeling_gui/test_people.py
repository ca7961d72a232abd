"""Tokens, cookies, and when they end."""

import os
import stat
import time
from pathlib import Path

import pytest
import time_machine
from itsdangerous import URLSafeTimedSerializer

from prefrl.errors import RunError, SettingError, StoreError
from prefrl.store import Labeler, Store
from prefrl_labeling_gui.people import OWNER, SESSION_SECONDS, TICKET_SECONDS, People, new_ticket, token_hash
from prefrl_labeling_gui.used_tickets import UsedTickets

SECRET = "s" * 64


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def tickets(tmp_path: Path) -> UsedTickets:
    return UsedTickets(tmp_path / "used-tickets")


@pytest.fixture
def people(store: Store, tickets: UsedTickets) -> People:
    people = People(store, SECRET, tickets)
    people.open()
    return people


def joined(people: People, name: str) -> tuple[str, str]:
    """Invite somebody who comes in; return token and cookie."""
    token = people.invite(name)
    person = people.sign_in(token)
    assert person is not None
    return token, people.cookie(person)


def test_the_owners_token_is_good_for_one_use_of_one_start(store: Store, tickets: UsedTickets) -> None:
    people = People(store, SECRET, tickets)
    token = people.open()
    person = people.sign_in(token)
    assert person is not None
    assert (person.name, person.role) == (OWNER, "owner")
    assert people.sign_in(token) is None
    cookie = people.cookie(person)
    restarted = People(store, SECRET, tickets)
    other = restarted.open()
    assert other != token
    assert restarted.sign_in(token) is None
    assert restarted.by_cookie(cookie) == person  # who was in stays in


def test_the_owner_is_not_taken_for_that_of_imported_labels(store: Store, tickets: UsedTickets) -> None:
    store.add_labeler(OWNER)
    people = People(store, SECRET, tickets)
    person = people.sign_in(people.open())
    assert person is not None
    assert (person.name, person.role) == ("owner 2", "owner")


def test_an_invitation_is_good_for_many_uses(people: People) -> None:
    token, cookie = joined(people, "Ann")
    assert people.sign_in(token) == people.by_cookie(cookie) == people.named("Ann")


def test_nobody_comes_in_by_guessing(people: People) -> None:
    people.invite("Ann")
    for token in ("", "owner", "Ann", token_hash(""), "x" * 43):
        assert people.sign_in(token) is None


def test_tokens_are_not_stored(store: Store, people: People) -> None:
    token, cookie = joined(people, "Ann")
    assert [person.token_hash for person in store.labelers() if person.name == "Ann"] == [token_hash(token)]
    assert token not in cookie
    assert len(token) >= 43  # 256 bits


def test_a_new_link_ends_the_old_one_and_its_sessions(people: People) -> None:
    token, cookie = joined(people, "Ann")
    new = people.renew("Ann")
    assert people.sign_in(token) is None
    assert people.by_cookie(cookie) is None
    assert people.sign_in(new) is not None


def test_a_revocation_ends_everything_until_there_is_a_new_link(people: People) -> None:
    token, cookie = joined(people, "Ann")
    _, other = joined(people, "Bo")
    before = people.named("Ann")
    assert before is not None
    people.revoke("Ann")
    assert people.sign_in(token) is None
    assert people.by_cookie(cookie) is None
    assert not people.is_valid(before)
    assert people.by_cookie(other) is not None
    assert people.sign_in(people.renew("Ann")) is not None
    assert people.by_cookie(cookie) is None


def test_who_is_out_learns_why(people: People) -> None:
    _, cookie = joined(people, "Ada")
    people.renew("Ada")
    assert people.why_out(cookie) == "replaced"
    people.revoke("Ada")
    assert people.why_out(cookie) == "locked out"
    for forged in (None, "", "nonsense", cookie[:-2]):
        assert people.why_out(forged) == "unknown"


def test_cookies_cannot_be_made_without_the_secret(store: Store, people: People, tickets: UsedTickets) -> None:
    _, cookie = joined(people, "Ann")
    forger = People(store, "t" * 64, tickets)
    forger.open()
    ann = forger.named("Ann")
    assert ann is not None
    assert people.by_cookie(forger.cookie(ann)) is None
    signed, _, signature = cookie.rpartition(".")
    other_letter = "A" if signature[0] != "A" else "B"
    assert people.by_cookie(f"{signed}.{other_letter}{signature[1:]}") is None
    for value in (None, "", "owner", cookie.partition(".")[0]):
        assert people.by_cookie(value) is None
    unsigned_salt = URLSafeTimedSerializer(SECRET, salt="other")
    assert people.by_cookie(str(unsigned_salt.dumps(["owner", ""]))) is None
    signer = URLSafeTimedSerializer(SECRET, salt="prefrl-session")
    for content in ("owner", ["owner"], ["owner", "", ""], None, 3):
        assert people.by_cookie(str(signer.dumps(content))) is None  # from another version, say


def test_cookies_grow_old(people: People) -> None:
    _, cookie = joined(people, "Ann")
    with time_machine.travel(time.time() + SESSION_SECONDS - 60):
        assert people.by_cookie(cookie) is not None
    with time_machine.travel(time.time() + SESSION_SECONDS + 60):
        assert people.by_cookie(cookie) is None


def test_two_runs_have_two_cookies(store: Store, people: People, tickets: UsedTickets) -> None:
    """Cookies know no ports, so one name for all would sign out of one run who signs in to another."""
    assert (
        People(store, "t" * 64, tickets).cookie_name
        != people.cookie_name
        == People(store, SECRET, tickets).cookie_name
    )


def test_names_are_taken_once(people: People) -> None:
    people.invite("Ann")
    with pytest.raises(SettingError, match="Ann"):
        people.invite("Ann")
    with pytest.raises(StoreError, match="Bo"):
        people.revoke("Bo")


def test_somebody_who_has_only_answered_has_no_way_in(store: Store, tickets: UsedTickets) -> None:
    store.add_labeler("oracle")
    people = People(store, SECRET, tickets)
    people.open()
    assert people.named("oracle") == Labeler(
        name="oracle", role="labeler", token_hash=None, revoked=False, created_at=people.all()[0].created_at
    )
    assert people.sign_in("") is None


def test_a_ticket_is_good_for_one_use_for_ever(store: Store, people: People, tmp_path: Path) -> None:
    """Also for a server that starts again meanwhile."""
    ticket, other = new_ticket(SECRET), new_ticket(SECRET)
    assert people.sign_in(ticket) == people.owner
    assert people.sign_in(ticket) is None
    restarted = People(store, SECRET, UsedTickets(tmp_path / "used-tickets"))
    restarted.open()
    assert restarted.sign_in(ticket) is None
    assert restarted.sign_in(other) == restarted.owner
    again = People(store, SECRET, UsedTickets(tmp_path / "used-tickets"))
    again.open()
    assert [again.sign_in(token) for token in (ticket, other)] == [None, None]


def test_tickets_grow_old(people: People) -> None:
    early, late = new_ticket(SECRET), new_ticket(SECRET)
    with time_machine.travel(time.time() + TICKET_SECONDS - 30):
        assert people.sign_in(early) is not None
    with time_machine.travel(time.time() + TICKET_SECONDS + 30):
        assert people.sign_in(late) is None
    assert people.sign_in(new_ticket("t" * 64)) is None


def test_used_tickets_are_private_and_survive_a_torn_line(tickets: UsedTickets, tmp_path: Path) -> None:
    path = tmp_path / "used-tickets"
    hashes = [token_hash(str(number)) for number in range(3)]
    assert tickets.use(hashes[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("a") as file:
        file.write(hashes[1][:10])  # the power went, and nobody was let in
    again = UsedTickets(path)
    assert [again.use(each) for each in hashes] == [False, True, True]
    assert [UsedTickets(path).use(each) for each in hashes] == [False] * 3


def test_nobody_is_let_in_where_the_use_cannot_be_written_down(people: People, tmp_path: Path) -> None:
    ticket = new_ticket(SECRET)
    (tmp_path / "used-tickets").mkdir()
    with pytest.raises(RunError, match="nobody was let in"):
        people.sign_in(ticket)


def test_a_use_is_on_the_disk_before_anybody_is_let_in(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_disk(descriptor: int) -> None:
        raise OSError("the disk is broken")

    ticket = new_ticket(SECRET)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken_disk)
        with pytest.raises(RunError, match="the disk is broken; nobody was let in"):
            people.sign_in(ticket)
    assert people.sign_in(ticket) is None  # it may have been written


@pytest.mark.parametrize("name", ["Owner", "0wner", "\u043ewner", "ann", "A n n."])
def test_nobody_is_invited_under_the_looks_of_another(people: People, name: str) -> None:
    people.invite("Ann")
    with pytest.raises(SettingError, match=r"looks like (owner|Ann), who is here already"):
        people.invite(name)
    assert [person.name for person in people.all()] == ["owner", "Ann"]


def test_a_name_has_one_spelling(people: People) -> None:
    people.invite("  \uff22\uff4f  van   Dyk ")  # in full width
    assert people.named("Bo van Dyk") is not None


def test_who_is_invited_as_owner_is_not_the_one_whose_run_it_is(store: Store, tickets: UsedTickets) -> None:
    people = People(store, SECRET, tickets)
    people.open()
    token = people.invite("Ada", "owner")  # before "owner" in the alphabet
    ada = people.sign_in(token)
    assert ada is not None
    assert (ada.name, ada.role) == ("Ada", "owner")
    again = People(store, SECRET, tickets)
    mine = again.sign_in(again.open())
    assert mine is not None
    assert mine.name == again.owner.name == OWNER
