"""Who may do what, and what no browser may be talked into: the known holes of such servers, one by one."""

import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount

from prefrl.store import TrainerRecord
from prefrl_labeling_gui.people import new_ticket
from prefrl_labeling_gui.security import MAX_BODY_BYTES, LoginLimit

Claimed = Callable[..., list[dict[str, Any]]]
Said = Callable[..., dict[str, Any]]

SECRET = "0123456789abcdef" * 4
"""As in `conftest.py`."""

ROLES = ("anonymous", "labeler", "other labeler", "revoked", "owner")

# What each role gets of each route, in the order of ROLES. The labeler has been given a pair and has answered
# another; the other labeler has not. A route that is not here fails the test below.
MATRIX: dict[tuple[str, str], tuple[int, int, int, int, int]] = {
    ("GET", "/"): (401, 200, 200, 401, 200),
    ("GET", "/join/{token}"): (401, 303, 303, 401, 303),  # a link that is no good: who is in stays in
    ("GET", "/history"): (401, 200, 200, 401, 200),
    ("GET", "/training"): (401, 200, 200, 401, 200),
    ("GET", "/people"): (401, 403, 403, 401, 200),
    ("GET", "/disagreements"): (401, 403, 403, 401, 200),
    ("GET", "/practice"): (401, 200, 200, 401, 200),
    ("GET", "/static"): (200, 200, 200, 200, 200),
    ("GET", "/api/run"): (401, 200, 200, 401, 200),
    ("GET", "/api/progress"): (401, 200, 200, 401, 200),
    ("GET", "/api/events"): (401, 200, 200, 401, 200),
    ("POST", "/api/claims"): (401, 200, 200, 401, 200),
    ("POST", "/api/answers"): (401, 200, 404, 401, 404),
    ("GET", "/api/history"): (401, 200, 403, 401, 200),
    ("GET", "/api/predictions"): (401, 200, 404, 401, 404),
    ("GET", "/api/export"): (401, 200, 200, 401, 200),
    ("GET", "/api/training"): (401, 200, 200, 401, 200),
    ("POST", "/api/agent"): (401, 403, 403, 401, 200),
    ("GET", "/api/people"): (401, 403, 403, 401, 200),
    ("POST", "/api/people"): (401, 403, 403, 401, 200),
    ("POST", "/api/people/{name}/revoke"): (401, 403, 403, 401, 200),
    ("POST", "/api/people/{name}/link"): (401, 403, 403, 401, 200),
    ("POST", "/api/people/{name}/aside"): (401, 403, 403, 401, 200),
    ("POST", "/api/people/{name}/quota"): (401, 403, 403, 401, 200),
    ("POST", "/api/gold"): (401, 403, 403, 401, 200),
    ("GET", "/api/disagreements"): (401, 403, 403, 401, 200),
    ("POST", "/api/settle"): (401, 403, 403, 401, 200),
    ("GET", "/clips/{name}"): (401, 200, 200, 401, 200),
    ("GET", "/examples/{name}.mp4"): (401, 404, 404, 401, 404),  # who is in learns that this task has none
    ("GET", "/practice/{name}.mp4"): (401, 404, 404, 401, 404),
}


class House:
    """A served run with somebody in each role."""

    def __init__(self, served: Any, claimed: Claimed, said: Said) -> None:
        self.served = served
        self.clients: dict[str, httpx.Client] = {
            "anonymous": served.anonymous(),
            "labeler": served.join("labeler"),
            "other labeler": served.join("other"),
            "revoked": served.join("gone"),
            "owner": served.owner(),
        }
        done, asked = claimed(self.clients["labeler"], 2)
        said(self.clients["labeler"], done["query_id"])
        self.done, self.asked = done["query_id"], asked["query_id"]
        self.clip = done["clips"][0]["clip"]
        segment_ids = [Path(clip["clip"]).stem for clip in done["clips"]]
        served.store.set_predictions({segment_id: [0.5] for segment_id in segment_ids}, num_timesteps=1)
        served.context.people.revoke("gone")


