"""Predictions with originals: right where the model works, one request lost where it does not."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.native import Workers
from modelyard.intake.transfer import TransferFailed, WrongFile
from modelyard.intake.verdict import Limits, StaticReport
from modelyard.kit.hashing import sha256_hex

from tests.support.estimators import iris, people, pipeline

Request = Callable[..., dict[str, Any]]
LIMITS = replace(Limits(), memory_bytes=900 << 20)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {"folder": tmp_path}


@pytest.fixture
def workers(files: dict[str, Path]) -> Iterator[Workers]:
    def fetch(url: str, target: Path, **_: Any) -> str:
        shutil.copy(files["folder"] / url, target)
        return ""

    workers = Workers(LIMITS, keep_bytes=1 << 30, fetch=fetch)
    yield workers
    workers.close()


@pytest.fixture
def request_for(files: dict[str, Path]) -> Request:
    def make(estimator: Any, columns: Any, name: str = "a", **changes: Any) -> dict[str, Any]:
        path = files["folder"] / f"{name}.joblib"
        joblib.dump(estimator, path)
        signature = describe(estimator, StaticReport(format="joblib", size=1)).signature
        return {
            "version_id": f"ver_{name}",
            "artifact_url": path.name,
            "artifact_sha256": sha256_hex(path.read_bytes()),
            "artifact_format": "joblib",
            "artifact_size": path.stat().st_size,
            "signature": signature.to_json(),
            "columns": columns,
            "outputs": signature.outputs,
            "deadline_seconds": 60,
        } | changes

    return make


def birch() -> Any:
    from sklearn.cluster import Birch

    return Birch(n_clusters=3).fit(iris()[0])


def test_an_array_model_answers_as_the_original(workers: Workers, request_for: Request) -> None:
    x = iris()[0][:20]
    answer = workers.predict(request_for(birch(), x.T.tolist()))
    assert answer["outputs"]["predict"] == birch().predict(x).tolist()
    np.testing.assert_array_equal(answer["outputs"]["transform"], birch().transform(x))


def test_a_frame_model_gets_its_frame(workers: Workers, request_for: Request) -> None:
    frame = people().head(30)
    columns = [frame[name].tolist() for name in frame]
    answer = workers.predict(request_for(pipeline(), columns))
    assert answer["outputs"]["predict"] == pipeline().predict(frame).tolist()


def test_the_second_request_finds_the_worker(workers: Workers, request_for: Request) -> None:
    request = request_for(birch(), iris()[0][:2].T.tolist())
    first = workers.predict(request)
    pids = [w.child.pid for w in workers._workers.values()]
    assert workers.predict(request) == first
    assert [w.child.pid for w in workers._workers.values()] == pids


def test_bad_values_are_a_model_error_that_quotes_nothing(workers: Workers, request_for: Request) -> None:
    answer = workers.predict(request_for(birch(), [["secret"], [1], [2], [3]]))
    assert answer["error"]["kind"] == "model_error"
    assert "secret" not in answer["error"]["detail"]


def test_an_output_that_the_model_has_not_is_a_model_error(workers: Workers, request_for: Request) -> None:
    answer = workers.predict(request_for(birch(), [[1], [1], [2], [3]], outputs=["fit"]))
    assert answer["error"]["kind"] == "model_error"


def test_a_hang_costs_one_request(workers: Workers, request_for: Request) -> None:
    from sklearn.feature_extraction.text import CountVectorizer

    model = CountVectorizer(token_pattern=r"(?u)(?:(?:a|aa)+)+b|\w+").fit(["one two", "two three"])
    good = request_for(model, [["one three"]])
    assert workers.predict(good)["outputs"]["transform"] == model.transform(["one three"]).toarray().tolist()
    start = time.monotonic()
    hanging = workers.predict(good | {"columns": [["a" * 45]], "deadline_seconds": 1.0})
    assert hanging["error"]["kind"] == "timeout"
    assert time.monotonic() - start < 5
    assert len(workers) == 0
    assert "outputs" in workers.predict(good)


def test_running_out_of_memory_costs_one_request(workers: Workers, request_for: Request) -> None:
    from sklearn.preprocessing import PolynomialFeatures

    model = PolynomialFeatures(degree=20).fit(iris()[0])
    few, many = iris()[0][:1].T.tolist(), np.repeat(iris()[0], 100, axis=0).T.tolist()
    request = request_for(model, few)
    assert "outputs" in workers.predict(request)
    answer = workers.predict(request | {"columns": many})
    assert answer["error"]["kind"] == "out_of_memory"
    assert "outputs" in workers.predict(request)


def test_an_answer_that_nobody_read_is_not_the_next_callers(
    workers: Workers, request_for: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = iris()[0]
    request = request_for(birch(), x[:2].T.tolist())
    workers.predict(request)
    (worker,) = workers._workers.values()

    def no_memory(**_: Any) -> dict[str, Any]:
        raise MemoryError

    monkeypatch.setattr(worker.child, "receive", no_memory)
    with pytest.raises(MemoryError):
        workers.predict(request | {"columns": x[-5:].T.tolist()})
    monkeypatch.undo()
    assert len(workers) == 0
    assert workers.predict(request)["outputs"]["predict"] == birch().predict(x[:2]).tolist()


def test_a_killed_worker_is_replaced(workers: Workers, request_for: Request) -> None:
    request = request_for(birch(), iris()[0][:2].T.tolist())
    first = workers.predict(request)
    (worker,) = workers._workers.values()
    os.kill(worker.child.pid, 9)
    worker.child._process.wait(timeout=5)
    assert workers.predict(request) == first


def test_a_model_that_loads_slower_than_the_deadline_goes_on_loading(
    workers: Workers, request_for: Request
) -> None:
    request = request_for(birch(), iris()[0][:2].T.tolist())
    answer = workers.predict(request | {"deadline_seconds": 0.2})
    assert answer["error"]["kind"] == "timeout"
    assert len(workers) == 1
    (worker,) = workers._workers.values()
    assert "outputs" in workers.predict(request)
    assert worker.loaded


def test_the_least_recently_used_gives_way(files: dict[str, Path], request_for: Request) -> None:
    def fetch(url: str, target: Path, **_: Any) -> str:
        shutil.copy(files["folder"] / url, target)
        return ""

    workers = Workers(LIMITS, keep_bytes=1, fetch=fetch)
    try:
        columns = iris()[0][:1].T.tolist()
        workers.predict(request_for(birch(), columns, "a"))
        workers.predict(request_for(birch(), columns, "b"))
        assert [key.partition(":")[0] for key in workers._workers] == ["ver_b"]
    finally:
        workers.close()


def test_an_explanation_has_room_before_it_begins(workers: Workers, request_for: Request) -> None:
    """All workers share the function's memory: one that grows ends them all."""
    from sklearn.linear_model import Ridge

    x = iris()[0]
    columns = x[:1].T.tolist()
    explained = request_for(Ridge().fit(x, x[:, 0]), columns, "b")
    workers.predict(request_for(birch(), columns, "a"))
    workers.predict(explained)
    workers._keep_bytes = sum(worker.size for worker in workers._workers.values()) + (30 << 20)
    workers.predict(explained)
    assert len(workers) == 2
    assert "explanations" in workers.predict(explained | {"explain": True})
    assert [key.partition(":")[0] for key in workers._workers] == ["ver_b"]


