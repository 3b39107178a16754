"""Deprecated and archived versions on the hot path."""

from __future__ import annotations

from dataclasses import replace

from modelyard.serving.route import answer_key

from tests.integration.serving.conftest import Platform

ROW = [0.5, -1.25, 3, 0]


def test_a_deprecated_version_answers_with_its_notice(platform: Platform) -> None:
    registered = platform.add("logistic", "forest")
    route = registered.route
    old = replace(route.versions[1], deprecated_at=1_700_000_000, sunset_at=1_800_000_000)
    registered.route = replace(route, versions={1: old, 2: route.versions[2]})
    platform.composition.routes.add(registered)
    for _ in range(2):  # computed, then cached
        answer = platform.api.post(f"{registered.path}?version=v1", json={"inputs": [ROW]})
        assert answer.status == 200
        assert answer.headers["deprecation"] == "@1700000000"
        assert answer.headers["sunset"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert answer.headers["x-cache"] == "HIT"
    wrong = platform.api.post(f"{registered.path}?version=v1", json={"inputs": [[1]]})
    assert (wrong.status, wrong.headers["deprecation"]) == (422, "@1700000000")
    other = platform.api.post(f"{registered.path}?version=v2", json={"inputs": [ROW]})
    assert "deprecation" not in other.headers


def test_an_archived_version_is_gone(platform: Platform) -> None:
    registered = platform.add("logistic", "forest")
    route = registered.route
    registered.route = replace(route, versions={1: route.versions[1]}, archived=(2,))
    platform.composition.routes.add(registered)
    answer = platform.api.post(f"{registered.path}?version=v2", json={"inputs": [ROW]})
    assert (answer.status, answer.json()["code"]) == (410, "version_archived")
    assert platform.api.post(registered.path, json={"inputs": [ROW]}).status == 200


def test_a_cached_answer_names_its_version(platform: Platform, redis_client) -> None:
    registered = platform.add("logistic")
    platform.api.post(registered.path, json={"inputs": [ROW]})
    platform.composition.count()
    version_id = registered.route.versions[1].version_id
    (key,) = redis_client.keys("*:answer:*")
    assert key.decode().startswith(answer_key(platform.user_id, version_id + ":"))
