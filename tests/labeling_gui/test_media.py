"""Clips over HTTP, as players and caches want them; curves and episodes of the training page."""

import io
import time
from collections.abc import Callable
from typing import Any

import av
import pytest

from prefrl.store import RunRecord, Store

Claimed = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def pair(served: Any, claimed: Claimed) -> dict[str, Any]:
    return claimed(served.join())[0]


def test_a_clip_plays_as_long_as_is_said(served: Any, pair: dict[str, Any]) -> None:
    for clip in pair["clips"]:
        reply = served.owner().get(clip["clip"])
        assert reply.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(reply.content), "r") as video:
            stream = video.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert float(stream.average_rate or 0) == pytest.approx(clip["fps"], rel=1e-3)
            frames = len(list(video.decode(stream)))
        assert frames / clip["fps"] == pytest.approx(clip["duration_s"])


def test_a_poster_is_a_picture(served: Any, pair: dict[str, Any]) -> None:
    reply = served.owner().get(pair["clips"][0]["poster"])
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.content[:2] == b"\xff\xd8"


def test_players_get_parts_and_caches_keep_the_whole(served: Any, pair: dict[str, Any]) -> None:
    client, clip = served.owner(), pair["clips"][0]["clip"]
    whole = client.get(clip)
    assert whole.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(clip, headers={"Range": "bytes=10-19", "If-Range": whole.headers["etag"]})
    assert part.status_code == 206
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert part.content == whole.content[10:20]
    assert client.get(clip, headers={"Range": "bytes=9999999-"}).status_code == 416
    assert client.get(clip).headers["etag"] == whole.headers["etag"]


def test_clips_that_are_not_there_are_not_there(served: Any, pair: dict[str, Any]) -> None:
    client = served.owner()
    for name in ("0" * 32 + ".mp4", pair["clips"][0]["clip"].rpartition("/")[2].replace(".mp4", ".webm")):
        reply = client.get(f"/clips/{name}")
        assert reply.status_code == 404
        assert reply.json().keys() == {"error"}


def test_a_run_may_have_its_clips_without_licences(
    make_run: Callable[..., Any], serve_here: Callable[..., Any], claimed: Claimed, tmp_path: Any
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=1, segment_length=6)
    client = serve_here(run, codec="vp9").owner()
    [pair] = claimed(client)
    assert pair["clips"][0]["clip"].endswith(".webm")
    reply = client.get(pair["clips"][0]["clip"])
    assert reply.headers["content-type"] == "video/webm"
    with av.open(io.BytesIO(reply.content)) as video:
        assert video.streams.video[0].codec_context.name == "vp9"


def test_clips_of_all_that_is_open_are_drawn_before_anybody_asks(
    make_run: Callable[..., Any], serve_here: Callable[..., Any], claimed: Claimed, tmp_path: Any
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=4, segment_length=6)
    served = serve_here(run)
    with Store(run) as store:
        ids = [query.query_id for query in store.open_queries()]
        wanted = {segment for pair in store.segment_ids(ids).values() for segment in pair}
    folder = run / "labeling" / "clips"
    for _ in range(200):
        drawn = {clip.name.partition(".")[0] for clip in folder.glob("*.mp4")}
        if drawn == wanted:
            break
        time.sleep(0.1)
    assert drawn == wanted
    order = [query["query_id"] for query in claimed(served.owner(), 4)]
    assert list(served.context.training_view.open_queries) == order, "what is asked first is drawn first"


def test_a_run_that_cannot_be_drawn_here_says_so(
    make_run: Callable[..., Any],
    serve_here: Callable[..., Any],
    run_record: Callable[..., RunRecord],
    tmp_path: Any,
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=1, segment_length=6)
    with Store(run) as store:
        store.publish(run_record(task="gridworld", env_id="Nowhere-v0"))
    reply = serve_here(run).owner().post("/api/claims", json={"n": 1})
    assert reply.status_code == 503
    assert "Nowhere" in reply.json()["error"]


def test_the_training_page_has_curves_and_episodes(served: Any) -> None:
    client = served.join()
    shown = client.get("/api/training").json()
    curves = shown["curves"]
    assert curves.keys() >= {"num_timesteps", "true_return", "predicted_return", "accuracy", "labels", "backflips"}
    assert {len(curve) for curve in curves.values()} == {8}
    assert [episode["num_timesteps"] for episode in shown["showcase"]] == [0, 4096, 8192]
    assert client.get(shown["showcase"][-1]["clip"]).status_code == 200


