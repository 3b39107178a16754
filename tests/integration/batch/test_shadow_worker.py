"""Shadows are asked by `run_batch` over real models, PostgreSQL and Redis; nothing of it disturbs anybody."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import orjson
import pytest
from modelyard.db.engine import Database
from modelyard.db.tables import Model, ModelVersion, ShadowPrediction
from modelyard.kit.ids import new_id
from modelyard.registry.repository import ModelRepository
from modelyard.registry.shadow.calls import PAUSE_SECONDS, ShadowCalls, call_key
from modelyard.registry.shadow.repository import ShadowRepository
from modelyard.registry.shadow.worker import LARGEST_ANSWER, ShadowWorker, lock_key
from modelyard.registry.trials.watch import Trial, Trials
from modelyard.serving.answers import render
from modelyard.serving.decoding import Batch
from modelyard.serving.mirror import commands, mirror_key
from modelyard.serving.route import Route
from modelyard.serving.signature import Column
from sqlalchemy import create_engine, select

from functions.run_batch.handler import handle
from tests.fakes.redis import RedisDown
from tests.support.batch import BatchCloud, record
from tests.support.http import LambdaContext
from tests.support.serving import Trained, forest, logistic, matrix_model, mixed, regression

ROWS = logistic().rows
SHADOW = {"number": 2, "percent": 100, "tolerance": 1e-6, "since": "2026-01-01T00:00:00+00:00"}


def native(trained: Trained) -> Trained:
    return replace(trained, signature=replace(trained.signature, runtime="native", onnx=None))


class World:
    """A model of one user, whose version 1 answers and whose version 2 is the shadow."""

    def __init__(self, services: Any, cloud: BatchCloud, redis: Any, user_id: str, *trained: Trained) -> None:
        self.services, self.redis, self.user_id, self.trained = services, redis, user_id, trained
        self.model_id = new_id("mdl")
        self.key = mirror_key(user_id, self.model_id)
        with services.database.transaction() as session:
            session.add(
                Model(
                    id=self.model_id,
                    user_id=user_id,
                    name=self.model_id,
                    default_version=1,
                    last_version=len(trained),
                    shadow=SHADOW,
                )
            )
            session.flush()
            for number, one in enumerate(trained, start=1):
                session.add(self._version(cloud, number, one))

    def _version(self, cloud: BatchCloud, number: int, trained: Trained) -> ModelVersion:
        prefix = f"models/{self.user_id}/{self.model_id}/v{number}"
        cloud.put(f"{prefix}/model.onnx", trained.onnx)
        cloud.put(f"{prefix}/metadata.json", json.dumps(trained.signature.to_json()).encode())
        compiled = trained.signature.runtime == "onnx"
        return ModelVersion(
            id=new_id("ver"),
            model_id=self.model_id,
            user_id=self.user_id,
            number=number,
            status="ready",
            filename="model.joblib",
            upload_key=f"uploads/{self.user_id}/{self.model_id}/v{number}/model.joblib",
            artifact_key=f"{prefix}/model.joblib",
            artifact_format="joblib",
            artifact_size=10,
            artifact_sha256="0" * 64,
            onnx_key=f"{prefix}/model.onnx" if compiled else None,
            onnx_sha256=hashlib.sha256(trained.onnx).hexdigest() if compiled else None,
            runtime=trained.signature.runtime,
            signature=trained.signature.to_json(),
        )

    def answered(self, rows: list[list[Any]], *outputs: str, number: int = 1, answer: Any = None) -> str:
        """Mirrors a request as `predict` does, answered by scikit-learn; returns its prediction id."""
        trained, prediction_id = self.trained[number - 1], new_id("prd")
        asked = outputs or (trained.signature.outputs[0],)
        if answer is None:
            answer = {name: getattr(trained.estimator, name)(rows).tolist() for name in asked}
        posted = commands(
            Route(self.model_id, self.user_id, "any"),
            prediction_id=prediction_id,
            number=number,
            batch=Batch([list(column) for column in zip(*rows, strict=True)], len(rows)),
            outputs=asked,
            core=render(trained.signature, answer),
            seconds=0.002,
        )
        assert posted
        for command in posted:
            self.redis.execute_command(*command)
        return prediction_id

    def run(self, milliseconds: int = 300_000) -> list[Any]:
        """Delivers one message; the failed ones."""
        body = {"shadow": {"user_id": self.user_id, "model_id": self.model_id}}
        event = {"Records": [record(body)]}
        return handle(event, LambdaContext(milliseconds=milliseconds), self.services)["batchItemFailures"]

    def rows(self) -> dict[str, ShadowPrediction]:
        with self.services.database.transaction() as session:
            found = session.scalars(
                select(ShadowPrediction).where(ShadowPrediction.model_id == self.model_id)
            )
            return {row.prediction_id: row for row in found}

    def report(self, user_id: str = "") -> Any:
        with self.services.database.transaction() as session:
            return ShadowRepository(session, user_id or self.user_id).report(self.model_id, 2)

    def change(self, **columns: Any) -> None:
        with self.services.database.transaction() as session:
            model = ModelRepository(session, self.user_id).model(self.model_id, lock=True)
            for name, value in columns.items():
                setattr(model, name, value)


@pytest.fixture
def world(services, cloud, redis_client, user):
    return lambda *trained: World(services, cloud, redis_client, user.id, *trained)


# Messages


@pytest.mark.parametrize(
    "body",
    [
        {"shadow": None},
        {"shadow": {}},
        {"shadow": {"user_id": "usr_1", "model_id": "mdl_1"}},
        {"shadow": [1]},
    ],
)
def test_a_message_that_nobody_of_ours_wrote_is_a_failed_one(services, body):
    answer = handle({"Records": [record(body)]}, LambdaContext(milliseconds=300_000), services)
    assert len(answer["batchItemFailures"]) == 1


def test_a_message_for_a_model_that_is_gone_is_done(services):
    body = {"shadow": {"user_id": new_id("usr"), "model_id": new_id("mdl")}}
    answer = handle({"Records": [record(body)]}, LambdaContext(milliseconds=300_000), services)
    assert answer["batchItemFailures"] == []


# Comparing


def test_disagreement_is_what_scikit_learn_says(world):
    trained = logistic(), forest()
    here = world(*trained)
    ids = [here.answered(ROWS[first : first + 5]) for first in range(0, 50, 5)]
    assert here.run() == []
    ours, theirs = (one.estimator.predict(ROWS) for one in trained)
    differing = int((ours != theirs).sum())
    assert 0 < differing < 50
    assert here.rows().keys() == set(ids)
    report = here.report()
    assert (report.requests, report.rows, report.differing) == (10, 50, differing)
    pairs = Counter((int(one), int(other)) for one, other in zip(ours, theirs, strict=True) if one != other)
    assert {(one, other): rows for one, other, rows in report.pairs} == dict(pairs)
    assert (report.failures, report.mean, report.largest) == ([], None, None)
    assert report.answered_ms == pytest.approx(2.0)
    assert 0 < report.shadow_ms < 1000
    assert here.redis.exists(here.key) == 0


def test_probabilities_are_measured(world):
    trained = logistic(), forest()
    here = world(*trained)
    prediction = here.answered(ROWS[:20], "predict", "predict_proba")
    here.run()
    ours, theirs = (one.estimator.predict_proba(ROWS[:20]) for one in trained)
    farthest = abs(ours - theirs).max(axis=1)
    row = here.rows()[prediction]
    assert (row.rows, row.measured, row.differing) == (20, 20, int((farthest > 1e-6).sum()))
    assert row.largest == pytest.approx(farthest.max(), abs=1e-5)
    assert here.report().mean == pytest.approx(farthest.mean(), abs=1e-5)


def test_a_regressor_agrees_with_itself_within_the_tolerance(world):
    here = world(regression(), regression())
    here.change(shadow=SHADOW | {"tolerance": 0.0})
    here.answered(ROWS)
    here.run()
    (row,) = here.rows().values()
    assert row.differing > 0  # a float graph does not give scikit-learn's doubles
    assert 0 < row.largest < 1e-4
    here.change(shadow=SHADOW | {"tolerance": 1e-3})
    prediction = here.answered(ROWS)
    here.run()
    assert here.rows()[prediction].differing == 0


def test_strings_and_names_reach_the_shadow_by_name(world):
    trained = mixed()
    turned = replace(trained.signature, columns=trained.signature.columns[::-1])
    graph = replace(
        turned.onnx, inputs=[replace(each, columns=[2 - each.columns[0]]) for each in turned.onnx.inputs]
    )
    shadow = replace(trained, signature=replace(turned, onnx=graph))  # lists its columns in another order
    here = world(trained, shadow)
    import pandas as pd

    frame = pd.DataFrame(trained.rows, columns=["price", "rooms", "city"])
    here.answered(trained.rows, answer={"predict": trained.estimator.predict(frame).tolist()})
    here.run()
    report = here.report()
    assert (report.rows, report.differing, report.failures) == (len(trained.rows), 0, [])


def test_columns_without_names_reach_it_by_position(world):
    shadow = logistic()
    columns = [Column(f"feature {number}") for number in range(4)]
    here = world(
        logistic(), replace(shadow, signature=replace(shadow.signature, columns=columns, named=True))
    )
    here.answered(ROWS)
    here.run()
    report = here.report()
    assert (report.rows, report.differing, report.failures) == (50, 0, [])


def test_a_native_shadow_is_asked_in_its_sandbox(world, native):
    here = world(logistic(), as_native(logistic()))
    prediction = here.answered([[1.0, 2.0, 3.0, 4.0]] * 2, answer={"predict": [1, 0]})
    here.run()
    (call,) = native.calls
    assert [list(column) for column in call["columns"]] == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]
    row = here.rows()[prediction]
    assert (row.differing, row.answer["predictions"], row.shadow_answer["predictions"]) == (1, [1, 0], [1, 1])


as_native = native  # the fixture of that name stands for the sandbox


def test_answers_are_kept_where_they_differ(world, native):
    here = world(as_native(logistic()), as_native(logistic()))
    same = here.answered(ROWS[:2], answer={"predict": [1, 1]})
    different = here.answered(ROWS[:2], answer={"predict": [0, 1]})
    long = here.answered(ROWS[:1], answer={"predict": ["a" * LARGEST_ANSWER]})
    nul = here.answered(ROWS[:1], answer={"predict": ["a\0b"]})
    here.run()
    rows = here.rows()
    assert (rows[same].answer, rows[same].shadow_answer) == (None, None)
    assert rows[different].answer["predictions"] == [0, 1]
    assert rows[different].shadow_answer["predictions"] == [1, 1]
    assert (rows[long].answer, rows[long].differing) == (None, 1)
    assert (rows[nul].answer, rows[nul].pairs, rows[nul].differing) == (None, None, 1)
    text = orjson.dumps([[row.answer, row.shadow_answer, row.pairs] for row in rows.values()], default=str)
    assert str(ROWS[0][0]).encode() not in text  # inputs are written nowhere


def test_no_input_is_logged(world, native, capsys):
    here = world(logistic(), as_native(logistic()))
    native.answers = [{"error": {"kind": "model_error", "detail": "ValueError in predict"}}]
    here.answered([[0.123456789, 1, 2, 3]])
    here.run()
    assert "0.123456789" not in capsys.readouterr().out


# Failing


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("model_error", "model_error"),
        ("crashed", "model_error"),
        ("timeout", "prediction_timeout"),
        ("load_failed", "model_unavailable"),
        ("too_large", "too_many_rows"),
    ],
)
def test_a_shadow_that_fails_is_a_line_in_the_report(world, native, kind, code):
    here = world(logistic(), as_native(logistic()))
    native.answers = [{"error": {"kind": kind, "detail": "words for the log"}}]
    failed, fine = here.answered(ROWS[:1]), here.answered(ROWS[:1], answer={"predict": [1]})
    assert here.run() == []
    rows = here.rows()
    assert (rows[failed].error, rows[failed].differing, rows[failed].answer) == (code, 0, None)
    assert (rows[fine].error, rows[fine].differing) == (None, 0)
    report = here.report()
    assert (report.requests, report.failures) == (1, [(code, 1)])
    assert len(native.calls) == 2  # never asked twice


def test_a_shadow_that_raises_what_nobody_expected(world, native):
    here = world(logistic(), as_native(logistic()))
    native.answers = [RuntimeError("broken")]
    here.answered(ROWS[:1])
    assert here.run() == []
    assert here.report().failures == [("internal_error", 1)]


@pytest.mark.parametrize("width", [3, 5])
def test_a_shadow_that_takes_other_columns_fails_as_its_callers_would(world, width):
    from sklearn.linear_model import LogisticRegression

    here = world(logistic(), matrix_model(LogisticRegression(), width=width))
    here.answered(ROWS[:3])
    here.run()
    assert here.report().failures == [("invalid_input", 1)]


def test_a_shadow_without_an_asked_output(world):
    here = world(logistic(), regression())
    here.answered(ROWS[:3], "predict", "predict_proba")
    here.run()
    assert here.report().failures == [("invalid_parameter", 1)]


def test_a_shadow_whose_file_is_damaged(world, cloud):
    here = world(logistic(), forest())
    cloud.put(f"models/{here.user_id}/{here.model_id}/v2/model.onnx", b"something else")
    here.answered(ROWS[:1])
    here.answered(ROWS[1:2])
    assert here.run() == []
    assert here.report().failures == [("model_unavailable", 2)]


def test_junk_in_the_list_is_passed_over(world, redis_client):
    here = world(logistic(), forest())
    redis_client.rpush(here.key, b"junk", b"[]")
    prediction = here.answered(ROWS[:1])
    here.answered(ROWS[:1], number=2)  # the shadow itself answered: nothing to compare
    assert here.run() == []
    assert here.rows().keys() == {prediction}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (0, 7),
        (0, "prd_" + "a" * 40),
        (0, "prd_\0"),
        (0, "prd_01m89grjfbgggxqp53qgefyb1w\n"),
        (1, "yesterday"),
        (1, 1e300),
        (2, [1]),
        (2, 2**40),
        (3, [[1.0], 2]),
        (4, 10**12),
        (4, -1),
        (4, "1"),
        (5, 7),
        (5, [["predict"]]),
        (7, "quick"),
    ],
)
def test_an_entry_that_says_nonsense_costs_its_neighbours_nothing(world, redis_client, place, value):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    entry = orjson.loads(redis_client.lpop(here.key))
    entry[place] = value
    redis_client.rpush(here.key, orjson.dumps(entry))
    wanted = here.answered(ROWS[:2])
    assert here.run() == []
    assert list(here.rows()) == [wanted]


def test_an_answer_of_a_version_that_is_gone_is_passed_over(world, services):
    here = world(logistic(), forest(), logistic())
    here.answered(ROWS[:1], number=3)
    with services.database.transaction() as session:
        repository = ModelRepository(session, here.user_id)
        repository.erase(repository.version(here.model_id, 3, lock=True))
    assert here.run() == []
    assert here.rows() == {}


# Ending, repeating, sharing


def test_without_a_shadow_nobody_is_asked_and_the_inputs_go(world):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    here.change(shadow=None)
    assert here.run() == []
    assert (here.rows(), here.redis.exists(here.key)) == ({}, 0)


def test_a_request_that_comes_twice_is_counted_once(world):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    (entry,) = here.redis.lrange(here.key, 0, -1)
    here.redis.rpush(here.key, entry)
    here.run()
    here.redis.rpush(here.key, entry)
    here.run()
    assert here.report().requests == 1


def test_more_than_one_write_holds(world):
    here = world(logistic(), forest())
    for number in range(45):
        here.answered([ROWS[number]])
    here.run()
    assert here.report().requests == 45


def test_one_worker_at_a_time_serves_a_model(world):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    here.redis.set(lock_key(here.user_id, here.model_id), b"1", ex=60)
    assert here.run() == []
    assert (here.rows(), here.redis.llen(here.key)) == ({}, 1)
    here.redis.delete(lock_key(here.user_id, here.model_id))
    here.run()
    assert here.report().requests == 1
    assert here.redis.exists(lock_key(here.user_id, here.model_id)) == 0


def test_what_no_time_is_left_for_waits_for_another_message(world, services, cloud):
    here = world(logistic(), forest())
    for number in range(5):
        here.answered([ROWS[number]])
    ticks = iter([0.0, *([1.0] * 8)])
    services.shadow_worker = ShadowWorker(
        database=services.database,
        redis=here.redis,
        find_route=services.routes.load,
        load_model=services.model_cache.get,
        calls=services.shadow_calls,
        now=lambda: next(ticks, 1000.0),
    )
    assert here.run() == []
    done = here.report().requests
    assert 0 < done < 5
    assert here.redis.llen(here.key) == 5 - done
    assert here.redis.ttl(here.key) > 0
    assert here.redis.exists(lock_key(here.user_id, here.model_id)) == 0
    (message,) = delayed(cloud)
    del services.shadow_worker
    assert handle({"Records": [message]}, LambdaContext(milliseconds=300_000), services) == {
        "batchItemFailures": []
    }
    assert here.report().requests == 5


def delayed(cloud: BatchCloud) -> list[dict[str, Any]]:
    """The messages of the queue, once the longest has waited long enough."""
    end = time.monotonic() + PAUSE_SECONDS + 5
    while not (found := cloud.messages()):
        assert time.monotonic() < end, "no message came"
        time.sleep(0.1)
    return found


def test_too_little_time_is_another_workers_time(world):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    assert len(here.run(milliseconds=5_000)) == 1
    assert here.redis.llen(here.key) == 1


def test_nobody_elses_report_shows_it(world, stranger):
    here = world(logistic(), forest())
    here.answered(ROWS)
    here.run()
    assert here.report().requests == 1
    assert here.report(stranger.id).requests == 0


def test_another_users_model_is_not_asked(world, stranger):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    here.redis.rename(here.key, mirror_key(stranger.id, here.model_id))
    body = {"shadow": {"user_id": stranger.id, "model_id": here.model_id}}
    handle({"Records": [record(body)]}, LambdaContext(milliseconds=300_000), here.services)
    assert here.rows() == {}


# Dependencies away


def test_redis_away_is_no_failed_message(world, services):
    here = world(logistic(), forest())
    down = RedisDown()
    down.llen = down.get  # type: ignore[attr-defined]
    services.shadow_worker = ShadowWorker(
        database=services.database,
        redis=down,  # type: ignore[arg-type]
        find_route=services.routes.load,
        load_model=services.model_cache.get,
        calls=services.shadow_calls,
    )
    assert here.run() == []
    assert down.asked == 1


def test_postgresql_away_leaves_the_requests_where_they_are(world, services):
    here = world(logistic(), forest())
    here.answered(ROWS[:1])
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    services.shadow_worker = ShadowWorker(
        database=Database(create_engine(url, connect_args={"connect_timeout": 2})),
        redis=here.redis,
        find_route=services.routes.load,
        load_model=services.model_cache.get,
        calls=services.shadow_calls,
    )
    assert here.run() == []
    assert here.redis.llen(here.key) == 1
    assert here.redis.exists(lock_key(here.user_id, here.model_id)) == 0


# Calling


@pytest.fixture
def trial(world):
    here = world(logistic(), forest())
    return here, Trial(here.user_id, here.model_id, guarded=False, shadowed=True)


def test_one_message_for_many_requests(trial, services, cloud):
    here, one = trial
    for _ in range(3):
        here.answered(ROWS[:1])
        services.shadow_calls(one)
    assert cloud.messages() == []  # it waits, for what comes meanwhile
    assert 0 < here.redis.ttl(call_key(here.user_id, here.model_id)) <= PAUSE_SECONDS
    (message,) = delayed(cloud)
    assert json.loads(message["body"]) == {"shadow": {"user_id": here.user_id, "model_id": here.model_id}}


def test_no_message_where_nothing_waits_or_no_shadow_is(trial, services, cloud):
    here, one = trial
    services.shadow_calls(one)
    here.answered(ROWS[:1])
    services.shadow_calls(replace(one, shadowed=False))
    assert here.redis.exists(call_key(here.user_id, here.model_id)) == 0


def test_the_trials_of_the_composition_call_shadows(trial, services, cloud):
    here, one = trial
    here.answered(ROWS[:1])
    assert services.trials.look({(one.user_id, one.model_id)}).errors == 0
    assert here.redis.exists(call_key(here.user_id, here.model_id)) == 1


def test_redis_away_costs_the_delivery_nothing(trial, services, database):
    _, one = trial
    down = RedisDown()
    down.llen = down.get  # type: ignore[attr-defined]
    calls = ShadowCalls(down, lambda: services.sqs, services.queue_url)  # type: ignore[arg-type]
    assert Trials(database, [calls]).look({(one.user_id, one.model_id)}).errors == 1
    assert down.asked == 1