@pytest.fixture(scope="module")
def house(served: Any, claimed: Claimed, said: Said, trainer_record: Callable[..., TrainerRecord]) -> House:
    an_hour_on = time.time_ns() // 1_000_000 + 3_600_000
    served.store.publish(trainer_record(training="listens", updated_at=an_hour_on))
    served.context.look()
    return House(served, claimed, said)


def request(house: House, method: str, path: str, role: str) -> int:
    """Ask for a route in the way that succeeds for whoever may; return the status."""
    client = house.clients[role]
    name = f"invited {uuid4().hex[:8]}"
    if path.startswith("/api/people/{name}"):
        house.served.context.people.invite(name)
    named = {"clips": house.clip.rpartition("/")[2], "examples": "good", "practice": "1"}
    address = path.format(token="no-token", name=named.get(path.split("/")[1], name))
    bodies = {
        "/api/claims": {"n": 1, "holding": []},
        "/api/answers": {"id": str(uuid4()), "query_id": house.asked, "choice": "left"},
        "/api/people": {"name": name},
        "/api/people/{name}/aside": {"aside": True},
        "/api/people/{name}/quota": {"quota": 5},
        "/api/gold": {"query_id": house.asked, "gold": False},
        "/api/agent": {"wish": "pause"},
        "/api/settle": {"query_id": house.done, "labeler": "labeler"},
    }
    queries = {"/api/history": {"labeler": "labeler"}, "/api/predictions": {"query_id": house.done}}
    if path == "/static":
        address = "/static/api.js"
    house.served.context.login_limit = LoginLimit()
    json = bodies.get(path) if method == "POST" else None
    with client.stream(method, address, params=queries.get(path), json=json) as response:
        return response.status_code


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), MATRIX)
def test_each_route_is_open_to_whom_it_is_meant_for(house: House, method: str, path: str, role: str) -> None:
    assert request(house, method, path, role) == MATRIX[method, path][ROLES.index(role)]


def test_the_matrix_has_every_route(served: Any) -> None:
    app = served.server.config.app
    routes: set[tuple[str, str]] = set()
    for route in app.routes:
        if isinstance(route, APIRoute):
            routes |= {(method, route.path) for method in route.methods or ()}
        else:
            assert isinstance(route, Mount)
            routes.add(("GET", route.path))
    assert routes == MATRIX.keys()


def raw(served: Any, path: str, *, host: str | None = None, cookie: str | None = None) -> tuple[int, bytes]:
    """GET a path exactly as it is written here."""
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=20)
    connection.putrequest("GET", path, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    if cookie is not None:
        connection.putheader("Cookie", cookie)
    connection.endheaders()
    response = connection.getresponse()
    status, content = response.status, response.read()
    connection.close()
    return status, content


def cookie_header(house: House, role: str) -> str:
    return "; ".join(f"{name}={value}" for name, value in house.clients[role].cookies.items())


@pytest.mark.parametrize("host", ["evil.example", "a/?x=", "127.0.0.1.evil.example", "localhost@evil.example", ""])
def test_other_names_for_this_machine_are_refused(house: House, host: str) -> None:
    """A foreign page that has its name point to 127.0.0.1 (DNS rebinding) gets nothing."""
    status, _ = raw(house.served, "/api/run", host=host, cookie=cookie_header(house, "owner"))
    assert status == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_own_names_are_answered(house: House, host: str) -> None:
    assert raw(house.served, "/api/run", host=host, cookie=cookie_header(house, "owner"))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "SAME"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://[evil"},
        {"Origin": ""},
    ],
)
@pytest.mark.parametrize("path", ["/api/claims", "/api/people"])
def test_writes_that_another_site_sends_are_refused(house: House, path: str, headers: dict[str, str]) -> None:
    sent = {name: house.served.url if value == "SAME" else value for name, value in headers.items()}
    reply = house.clients["owner"].post(path, json={"n": 1, "name": "x"}, headers=sent)
    assert reply.status_code == 403
    assert reply.json().keys() == {"error"}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "SAME"}, {"Sec-Fetch-Site": "same-origin", "Origin": "SAME"}, {"Sec-Fetch-Site": "none"}],
)
def test_own_writes_are_taken(house: House, headers: dict[str, str]) -> None:
    sent = {name: house.served.url if value == "SAME" else value for name, value in headers.items()}
    assert house.clients["labeler"].post("/api/claims", json={"n": 1}, headers=sent).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_what_a_plain_form_can_send_is_no_answer(house: House, content_type: str) -> None:
    reply = house.clients["labeler"].post(
        "/api/claims", content=b'{"n": 1}', headers={"Content-Type": content_type}
    )
    assert reply.status_code == 422


