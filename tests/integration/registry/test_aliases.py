"""Promotion, rollback and their history over the Lambda handler; and what predictions see of it."""

from __future__ import annotations

import pytest
from modelyard.db.tables import Model, Promotion
from modelyard.kit.clock import utc_now
from modelyard.registry.notifications import Arrival
from modelyard.registry.promotion import earlier
from modelyard.serving.errors import AliasNotFound
from sqlalchemy import select, text, update
from sqlalchemy.exc import ProgrammingError

ANY = {"If-Match": "*"}


@pytest.fixture
def model(make):
    """v1 to v3 are ready, v4 is pending; v1 is the champion."""
    made = make(versions=3)
    make(arrive=False)
    return f"/models/{made}"


@pytest.fixture
def promote(mine, model):
    def promote(version, alias="champion", **more):
        answer = mine.put(f"{model}/aliases/{alias}", json={"version": version} | more)
        assert answer.status == 200, answer.text
        return answer.json()

    return promote


@pytest.fixture
def roll_back(mine, model):
    return lambda alias="champion", **more: mine.post(f"{model}/aliases/{alias}/rollback", json=more)


def champion(api, model):
    return api.get(f"{model}/aliases/champion").json()["version"]


# Who may not


def test_foreign_models_have_no_aliases(theirs, model):
    for method, tail in [
        ("GET", "/aliases"),
        ("GET", "/aliases/champion"),
        ("PUT", "/aliases/champion"),
        ("DELETE", "/aliases/champion"),
        ("POST", "/aliases/champion/rollback"),
        ("GET", "/promotions"),
    ]:
        body = {"version": "v2"} if method == "PUT" else None
        assert theirs.request(method, model + tail, json=body, headers=ANY).status == 404


# What may not be


@pytest.mark.parametrize("name", ["v2", "2", "latest", "Champion", "-a", "a b", "a%00", "a" * 65, "ä"])
def test_names_that_aliases_cannot_have(mine, model, name):
    answer = mine.put(f"{model}/aliases/{name}", json={"version": "v1"})
    assert answer.status == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "path:alias"
    assert mine.get(f"{model}/aliases/{name}").status == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"version": "v9"}, "/version"),
        ({"version": "latest"}, "/version"),
        ({"version": "champion"}, "/version"),
        ({"version": ""}, "/version"),
        ({"version": 2}, "/version"),
        ({"version": "v1", "reason": "\0"}, "/reason"),
        ({"version": "v1", "reason": "x" * 1001}, "/reason"),
        ({"version": "v1", "weight": 1}, "/weight"),
        ({}, "/version"),
    ],
)
def test_promotions_that_do_not_fit(mine, model, body, pointer):
    answer = mine.put(f"{model}/aliases/champion", json=body)
    assert answer.status == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_only_what_can_answer_is_promoted(mine, model):
    mine.patch(f"{model}/versions/v2", json={"stage": "archived"}, headers=ANY)
    mine.patch(f"{model}/versions/v3", json={"stage": "deprecated"}, headers=ANY)
    for version, status in (("v2", 409), ("v4", 409), ("v3", 200)):
        assert mine.put(f"{model}/aliases/champion", json={"version": version}).status == status
    mine.put(f"{model}/aliases/champion", json={"version": "v1"})
    mine.delete(f"{model}/versions/v3", headers=ANY)
    assert mine.put(f"{model}/aliases/champion", json={"version": "v3"}).status == 422


def test_what_an_alias_points_to_cannot_go(mine, model, promote):
    promote("v2", "challenger")
    for method, body in (("PATCH", {"stage": "archived"}), ("DELETE", None)):
        answer = mine.request(method, f"{model}/versions/v2", json=body, headers=ANY)
        assert (answer.status, answer.json()["code"]) == (409, "version_in_use")
    assert mine.delete(f"{model}/aliases/challenger", headers=ANY).status == 204
    assert mine.delete(f"{model}/versions/v2", headers=ANY).status == 200


def test_the_champion_stays(mine, model):
    answer = mine.delete(f"{model}/aliases/champion", headers=ANY)
    assert (answer.status, answer.json()["code"]) == (409, "champion_stays")


def test_aliases_are_bounded(mine, model):
    for number in range(50):
        assert mine.put(f"{model}/aliases/a{number}", json={"version": "v1"}).status == 200
    assert len(mine.get(f"{model}/aliases").json()["items"]) == 51
    answer = mine.put(f"{model}/aliases/one-more", json={"version": "v1"})
    assert (answer.status, answer.json()["code"]) == (409, "too_many_aliases")
    assert mine.put(f"{model}/aliases/a1", json={"version": "v2"}).status == 200


