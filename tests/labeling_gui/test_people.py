"""Tokens, cookies, and when they end."""

import time

import pytest
import time_machine
from itsdangerous import URLSafeTimedSerializer

from prefrl.errors import SettingError, StoreError
from prefrl.store import Labeler, Store
from prefrl_labeling_gui.people import OWNER, SESSION_SECONDS, People, token_hash

SECRET = "s" * 64


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def people(store: Store) -> People:
    people = People(store, SECRET)
    people.open()
    return people


def joined(people: People, name: str) -> tuple[str, str]:
    """Invite somebody who comes in; return token and cookie."""
    token = people.invite(name)
    person = people.sign_in(token)
    assert person is not None
    return token, people.cookie(person)


def test_the_owners_token_is_good_for_one_use_of_one_start(store: Store) -> None:
    people = People(store, SECRET)
    token = people.open()
    person = people.sign_in(token)
    assert person is not None
    assert (person.name, person.role) == (OWNER, "owner")
    assert people.sign_in(token) is None
    cookie = people.cookie(person)
    restarted = People(store, SECRET)
    other = restarted.open()
    assert other != token
    assert restarted.sign_in(token) is None
    assert restarted.by_cookie(cookie) == person  # who was in stays in


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


def test_cookies_cannot_be_made_without_the_secret(store: Store, people: People) -> None:
    _, cookie = joined(people, "Ann")
    forger = People(store, "t" * 64)
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


def test_two_runs_have_two_cookies(store: Store, people: People) -> None:
    """Cookies know no ports, so one name for all would sign out of one run who signs in to another."""
    assert People(store, "t" * 64).cookie_name != people.cookie_name == People(store, SECRET).cookie_name


def test_names_are_taken_once(people: People) -> None:
    people.invite("Ann")
    with pytest.raises(SettingError, match="Ann"):
        people.invite("Ann")
    with pytest.raises(StoreError, match="Bo"):
        people.revoke("Bo")


def test_somebody_who_has_only_answered_has_no_way_in(store: Store) -> None:
    store.add_labeler("oracle")
    people = People(store, SECRET)
    people.open()
    assert people.named("oracle") == Labeler(
        name="oracle", role="labeler", token_hash=None, revoked=False, created_at=people.all()[0].created_at
    )
    assert people.sign_in("") is None
