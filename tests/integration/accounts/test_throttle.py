from __future__ import annotations

import pytest
from modelyard.accounts.limits import Policy
from modelyard.accounts.throttle import Rule, Throttle, network
from modelyard.kit.errors import TooManyRequests

from tests.fakes.redis import RedisDown

RULE = Rule(Policy("x-address", 5, 60), Policy("x-account", 3, 60))


@pytest.fixture(params=["redis", "local"])
def throttle(request, redis_client):
    return Throttle(redis_client if request.param == "redis" else RedisDown())


def attempts(throttle, number, *, ip="203.0.113.1", account="a@example.com"):
    passed = 0
    for _ in range(number):
        try:
            throttle.check(RULE, ip=ip, account=account)
            passed += 1
        except TooManyRequests as problem:
            last = problem
    return passed, last if passed < number else None


def test_one_account_from_many_addresses(throttle):
    passed = sum(attempts(throttle, 1, ip=f"203.0.113.{number}")[0] for number in range(10))
    assert passed == 3


def test_many_accounts_from_one_address(throttle):
    passed = sum(attempts(throttle, 1, account=f"a{number}@example.com")[0] for number in range(10))
    assert passed == 5


def test_the_refusal_says_which_limit_and_when(throttle):
    passed, problem = attempts(throttle, 4)
    assert passed == 3
    assert problem.extra == {"violated-policies": ["x-account"]}
    assert 0 < int(problem.headers["Retry-After"]) <= 60
    assert "example.com" not in str(problem)


def test_a_success_gives_the_accounts_attempts_back(throttle):
    attempts(throttle, 2)
    throttle.forgive(RULE, account="a@example.com")
    assert attempts(throttle, 5)[0] == 3


def test_keys_carry_no_address(redis_client):
    Throttle(redis_client).check(RULE, ip="203.0.113.1", account="a@example.com")
    keys = b" ".join(redis_client.keys("*"))
    assert b"example" not in keys
    assert b"203.0.113.1" not in keys


@pytest.mark.parametrize(
    ("ip", "counted_as"),
    [
        ("203.0.113.1", "203.0.113.1"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_an_ipv6_customer_is_one_network(ip, counted_as):
    assert network(ip) == counted_as