def test_preconditions(mine, model, promote):
    path = f"{model}/aliases/challenger"
    assert mine.put(path, json={"version": "v1"}, headers=ANY).status == 404  # If-Match: there must be one
    promote("v1", "challenger")
    tag = mine.get(path).headers["etag"]
    assert mine.get(path, headers={"If-None-Match": tag}).status == 304
    assert mine.put(path, json={"version": "v2"}, headers={"If-Match": tag}).status == 200
    stale = mine.put(path, json={"version": "v3"}, headers={"If-Match": tag})
    assert (stale.status, stale.json()["code"]) == (412, "precondition_failed")
    assert mine.delete(path).status == 428
    assert mine.delete(path, headers={"If-Match": tag}).status == 412
    assert mine.delete(path, headers={"If-Match": mine.get(path).headers["etag"]}).status == 204
    assert mine.delete(path, headers=ANY).status == 404


def test_if_none_match_makes_an_alias_and_moves_none(mine, model, promote):
    path, new = f"{model}/aliases/mine", {"If-None-Match": "*"}
    assert mine.put(path, json={"version": "v1"}, headers=new).status == 200
    answer = mine.put(path, json={"version": "v2"}, headers=new)
    assert (answer.status, answer.json()["code"]) == (412, "precondition_failed")
    assert "If-None-Match" in answer.json()["detail"]
    same = {"If-None-Match": mine.get(path).headers["etag"]}
    assert mine.put(path, json={"version": "v2"}, headers=same).status == 412
    assert mine.get(path).json()["version"] == "v1"
    other = mine.put(path, json={"version": "v2"}, headers={"If-None-Match": '"other"'})
    assert (other.status, other.json()["version"]) == (200, "v2")


def test_splits_and_shadows_leave_the_champion_as_it_is(mine, model):
    path = f"{model}/aliases/champion"
    before = mine.get(path)
    split = {"weights": {"v1": 90, "v2": 10}}
    assert mine.put(f"{model}/traffic", json=split).status == 200
    assert mine.put(f"{model}/shadow", json={"version": "v3"}).status == 200
    assert mine.delete(f"{model}/traffic", headers=ANY).status == 204
    assert mine.get(path).json() == before.json()
    based_on = {"If-Match": before.headers["etag"]}
    assert mine.put(path, json={"version": "v2"}, headers=based_on).status == 200


# Promotion


def test_the_first_ready_version_is_the_champion(mine, model):
    (alias,) = mine.get(f"{model}/aliases").json()["items"]
    assert (alias["alias"], alias["version"]) == ("champion", "v1")
    assert alias["predict_url"] == f"https://api.example.com/api/predict/{model[8:]}?alias=champion"
    (entry,) = mine.get(f"{model}/promotions").json()["items"]
    assert (entry["action"], entry["from_version"], entry["to_version"]) == ("registered", None, "v1")
    assert entry["actor_id"] is None


def test_promotion_is_seen_by_predictions_and_kept_in_the_history(mine, model, promote, route_of, user):
    assert route_of(model[8:]).pick(None).number == 1
    promote("v2", reason="Better on last month's data")
    promote("v3", "challenger")
    route = route_of(model[8:])
    assert route.pick(None).number == route.pick(None, "champion").number == 2
    assert route.pick(None, "challenger").number == 3
    with pytest.raises(AliasNotFound):
        route.pick(None, "nobody")
    assert mine.get(model).json()["default_version"] == "v2"
    second, first, _ = mine.get(f"{model}/promotions").json()["items"]
    assert (first["alias"], first["from_version"], first["to_version"]) == ("champion", "v1", "v2")
    assert (first["reason"], first["actor_id"]) == ("Better on last month's data", user.id)
    assert first["credential_id"] == user.session_id
    assert first["at"].endswith("Z")
    assert (second["alias"], second["from_version"], second["to_version"]) == ("challenger", None, "v3")


def test_promoting_what_is_there_changes_nothing(mine, model, promote):
    before = promote("v2")
    assert promote("v2") == before
    assert len(mine.get(f"{model}/promotions").json()["items"]) == 2


def test_a_removed_alias_leads_nowhere(mine, model, promote, route_of):
    promote("v2", "challenger")
    mine.delete(f"{model}/aliases/challenger", headers=ANY)
    with pytest.raises(AliasNotFound):
        route_of(model[8:]).pick(None, "challenger")
    entry = mine.get(f"{model}/promotions").json()["items"][0]
    assert (entry["action"], entry["from_version"], entry["to_version"]) == ("removed", "v2", None)


# Rollback


