"""A model's shadow over the Lambda handler: the setting, its report, and the requests behind that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from modelyard.db.tables import ShadowPrediction
from modelyard.kit.clock import utc_now
from modelyard.kit.ids import new_id
from modelyard.registry.purge import RegistrySweep
from modelyard.registry.routes import RouteBook
from modelyard.registry.shadow.repository import ShadowRepository
from modelyard.registry.shadow.schemas import Report
from modelyard.registry.shadow.sweep import KEPT, ShadowSweep
from modelyard.serving.mirror import mirror_key
from modelyard.serving.route import Route, route_key
from sqlalchemy import func, select, text

from tests.fakes.redis import RedisDown

ANY = {"If-Match": "*"}
NONE = {"version": None, "percent": None, "tolerance": None, "since": None}


@pytest.fixture
def model(make):
    """v1 to v3 are ready, v4 is pending; v1 is the champion."""
    made = make(versions=3)
    make(arrive=False)
    return f"/models/{made}"


@pytest.fixture
def shade(mine, model):
    def shade(version="v2", **more):
        answer = mine.put(f"{model}/shadow", json={"version": version} | more)
        assert answer.status == 200, answer.text
        return answer

    return shade


@pytest.fixture
def seen(database, user, model):
    """Writes down what a shadow answered, as its worker does; returns the prediction ids."""

    def seen(number=2, count=1, **columns):
        given = {
            "model_id": model[8:],
            "number": 1,
            "shadow_number": number,
            "rows": 10,
            "differing": 0,
            "measured": 0,
            "shadow_ms": 1.0,
            "at": utc_now(),
        } | columns
        rows = [given | {"prediction_id": new_id("prd")} for _ in range(count)]
        with database.transaction() as session:
            ShadowRepository(session, user.id).add(rows)
        return [row["prediction_id"] for row in rows]

    return seen


def history(api, model):
    return [
        (entry["action"], entry["from_version"], entry["to_version"], entry["reason"])
        for entry in api.get(f"{model}/promotions").json()["items"]
    ]


# Who may not


def test_foreign_models_have_no_shadow(theirs, model):
    for method, tail in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/predictions")]:
        body = {"version": "v2"} if method == "PUT" else None
        answer = theirs.request(method, f"{model}/shadow{tail}", json=body, headers=ANY)
        assert answer.status == 404


# What may not be


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/version"),
        ({"version": ""}, "/version"),
        ({"version": 2}, "/version"),
        ({"version": "v9"}, "/version"),
        ({"version": "champion"}, "/version"),
        ({"version": "v2", "percent": 0}, "/percent"),
        ({"version": "v2", "percent": 101}, "/percent"),
        ({"version": "v2", "percent": 0.5}, "/percent"),
        ({"version": "v2", "tolerance": -1}, "/tolerance"),
        ({"version": "v2", "tolerance": 2}, "/tolerance"),
        ({"version": "v2", "tolerance": "1e-6"}, "/tolerance"),
        ({"version": "v2", "tolerance": None}, "/tolerance"),
        ({"version": "v2", "reason": "\0"}, "/reason"),
        ({"version": "v2", "extra": 1}, "/extra"),
    ],
)
def test_shadows_that_do_not_fit(mine, model, body, pointer):
    answer = mine.put(f"{model}/shadow", json=body)
    assert answer.status == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert mine.get(f"{model}/shadow").json() == NONE | {"report": None}


def test_only_what_can_answer_is_a_shadow(mine, model):
    mine.patch(f"{model}/versions/v2", json={"stage": "archived"}, headers=ANY)
    for version in ("v2", "v4"):
        answer = mine.put(f"{model}/shadow", json={"version": version})
        assert (answer.status, answer.json()["code"]) == (409, "version_not_ready")


def test_what_answers_callers_is_no_shadow(mine, model):
    mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v2": 10}})
    for version, words in (("v1", "champion"), ("v2", "End the split")):
        answer = mine.put(f"{model}/shadow", json={"version": version})
        assert (answer.status, answer.json()["code"]) == (409, "version_in_use")
        assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    ("tail", "pointer"),
    [
        ("?version=newest", "query:version"),
        ("?version=", "query:version"),
        ("/predictions?version=newest", "query:version"),
        ("/predictions?differing=perhaps", "query:differing"),
        ("/predictions?limit=0", "query:limit"),
        ("/predictions?limit=101", "query:limit"),
        ("/predictions?cursor=forged", "query:cursor"),
    ],
)
def test_questions_that_do_not_fit(mine, model, shade, tail, pointer):
    shade()
    answer = mine.get(f"{model}/shadow{tail}")
    assert answer.status == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


# The setting


def test_a_shadow_is_seen_by_predictions_and_kept_in_the_history(mine, model, shade, route_of):
    answer = shade(percent=25, tolerance=0.01, reason="A rewrite")
    setting = answer.json()
    assert (setting["version"], setting["percent"], setting["tolerance"]) == ("v2", 25, 0.01)
    shown = mine.get(f"{model}/shadow")
    assert shown.headers["etag"] == answer.headers["etag"]
    assert {name: shown.json()[name] for name in setting} == setting
    route = route_of(model[8:])
    assert (route.shadow, route.shadow_percent, route.default) == (2, 25, 1)
    assert history(mine, model)[0] == ("shadowed", None, "v2", "A rewrite")
    assert shade(percent=25, tolerance=0.01).json() == setting  # nothing new: since and history stay
    assert len(history(mine, model)) == 2
    shade("v3")
    assert history(mine, model)[0] == ("shadowed", "v2", "v3", "")
    assert mine.delete(f"{model}/shadow", headers=ANY).status == 204
    assert history(mine, model)[0] == ("unshadowed", "v3", None, "")
    assert route_of(model[8:]).shadow is None
    assert mine.get(f"{model}/shadow").json() == NONE | {"report": None}
    assert mine.delete(f"{model}/shadow", headers=ANY).status == 204  # again: changes nothing
    assert len(history(mine, model)) == 4


def test_changes_name_what_they_are_based_on(mine, model, shade):
    tag = shade().headers["etag"]
    shade(percent=50)
    assert mine.delete(f"{model}/shadow").status == 428
    stale = {"If-Match": tag}
    assert mine.delete(f"{model}/shadow", headers=stale).status == 412
    assert mine.put(f"{model}/shadow", json={"version": "v3"}, headers=stale).status == 412
    new = {"If-None-Match": "*"}
    assert mine.put(f"{model}/shadow", json={"version": "v3"}, headers=new).status == 412
    assert mine.get(f"{model}/shadow").json()["percent"] == 50
    fresh = {"If-Match": mine.get(f"{model}/shadow").headers["etag"]}
    assert mine.put(f"{model}/shadow", json={"version": "v3"}, headers=fresh).status == 200
    assert mine.delete(f"{model}/shadow", headers=ANY).status == 204
    assert mine.put(f"{model}/shadow", json={"version": "v3"}, headers=new).status == 200


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"stage": "archived"}), ("DELETE", None)])
def test_a_shadow_cannot_go(mine, model, shade, method, body):
    shade()
    answer = mine.request(method, f"{model}/versions/v2", json=body, headers=ANY)
    assert (answer.status, answer.json()["code"]) == (409, "version_in_use")
    mine.delete(f"{model}/shadow", headers=ANY)
    assert mine.request(method, f"{model}/versions/v2", json=body, headers=ANY).status == 200


def test_a_shadow_that_is_promoted_is_none_any_more(mine, model, shade, route_of):
    shade("v2")
    mine.put(f"{model}/aliases/challenger", json={"version": "v2"})
    mine.put(f"{model}/aliases/champion", json={"version": "v3"})
    assert route_of(model[8:]).shadow == 2  # other moves are none of its business
    mine.put(f"{model}/aliases/champion", json={"version": "v2"})
    assert route_of(model[8:]).shadow is None
    assert [action for action, *_ in history(mine, model)[:2]] == ["unshadowed", "promoted"]


def test_a_shadow_that_gets_a_part_of_the_requests_is_none_any_more(mine, model, shade, route_of):
    shade("v2")
    mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v3": 10}})
    assert route_of(model[8:]).shadow == 2
    mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v2": 10}})
    assert route_of(model[8:]).shadow is None


def test_rollback_passes_over_shadows(mine, model, shade, route_of):
    mine.put(f"{model}/aliases/champion", json={"version": "v2"})
    shade("v3")
    mine.delete(f"{model}/shadow", headers=ANY)
    shade("v1")
    rolled = mine.post(f"{model}/aliases/champion/rollback")
    assert rolled.json()["version"] == "v1"
    assert route_of(model[8:]).shadow is None  # and v1, which answers again, is no shadow


def test_what_waits_for_a_shadow_goes_with_it(mine, model, shade, redis_client, user):
    key = mirror_key(user.id, model[8:])
    for change in (
        lambda: shade("v3"),
        lambda: shade("v3", percent=10),
        lambda: mine.delete(f"{model}/shadow", headers=ANY),
    ):
        redis_client.rpush(key, b"a request")
        change()
        assert redis_client.exists(key) == 0


def test_the_same_setting_again_keeps_what_waits(shade, model, redis_client, user):
    shade()
    redis_client.rpush(mirror_key(user.id, model[8:]), b"a request")
    shade()
    assert redis_client.exists(mirror_key(user.id, model[8:])) == 1


def test_a_model_comes_back_with_its_shadow(mine, model, shade, route_of):
    shade()
    mine.delete(model, headers=ANY)
    assert mine.get(f"{model}/shadow").status == 404
    mine.post(f"{model}/restore")
    assert route_of(model[8:]).shadow == 2


def test_a_route_keeps_its_shadow_in_json():
    route = Route("mdl_1", "usr_1", "a model", shadow=2, shadow_percent=25)
    assert Route.from_json(route.to_json()) == route


# The report


def test_a_report_of_nothing(mine, model, shade):
    setting = shade().json()
    report = mine.get(f"{model}/shadow").json()["report"]
    assert report == {
        "version": "v2",
        "since": setting["since"],
        "requests": 0,
        "rows": 0,
        "agreeing": 0,
        "differing": 0,
        "rate": None,
        "failed_requests": 0,
        "failures": [],
        "pending": 0,
        "pairs": [],
        "difference": None,
        "milliseconds": {"answered": None, "shadow": None},
    }


def test_a_report_adds_up(mine, model, shade, seen, redis_client, user):
    shade()
    seen(count=3, answered_ms=2.0, shadow_ms=4.0)
    seen(differing=4, pairs=[["a", "b", 3], ["b", "c", 1]], answered_ms=6.0, shadow_ms=1.0)
    seen(differing=3, pairs=[["b", "c", 2], ["a", "b", 1]], shadow_ms=9.0)
    seen(rows=2, differing=1, measured=2, largest=3.0, total=4.0)
    seen(rows=6, measured=6, largest=0.5, total=0.0)
    seen(count=2, error="model_error", shadow_ms=500.0)
    seen(error="prediction_timeout")
    redis_client.rpush(mirror_key(user.id, model[8:]), b"1", b"2")
    report = mine.get(f"{model}/shadow").json()["report"]
    assert (report["requests"], report["rows"], report["agreeing"], report["differing"]) == (7, 58, 50, 8)
    assert report["rate"] == pytest.approx(8 / 58)
    assert report["pairs"] == [
        {"answered": "a", "shadow": "b", "rows": 4},
        {"answered": "b", "shadow": "c", "rows": 3},
    ]
    assert report["difference"] == {"mean": 0.5, "largest": 3.0}
    assert report["failed_requests"] == 3
    assert report["failures"] == [
        {"code": "model_error", "requests": 2},
        {"code": "prediction_timeout", "requests": 1},
    ]
    assert report["pending"] == 2
    assert report["milliseconds"] == {"answered": 2.0, "shadow": 4.0}


def test_a_report_begins_with_its_setting(mine, model, shade, seen):
    before = utc_now() - timedelta(hours=1)
    seen(differing=10, at=before)
    seen(number=3, differing=5)
    shade()
    seen(differing=1)
    report = mine.get(f"{model}/shadow").json()["report"]
    assert (report["requests"], report["differing"]) == (1, 1)
    shade("v3")
    old = mine.get(f"{model}/shadow?version=v2").json()
    assert old["version"] == "v3"  # the setting is the present one
    report = old["report"]
    assert (report["version"], report["requests"], report["differing"]) == ("v2", 2, 11)
    assert report["since"][:16] == before.isoformat()[:16]
    assert report["pending"] == 0
    mine.delete(f"{model}/shadow", headers=ANY)
    assert mine.get(f"{model}/shadow").json()["report"] is None
    assert mine.get(f"{model}/shadow?version=v2").json()["report"]["requests"] == 2


def test_a_report_counts_the_newest_requests(model, user, database, seen):
    seen(count=3, differing=1, at=utc_now() - timedelta(hours=2), error=None)
    newest = utc_now()
    seen(count=2, at=newest)

    def report(most):
        with database.transaction() as session:
            return ShadowRepository(session, user.id, most_requests=most).report(model[8:], 2)

    assert (report(5).requests, report(5).differing, report(5).complete) == (5, 3, True)
    assert (report(4).requests, report(4).differing, report(4).complete) == (4, 2, False)
    assert (report(2).requests, report(2).first_at, report(2).complete) == (2, newest, False)
    set_at = newest - timedelta(hours=3)
    assert Report.of(2, report(5), since=set_at, pending=0).since == set_at
    assert Report.of(2, report(2), since=set_at, pending=0).since == newest


def test_pairs_are_those_of_the_newest_requests_that_have_some(model, user, database, seen):
    """Many requests with many pairs each would take longer than PostgreSQL is given for one statement."""
    seen(count=2, differing=1, pairs=[["a", "b", 1]])
    seen(count=3, differing=1, pairs=[["a", "c", 1]])
    seen(count=4)
    with database.transaction() as session:
        repository = ShadowRepository(session, user.id, most_paired=4)
        report = repository.report(model[8:], 2)
    assert (report.differing, report.pairs) == (5, [("a", "c", 3), ("a", "b", 1)])


def test_labels_of_any_kind_make_pairs(mine, model, shade, seen):
    shade()
    seen(differing=3, pairs=[[1, 2, 1], [True, False, 1], [["a", 1], ["b", 1], 1]])
    pairs = mine.get(f"{model}/shadow").json()["report"]["pairs"]
    assert {str(pair["answered"]) for pair in pairs} == {"1", "True", "['a', 1]"}


def test_redis_away_leaves_the_report_and_the_setting(mine, model, shade, seen, services):
    shade()
    seen(differing=2)
    down = RedisDown()
    down.llen = down.get
    services.redis = down  # admission, which has tests of its own, keeps the one that it began with
    services.routes = RouteBook(services.database, down)
    shown = mine.get(f"{model}/shadow")
    assert (shown.status, shown.json()["report"]["pending"]) == (200, None)
    assert shown.json()["report"]["differing"] == 2
    assert mine.put(f"{model}/shadow", json={"version": "v3"}).status == 200
    assert mine.delete(f"{model}/shadow", headers=ANY).status == 204
    assert mine.get(f"{model}/shadow").json() == NONE | {"report": None}


# The requests behind it


def test_requests_are_listed_newest_first_page_by_page(mine, model, shade, seen):
    shade()
    ids = seen(count=5)
    first = mine.get(f"{model}/shadow/predictions?limit=3")
    assert [item["prediction_id"] for item in first.json()["items"]] == sorted(ids)[:1:-1]
    assert f"{model}/shadow/predictions?limit=3&cursor=" in first.headers["link"]
    cursor = first.json()["next_cursor"]
    second = mine.get(f"{model}/shadow/predictions?limit=3&cursor={cursor}").json()
    assert [item["prediction_id"] for item in second["items"]] == sorted(ids)[1::-1]
    assert second["next_cursor"] is None
    other = mine.get(f"{model}/shadow/predictions?limit=3&differing=true&cursor={cursor}")
    assert (other.status, other.json()["code"]) == (422, "bad_cursor")


def test_requests_are_told_apart(mine, model, shade, seen):
    shade()
    (agrees,), (differs,) = seen(answered_ms=1.5), seen(differing=2, answer={"predictions": ["a"]})
    (fails,) = seen(error="model_error")
    (other,) = seen(number=3)

    def listed(query=""):
        found = mine.get(f"{model}/shadow/predictions{query}").json()["items"]
        return {item["prediction_id"]: item for item in found}

    assert listed().keys() == {agrees, differs, fails}
    assert listed("?differing=true").keys() == {differs}
    assert listed("?differing=false").keys() == {agrees}
    assert listed("?version=v3").keys() == {other}
    assert listed("?version=3").keys() == {other}
    item = listed()[differs]
    assert (item["version"], item["shadow_version"], item["rows"], item["differing"]) == ("v1", "v2", 10, 2)
    assert (item["answer"], item["shadow_answer"], item["error"]) == ({"predictions": ["a"]}, None, None)
    assert listed()[fails]["error"] == "model_error"
    assert listed()[agrees]["answered_milliseconds"] == 1.5


def test_without_a_shadow_there_are_no_requests(mine, model):
    assert mine.get(f"{model}/shadow/predictions").json() == {"items": [], "next_cursor": None}
    forged = mine.get(f"{model}/shadow/predictions?cursor=forged")
    assert (forged.status, forged.json()["code"]) == (422, "bad_cursor")


def test_nobody_elses_requests_are_counted(mine, model, shade, database, stranger):
    """Rows that name this model under another user would be another's."""
    shade()
    with database.transaction() as session:
        row = {
            "prediction_id": new_id("prd"),
            "model_id": model[8:],
            "number": 1,
            "shadow_number": 2,
            "rows": 10,
            "differing": 10,
            "measured": 0,
            "shadow_ms": 1.0,
            "at": utc_now(),
        }
        ShadowRepository(session, stranger.id).add([row])
    assert mine.get(f"{model}/shadow").json()["report"]["requests"] == 0
    assert mine.get(f"{model}/shadow/predictions").json()["items"] == []


