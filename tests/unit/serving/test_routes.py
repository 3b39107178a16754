"""Routes: their JSON, picking a version, and what one environment keeps of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from modelyard.kit.errors import Unavailable
from modelyard.serving.errors import ModelNotFound, ModelNotReady, VersionArchived, VersionNotFound
from modelyard.serving.route import GONE, Route, answer_key, route_key
from modelyard.serving.routing import KEEP_SECONDS, RouteTable, remember_in

from tests.support.serving import ready_version


def route(default: int | None = 1, *numbers: int) -> Route:
    return Route(
        "mdl_1", "usr_1", "a model", default, {number: ready_version(number) for number in numbers or (1,)}
    )


class TestRoute:
    def test_json_round_trip_ignores_what_a_newer_writer_added(self) -> None:
        data = json.loads(json.dumps(route(2, 1, 2).to_json()))
        assert set(data["versions"]) == {"1", "2"}
        data["traffic"] = {}
        data["versions"]["1"]["new"] = 1
        assert Route.from_json(data) == route(2, 1, 2)

    def test_keys_carry_the_hash_tag(self) -> None:
        assert route_key("usr_1", "mdl_1") == "{usr_1}:route:mdl_1"
        assert answer_key("usr_1", "abc") == "{usr_1}:answer:abc"

    def test_pick(self) -> None:
        assert route(2, 1, 2).pick(None).label == "v2"
        assert route(2, 1, 2).pick(1).label == "v1"

    def test_an_archived_version_is_gone(self) -> None:
        data = route(1, 1).to_json() | {"archived": [2]}
        with pytest.raises(VersionArchived) as caught:
            Route.from_json(json.loads(json.dumps(data))).pick(2)
        assert (caught.value.status, caught.value.code) == (410, "version_archived")

    def test_a_route_of_an_older_writer_is_read(self) -> None:
        data = route(1, 1).to_json()
        del data["archived"]
        for key in ("deprecated_at", "sunset_at"):
            del data["versions"]["1"][key]
        assert Route.from_json(data) == route(1, 1)

    def test_notices_of_a_deprecated_version(self) -> None:
        version = ready_version(1)
        assert version.notices == {}
        deprecated = replace(version, deprecated_at=1_700_000_000)
        assert deprecated.notices == {"deprecation": "@1700000000"}
        ending = replace(deprecated, sunset_at=1_800_000_000)
        assert ending.notices["sunset"] == "Fri, 15 Jan 2027 08:00:00 GMT"

    def test_nothing_is_ready(self) -> None:
        empty = Route("mdl_1", "usr_1", "a model")
        for number in (None, 1):
            with pytest.raises(ModelNotReady, match="/api/models/mdl_1/versions") as caught:
                empty.pick(number)
            assert caught.value.status == 409

    def test_no_such_version_names_those_that_are_ready(self) -> None:
        with pytest.raises(VersionNotFound, match=r"ready are v1, v2") as caught:
            route(1, 2, 1).pick(7)
        assert caught.value.status == 404


class Table:
    """A `RouteTable` over a clock and a PostgreSQL of one entry."""

    def __init__(self) -> None:
        self.now = 0.0
        self.found: Route | None = route()
        self.failure: Exception | None = None
        self.loads = 0
        self.remembered: list[Route] = []
        self.table = RouteTable(self.load, self.remembered.append, now=lambda: self.now)

    def load(self, user_id: str, model_id: str) -> Route | None:
        self.loads += 1
        if self.failure is not None:
            raise self.failure
        return self.found

    def learn(self, raw: bytes | None = None, *, cache_up: bool = True) -> Route:
        return self.table.learn("usr_1", "mdl_1", raw, cache_up=cache_up)


def dumped(item: Route) -> bytes:
    return orjson.dumps(item.to_json())


class TestRouteTable:
    def test_a_deleted_model_is_gone_without_asking_postgres(self) -> None:
        table = Table()
        table.learn(dumped(route()))
        with pytest.raises(ModelNotFound):
            table.learn(GONE)
        assert table.table.peek("usr_1", "mdl_1") == (None, False)
        assert table.loads == 0

    def test_unknown(self) -> None:
        assert Table().table.peek("usr_1", "mdl_1") == (None, False)

    def test_what_redis_said_is_kept_for_seconds(self) -> None:
        t = Table()
        assert t.learn(dumped(route(2, 1, 2))).default == 2
        assert t.table.peek("usr_1", "mdl_1") == (route(2, 1, 2), True)
        t.now += KEEP_SECONDS
        assert t.table.peek("usr_1", "mdl_1") == (route(2, 1, 2), False)
        assert t.loads == 0

    def test_the_same_bytes_are_not_parsed_again(self) -> None:
        t = Table()
        first = t.learn(dumped(route()))
        assert t.learn(dumped(route())) is first
        assert t.learn(dumped(route(2, 2))) == route(2, 2)

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"versions": 3}', b"5"])
    def test_what_nobody_of_us_wrote_is_as_nothing(self, raw: bytes) -> None:
        t = Table()
        assert t.learn(raw) == route()
        assert t.loads == 1

    @pytest.mark.parametrize(
        "told",
        [
            {"answer_seconds": None},
            {"answer_seconds": "soon"},
            {"answer_seconds": [1]},
            {"shadow": "v2"},
            {"shadow": {}},
            {"shadow_percent": None},
            {"shadow_percent": "all"},
        ],
    )
    def test_members_of_another_type_are_as_nothing(self, told: dict[str, Any]) -> None:
        """Else requests would fail at the first comparison, for as long as Redis keeps it."""
        t = Table()
        assert t.learn(json.dumps(route().to_json() | told).encode()) == route()
        assert t.loads == 1

    def test_a_deleted_model(self) -> None:
        t = Table()
        t.learn()
        with pytest.raises(ModelNotFound):
            t.learn(GONE)
        assert t.table.peek("usr_1", "mdl_1") == (None, False)
        assert t.loads == 1

    def test_postgresql_is_asked_where_redis_has_nothing_and_redis_is_told(self) -> None:
        t = Table()
        assert t.learn() == route()
        assert t.remembered == [route()]

    def test_redis_is_not_told_while_it_is_away(self) -> None:
        t = Table()
        t.learn(cache_up=False)
        assert t.remembered == []

    def test_missing_or_foreign(self) -> None:
        t = Table()
        t.learn()
        t.found = None
        with pytest.raises(ModelNotFound):
            t.learn()
        assert t.table.peek("usr_1", "mdl_1") == (None, False)

    def test_postgresql_down_with_nothing_in_memory(self) -> None:
        t = Table()
        t.failure = Unavailable()
        with pytest.raises(Unavailable):
            t.learn()

    def test_postgresql_down_leaves_what_is_in_memory_and_is_not_asked_at_every_request(self) -> None:
        t = Table()
        t.learn()
        t.failure = Unavailable()
        t.now += 10
        assert t.learn() == route()
        assert t.table.peek("usr_1", "mdl_1")[1]
        t.now += 10
        assert not t.table.peek("usr_1", "mdl_1")[1]

    def test_users_do_not_share(self) -> None:
        t = Table()
        t.learn()
        assert t.table.peek("usr_2", "mdl_1") == (None, False)

    def test_bounded(self) -> None:
        t = Table()
        for number in range(1_100):
            t.table.learn("usr_1", f"mdl_{number}", None, cache_up=False)
        assert t.table.peek("usr_1", "mdl_0") == (None, False)
        assert t.table.peek("usr_1", "mdl_1099")[1]


def test_a_lost_route_goes_back_only_where_nobody_published_meanwhile() -> None:
    sent: list[tuple[Any, ...]] = []

    class Cache:
        def get(self, name: str) -> bytes | None:
            raise AssertionError

        def post(self, *command: Any) -> bool:
            sent.append(command)
            return True

    remember_in(Cache())(route())
    assert sent == [("SET", "{usr_1}:route:mdl_1", dumped(route()), "NX", "EX", 3600)]