def test_the_people_page_has_everybody(served: Any, claimed: Claimed, said: Callable[..., Any]) -> None:
    client = served.join("Gil")
    for pair in claimed(client, 2):
        said(client, pair["query_id"])
    served.context.people.invite("Hal")
    shown = served.owner().get("/api/people").json()
    people = {person["name"]: person for person in shown["people"]}
    assert (people["Gil"]["answers"], people["Gil"]["role"], people["Gil"]["revoked"]) == (2, "labeler", False)
    assert people["Gil"]["last_seen"] is not None
    assert (people["Hal"]["answers"], people["Hal"]["last_seen"], people["Hal"]["per_minute"]) == (0, None, None)
    assert people["owner"]["role"] == "owner"
    assert shown["agreement"] == {"raw": None, "alpha": None, "n_pairs": 0}
    assert shown["local_only"]


def prefer(client: Any, claimed: Claimed, said: Callable[..., Any], n: int, *, worse: bool = False) -> None:
    """Answer as everybody does who has this taste, or always the opposite."""
    for pair in claimed(client, n):
        left, right = (str(clip["clip"]) for clip in pair["clips"])
        chosen = "left" if (left < right) != worse else "right"
        said(client, pair["query_id"], chosen)


def test_people_who_answer_the_same_agree(
    make_run: Callable[..., Any],
    serve_here: Callable[..., Any],
    claimed: Claimed,
    said: Callable[..., Any],
    tmp_path: Any,
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=4, segment_length=6, overlap=2)
    served = serve_here(run)
    for name in ("Ann", "Bo"):
        prefer(served.join(name), claimed, said, 4)
    agreement = served.owner().get("/api/people").json()["agreement"]
    assert (agreement["raw"], agreement["n_pairs"]) == (1.0, 4)


def test_whoever_is_set_aside_counts_for_nothing_until_taken_back(
    make_run: Callable[..., Any],
    serve_here: Callable[..., Any],
    claimed: Claimed,
    said: Callable[..., Any],
    tmp_path: Any,
) -> None:
    run = make_run(tmp_path / "run", task="gridworld", n_queries=6, segment_length=6, overlap=3)
    served = serve_here(run, repeat_share=0.0)
    owner = served.owner()
    for name in ("Ann", "Bo", "Cy"):
        prefer(served.join(name), claimed, said, 5, worse=name == "Cy")

    def shown() -> dict[str, Any]:
        people: dict[str, Any] = owner.get("/api/people").json()
        return people

    before = shown()
    assert before["agreement"]["n_pairs"] == 15
    assert owner.get("/api/progress").json()["total"] == 15
    assert owner.post("/api/people/Cy/aside", json={"aside": True}).json() == {"name": "Cy", "aside": True}
    after = shown()
    assert (after["agreement"]["raw"], after["agreement"]["n_pairs"]) == (1.0, 5)
    people = {person["name"]: person for person in after["people"]}
    assert {name for name, person in people.items() if person["set_aside"]} == {"Cy"}
    assert people["Cy"]["answers"] == 5, "they are kept"
    assert people["Cy"]["quality"]["agreement"] == 0.0, "and compared with those of the others"
    assert (people["Ann"]["quality"]["agreement"], people["Ann"]["quality"]["n_shared"]) == (1.0, 5)
    assert owner.get("/api/progress").json()["total"] == 10
    assert len(served.store.comparisons()) == 10

    assert owner.post("/api/people/Cy/aside", json={"aside": False}).json() == {"name": "Cy", "aside": False}
    assert shown()["agreement"] == before["agreement"]
    assert owner.get("/api/progress").json()["total"] == len(served.store.comparisons()) == 15
    assert owner.post("/api/people/Nobody/aside", json={"aside": True}).status_code == 404
    assert owner.post("/api/people/owner/aside", json={"aside": True}).status_code == 200, "the owner may err, too"
    served.context.people.revoke("Bo")
    assert owner.post("/api/people/Bo/aside", json={"aside": True}).status_code == 200, "also who is out"
    served.store.add_labeler("oracle")
    served.context.people.open()
    reply = owner.post("/api/people/oracle/aside", json={"aside": True})
    assert reply.status_code == 409
    assert "oracle never had a link" in reply.text