def test_no_site_is_told_that_it_may_read(house: House) -> None:
    origin = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    client = house.clients["owner"]
    for reply in (client.get("/api/run", headers=origin), client.options("/api/answers", headers=origin)):
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_browsers_are_told_to_be_strict(house: House) -> None:
    owner, anonymous = house.clients["owner"], house.clients["anonymous"]
    replies = [
        owner.get("/"),
        anonymous.get("/"),
        owner.get("/api/run"),
        anonymous.get("/api/run"),
        anonymous.get("/static/api.js"),
        owner.get(house.clip),
        owner.get("/nothing"),
        owner.post("/api/claims", json={"n": 0}),
        owner.post("/api/claims", json={"n": 1}, headers={"Origin": "null"}),
        owner.get("/api/run", headers={"Host": "evil.example"}),
    ]
    assert [reply.status_code for reply in replies] == [200, 401, 200, 401, 200, 200, 404, 422, 403, 400]
    for reply in replies:
        policy = reply.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert "server" not in reply.headers
    assert owner.get("/api/run").headers["cache-control"] == "no-store"


def test_large_bodies_are_refused(house: House) -> None:
    client = house.clients["labeler"]
    headers = {"Content-Type": "application/json"}
    said = client.post("/api/claims", content=b" " * (MAX_BODY_BYTES + 1), headers=headers)
    unsaid = client.post("/api/claims", content=(b" " * 1024 for _ in range(65)), headers=headers)  # chunked
    assert (said.status_code, unsaid.status_code) == (413, 413)
    fits = client.post("/api/claims", content=b'{"n": 1}'.ljust(MAX_BODY_BYTES), headers=headers)
    assert fits.status_code == 200


def test_thousands_of_ranges_cost_nothing(house: House) -> None:
    """CVE-2025-62727: the work must not grow with the square of the number of ranges."""
    ranges = "bytes=" + ",".join(f"{2 * i}-{2 * i}" for i in range(5000))  # fits into a header
    started = time.perf_counter()
    reply = house.clients["labeler"].get(house.clip, headers={"Range": ranges})
    assert time.perf_counter() - started < 1.0
    assert reply.status_code in (200, 400, 416)
    assert house.clients["labeler"].get(house.clip, headers={"Range": "bytes=0-99"}).status_code == 206


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/....//app.py",
        "/static/..\\app.py",
        "/static/api.js%00.css",
        "/static../app.py",
        "/static",
        "/static/",
        "/clips/../server.json",
        "/clips/%2e%2e%2fsecret",
        "/clips/secret",
        "/clips/" + "0" * 32 + ".mp4",
        "/clips/" + "0" * 32 + ".mp4%00",
        "/clips/" + "0" * 32 + ".mp4%0a",
        "/clips/" + "0" * 31 + "/.mp4",
        "/labeling/secret",
        "/openapi.json",
        "/docs",
        "/redoc",
    ],
)
def test_no_file_but_those_meant_is_served(house: House, path: str) -> None:
    status, content = raw(house.served, path, cookie=cookie_header(house, "owner"))
    assert status in (307, 404, 422)
    assert b"root:" not in content
    assert b"import " not in content


@pytest.mark.parametrize(
    "path", ["//api/run", "/api/run/", "/API/run", "/static/..%2f..%2fapi/run", "/api/run?token=x"]
)
def test_no_spelling_of_a_path_lets_anybody_in(house: House, path: str) -> None:
    status, content = raw(house.served, path)
    assert status != 200
    assert b"task" not in content


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", "a/b", "../x", "a\nb", "", " ", "x" * 41, "&lt;", '"', "ow\u200dner"]
)
def test_names_hold_no_markup(house: House, name: str) -> None:
    assert house.clients["owner"].post("/api/people", json={"name": name}).status_code == 422


