from __future__ import annotations

from modelyard.accounts.limits import LocalWindows, Policy

POLICY = Policy("p", 3, 10)


class Moment:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_exactly_the_quota_passes_in_any_window():
    moment = Moment()
    windows = LocalWindows(now=moment)
    passed = []
    for tick in range(400):  # forty seconds, ten knocks each
        moment.now = 100 + tick / 10
        if windows.take("a", POLICY).allowed:
            passed.append(moment.now)
    assert len(passed) == 12
    assert all(later - earlier >= 10 for earlier, later in zip(passed, passed[3:], strict=False))


def test_what_is_left_and_when_more_comes():
    moment = Moment()
    windows = LocalWindows(now=moment)
    rates = [windows.take("a", POLICY)]
    moment.now += 4
    rates += [windows.take("a", POLICY) for _ in range(3)]
    assert [rate.remaining for rate in rates] == [2, 1, 0, 0]
    assert [rate.allowed for rate in rates] == [True, True, True, False]
    assert [rate.reset for rate in rates] == [10, 6, 6, 6]
    assert rates[-1].headers() == {"RateLimit-Policy": '"p";q=3;w=10', "RateLimit": '"p";r=0;t=6'}


def test_keys_do_not_share_and_old_ones_are_forgotten():
    windows = LocalWindows(keys=2, now=Moment())
    for key in ("a", "a", "a", "b", "c"):
        assert windows.take(key, POLICY).allowed
    assert windows.take("a", POLICY).remaining == 2  # it was dropped for "c"


def test_a_quota_of_nothing_lets_nothing_through():
    assert not LocalWindows().take("a", Policy("p", 0, 10)).allowed


def test_forgiven_attempts_do_not_count():
    windows = LocalWindows(now=Moment())
    for _ in range(3):
        windows.take("a", POLICY)
    windows.forget("a")
    assert windows.take("a", POLICY).allowed
