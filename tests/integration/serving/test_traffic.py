"""A split between versions on the hot path."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from modelyard.serving.route import Route

from tests.integration.serving.conftest import Platform
from tests.support.serving import ready_version

ROW = [0.5, -1.25, 3, 0]
CALLS = 5000
CHI_SQUARE = 10.83  # one degree of freedom, one in a thousand


def chi_square(found: int, share: float, calls: int = CALLS) -> float:
    expected = calls * share
    return (found - expected) ** 2 / expected + (found - expected) ** 2 / (calls - expected)


def split(platform: Platform, redis_client: Any, **traffic: int) -> Any:
    registered = platform.add("logistic", "forest")
    shares = {int(name[1:]): share for name, share in traffic.items()}
    registered.route = replace(registered.route, traffic=shares)
    platform.composition.routes.add(registered)
    redis_client.set(f"{{{platform.user_id}}}:quota:permin", 1_000_000)
    return registered


def test_a_canary_gets_its_part(platform: Platform, redis_client: Any, capsys: Any) -> None:
    registered = split(platform, redis_client, v1=90, v2=10)
    found: Counter[str] = Counter()
    for _ in range(CALLS):
        answer = platform.api.post(registered.path, json={"inputs": [ROW]})
        assert answer.status == 200
        assert answer.json()["model_version"] == answer.headers["x-model-version"]
        found[answer.headers["x-model-version"]] += 1
    capsys.readouterr()
    assert found.keys() == {"v1", "v2"}
    assert chi_square(found["v2"], 0.1) < CHI_SQUARE


def test_equal_keys_stay_with_their_version(platform: Platform, redis_client: Any) -> None:
    registered = split(platform, redis_client, v1=50, v2=50)

    def version(key: str) -> str:
        answer = platform.api.post(registered.path, json={"inputs": [ROW]}, headers={"X-Routing-Key": key})
        return answer.headers["x-model-version"]

    keys = [f"customer {number}" for number in range(40)]
    first = [version(key) for key in keys]
    assert set(first) == {"v1", "v2"}
    assert [version(key) for key in keys] == first


def test_who_asks_for_a_version_gets_it(platform: Platform, redis_client: Any) -> None:
    registered = split(platform, redis_client, v1=1, v2=99)
    for query, label in (("version=v1", "v1"), ("alias=champion", "v1"), ("version=2", "v2")):
        for _ in range(20):
            answer = platform.api.post(f"{registered.path}?{query}", json={"inputs": [ROW]})
            assert answer.headers["x-model-version"] == label


def test_a_split_costs_no_round_trip(platform: Platform, redis_client: Any) -> None:
    registered = split(platform, redis_client, v1=50, v2=50)
    headers = {"X-Routing-Key": "a"}
    for key in ("a", "b", "c", "d", "e", "f"):  # both versions are loaded, the answers cached
        platform.api.post(registered.path, json={"inputs": [ROW]}, headers={"X-Routing-Key": key})
    platform.api.post(registered.path, json={"inputs": [ROW]}, headers=headers)
    counted = platform.composition.count()
    answer = platform.api.post(registered.path, json={"inputs": [ROW]}, headers=headers)
    assert (answer.headers["x-cache"], counted.sends) == ("HIT", 1)
    counted = platform.composition.count()
    answer = platform.api.post(registered.path, json={"inputs": [[1, 2, 3, 4]]}, headers=headers)
    assert (answer.headers["x-cache"], counted.sends) == ("MISS", 2)


def some_route(**traffic: int) -> Route:
    shares = {int(name[1:]): share for name, share in traffic.items()}
    versions = {number: ready_version(number) for number in (1, 2, 3)}
    return Route("mdl_1", "usr_1", "a model", 1, versions, traffic=shares)


def test_shares_are_kept_for_keys_too() -> None:
    route = some_route(v1=60, v2=10, v3=30)
    found = Counter(route.number(None, None, f"key {number}") for number in range(CALLS))
    for number, share in route.traffic.items():
        assert chi_square(found[number], share / 100) < CHI_SQUARE


def test_a_growing_canary_keeps_its_keys() -> None:
    small, large = some_route(v1=90, v2=10), some_route(v1=60, v2=40)
    keys = [f"key {number}" for number in range(500)]
    canary = {key for key in keys if small.number(None, None, key) == 2}
    assert canary
    assert canary < {key for key in keys if large.number(None, None, key) == 2}


def test_a_route_keeps_its_split_in_json() -> None:
    route = some_route(v1=90, v2=10)
    assert Route.from_json(route.to_json()) == route
    older = route.to_json()
    del older["traffic"], older["aliases"]
    assert Route.from_json(older).traffic == {}