def test_nobody_is_invited_who_looks_like_the_owner(house: House) -> None:
    reply = house.clients["owner"].post("/api/people", json={"name": " \u041ewner"})  # begins in Cyrillic
    assert reply.status_code == 409
    assert "looks like owner, who is here already" in reply.json()["error"]


def test_unknown_fields_are_refused(house: House) -> None:
    client = house.clients["labeler"]
    body = {"id": str(uuid4()), "query_id": house.asked, "choice": "left", "labeler": "owner"}
    assert client.post("/api/answers", json=body).status_code == 422


def test_nobody_takes_back_the_answer_of_another(house: House, claimed: Claimed, said: Said) -> None:
    mine, other = house.served.join(), house.served.join()
    [pair], [theirs] = claimed(mine), claimed(other)
    answer = said(mine, pair["query_id"])
    body = {"id": str(uuid4()), "query_id": theirs["query_id"], "choice": None, "supersedes": answer["id"]}
    assert other.post("/api/answers", json=body).status_code == 409
    reused = {"id": answer["id"], "query_id": theirs["query_id"], "choice": "left"}
    assert other.post("/api/answers", json=reused).status_code == 409
    assert [item["answer_id"] for item in mine.get("/api/history").json()["items"]] == [answer["id"]]
    assert answer["id"] not in other.get("/api/export").text


def test_wrong_links_are_limited(house: House) -> None:
    house.served.context.login_limit = LoginLimit()
    anonymous = house.clients["anonymous"]
    assert [anonymous.get(f"/join/wrong{i}").status_code for i in range(7)] == [401] * 5 + [429] * 2
    assert anonymous.get("/?token=wrong").status_code == 429
    house.served.context.login_limit = LoginLimit()
    assert anonymous.get("/?token=wrong").status_code == 401


def test_who_was_invited_is_told_of_no_command(house: House) -> None:
    house.served.context.login_limit = LoginLimit()
    anonymous = house.clients["anonymous"]
    guests, owners = (anonymous.get(path).text for path in ("/join/wrong", "/?token=wrong"))
    assert "Ask whoever invited you" in guests
    assert "prefrl label" not in guests
    assert "prefrl label" in owners


def test_nobody_locks_out_who_has_a_good_link_or_is_in(house: House) -> None:
    house.served.context.login_limit = LoginLimit()
    anonymous, owner = house.clients["anonymous"], house.clients["owner"]
    assert [anonymous.get(f"/join/wrong{i}").status_code for i in range(6)] == [401] * 5 + [429]
    invitation = house.served.context.people.invite("late guest")
    for good in (f"/join/{invitation}", f"/?token={new_ticket(SECRET)}"):
        assert house.served.anonymous().get(good).status_code == 303
    assert owner.get("/join/wrong").status_code == 303
    assert owner.get("/").status_code == 200
    assert anonymous.get("/join/wrong").status_code == 429