def test_rollback_goes_back_one_promotion_at_a_time(mine, model, promote, roll_back, route_of):
    promote("v2")
    promote("v3")
    answer = roll_back(reason="More complaints")
    assert (answer.status, answer.json()["version"]) == (200, "v2")
    assert route_of(model[8:]).pick(None).number == 2
    entry = mine.get(f"{model}/promotions").json()["items"][0]
    assert (entry["action"], entry["from_version"], entry["to_version"]) == ("rolled_back", "v3", "v2")
    assert entry["reason"] == "More complaints"
    assert roll_back().json()["version"] == "v1"
    nothing = roll_back()
    assert (nothing.status, nothing.json()["code"]) == (409, "nothing_to_roll_back")
    promote("v3")
    assert roll_back().json()["version"] == "v1"


def test_rollback_takes_no_body_either(mine, model, promote):
    promote("v2")
    assert mine.post(f"{model}/aliases/champion/rollback").json()["version"] == "v1"


def test_rollback_passes_over_what_cannot_answer(mine, model, promote, roll_back):
    promote("v2")
    promote("v3")
    mine.patch(f"{model}/versions/v2", json={"stage": "archived"}, headers=ANY)
    assert roll_back().json()["version"] == "v1"
    promote("v3")
    mine.delete(f"{model}/versions/v1", headers=ANY)
    assert roll_back().status == 409
    assert champion(mine, model) == "v3"


def test_aliases_roll_back_each_for_itself(mine, model, promote, roll_back):
    promote("v2", "challenger")
    promote("v2")
    promote("v3", "challenger")
    assert roll_back("challenger").json()["version"] == "v2"
    assert roll_back("challenger").status == 409
    assert champion(mine, model) == "v2"
    assert roll_back("nobody").status == 404


def test_rollback_reaches_behind_any_number_of_splits(model, promote, roll_back, database, user):
    promote("v2")
    splits = [
        Promotion(
            model_id=model[8:],
            user_id=user.id,
            at=utc_now(),
            action="split",
            alias="champion",
            traffic={"1": 50, "2": 50},
        )
        for _ in range(501)
    ]
    with database.transaction() as session:
        session.add_all(splits)
    assert roll_back().json()["version"] == "v1"


def test_a_model_from_before_there_was_a_history(mine, model, promote, roll_back, database):
    with database.transaction() as session:
        session.execute(update(Model).where(Model.id == model[8:]).values(default_version=2))
    promote("v3")
    assert roll_back().json()["version"] == "v2"


def moved(action, before, after):
    return Promotion(action=action, from_number=before, to_number=after)


@pytest.mark.parametrize(
    ("moves", "current", "below"),
    [
        ([], 1, []),
        ([("promoted", 1, 2)], 2, [1]),
        ([("registered", None, 1), ("promoted", 1, 2), ("promoted", 2, 1)], 1, [1, 2]),
        ([("registered", None, 1), ("promoted", 1, 2), ("rolled_back", 2, 1)], 1, []),
        (
            [("registered", None, 1), ("promoted", 1, 2), ("promoted", 2, 3), ("rolled_back", 3, 1)],
            1,
            [],
        ),
        ([("rolled_back", 5, 4), ("promoted", 4, 6)], 6, [4]),
        ([("promoted", None, 1), ("removed", 1, None), ("promoted", None, 2)], 2, []),
    ],
)
def test_what_lies_below(moves, current, below):
    assert earlier([moved(*move) for move in moves], current) == below


# History


def test_the_history_comes_in_pages(mine, model, promote):
    for version in ("v2", "v3", "v1"):
        promote(version)
        promote(version, "challenger")
    whole = mine.get(f"{model}/promotions").json()["items"]
    assert len(whole) == 7
    found, path = [], f"{model}/promotions?limit=3"
    while path:
        answer = mine.get(path)
        found += answer.json()["items"]
        link = answer.headers.get("link")
        path = link and link.partition(">")[0].removeprefix("<https://api.example.com")
    assert found == whole
    only = mine.get(f"{model}/promotions?alias=challenger").json()["items"]
    assert [entry["to_version"] for entry in only] == ["v1", "v3", "v2"]
    cursor = mine.get(f"{model}/promotions?limit=1").json()["next_cursor"]
    assert mine.get(f"{model}/promotions?alias=champion&cursor={cursor}").status == 422


def test_nobody_rewrites_the_history(model, promote, session):
    promote("v2")
    with pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(text("UPDATE promotions SET reason = ''"))


def test_the_history_goes_with_its_model(mine, model, promote, database, rows):
    promote("v2", "challenger")
    with database.transaction() as session:
        session.delete(session.get(Model, model[8:]))
        session.flush()
        assert session.scalars(select(Promotion)).all() == []


def test_a_version_uploaded_later_changes_no_alias(mine, model, cloud, registration, user, route_of):
    key = f"uploads/{user.id}/churn/later.joblib"
    registration.register(Arrival(key, cloud.put(key, b"a model")))
    assert champion(mine, model) == "v1"
    assert route_of(model[8:]).pick(5).number == 5
