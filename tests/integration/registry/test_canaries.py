"""Canaries that fail or are slow are withdrawn by themselves, over the handlers and with real records."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from modelyard.db.tables import AuditEntry, Model
from modelyard.kit.clock import utc_now
from modelyard.registry.routes import RouteBook
from modelyard.registry.trials.canaries import Canaries
from modelyard.registry.trials.watch import Trial, Trials
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import select, update

from functions.record_predictions.handler import handle as record
from tests.support.records import delivery, some_record

OK = {"status_code": 200}
BROKEN = {"status_code": 500, "error": "model_error", "rows": 0}

REFUSED = {"status_code": 422, "error": "invalid_input", "rows": 0}


@pytest.fixture
def model(make):
    """v1 to v3 are ready; v1 is the champion."""
    return make(versions=3)


@pytest.fixture
def split(mine, model):
    def split(guard=None, **weights):
        body = {"weights": weights, "reason": "A canary"} | ({"guard": guard} if guard else {})
        answer = mine.put(f"/models/{model}/traffic", json=body)
        assert answer.status == 200, answer.text

    return split


@pytest.fixture
def arrive(services, user, model):
    """Delivers so many records of a version, as CloudWatch Logs does."""

    def arrive(label, count, **facts):
        given = {"user_id": user.id, "model_id": model, "model_version": label, "routed": True} | facts
        assert record(delivery(*(some_record(**given).line() for _ in range(count))), services)["junk"] == 0

    return arrive


@pytest.fixture
def traffic(mine, model):
    return lambda: mine.get(f"/models/{model}/traffic").json()


@pytest.fixture
def newest(mine, model):
    """The newest entry of the history."""
    return lambda: mine.get(f"/models/{model}/promotions").json()["items"][0]


@pytest.fixture
def split_since(database, model):
    """Has the split begun so long ago."""

    def move(**ago):
        with database.transaction() as session:
            began = utc_now() - timedelta(**ago)
            session.execute(update(Model).where(Model.id == model).values(split_at=began))

    return move


def test_a_failing_canary_is_withdrawn_and_the_history_says_why(
    mine, database, user, model, split, arrive, traffic, newest, route_of, capsys
):
    split(v1=90, v2=10)
    arrive("v1", 180, **OK)
    arrive("v2", 6, **OK)
    arrive("v2", 13, **BROKEN)
    assert traffic()["weights"] == {"v1": 90, "v2": 10}  # 19 requests are too few
    capsys.readouterr()
    arrive("v2", 1, **BROKEN)

    assert traffic() == {"weights": {}, "guard": None, "since": None, "observed": []}
    assert (route_of(model).traffic, route_of(model).default) == ({}, 1)
    entry = newest()
    assert entry.pop("at")
    assert entry == {
        "action": "withdrawn",
        "alias": "champion",
        "from_version": "v2",
        "to_version": "v1",
        "weights": None,
        "reason": "v2 was withdrawn: 14 of 20 requests failed (70 %); allowed are 5 %. "
        "The champion v1: 0 of 180.",
        "actor_id": None,
        "credential_id": None,
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["message"] == "canary withdrawn"]
    assert (line["model_id"], line["model_version"], line["canaries_withdrawn"]) == (model, "v2", 1)
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    assert declared["Metrics"] == [{"Name": "canaries_withdrawn", "Unit": "Count"}]
    assert declared["Dimensions"] == [["service"]]
    with database.transaction() as session:
        audited = session.scalars(select(AuditEntry).where(AuditEntry.action == "canary.withdraw")).one()
    assert (audited.user_id, audited.actor_id, audited.target) == (user.id, None, model)
    assert audited.details["version"] == "v2"


def test_what_was_withdrawn_is_no_step_that_a_rollback_goes_back_to(mine, model, split, arrive):
    mine.put(f"/models/{model}/aliases/champion", json={"version": "v2"})
    split(v2=90, v3=10)
    arrive("v3", 20, **BROKEN)
    assert mine.post(f"/models/{model}/aliases/champion/rollback").json()["version"] == "v1"


def test_a_slow_canary_is_withdrawn(split, arrive, traffic, newest):
    split(v1=50, v2=50)
    arrive("v1", 30, duration_ms=10.0)
    arrive("v1", 5, duration_ms=9000.0, cold=True)
    arrive("v2", 19, duration_ms=60.0)
    arrive("v2", 30, duration_ms=60.0, cached=True)
    arrive("v2", 30, duration_ms=60.0, cold=True)
    assert traffic()["weights"]  # 19 answers of a loaded model
    arrive("v2", 1, duration_ms=60.0)
    assert traffic()["weights"] == {}
    assert newest()["reason"] == (
        "v2 was withdrawn: half of its answers took 60.0 ms or more (of 20); the champion v1's 10.0 ms "
        "(of 30). Allowed is 3 times as long."
    )


def test_a_healthy_canary_stays_and_is_seen(split, arrive, traffic):
    split(v1=90, v2=10)
    arrive("v1", 90, duration_ms=2.0)
    arrive("v1", 3, **REFUSED)
    arrive("v2", 25, duration_ms=4.0)
    arrive("v2", 1, **BROKEN)
    shown = traffic()
    assert shown["weights"] == {"v1": 90, "v2": 10}
    champion, canary = shown["observed"]
    assert champion == {
        "version": "v1",
        "champion": True,
        "requests": 90,
        "failures": 0,
        "failure_rate": 0.0,
        "refused": 3,
        "timed": 90,
        "p50_ms": 2.0,
        "p95_ms": 2.0,
    }
    assert (canary["version"], canary["champion"], canary["requests"]) == ("v2", False, 26)
    assert (canary["failures"], canary["failure_rate"], canary["timed"]) == (1, 1 / 26, 25)
    assert (canary["p50_ms"], canary["p95_ms"], canary["refused"]) == (4.0, 4.0, 0)


@pytest.mark.parametrize(
    "facts",
    [
        {"status_code": 503, "error": "unavailable"},
        {"status_code": 503, "error": "storage_unavailable"},
        {"status_code": 400, "error": "malformed_body"},
        {"status_code": 413, "error": "too_many_rows"},
        BROKEN | {"routed": False},  # asked for by number: a test, or a job
    ],
)
def test_what_is_not_the_versions_fault_is_not_held_against_it(split, arrive, traffic, facts):
    split(v1=90, v2=10)
    arrive("v2", 40, **facts)
    shown = traffic()
    assert shown["weights"] == {"v1": 90, "v2": 10}
    assert [each["requests"] for each in shown["observed"]] == [0, 0]


@pytest.mark.parametrize("code", ["model_error", "prediction_timeout", "model_unavailable", "internal_error"])
def test_what_a_version_can_cause_is(split, arrive, traffic, code):
    split(v1=90, v2=10)
    arrive("v2", 20, status_code=500, error=code)
    assert traffic()["weights"] == {}


def test_without_a_guard_nothing_is_withdrawn(mine, model, arrive, traffic):
    mine.put(f"/models/{model}/traffic", json={"weights": {"v1": 50, "v2": 50}, "guard": None})
    arrive("v2", 100, **BROKEN)
    assert traffic()["weights"] == {"v1": 50, "v2": 50}
    assert traffic()["observed"][1]["failures"] == 100


def test_a_guard_of_ones_own(split, arrive, traffic):
    split({"error_rate": 0.9, "min_requests": 5}, v1=50, v2=50)
    arrive("v2", 50, **BROKEN)
    assert traffic()["weights"] == {}
    split({"error_rate": 0.9, "min_requests": 60}, v1=50, v2=50)
    arrive("v2", 50, **BROKEN)
    assert traffic()["weights"] == {"v1": 50, "v2": 50}


def test_others_keep_their_part(split, arrive, traffic, newest):
    split(v1=80, v2=10, v3=10)
    arrive("v2", 20, **BROKEN)
    arrive("v3", 20, **OK)
    assert traffic()["weights"] == {"v1": 90, "v3": 10}
    assert (newest()["weights"], newest()["from_version"]) == ({"v1": 90, "v3": 10}, "v2")
    arrive("v3", 20, **BROKEN)
    assert traffic()["weights"] == {}


def test_a_champion_that_had_no_part_gets_the_withdrawn_one(split, arrive, traffic):
    split(v2=60, v3=40)
    arrive("v2", 20, **BROKEN)
    assert traffic()["weights"] == {"v1": 60, "v3": 40}


def test_a_champion_that_fails_as_often_shows_that_the_inputs_are_to_blame(split, arrive, traffic):
    split(v1=50, v2=50)
    for label in ("v1", "v2"):
        arrive(label, 60, **OK)
        arrive(label, 60, **BROKEN)
    assert traffic()["weights"] == {"v1": 50, "v2": 50}


def test_a_canary_that_takes_other_columns_is_withdrawn(split, arrive, traffic, newest):
    split(v1=90, v2=10)
    arrive("v2", 20, **REFUSED)
    assert traffic()["weights"]  # callers' mistakes, as long as nobody asked the champion
    arrive("v1", 60, **OK)
    assert traffic()["weights"] == {}
    assert newest()["reason"].startswith(
        "v2 was withdrawn: it refused 20 of 20 requests as not fitting (100 %), the champion v1 0 of 60."
    )


def test_callers_mistakes_are_not_held_against_a_canary(split, arrive, traffic):
    split(v1=50, v2=50)
    for label in ("v1", "v2"):
        arrive(label, 50, **OK)
        arrive(label, 50, **REFUSED)
    assert traffic()["weights"] == {"v1": 50, "v2": 50}


def test_a_failing_champion_is_nobody_elses_business(split, arrive, traffic):
    split(v1=50, v2=50)
    arrive("v1", 100, **BROKEN)
    assert traffic()["weights"] == {"v1": 50, "v2": 50}


def test_what_was_before_the_split_does_not_count(split, arrive, traffic):
    arrive("v2", 50, **BROKEN)
    split(v1=90, v2=10)
    arrive("v2", 10, **BROKEN)
    assert traffic()["weights"] == {"v1": 90, "v2": 10}
    split(v1=80, v2=20)
    arrive("v2", 19, **BROKEN)
    assert traffic()["weights"] == {"v1": 80, "v2": 20}


def test_a_good_past_does_not_hide_a_bad_quarter_of_an_hour(split, split_since, arrive, traffic):
    split(v1=90, v2=10)
    split_since(hours=5)
    arrive("v2", 2000, at=(utc_now() - timedelta(hours=2)).timestamp(), **OK)
    arrive("v2", 20, **BROKEN)
    assert traffic()["weights"] == {}


def test_where_requests_are_rare_the_guard_looks_further_back(split, split_since, arrive, traffic):
    split(v1=90, v2=10)
    split_since(hours=30)
    for hours in range(26, 0, -1):  # one an hour
        arrive("v2", 1, at=(utc_now() - timedelta(hours=hours - 0.5)).timestamp(), **BROKEN)
        if hours == 8:
            assert traffic()["weights"]  # 17 within the day
    assert traffic()["weights"] == {}


def test_records_of_another_user_say_nothing(split, arrive, traffic, stranger):
    split(v1=90, v2=10)
    arrive("v2", 40, user_id=stranger.id, **BROKEN)
    assert traffic()["weights"] == {"v1": 90, "v2": 10}
    assert [each["requests"] for each in traffic()["observed"]] == [0, 0]


@pytest.mark.parametrize("label", [None, "", "latest", "v2\n", "v99999999999999"])
def test_a_record_of_no_version_neither_hides_the_others_nor_breaks_the_guard(split, arrive, traffic, label):
    split(v1=90, v2=10)
    arrive(label, 1, **OK)
    arrive("v2", 10, **BROKEN)
    assert [(seen["version"], seen["requests"]) for seen in traffic()["observed"]] == [("v1", 0), ("v2", 10)]
    arrive("v2", 10, **BROKEN)
    assert traffic()["weights"] == {}


def test_the_sweep_withdraws_what_was_missed(services, split, arrive, traffic):
    split(v1=90, v2=10)
    watch, services.trials = services.trials, Trials(services.database, ())
    arrive("v2", 20, **BROKEN)
    assert traffic()["weights"] == {"v1": 90, "v2": 10}
    assert watch.sweep().errors == 0
    assert traffic()["weights"] == {}


def test_redis_away_costs_neither_the_delivery_nor_the_withdrawal(services, split, arrive, traffic, capsys):
    split(v1=90, v2=10)
    away = Redis(port=1, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    services.routes = RouteBook(services.database, away)
    arrive("v2", 20, **BROKEN)
    assert traffic()["weights"] == {}
    said = capsys.readouterr().out
    assert "canary withdrawn" in said
    assert "step of a trial failed" in said


def test_two_deliveries_at_once_withdraw_once(services, user, model, split, arrive, mine):
    """The second one judges again once it has the lock, and finds the split gone."""
    split(v1=90, v2=10)
    services.trials = Trials(services.database, ())
    arrive("v2", 20, **BROKEN)
    trial, quicker = Trial(user.id, model, guarded=True, shadowed=False), []

    def clock():
        if not quicker:  # this one has read the split by now
            quicker.append(True)
            quicker.extend(services.canaries.look(trial))
        return utc_now()

    notes = []
    slower = Canaries(
        services.database, services.routes, note=lambda _, done: notes.append(done), clock=clock
    )
    assert slower.look(trial) == notes == []
    assert [each.number for each in quicker[1:]] == [2]
    actions = [each["action"] for each in mine.get(f"/models/{model}/promotions").json()["items"]]
    assert actions == ["withdrawn", "split", "registered"]


def test_a_model_that_is_deleted_meanwhile_is_left_alone(services, user, mine, model, split, arrive):
    split(v1=90, v2=10)
    services.trials = Trials(services.database, ())
    arrive("v2", 20, **BROKEN)
    deleted = []

    def clock():
        if not deleted:  # after the model was read, before it is locked
            deleted.append(mine.delete(f"/models/{model}", headers={"If-Match": "*"}).status)
        return utc_now()

    canaries = Canaries(services.database, services.routes, note=deleted.append, clock=clock)
    assert canaries.look(Trial(user.id, model, guarded=True, shadowed=False)) == []
    assert deleted == [200]
    assert canaries.look(Trial(user.id, model, guarded=True, shadowed=False)) == []
