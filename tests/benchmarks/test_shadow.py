"""What a shadow costs the caller: the same model with and without one, in turns, through the Runtime API."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from modelyard.kit.resp import Connection
from modelyard.serving.mirror import mirror_key
from modelyard.serving.route import route_key

from tests.benchmarks.measure import MODELS, rows
from tests.benchmarks.scenario import scenario

CALLS = 400
WARM = 50


def test_a_shadow_costs_its_caller_no_more_than_some_microseconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = MODELS["LogisticRegression"]()
    took: dict[str, list[float]] = {"without": [], "with": []}
    with scenario(tmp_path) as place, place.predict() as function:
        plain, shaded = place.add(trained), place.add(trained)
        route = replace(shaded.route, shadow=2)
        connection = Connection(place.redis.secret)
        connection.set(route_key(place.user_id, shaded.id), json.dumps(route.to_json()))
        for row in rows(CALLS + WARM):  # each is another one: nothing comes from the cache
            for name, model in (("without", plain), ("with", shaded)):
                answer, seconds = function.call(place.event(model, [row]))
                assert answer["headers"]["x-cache"] == "MISS"
                took[name].append(seconds * 1e6)
        mirrored = connection.execute("LLEN", mirror_key(place.user_id, shaded.id))
        connection.close()
    assert mirrored == CALLS + WARM
    without, shadowed = (statistics.quantiles(took[name][WARM:], n=10)[0] for name in ("without", "with"))
    with capsys.disabled():
        print(f"\nuncached, quickest tenth: {without:.0f} µs without a shadow, {shadowed:.0f} µs with one")
    assert shadowed <= without * 1.15 + 20
