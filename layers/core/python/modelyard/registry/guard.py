"""Whether a canary is withdrawn: a judgement over numbers that were recorded, and nothing else.

**Failures.** Of `n` requests `k` failed. The true rate lies, with 95 % confidence, in Wilson's interval

    (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n),   p = k/n, z = 1.96

which also holds for few requests and for rates near 0 and 1. A canary fails where the lower end of its
interval is above the rate that is allowed and above the upper end of the champion's interval: inputs that
break both do not speak against one. It is judged again with every delivery of records; compared with the
champion's rate alone, up to half of all canaries that are no worse than their champion would be withdrawn
one day (docs/TECH_DECISIONS.md).

**Refusals.** Requests that do not fit are their callers' mistakes, except where a version takes other columns
than the champion, or gives other outputs. Chance decides who asks which version, so a canary that refuses far
more than its champion, `REFUSES_TIMES` as much by the same intervals, is to blame for it.

**Latency.** Medians of successful answers that neither came from the cache nor waited for the model to be
loaded, so that neither outliers nor cold starts decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Self

MIN_DIFFERENCE_MS = 5.0
"""A canary that is slower by less than this is never too slow, whatever the ratio."""

REFUSES_TIMES = 3.0

_Z = 1.96


@dataclass(frozen=True, slots=True)
class Guard:
    """When a canary is withdrawn: above `error_rate` (a part of 1), or where its median latency is
    `latency_ratio` times the champion's; not before `min_requests` requests.
    """

    error_rate: float = 0.05
    latency_ratio: float = 3.0
    min_requests: int = 20

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(float(data["error_rate"]), float(data["latency_ratio"]), int(data["min_requests"]))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was recorded of one version: `requests` that it answered or failed, `failures` among them, others
    that it `refused` as not fitting, and over the `timed` successful answers of a loaded model the quantiles
    of their durations in milliseconds.
    """

    number: int
    requests: int = 0
    failures: int = 0
    refused: int = 0
    timed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None

    @property
    def asked(self) -> int:
        return self.requests + self.refused

    @property
    def rate(self) -> float | None:
        return self.failures / self.requests if self.requests else None


def wilson(failures: int, requests: int) -> tuple[float, float]:
    """The 95 % interval of a rate; with no request it may be anything."""
    if requests == 0:
        return 0.0, 1.0
    rate, z2 = failures / requests, _Z * _Z
    middle = rate + z2 / (2 * requests)
    half = _Z * sqrt(rate * (1 - rate) / requests + z2 / (4 * requests * requests))
    scale = 1 + z2 / requests
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def judge(guard: Guard, canary: Observed, champion: Observed) -> str | None:
    """Why the canary is withdrawn, in a sentence with the numbers; None where it stays.

    A champion without requests has nothing that the canary could be compared with.
    """
    return (
        _too_many_failures(guard, canary, champion)
        or _refuses(guard, canary, champion)
        or _too_slow(guard, canary, champion)
    )


def _too_many_failures(guard: Guard, canary: Observed, champion: Observed) -> str | None:
    if canary.requests < guard.min_requests:
        return None
    allowed = guard.error_rate
    if champion.requests:
        allowed = max(allowed, wilson(champion.failures, champion.requests)[1])
    if wilson(canary.failures, canary.requests)[0] <= allowed:
        return None
    return (
        f"v{canary.number} was withdrawn: {canary.failures} of {canary.requests} requests failed "
        f"({_percent(canary.failures / canary.requests)}); allowed are {_percent(guard.error_rate)}. "
        f"The champion v{champion.number}: {champion.failures} of {champion.requests}."
    )


def _refuses(guard: Guard, canary: Observed, champion: Observed) -> str | None:
    if canary.asked < guard.min_requests or not champion.asked:
        return None
    usual = wilson(champion.refused, champion.asked)[1]
    if wilson(canary.refused, canary.asked)[0] <= max(guard.error_rate, REFUSES_TIMES * usual):
        return None
    share = _percent(canary.refused / canary.asked)
    return (
        f"v{canary.number} was withdrawn: it refused {canary.refused} of {canary.asked} requests as not "
        f"fitting ({share}), the champion v{champion.number} {champion.refused} of {champion.asked}. "
        "It takes other columns, or gives other outputs."
    )


def _too_slow(guard: Guard, canary: Observed, champion: Observed) -> str | None:
    if min(canary.timed, champion.timed) < guard.min_requests:
        return None
    if canary.p50_ms is None or champion.p50_ms is None:
        return None
    slower = canary.p50_ms - champion.p50_ms
    if canary.p50_ms < guard.latency_ratio * champion.p50_ms or slower < MIN_DIFFERENCE_MS:
        return None
    return (
        f"v{canary.number} was withdrawn: half of its answers took {canary.p50_ms:.1f} ms or more (of "
        f"{canary.timed}); the champion v{champion.number}'s {champion.p50_ms:.1f} ms (of {champion.timed}). "
        f"Allowed is {guard.latency_ratio:g} times as long."
    )


def _percent(rate: float) -> str:
    return f"{rate * 100:.3g} %"
