"""Typed records between trainer and page: strict in what they need, tolerant of what a newer writer adds."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from prefrl.errors import SettingError, StoreError
from prefrl.store import LogKey, RunAbout, RunRecord, Store, TrainerRecord, WishRecord, schema
from prefrl.store.typed_json import decode_record, encode_record

RunRecordFactory = Callable[..., RunRecord]
TrainerRecordFactory = Callable[..., TrainerRecord]


def test_records_are_published_one_of_each_kind(
    tmp_path: Path, run_record: RunRecordFactory, trainer_record: TrainerRecordFactory
) -> None:
    with Store(tmp_path) as store:
        assert store.published(RunRecord) is None
        assert store.published(TrainerRecord) is None
        run = run_record(env_kwargs={"a": [1, {"b": None}]}, question="Which <one>?")
        store.publish(run)
        for state in ("starting", "finished"):
            store.publish(trainer_record(state=state))
    with Store(tmp_path) as store:
        assert store.published(RunRecord) == run
        trainer = store.published(TrainerRecord)
        assert trainer is not None
        assert trainer.state == "finished"


def test_a_wish_is_one_of_three(timed: Store) -> None:
    assert timed.published(WishRecord) is None
    wish = WishRecord(training="a", wish="pause", by="Ann", updated_at=1)
    timed.publish(wish)
    assert timed.published(WishRecord) == wish
    assert timed.published(TrainerRecord) is None
    with pytest.raises(StoreError, match="`wish` is 'explode', expected one of go_on, pause, stop"):
        decode_record(WishRecord, encode_record(replace(wish, wish="explode")))  # type: ignore[arg-type]


def test_what_is_no_number_is_not_published(timed: Store, trainer_record: TrainerRecordFactory) -> None:
    before = trainer_record()
    timed.publish(before)
    with pytest.raises(SettingError, match="must be JSON and finite"):
        timed.publish(replace(before, true_return=float("nan")))
    with pytest.raises(SettingError, match="must be JSON and finite"):
        timed.publish(replace(before, num_timesteps=object()))  # type: ignore[arg-type]
    assert timed.published(TrainerRecord) == before


def test_what_an_older_version_wrote_is_read(timed: Store) -> None:
    """Word for word what a trainer published before there were records."""
    run = (
        '{"task": "hopper", "env_id": "Hopper-v5", "env_kwargs": {"a": 1}, "question": "Which?", "n_labels": 700, '
        '"segment_length": 50, "total_timesteps": 1000000, "seed": 0, "algo": "ppo"}'
    )
    trainer = (
        '{"state": "waiting", "num_timesteps": 4096, "labels": 1, "labels_due": 25, "waits_for": 3, "refits": 0, '
        '"true_return": null, "held_out_accuracy": null, "updated_at": 1700000000000}'
    )
    with timed._database.write() as connection:
        for key, value in (("run", run), ("trainer", trainer)):
            connection.execute(insert(schema.status).values(key=key, value=value))
    assert timed.published(RunRecord) == RunRecord(
        task="hopper",
        env_id="Hopper-v5",
        env_kwargs={"a": 1},
        question="Which?",
        n_labels=700,
        segment_length=50,
        total_timesteps=1_000_000,
        seed=0,
        algo="ppo",
    )
    assert timed.published(TrainerRecord) == TrainerRecord(
        state="waiting", num_timesteps=4096, labels=1, labels_due=25, waits_for=3, updated_at=1_700_000_000_000
    )


def test_what_a_newer_version_adds_is_left_out(trainer_record: TrainerRecordFactory) -> None:
    record = trainer_record()
    text = json.dumps({**asdict(record), "mood": {"good": True}})
    assert decode_record(TrainerRecord, text) == record
    assert decode_record(TrainerRecord, encode_record(record)) == record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"state": None},
            "`state` is None, expected one of starting, training, waiting, paused, finished, stopped",
        ),
        ({"state": "asleep"}, "`state` is 'asleep', expected one of starting"),
        ({"state": ["training"]}, r"`state` is \['training'\], expected one of"),
        ({"num_timesteps": 1.5}, r"`num_timesteps` is 1\.5, expected a whole number"),
        ({"num_timesteps": True}, "`num_timesteps` is True, expected a whole number"),
        ({"labels_due": "many"}, "`labels_due` is 'many', expected a number"),
        ({"labels_due": False}, "`labels_due` is False, expected a number"),
        ({"waits_for": "3"}, "`waits_for` is '3', expected a whole number or null"),
        ({"true_return": []}, r"`true_return` is \[\], expected a number or null"),
    ],
)
def test_what_is_of_another_type_is_an_error_of_one_sentence(
    trainer_record: TrainerRecordFactory, change: dict[str, Any], message: str
) -> None:
    text = json.dumps({**asdict(trainer_record()), **change})
    with pytest.raises(StoreError, match=f"^The TrainerRecord in the store cannot be read: {message}") as caught:
        decode_record(TrainerRecord, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"task": 1}, {"env_kwargs": [1]}, {"env_kwargs": None}, {"question": None}])
def test_a_run_of_another_type_is_an_error(run_record: RunRecordFactory, change: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match=r"^The RunRecord in the store cannot be read: `"):
        decode_record(RunRecord, json.dumps({**asdict(run_record()), **change}))


@pytest.mark.parametrize("wrong", [3, ["1"], [1, None], [1.5], {"1": 2}])
def test_a_list_of_runs_is_one_of_whole_numbers(wrong: Any) -> None:
    about = {"observation_space": {}, "action_space": {}, "segment_length": 5}
    assert decode_record(RunAbout, json.dumps(about)).learns_from == ()
    assert decode_record(RunAbout, json.dumps({**about, "learns_from": [1, 2]})).learns_from == (1, 2)
    with pytest.raises(StoreError, match=r"`learns_from` is .* expected a list, of a whole number each"):
        decode_record(RunAbout, json.dumps({**about, "learns_from": wrong}))


@pytest.mark.parametrize("name", ["state", "updated_at"])
def test_what_is_missing_is_an_error_unless_it_has_a_default(
    trainer_record: TrainerRecordFactory, name: str
) -> None:
    values = asdict(trainer_record())
    without_refits = {key: value for key, value in values.items() if key != "refits"}
    assert decode_record(TrainerRecord, json.dumps(without_refits)).refits == 0
    with pytest.raises(StoreError, match=f"`{name}` is missing; it was written by another version"):
        decode_record(TrainerRecord, json.dumps({key: value for key, value in values.items() if key != name}))


@pytest.mark.parametrize(
    ("text", "message"), [("{", "it is no JSON"), ("[]", "expected an object"), ("7", "expected an object")]
)
def test_what_is_no_record_is_an_error(text: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        decode_record(TrainerRecord, text)


def test_the_names_in_the_log_are_those_of_the_library_that_writes_them() -> None:
    assert [key.value for key in LogKey] == [
        "time/total_timesteps",
        "rollout/ep_rew_mean",
        "rollout/ep_predicted_rew_mean",
        "reward_model/accuracy",
        "reward_model/fresh_accuracy",
        "labels/total",
    ]