def test_a_request_is_written_down_once(database, user, model, seen):
    (prediction,) = seen()
    with database.transaction() as session:
        row = session.get(ShadowPrediction, prediction)
        columns = {c.name: getattr(row, c.name) for c in ShadowPrediction.__table__.columns}
        assert ShadowRepository(session, user.id).add([columns]) == 0
        assert ShadowRepository(session, user.id).add([]) == 0


# The end


def counted(database):
    with database.transaction() as session:
        return session.scalar(select(func.count()).select_from(ShadowPrediction))


def test_what_shadows_answered_goes_after_thirty_days(database, seen):
    now = datetime.now(UTC)
    seen(count=3, at=now - KEPT - timedelta(hours=1))
    (kept,) = seen(at=now - KEPT + timedelta(hours=1))
    assert ShadowSweep(database).run() == {"removed": 3}
    assert ShadowSweep(database).run() == {"removed": 0}
    with database.transaction() as session:
        assert session.scalars(select(ShadowPrediction.prediction_id)).all() == [kept]


def test_it_goes_with_its_model(mine, model, database, store, seen, clock, redis_client):
    seen(count=2)
    mine.delete(model, headers=ANY)
    clock.turn(days=31)
    sweep = RegistrySweep(
        database=database, store=store, routes=RouteBook(database, redis_client), clock=clock
    )
    assert sweep.run().models == 1
    assert counted(database) == 0


def test_it_goes_with_its_owner(database, user, seen):
    seen(count=2)
    with database.transaction() as session:
        session.execute(text("DELETE FROM users WHERE id = :id"), {"id": user.id})
    assert counted(database) == 0


def test_the_route_is_published_after_the_commit(model, shade, redis_client, user):
    key = route_key(user.id, model[8:])
    before = redis_client.get(key)
    shade()
    assert b'"shadow":2' in redis_client.get(key)
    assert redis_client.get(key) != before