FROM_ELSEWHERE = {"Sec-Fetch-Site": "cross-site"}
PICTURE = {**FROM_ELSEWHERE, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = {**FROM_ELSEWHERE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
NEIGHBOUR = {**PICTURE, "Sec-Fetch-Site": "same-site"}  # another port of this machine
CLICK = {**FROM_ELSEWHERE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize(
    ("headers", "status"), [(PICTURE, 403), (FRAME, 403), (NEIGHBOUR, 403), (CLICK, 401), (FROM_ELSEWHERE, 401)]
)
def test_what_another_site_asks_for_counts_for_nobody(house: House, headers: dict[str, str], status: int) -> None:
    """Five pictures on somebody's page must not lock out the owner, whose browser asked for them."""
    house.served.context.login_limit = LoginLimit()
    anonymous = house.clients["anonymous"]
    assert {anonymous.get(f"/join/wrong{i}", headers=headers).status_code for i in range(8)} == {status}
    assert anonymous.get("/join/wrong").status_code == 401


def test_another_site_uses_no_link_up(house: House) -> None:
    ticket = new_ticket(SECRET)
    anonymous = house.served.anonymous()
    for headers in (PICTURE, FRAME, NEIGHBOUR):
        reply = anonymous.get(f"/join/{ticket}", headers=headers)
        assert (reply.status_code, "set-cookie" in reply.headers) == (403, False)
    assert anonymous.get(f"/join/{ticket}", headers=CLICK).status_code == 200
    assert anonymous.get("/api/run").json()["labeler"]["role"] == "owner"


def forwarded(served: Any, number: int) -> int:
    """Try a wrong link as a proxy on this machine would pass it on for somebody."""
    headers = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Proto": "https"}
    client: httpx.Client = served.anonymous()
    return client.get("/join/wrong", headers=headers).status_code


def test_no_address_is_believed_that_nobody_vouches_for(house: House) -> None:
    house.served.context.login_limit = LoginLimit()
    assert [forwarded(house.served, i) for i in range(7)] == [401] * 5 + [429] * 2


def test_a_proxy_is_believed_where_it_is_named(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path
) -> None:
    def served(name: str, *proxies: str) -> Any:
        run = make_run(tmp_path / name, task="gridworld", n_queries=1, segment_length=6)
        return serve_here(run, trusted_proxy=proxies)

    named, other = served("named", "127.0.0.0/8"), served("other", "192.0.2.1")
    assert [forwarded(named, i) for i in range(7)] == [401] * 7
    assert [forwarded(other, i) for i in range(7)] == [401] * 5 + [429] * 2
    for each, is_secure in ((named, True), (other, False)):
        address = f"/join/{each.context.people.invite('Ann')}"
        reply = each.anonymous().get(address, headers={"X-Forwarded-Proto": "https"})
        assert reply.status_code == 303
        assert ("Secure" in reply.headers["set-cookie"]) == is_secure


@pytest.mark.parametrize("kind", ["ticket", "first token"])
def test_of_many_browsers_at_once_a_link_lets_one_in(
    make_run: Callable[..., Path], serve_here: Callable[..., Any], tmp_path: Path, kind: str
) -> None:
    served = serve_here(make_run(tmp_path / "run", task="gridworld", n_queries=1, segment_length=6))
    token = new_ticket(SECRET) if kind == "ticket" else served.owner_token
    statuses = at_once(12, served, lambda client: client.get(f"/?token={token}"))
    assert sorted(set(statuses)) in ([303, 401], [303, 401, 429])
    assert statuses.count(303) == 1


def at_once(n: int, served: Any, ask: Callable[[httpx.Client], httpx.Response]) -> list[int]:
    """Have so many browsers ask at the same moment; return what each gets."""
    clients = [served.anonymous() for _ in range(n)]
    for client in clients:
        client.get("/static/api.js")  # connected
    start = threading.Barrier(n)

    def go(client: httpx.Client) -> int:
        start.wait(20)
        return ask(client).status_code

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(go, clients))


def test_of_many_first_answers_at_once_one_is_taken(house: House, claimed: Claimed) -> None:
    """From as many tabs of one person: what came second would silently replace what came first."""
    person = house.served.join()
    [pair] = claimed(person)
    store = house.served.store
    slow = store.add_answers

    def add_answers(answers: Any) -> Any:
        time.sleep(0.05)  # so that the others have looked meanwhile
        return slow(answers)

    def answer(client: httpx.Client) -> httpx.Response:
        client.cookies.update(person.cookies)
        body = {"id": str(uuid4()), "query_id": pair["query_id"], "choice": "left"}
        return client.post("/api/answers", json=body)

    store.add_answers = add_answers
    try:
        statuses = at_once(12, house.served, answer)
    finally:
        del store.add_answers
    assert sorted(statuses) == [200] + [409] * 11
    assert len(person.get("/api/history").json()["items"]) == 1


def test_the_limit_is_over_after_a_minute() -> None:
    now = 0.0
    limit = LoginLimit(clock=lambda: now)
    for _ in range(5):
        assert not limit.is_over("a")
        limit.failed("a")
    assert limit.is_over("a")
    assert not limit.is_over("b")
    now = 61.0
    assert not limit.is_over("a")


def test_an_invited_owner_may_do_all_but_shut_out_the_one_whose_run_it_is(house: House) -> None:
    owner = house.clients["owner"]
    link = owner.post("/api/people", json={"name": "Ada", "role": "owner"}).json()["link"]
    ada = house.served.anonymous()
    assert ada.get(link, follow_redirects=True).status_code == 200
    listed = {person["name"]: person for person in ada.get("/api/people").json()["people"]}
    assert (listed["Ada"]["role"], listed["Ada"]["comes_by_link"]) == ("owner", True)
    assert not listed["owner"]["comes_by_link"]
    for act in ("revoke", "link"):
        assert ada.post(f"/api/people/owner/{act}", json={}).status_code == 409
    assert owner.post("/api/people/Ada/revoke", json={}).status_code == 200
    assert ada.get("/api/people").status_code == 401
    reply = owner.post("/api/people", json={"name": "Eve", "role": "admin"})
    assert reply.status_code == 422


def test_a_link_becomes_a_strict_cookie(house: House) -> None:
    context = house.served.context
    house.served.context.login_limit = LoginLimit()
    link = house.clients["owner"].post("/api/people", json={"name": "Cy"}).json()["link"]
    assert link.startswith(f"{house.served.url}/join/")
    client = house.served.anonymous()
    reply = client.get(link, headers={"Sec-Fetch-Site": "none"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"{context.people.cookie_name}=")
    for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
        assert part in cookie
    assert client.get("/api/run").json()["labeler"]["name"] == "Cy"
    assert link.rpartition("/")[2] not in cookie


def test_a_click_on_another_site_gets_a_page_in_between(house: House) -> None:
    """Redirected from there, the browser would not send the strict cookie."""
    link = house.clients["owner"].post("/api/people", json={"name": "Di"}).json()["link"]
    reply = house.served.anonymous().get(link, headers={"Sec-Fetch-Site": "cross-site"})
    assert reply.status_code == 200
    assert 'http-equiv="refresh" content="0; url=/"' in reply.text
    assert "set-cookie" in reply.headers


def test_who_is_shut_out_is_out_at_once(house: House) -> None:
    owner, client = house.clients["owner"], house.served.join("Eve")
    with client.stream("GET", "/api/events", timeout=5) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: progress"
        assert owner.post("/api/people/Eve/revoke").json() == {"name": "Eve", "revoked": True}
        assert client.get("/api/run").status_code == 401
        list(lines)  # the stream ends by itself, else this times out


def test_a_new_link_ends_what_the_old_one_began(house: House) -> None:
    owner = house.clients["owner"]
    house.served.context.login_limit = LoginLimit()
    old = owner.post("/api/people", json={"name": "Flo"}).json()["link"]
    client = house.served.anonymous()
    client.get(old)
    new = owner.post("/api/people/Flo/link").json()["link"]
    assert client.get("/api/run").status_code == 401
    assert client.get(old).status_code == 401
    assert client.get(new).status_code == 303
    assert client.get("/api/run").status_code == 200


def test_streams_are_limited_and_counted_until_they_end(house: House) -> None:
    client = house.served.join("many tabs")
    with ExitStack() as stack:
        tabs = [stack.enter_context(client.stream("GET", "/api/events")) for _ in range(8)]
        assert [tab.status_code for tab in tabs] == [200] * 8
        assert client.get("/api/events").status_code == 429
    deadline = time.monotonic() + 10
    status = 429
    while status == 429 and time.monotonic() < deadline:
        with client.stream("GET", "/api/events") as stream:
            status = stream.status_code
        time.sleep(0.05)
    assert status == 200


def test_the_owner_cannot_be_shut_out(house: House) -> None:
    owner = house.clients["owner"]
    assert owner.post("/api/people/owner/revoke").status_code == 409
    assert owner.post("/api/people/owner/link").status_code == 409
    assert owner.post("/api/people/nobody/revoke").status_code == 404


def test_an_error_says_one_sentence_and_no_more(house: House) -> None:
    reply = house.clients["owner"].post("/api/claims", content=b"{", headers={"Content-Type": "application/json"})
    assert reply.status_code == 422
    assert reply.json() == {"error": "body.1: JSON decode error."}
