"""Models on trial are found when records of theirs arrive, and by the sweep; a delivery is never harmed."""

from __future__ import annotations

from itertools import count

import pytest
from modelyard.db.engine import Database
from modelyard.db.tables import Model
from modelyard.kit.errors import Unavailable
from modelyard.kit.ids import new_id
from modelyard.registry.trials.watch import Trial, Trials
from sqlalchemy import create_engine, text

from functions.record_predictions.handler import handle as record
from tests.support.records import delivery, some_record

GUARD = {"error_rate": 0.05, "latency_ratio": 3.0, "min_requests": 20}
SHADOW = {"number": 2, "percent": 100, "tolerance": 1e-6}


@pytest.fixture
def add(database, user):
    """Adds a model of the user's with these columns; returns its id."""

    def add(**columns):
        model_id = new_id("mdl")
        with database.transaction() as session:
            session.add(Model(id=model_id, user_id=user.id, name=model_id, default_version=1, **columns))
        return model_id

    return add


class Steps(list):
    """Remembers whom it was called for."""

    def __call__(self, trial):
        self.append(trial)


def test_only_models_of_the_delivery_that_are_on_trial_are_looked_at(database, user, stranger, add):
    split, shadowed, free = add(traffic={"1": 90, "2": 10}, guard=GUARD), add(shadow=SHADOW), add()
    unguarded, elsewhere = add(traffic={"1": 90, "2": 10}), add(shadow=SHADOW)
    deleted = add(shadow=SHADOW)
    with database.transaction() as session:
        session.execute(text("UPDATE models SET deleted_at = now() WHERE id = :id"), {"id": deleted})
    steps = Steps()
    named = {(user.id, each) for each in (split, shadowed, free, unguarded, deleted)}
    named.add((stranger.id, elsewhere))  # a record that names another user's model moves nothing of theirs

    report = Trials(database, [steps]).look(named)

    assert (report.models, report.errors) == (3, 0)
    assert set(steps) == {
        Trial(user.id, split, guarded=True, shadowed=False),
        Trial(user.id, shadowed, guarded=False, shadowed=True),
        Trial(user.id, unguarded, guarded=False, shadowed=False),
    }


def test_nothing_is_asked_for_nobody(database):
    away = Database(create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    assert Trials(away, [Steps()]).look([]).errors == 0


def test_a_step_that_fails_stops_no_other_and_no_other_model(database, user, add):
    def fails(trial):
        raise RuntimeError("no luck")

    steps, models = Steps(), {(user.id, add(shadow=SHADOW)) for _ in range(3)}

    report = Trials(database, [fails, steps]).look(models)

    assert (report.models, report.errors, len(steps)) == (3, 3, 3)


def test_a_delivery_is_stored_although_no_model_can_be_looked_at(composition, capsys):
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    away = Database(create_engine(url, connect_args={"connect_timeout": 2}))
    composition.trials = Trials(away, [])

    assert record(delivery(some_record().line()), composition)["stored"] == 1
    assert "models on trial were not looked at" in capsys.readouterr().out


def test_a_delivery_takes_the_steps_also_when_it_comes_again(composition, user, add):
    steps, model_id = Steps(), add(shadow=SHADOW)
    composition.trials = Trials(composition.database, [steps])
    event = delivery(some_record(user_id=user.id, model_id=model_id).line(), some_record().line())

    assert record(event, composition)["stored"] == 2
    assert record(event, composition)["known"] == 2

    assert [trial.model_id for trial in steps] == [model_id, model_id]


def test_the_sweep_looks_at_all_of_them(database, add):
    steps, models = Steps(), [add(shadow=SHADOW), add(traffic={"1": 90, "2": 10}), add()]
    trials = Trials(database, [steps])

    assert trials.sweep().models == 2
    assert sorted(trial.model_id for trial in steps) == sorted(models[:2])


def test_the_sweep_says_that_postgresql_is_away():
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    away = Database(create_engine(url, connect_args={"connect_timeout": 2}))
    with pytest.raises(Unavailable):
        Trials(away, []).sweep()


def test_no_look_takes_longer_than_it_may(database, user, add, capsys):
    seconds = count(step=15)  # of a clock that is asked before every model
    models = {(user.id, add(shadow=SHADOW)) for _ in range(4)}
    steps = Steps()

    report = Trials(database, [steps], now=lambda: next(seconds)).look(models)

    assert (report.models, report.left, len(steps)) == (1, 3, 1)
    assert "no time for all models on trial" in capsys.readouterr().out


def test_where_time_does_not_do_for_all_each_has_its_turn(database, user, add):
    models = {(user.id, add(shadow=SHADOW)) for _ in range(3)}
    steps = Steps()
    for _ in range(200):  # decided by chance, but not by so much of it
        Trials(database, [steps], now=lambda seconds=count(step=15): next(seconds)).look(models)
        if len(set(steps)) == 3:
            break
    assert {(trial.user_id, trial.model_id) for trial in steps} == models
