"""Requests split between versions, over the Lambda handler; and what predictions see of it."""

from __future__ import annotations

import pytest

ANY = {"If-Match": "*"}


@pytest.fixture
def model(make):
    """v1 to v3 are ready, v4 is pending; v1 is the champion."""
    made = make(versions=3)
    make(arrive=False)
    return f"/models/{made}"


@pytest.fixture
def split(mine, model):
    def split(**weights):
        answer = mine.put(f"{model}/traffic", json={"weights": weights, "reason": "A canary"})
        assert answer.status == 200, answer.text
        return answer

    return split


def test_foreign_models_cannot_be_split(theirs, model):
    body = {"weights": {"v1": 90, "v2": 10}}
    assert theirs.put(f"{model}/traffic", json=body).status == 404
    assert theirs.get(f"{model}/traffic").status == 404
    assert theirs.delete(f"{model}/traffic", headers=ANY).status == 404


@pytest.mark.parametrize(
    ("weights", "pointer"),
    [
        ({}, "/weights"),
        ({"v1": 99}, "/weights"),
        ({"v1": 90, "v2": 11}, "/weights"),
        ({"v1": 50, "1": 50}, "/weights"),
        ({"v1": 90, "v9": 10}, "/weights/v9"),
        ({"v1": 90, "champion": 10}, "/weights"),
        ({"v1": 100, "v2": 0}, "/weights/v1"),
        ({"v1": 89.5, "v2": 10.5}, "/weights/v1"),
        ({"v1": "90", "v2": 10}, "/weights/v1"),
        ([90, 10], "/weights"),
    ],
)
def test_splits_that_do_not_fit(mine, model, weights, pointer):
    answer = mine.put(f"{model}/traffic", json={"weights": weights})
    assert answer.status == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    unsplit = {"weights": {}, "guard": None, "since": None, "observed": []}
    assert mine.get(f"{model}/traffic").json() == unsplit


@pytest.mark.parametrize(
    ("guard", "pointer"),
    [
        ({"error_rate": 1.1}, "/guard/error_rate"),
        ({"error_rate": -0.01}, "/guard/error_rate"),
        ({"error_rate": "0.1"}, "/guard/error_rate"),
        ({"error_rate": None}, "/guard/error_rate"),
        ({"latency_ratio": 1}, "/guard/latency_ratio"),
        ({"latency_ratio": 1001}, "/guard/latency_ratio"),
        ({"min_requests": 4}, "/guard/min_requests"),
        ({"min_requests": 501}, "/guard/min_requests"),
        ({"min_requests": 20.5}, "/guard/min_requests"),
        ({"max_requests": 20}, "/guard/max_requests"),
        ("strict", "/guard"),
    ],
)
def test_guards_that_do_not_fit(mine, model, guard, pointer):
    answer = mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v2": 10}, "guard": guard})
    assert answer.status == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_guard_of_no_number_is_refused(mine, model):
    body = '{"weights": {"v1": 90, "v2": 10}, "guard": {"latency_ratio": NaN}}'
    answer = mine.put(f"{model}/traffic", body=body, headers={"Content-Type": "application/json"})
    assert answer.status in (400, 422), answer.text


def test_only_what_can_answer_gets_a_part(mine, model):
    mine.patch(f"{model}/versions/v2", json={"stage": "archived"}, headers=ANY)
    for version in ("v2", "v4"):
        answer = mine.put(f"{model}/traffic", json={"weights": {"v1": 90, version: 10}})
        assert (answer.status, answer.json()["code"]) == (409, "version_not_ready")
        assert answer.json()["detail"].startswith(f"{version} is ")


def test_a_split_is_seen_by_predictions_and_kept_in_the_history(mine, model, split, route_of):
    answer = split(v1=90, v2=10)
    shown = answer.json()
    assert shown == mine.get(f"{model}/traffic").json()
    assert shown["weights"] == {"v1": 90, "v2": 10}
    assert shown["guard"] == {"error_rate": 0.05, "latency_ratio": 3.0, "min_requests": 20}
    assert route_of(model[8:]).traffic == {1: 90, 2: 10}
    split(v1=90, v2=10)
    entries = mine.get(f"{model}/promotions").json()["items"]
    assert [entry["action"] for entry in entries] == ["split", "registered"]
    assert (entries[0]["weights"], entries[0]["reason"]) == ({"v1": 90, "v2": 10}, "A canary")
    tag = mine.get(f"{model}/traffic").headers["etag"]
    split(v1=80, v2=20)
    assert mine.delete(f"{model}/traffic").status == 428
    assert mine.delete(f"{model}/traffic", headers={"If-Match": tag}).status == 412
    assert mine.put(
        f"{model}/traffic", json={"weights": {"v1": 50, "v2": 50}}, headers={"If-Match": tag}
    ).status == (412)
    new = {"If-None-Match": "*"}
    assert mine.put(f"{model}/traffic", json={"weights": {"v1": 50, "v2": 50}}, headers=new).status == 412
    assert mine.get(f"{model}/traffic").json()["weights"] == {"v1": 80, "v2": 20}
    assert mine.delete(f"{model}/traffic", headers=ANY).status == 204
    assert route_of(model[8:]).traffic == {}
    assert mine.get(f"{model}/promotions").json()["items"][0]["action"] == "joined"
    assert mine.delete(f"{model}/traffic", headers=ANY).status == 204
    assert len(mine.get(f"{model}/promotions").json()["items"]) == 4


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"stage": "archived"}), ("DELETE", None)])
def test_what_gets_a_part_cannot_go(mine, model, split, method, body):
    split(v1=90, v3=10)
    answer = mine.request(method, f"{model}/versions/v3", json=body, headers=ANY)
    assert (answer.status, answer.json()["code"]) == (409, "version_in_use")


def test_promotion_and_rollback_end_a_split(mine, model, split, route_of):
    split(v1=90, v2=10)
    mine.put(f"{model}/aliases/champion", json={"version": "v2"})
    assert route_of(model[8:]).traffic == {}
    split(v2=50, v3=50)
    mine.put(f"{model}/aliases/challenger", json={"version": "v3"})
    assert route_of(model[8:]).traffic == {2: 50, 3: 50}  # another alias is none of its business
    rolled = mine.post(f"{model}/aliases/champion/rollback")
    assert rolled.json()["version"] == "v1"
    assert route_of(model[8:]).traffic == {}


def test_a_guard_is_kept_and_a_change_of_it_begins_anew(mine, model, split):
    guard = {"error_rate": 0.2, "latency_ratio": 10.0, "min_requests": 50}
    first = mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v2": 10}, "guard": guard}).json()
    assert first["guard"] == guard
    again = mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v2": 10}, "guard": guard}).json()
    assert again == first
    none = mine.put(f"{model}/traffic", json={"weights": {"v1": 90, "v2": 10}, "guard": None}).json()
    assert none["guard"] is None
    assert none["since"] > first["since"]
    assert split(v1=90, v2=10).json()["guard"]["min_requests"] == 20  # left out: the usual one again
    actions = [entry["action"] for entry in mine.get(f"{model}/promotions").json()["items"]]
    assert actions == ["split", "split", "split", "registered"]


def test_the_end_of_a_split_is_the_end_of_its_guard(mine, model, split, rows):
    for end in (
        lambda: mine.delete(f"{model}/traffic", headers=ANY),
        lambda: mine.put(f"{model}/aliases/champion", json={"version": "v2"}),
    ):
        split(v1=90, v2=10)
        end()
        (row,) = rows.models()
        assert (row.traffic, row.guard, row.split_at) == (None, None, None)
