"""The judgement over a canary's numbers."""

from __future__ import annotations

import inspect
import random
from math import inf

import pytest
from hypothesis import given, strategies as st
from modelyard.kit import errors as kit_errors
from modelyard.kit.errors import Problem
from modelyard.registry.guard import Guard, Observed, judge, wilson
from modelyard.registry.trials.observations import FAULTS
from modelyard.serving import errors as serving_errors

GUARD = Guard()


def seen(requests: int, failures: int = 0, *, p50: float | None = None, number: int = 2) -> Observed:
    timed = 0 if p50 is None else requests - failures
    return Observed(number, requests, failures, 0, timed, p50, p50)


def champion(requests: int, failures: int = 0, *, p50: float | None = None) -> Observed:
    return seen(requests, failures, p50=p50, number=1)


@pytest.mark.parametrize(
    ("failures", "requests", "low", "high"),
    [  # scipy.stats.binomtest(failures, requests).proportion_ci(method="wilson")
        (0, 20, 0.0, 0.161125),
        (1, 20, 0.008881, 0.236131),
        (14, 20, 0.481027, 0.854523),
        (20, 20, 0.838875, 1.0),
        (0, 180, 0.0, 0.020896),
        (50, 1000, 0.038130, 0.065313),
    ],
)
def test_wilsons_interval(failures, requests, low, high):
    assert wilson(failures, requests) == pytest.approx((low, high), abs=2e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_interval_holds_the_rate(failures, more):
    requests = failures + more
    low, high = wilson(failures, requests)
    assert 0 <= low <= high <= 1
    if requests:
        assert low - 1e-9 <= failures / requests <= high + 1e-9


@pytest.mark.parametrize(
    ("canary", "other", "withdrawn"),
    [
        (seen(20, 14), champion(180), True),
        (seen(19, 19), champion(180), False),  # too few to say
        (seen(20, 20), champion(0), True),  # nothing to compare with
        (seen(20, 20), champion(1), True),
        (seen(20, 2), champion(180), False),  # 10 % of 20 may be chance
        (seen(200, 20), champion(1800), True),  # of 200 it is none
        (seen(200, 10), champion(1800), False),  # just what is allowed
        (seen(200, 60), champion(1800, 540), False),  # the champion fails as often: the inputs do it
        (seen(200, 120), champion(1800, 540), True),
        (seen(0), champion(180), False),
    ],
)
def test_failures(canary, other, withdrawn):
    assert (judge(GUARD, canary, other) is not None) is withdrawn


def test_the_reason_of_failures_says_the_numbers():
    reason = judge(GUARD, seen(20, 14, number=3), Observed(2, 180, 0))
    assert reason == (
        "v3 was withdrawn: 14 of 20 requests failed (70 %); allowed are 5 %. The champion v2: 0 of 180."
    )


@pytest.mark.parametrize(
    ("canary", "other", "withdrawn"),
    [
        (seen(20, p50=90.0), champion(180, p50=30.0), True),
        (seen(20, p50=89.0), champion(180, p50=30.0), False),
        (seen(19, p50=900.0), champion(180, p50=30.0), False),
        (seen(180, p50=900.0), champion(19, p50=30.0), False),
        (seen(20, p50=0.4), champion(180, p50=0.1), False),  # four times as long, and nobody notices
        (seen(20, p50=5.2), champion(180, p50=0.2), True),
        (seen(20, p50=900.0), champion(0), False),
        (seen(20, p50=900.0), champion(180), False),  # all of the champion's answers came from the cache
    ],
)
def test_latency(canary, other, withdrawn):
    assert (judge(GUARD, canary, other) is not None) is withdrawn


def test_the_reason_of_slowness_says_the_numbers():
    reason = judge(GUARD, seen(25, p50=120.04, number=3), Observed(2, 300, 0, 0, 210, 11.0, 14.0))
    assert reason == (
        "v3 was withdrawn: half of its answers took 120.0 ms or more (of 25); the champion v2's 11.0 ms "
        "(of 210). Allowed is 3 times as long."
    )


@pytest.mark.parametrize(
    ("canary", "other", "withdrawn"),
    [
        (Observed(2, refused=20), Observed(1, 180), True),
        (Observed(2, refused=19), Observed(1, 180), False),
        (Observed(2, refused=20), Observed(1), False),  # callers' mistakes, for all one knows
        (Observed(2, requests=80, refused=20), Observed(1, 900), True),
        (Observed(2, requests=80, refused=20), Observed(1, 800, refused=200), False),  # callers' mistakes
        (Observed(2, requests=60, refused=40), Observed(1, 800, refused=200), False),
        (Observed(2, refused=40), Observed(1, 800, refused=200), True),
    ],
)
def test_refusals(canary, other, withdrawn):
    assert (judge(GUARD, canary, other) is not None) is withdrawn


def test_the_reason_of_refusals_says_the_numbers():
    reason = judge(GUARD, Observed(3, requests=1, refused=24), Observed(2, 178, refused=2))
    assert reason == (
        "v3 was withdrawn: it refused 24 of 25 requests as not fitting (96 %), the champion v2 2 of 180. "
        "It takes other columns, or gives other outputs."
    )


def test_a_guard_that_allows_everything_withdraws_nothing():
    guard = Guard(error_rate=1.0, latency_ratio=inf)
    assert judge(guard, seen(1000, 1000), champion(1000)) is None
    assert judge(guard, seen(1000, p50=1e6), champion(1000, p50=1.0)) is None


def test_an_equally_bad_champion_rarely_costs_a_canary_its_place():
    """Judged every ten requests, 5,000 in all: looking often must not make chance a reason."""
    source, withdrawn = random.Random(7), 0
    for _ in range(100):
        counts = {True: [0, 0], False: [0, 0]}
        for request in range(1, 5001):
            mine = counts[source.random() < 0.5]
            mine[0] += 1
            mine[1] += source.random() < 0.1
            if request % 10 == 0 and judge(GUARD, seen(*counts[True]), champion(*counts[False])):
                withdrawn += 1
                break
    assert withdrawn <= 15  # about 5 are expected; with the champion's bare rate it would be 50


def test_every_problem_is_either_a_versions_fault_or_not():
    """A new kind of failure must be put on one side."""
    outages = {"unavailable", "storage_unavailable", "deadline_exceeded"}
    known = {
        item.code
        for module in (kit_errors, serving_errors)
        for _, item in inspect.getmembers(module, inspect.isclass)
        if issubclass(item, Problem) and item.status >= 500
    }
    assert known == set(FAULTS) | outages
    assert not set(FAULTS) & outages
