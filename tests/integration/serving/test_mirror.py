"""Requests that a shadow version is to see leave beside the answer: what goes, and what it costs."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

import pytest
from modelyard.serving.decoding import Batch
from modelyard.serving.mirror import (
    KEEP_SECONDS,
    LARGEST_ENTRY,
    MOST_ENTRIES,
    Mirrored,
    commands,
    mirror_key,
    read,
)
from modelyard.serving.route import Route

from tests.integration.serving.conftest import Platform
from tests.support.serving import Registered

ROW = [0.5, -1.25, 3, 0]


def shadowed(platform: Platform, *models: Any, **changes: Any) -> Registered:
    registered = platform.add(*(models or ("logistic", "forest")))
    registered.route = replace(registered.route, **({"shadow": 2} | changes))
    platform.composition.routes.add(registered)
    return registered


@pytest.fixture
def mirrored(platform: Platform, redis_client: Any) -> Any:
    """What was mirrored of a model so far."""

    def found(registered: Registered) -> list[Mirrored]:
        platform.composition.redis.ping()
        raw = redis_client.lrange(mirror_key(platform.user_id, registered.id), 0, -1)
        entries = [read(entry) for entry in raw]
        assert None not in entries
        return [entry for entry in entries if entry is not None]

    return found


def test_a_request_and_its_answer_are_mirrored(platform: Platform, mirrored: Any, redis_client: Any) -> None:
    registered = shadowed(platform)
    rows = [ROW, [1, 1, 2, 3]]
    answer = platform.api.post(f"{registered.path}?outputs=predict_proba", json={"inputs": rows})
    assert answer.headers["x-model-version"] == "v1"
    (entry,) = mirrored(registered)
    assert entry.prediction_id == answer.json()["prediction_id"]
    assert (entry.number, entry.rows, entry.outputs) == (1, 2, ("predict", "predict_proba"))
    assert entry.columns == [[0.5, 1], [-1.25, 1], [3, 2], [0, 3]]
    assert entry.answer["predictions"] == answer.json()["predictions"]
    assert entry.answer["probabilities"] == answer.json()["probabilities"]
    assert entry.milliseconds is not None
    assert 0 < entry.milliseconds < 5000
    assert 0 < redis_client.ttl(mirror_key(platform.user_id, registered.id)) <= KEEP_SECONDS


def test_answers_are_the_champions_alone(platform: Platform, mirrored: Any) -> None:
    plain, registered = platform.add("logistic"), shadowed(platform)
    for number in range(10):
        body = {"inputs": [[number, 1, 2, 3]]}
        seen, expected = (platform.api.post(one.path, json=body).json() for one in (registered, plain))
        assert (seen["predictions"], seen["model_version"]) == (expected["predictions"], "v1")
    assert len(mirrored(registered)) == 10


FORMS = {
    "rows": {"inputs": [[1.5, 2, "Bern"], [3.5, 4, "Thun"]]},
    "columns": {"inputs": {"city": ["Bern", "Thun"], "price": [1.5, 3.5], "rooms": [2, 4]}},
    "records": {
        "records": [{"city": "Bern", "price": 1.5, "rooms": 2}, {"rooms": 4, "city": "Thun", "price": 3.5}]
    },
    "dataframe_split": {
        "dataframe_split": {
            "columns": ["rooms", "price", "city"],
            "data": [[2, 1.5, "Bern"], [4, 3.5, "Thun"]],
        }
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_mirrored_as_columns(platform: Platform, mirrored: Any, form: str) -> None:
    registered = shadowed(platform, "mixed", "mixed")
    assert platform.api.post(registered.path, json=FORMS[form]).status == 200
    (entry,) = mirrored(registered)
    assert entry.columns == [[1.5, 3.5], [2, 4], ["Bern", "Thun"]]


def test_binary_tensors_are_mirrored_to_the_last_digit(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform)
    values = struct.unpack("<4f", struct.pack("<4f", 0.1, -1.7, 2.3, 1e-7))
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "input",
                    "shape": [1, 4],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": 16},
                }
            ]
        }
    ).encode()
    answer = platform.api.post(
        f"/v2/models/{registered.id}/infer",
        body=head + struct.pack("<4f", *values),
        headers={"Inference-Header-Content-Length": str(len(head))},
        parameters={"model": registered.id},
    )
    assert answer.status == 200, answer.text
    (entry,) = mirrored(registered)
    assert entry.columns == [[value] for value in values]


def test_other_protocols_are_mirrored_too(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform)
    model = registered.id
    calls = [
        (f"/v1/models/{model}:predict", {"instances": [ROW]}, {"model": f"{model}:predict"}),
        (f"/models/{model}/invocations", {"inputs": [[1, 2, 3, 4]]}, {"model_id": model}),
        (f"/endpoints/{model}/invocations", {"instances": [[5, 6, 7, 8]]}, {"model": model}),
    ]
    for path, body, parameters in calls:
        answer = platform.api.post(path, json=body, parameters=parameters)
        assert answer.status == 200, answer.text
    assert [entry.columns for entry in mirrored(registered)] == [
        [[0.5], [-1.25], [3], [0]],
        [[1], [2], [3], [4]],
        [[5], [6], [7], [8]],
    ]


@pytest.mark.parametrize("query", ["version=v1", "version=2", "alias=champion"])
def test_who_asks_for_a_version_is_not_mirrored(platform: Platform, mirrored: Any, query: str) -> None:
    registered = shadowed(platform)
    assert platform.api.post(f"{registered.path}?{query}", json={"inputs": [ROW]}).status == 200
    assert mirrored(registered) == []


def test_what_fails_is_not_mirrored(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform)
    assert platform.api.post(registered.path, json={"inputs": [[1, 2, 3]]}).status == 422
    assert mirrored(registered) == []


def test_without_a_shadow_nothing_is_mirrored(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform, shadow=None)
    platform.api.post(registered.path, json={"inputs": [ROW]})
    assert mirrored(registered) == []


def test_an_answer_from_the_cache_was_mirrored_when_it_was_made(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform)
    found = [platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] for _ in range(3)]
    assert found == ["MISS", "HIT", "HIT"]
    assert len(mirrored(registered)) == 1


@pytest.mark.parametrize(("control", "times"), [("no-cache", 2), ("no-store", 0)])
def test_what_callers_say_of_caches_holds_for_the_list(
    platform: Platform, mirrored: Any, control: str, times: int
) -> None:
    registered = shadowed(platform)
    for _ in range(2):
        platform.api.post(registered.path, json={"inputs": [ROW]}, headers={"Cache-Control": control})
    assert len(mirrored(registered)) == times


def test_models_whose_answers_are_not_cached_are_mirrored(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform, answer_seconds=0)
    found = [platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] for _ in range(2)]
    assert found == ["BYPASS", "BYPASS"]
    assert len(mirrored(registered)) == 2


def test_a_part_of_the_requests_is_mirrored(platform: Platform, mirrored: Any, redis_client: Any) -> None:
    registered = shadowed(platform, shadow_percent=25)
    redis_client.set(f"{{{platform.user_id}}}:quota:permin", 1_000_000)
    for number in range(400):
        platform.api.post(registered.path, json={"inputs": [[number, 0, 0, 0]]})
    assert 60 <= len(mirrored(registered)) <= 140  # 100 expected, more than four deviations on either side


def test_the_list_keeps_the_newest(platform: Platform, mirrored: Any, redis_client: Any) -> None:
    registered = shadowed(platform)
    key = mirror_key(platform.user_id, registered.id)
    redis_client.rpush(key, *[b"older"] * (MOST_ENTRIES + 20))
    platform.api.post(registered.path, json={"inputs": [ROW]})
    platform.composition.redis.ping()
    assert redis_client.llen(key) == MOST_ENTRIES
    assert read(redis_client.lrange(key, -1, -1)[0]) is not None


def test_a_large_request_is_not_mirrored(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform)
    rows = [[n + 0.123456789, 1, 2, 3] for n in range(LARGEST_ENTRY // 16)]
    assert platform.api.post(registered.path, json={"inputs": rows}).status == 200
    assert mirrored(registered) == []


@pytest.mark.parametrize(("rows", "core"), [(LARGEST_ENTRY, b"{}"), (1, b" " * LARGEST_ENTRY + b"{}")])
def test_what_is_too_large_is_not_even_written_as_json(rows: int, core: bytes) -> None:
    """A body of 6 MB would cost its caller ten milliseconds, for nothing."""

    written = []

    class Column:
        def tolist(self) -> list[float]:
            written.append(self)
            return [0.0] * rows

    columns: list[Any] = [Column()]
    options: dict[str, Any] = {"number": 1, "outputs": ("predict",), "seconds": None}
    route = Route("mdl_1", "usr_1", "any")
    made = commands(route, prediction_id="prd_1", batch=Batch(columns, rows), core=core, **options)
    assert (made, written) == ([], [])


def test_a_shadow_costs_no_round_trip(platform: Platform) -> None:
    registered = shadowed(platform)
    platform.api.post(registered.path, json={"inputs": [ROW]})
    counted = platform.composition.count()
    assert platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] == "HIT"
    assert (counted.sends, counted.commands) == (1, ["EVALSHA"])
    counted.reset()
    answer = platform.api.post(registered.path, json={"inputs": [[1, 1, 1, 1]]})
    assert answer.headers["x-cache"] == "MISS"
    assert counted.sends == 2  # as without a shadow: nobody waits for the second
    assert platform.composition.routes.loads == 1  # by the very first request


def test_where_nothing_is_cached_one_write_more_is_waited_for_by_nobody(platform: Platform) -> None:
    registered = shadowed(platform, answer_seconds=0)
    platform.api.post(registered.path, json={"inputs": [ROW]})
    counted = platform.composition.count()
    platform.api.post(registered.path, json={"inputs": [ROW]})
    assert counted.sends == 2
    assert counted._unread == 3  # the replies of RPUSH, LTRIM and EXPIRE, which the next request reads along


def test_redis_away_harms_no_prediction(platform: Platform, mirrored: Any) -> None:
    registered = shadowed(platform)
    platform.api.post(registered.path, json={"inputs": [ROW]})
    with platform.composition.redis_away():
        answer = platform.api.post(registered.path, json={"inputs": [[1, 1, 1, 1]]})
        assert (answer.status, answer.headers["x-cache"]) == (200, "BYPASS")
    platform.composition.redis.close()
    assert len(mirrored(registered)) == 1


def test_a_list_that_is_something_else_harms_no_prediction(platform: Platform, redis_client: Any) -> None:
    registered = shadowed(platform)
    redis_client.set(mirror_key(platform.user_id, registered.id), b"not a list")
    for _ in range(2):
        assert platform.api.post(registered.path, json={"inputs": [ROW]}).status == 200
    assert platform.api.post(registered.path, json={"inputs": [ROW]}).headers["x-cache"] == "HIT"


@pytest.mark.parametrize("entry", [b"", b"null", b"[]", b"{}", b'["a",1,1,2,1,[],{},null]', b"\xff"])
def test_what_nobody_of_ours_wrote_is_not_read(entry: bytes) -> None:
    assert read(entry) is None
