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


class TestAliases:
    def test_an_alias_is_answered_by_its_version(self, platform: Platform) -> None:
        registered = platform.add("logistic", "forest")
        registered.route = replace(registered.route, aliases={"challenger": 2})
        platform.composition.routes.add(registered)
        for alias, label in (("champion", "v1"), ("challenger", "v2")):
            for _ in range(2):
                answer = platform.api.post(f"{registered.path}?alias={alias}", json={"inputs": [ROW]})
                assert (answer.status, answer.headers["x-model-version"]) == (200, label)
            platform.composition.redis.ping()
            assert answer.headers["x-cache"] == "HIT"

    def test_a_warm_one_costs_what_others_cost(self, platform: Platform) -> None:
        registered = platform.add("logistic", "forest")
        registered.route = replace(registered.route, aliases={"challenger": 2})
        platform.composition.routes.add(registered)
        path = f"{registered.path}?alias=challenger"
        platform.api.post(path, json={"inputs": [ROW]})
        counted = platform.composition.count()
        assert platform.api.post(path, json={"inputs": [ROW]}).headers["x-cache"] == "HIT"
        assert counted.sends == 1
        counted = platform.composition.count()
        assert platform.api.post(path, json={"inputs": [[1, 2, 3, 4]]}).headers["x-cache"] == "MISS"
        assert counted.sends == 2

    def test_no_such_alias(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        answer = platform.api.post(f"{registered.path}?alias=nobody", json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (404, "alias_not_found")
        empty = platform.add()
        answer = platform.api.post(f"{empty.path}?alias=champion", json={"inputs": [ROW]})
        assert (answer.status, answer.json()["code"]) == (409, "model_not_ready")

    def test_aliases_that_cannot_be(self, platform: Platform) -> None:
        registered = platform.add("logistic")
        for query in ("alias=", "alias=champion&version=1", "alias=a&alias=b", "alias=" + "a" * 65):
            answer = platform.api.post(f"{registered.path}?{query}", json={"inputs": [ROW]})
            assert (answer.status, answer.json()["errors"][0]["pointer"]) == (422, "query:alias")
