"""The answer cache as a model's owner wants it: for how long, or not at all; and how old an answer is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson
import pytest
from modelyard.serving import answers
from modelyard.serving.route import route_key

from tests.integration.serving.conftest import Platform

ROW = [0.5, -1.25, 3, 0]
BODY = {"inputs": [ROW]}


def cached_for(platform: Platform, seconds: int) -> Any:
    registered = platform.add("logistic")
    registered.route = replace(registered.route, answer_seconds=seconds)
    platform.composition.routes.add(registered)
    platform.api.post(registered.path, json=BODY)
    platform.composition.redis.ping()  # what was posted has arrived
    return registered


def set_seconds(platform: Platform, registered: Any, seconds: int) -> None:
    """As publishing does: Redis knows at once, memory when the route is next read."""
    registered.route = replace(registered.route, answer_seconds=seconds)
    platform.composition.routes.add(registered)
    key, value = route_key(platform.user_id, registered.id), orjson.dumps(registered.route.to_json())
    platform.composition.redis.set(key, value)
    platform.composition.route_table.expire()


def age(redis_client: Any, seconds: int) -> None:
    """Makes the one cached answer older than it is."""
    (key,) = redis_client.keys("*:answer:*")
    core, _ = answers.opened(redis_client.get(key), time.time()) or (b"", 0)
    redis_client.set(key, answers.sealed(core, time.time() - seconds), keepttl=True)


class TestAge:
    def test_only_cached_answers_have_one(self, platform: Platform, redis_client: Any) -> None:
        registered = platform.add("logistic")
        first = platform.api.post(registered.path, json=BODY)
        assert first.headers["x-cache"] == "MISS"
        assert "age" not in first.headers
        platform.composition.redis.ping()
        age(redis_client, 75)
        second = platform.api.post(registered.path, json=BODY)
        assert second.headers["x-cache"] == "HIT"
        assert int(second.headers["age"]) in (75, 76)
        assert second.json()["predictions"] == first.json()["predictions"]

    def test_other_protocols_tell_it_too(self, platform: Platform) -> None:
        platform.add("logistic", name="iris")
        tensor = {"name": "input-0", "shape": [1, 4], "datatype": "FP64", "data": ROW}
        path = "/v2/models/iris/infer"
        platform.api.post(path, json={"inputs": [tensor]})
        platform.composition.redis.ping()
        again = platform.api.post(path, json={"inputs": [tensor]})
        assert (again.status, again.headers["x-cache"]) == (200, "HIT"), again.text
        assert int(again.headers["age"]) in (0, 1)


class TestHowLong:
    @pytest.mark.parametrize("seconds", [90, 7200])
    def test_redis_keeps_an_answer_as_long_as_the_owner_says(
        self, platform: Platform, redis_client: Any, seconds: int
    ) -> None:
        cached_for(platform, seconds)
        (key,) = redis_client.keys("*:answer:*")
        assert seconds - 5 <= redis_client.ttl(key) <= seconds

    def test_a_shorter_time_holds_for_what_is_cached_already(
        self, platform: Platform, redis_client: Any
    ) -> None:
        registered = cached_for(platform, 3600)
        age(redis_client, 100)
        set_seconds(platform, registered, 60)
        assert platform.api.post(registered.path, json=BODY).headers["x-cache"] == "MISS"
        platform.composition.redis.ping()
        again = platform.api.post(registered.path, json=BODY)
        assert (again.headers["x-cache"], again.headers["age"]) == ("HIT", "0")

    def test_what_is_no_answer_is_none(self, platform: Platform, redis_client: Any) -> None:
        registered = cached_for(platform, 3600)
        (key,) = redis_client.keys("*:answer:*")
        redis_client.set(key, b'{"predictions":[1]}')  # as an earlier release wrote them
        answer = platform.api.post(registered.path, json=BODY)
        assert (answer.status, answer.headers["x-cache"]) == (200, "MISS")
        assert answer.json()["predictions"] == registered.trained.estimator.predict([ROW]).tolist()


class TestOff:
    def test_nothing_is_kept_and_nothing_is_asked(self, platform: Platform, redis_client: Any) -> None:
        registered = cached_for(platform, 0)
        assert redis_client.keys("*:answer:*") == []
        counted = platform.composition.count()
        answer = platform.api.post(registered.path, json=BODY)
        assert (answer.status, answer.headers["x-cache"]) == (200, "BYPASS")
        assert answer.json()["cached"] is False
        assert counted.sends == 1  # the admission

    def test_it_may_be_switched_off_while_a_request_is_on_its_way(
        self, platform: Platform, redis_client: Any
    ) -> None:
        """The route in memory says on, the one that comes with the admission says off."""
        registered = cached_for(platform, 3600)
        set_seconds(platform, registered, 0)
        answer = platform.api.post(registered.path, json=BODY)
        assert (answer.status, answer.headers["x-cache"]) == (200, "BYPASS")
        assert "age" not in answer.headers
