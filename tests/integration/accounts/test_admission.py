"""Admission over a real Redis: one round trip, exact limits, revocation at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from modelyard.accounts.admission import Admitter
from modelyard.accounts.limits import Policy
from modelyard.accounts.tokens import TokenRefused
from modelyard.kit.errors import TooManyRequests, Unauthorized
from modelyard.kit.ids import new_id

from tests.fakes.redis import RedisDown

POLICY = Policy("permin", 5, 60)


class Counting:
    """Counts what goes over the wire."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._redis, name)


@pytest.fixture
def headers(composition):
    user_id, session_id = new_id("usr"), new_id("ses")
    token = composition.tokens.sign(
        kind="access", user_id=user_id, session_id=session_id, role="user", token_id="tok_1"
    )
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def admitter(composition, redis_client):
    return Admitter(composition.tokens, redis_client, policy=POLICY)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b", "bearer: x"]
)
def test_without_a_token_nobody_passes(admitter, authorization):
    with pytest.raises(Unauthorized):
        admitter.admit({} if authorization is None else {"authorization": authorization})


def test_one_round_trip_answers_everything(composition, redis_client, headers):
    counting = Counting(redis_client)
    admitter = Admitter(composition.tokens, counting, policy=POLICY)
    user_id = admitter.identify(headers).user_id
    redis_client.set(f"{{{user_id}}}:route:m", b"the route")
    admitter.admit(headers)  # the first one may have to send the script
    counting.calls.clear()
    admission = admitter.admit(
        headers, lookups=lambda caller: [f"{{{caller.user_id}}}:route:m", f"{{{caller.user_id}}}:answer:x"]
    )
    assert counting.calls == ["evalsha"]
    assert admission.values == (b"the route", None)
    assert admission.cache_up
    assert admission.caller.user_id == user_id
    assert (admission.rate.remaining, admission.rate.policy.quota) == (3, 5)


def test_the_script_survives_a_redis_that_forgot_it(admitter, redis_client, headers):
    admitter.admit(headers)
    redis_client.script_flush()
    assert admitter.admit(headers).cache_up


def test_beyond_the_limit_the_answer_says_when_to_come_back(admitter, headers):
    for left in (4, 3, 2, 1, 0):
        assert admitter.admit(headers).rate.remaining == left
    with pytest.raises(TooManyRequests) as raised:
        admitter.admit(headers)
    problem = raised.value
    assert problem.headers["RateLimit-Policy"] == '"permin";q=5;w=60'
    assert problem.headers["RateLimit"].startswith('"permin";r=0;t=')
    assert int(problem.headers["Retry-After"]) >= int(problem.headers["RateLimit"].rpartition("=")[2])
    assert problem.extra == {"violated-policies": ["permin"]}


def test_users_do_not_share_a_limit(admitter, composition, headers):
    for _ in range(5):
        admitter.admit(headers)
    other = composition.tokens.sign(
        kind="access", user_id=new_id("usr"), session_id="ses_1", role="user", token_id="tok_1"
    )
    assert admitter.admit({"authorization": f"Bearer {other}"}).rate.remaining == 4


def test_a_quota_of_ones_own_counts_at_once(admitter, redis_client, headers):
    user_id = admitter.admit(headers).caller.user_id
    redis_client.set(f"{{{user_id}}}:quota:permin", 50)
    assert admitter.admit(headers).rate.policy.quota == 50
    redis_client.set(f"{{{user_id}}}:quota:permin", 1)
    with pytest.raises(TooManyRequests):
        admitter.admit(headers)


@pytest.mark.parametrize("key", ["{%s}:revoked:%s", "{%s}:blocked"])
def test_revocation_is_seen_by_the_next_request(admitter, redis_client, headers, key):
    caller = admitter.admit(headers).caller
    name = key % ((caller.user_id, caller.credential_id)[: key.count("%s")])
    redis_client.set(name, 1)
    with pytest.raises(TokenRefused, match="has ended"):
        admitter.admit(headers)


def test_many_clients_at_once_get_exactly_the_quota(composition, redis_client, headers):
    policy = Policy("permin", 100, 60)
    passed, refused = [], []

    def client() -> None:
        admitter = Admitter(composition.tokens, redis_client, policy=policy)
        for _ in range(100):
            try:
                passed.append(admitter.admit(headers).rate.remaining)
            except TooManyRequests:
                refused.append(1)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(passed) == list(range(100))
    assert len(refused) == 1900


def test_the_window_slides(composition, redis_client, headers):
    admitter = Admitter(composition.tokens, redis_client, policy=POLICY)
    caller = admitter.admit(headers).caller
    key = f"{{{caller.user_id}}}:rate:permin"
    for _ in range(4):
        admitter.admit(headers)
    seconds, micros = redis_client.time()
    now = seconds * 1_000_000 + micros
    oldest_first = [now - 59_000_000, now - 30_000_000, now - 20_000_000, now - 10_000_000, now - 1_000_000]
    redis_client.delete(key)
    redis_client.lpush(key, *oldest_first)
    with pytest.raises(TooManyRequests) as raised:
        admitter.admit(headers)
    assert raised.value.headers["RateLimit"].endswith("t=1")
    redis_client.delete(key)
    redis_client.lpush(key, now - 61_000_000, *oldest_first[1:])
    admission = admitter.admit(headers)
    assert (admission.rate.remaining, admission.rate.reset) == (0, 30)
    assert 0 < redis_client.pttl(key) <= 60_000


def test_without_redis_tokens_hold_and_a_local_limit_takes_over(composition, headers):
    down = RedisDown()
    admitter = Admitter(composition.tokens, down, policy=POLICY)
    admissions = [admitter.admit(headers, lookups=lambda _caller: ["a", "b"]) for _ in range(5)]
    assert all(not admission.cache_up for admission in admissions)
    assert admissions[0].values == (None, None)
    with pytest.raises(TooManyRequests):
        admitter.admit(headers)
    assert down.asked == 1  # an outage costs one timeout a second, not one a request
    with pytest.raises(TokenRefused):
        admitter.admit({"authorization": "Bearer a.b.c"})