def test_a_file_that_the_gate_refuses_does_not_load(
    workers: Workers, request_for: Request, files: dict[str, Path]
) -> None:
    request = request_for(birch(), [[1], [1], [1], [1]])
    (files["folder"] / "a.joblib").write_text("something else")
    answer = workers.predict(request)
    assert answer["error"]["kind"] == "load_failed"
    assert len(workers) == 0


@pytest.mark.parametrize("trouble", [TransferFailed("away"), WrongFile("checksum", "not the file")])
def test_a_file_that_cannot_be_had_does_not_load(trouble: Exception, request_for: Request) -> None:
    def fetch(url: str, target: Path, **_: Any) -> str:
        raise trouble

    workers = Workers(LIMITS, keep_bytes=1 << 30, fetch=fetch)
    answer = workers.predict(request_for(birch(), [[1], [1], [1], [1]]))
    assert answer["error"]["kind"] == "load_failed"
    assert len(workers) == 0


def test_an_answer_too_large_for_any_call_costs_that_answer_only(
    workers: Workers, request_for: Request
) -> None:
    from sklearn.preprocessing import PolynomialFeatures

    model = PolynomialFeatures(degree=16).fit(iris()[0])
    many = np.repeat(iris()[0], 5, axis=0).T.tolist()
    request = request_for(model, many)
    answer = workers.predict(request)
    assert answer["error"]["kind"] == "too_large"
    (worker,) = workers._workers.values()
    assert "outputs" in workers.predict(request | {"columns": iris()[0][:1].T.tolist()})
    assert [kept.child.pid for kept in workers._workers.values()] == [worker.child.pid]


def test_explanations_too_large_for_any_call_cost_that_answer_only(
    workers: Workers, request_for: Request
) -> None:
    from sklearn.linear_model import RidgeClassifier

    x = np.random.default_rng(0).normal(size=(1_200, 220))
    model = RidgeClassifier().fit(x, np.arange(1_200) % 600)
    request = request_for(model, x[:100].T.tolist(), explain=True, outputs=["predict"])
    assert workers.predict(request)["error"]["kind"] == "too_large"
    (worker,) = workers._workers.values()
    assert len(workers.predict(request | {"columns": x[:1].T.tolist()})["explanations"]) == 1
    assert [kept.child.pid for kept in workers._workers.values()] == [worker.child.pid]


def test_a_model_that_loads_until_just_before_the_deadline_stays(
    files: dict[str, Path], request_for: Request
) -> None:
    """It is not asked what it has no time to answer, which would end it."""

    class Late(Workers):
        def _wait_for_load(self, worker: Any, deadline: float) -> bool:
            ready = super()._wait_for_load(worker, deadline + 60)
            while time.monotonic() < deadline - 0.01:
                time.sleep(0.005)
            return ready

    workers = Late(LIMITS, keep_bytes=1 << 30, fetch=lambda url, target, **_: _copied(files, url, target))
    try:
        request = request_for(birch(), iris()[0][:2].T.tolist(), deadline_seconds=1.0)
        answer = workers.predict(request)
        assert answer["error"]["kind"] == "timeout"
        (worker,) = workers._workers.values()
        assert worker.loaded
        assert "outputs" in workers.predict(request)
        assert worker.child.alive
    finally:
        workers.close()


def _copied(files: dict[str, Path], url: str, target: Path) -> str:
    shutil.copy(files["folder"] / url, target)
    return ""
