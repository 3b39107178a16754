"""The two sandboxed functions, driven by their sample events."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake.budget import function_limits
from modelyard.intake.native import Workers
from modelyard.intake.transfer import TransferFailed
from modelyard.intake.verdict import Limits
from modelyard.kit.hashing import sha256_hex

from tests.support.estimators import forest, iris
from tests.support.presigned import Store, object_store

ROOT = Path(__file__).parents[3]


def event(function: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / function / f"{name}.json").read_text())
    return found


def handler_module(function: str) -> Any:
    path = ROOT / "functions" / function / "handler.py"
    spec = importlib.util.spec_from_file_location(f"{function}_handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def store() -> Iterator[Store]:
    with object_store() as store:
        yield store


@pytest.fixture
def uploaded(store: Store, tmp_path: Path) -> dict[str, Any]:
    """The sample event, pointed at a forest in the store."""
    path = tmp_path / "m.joblib"
    joblib.dump(forest(), path)
    store.objects["/source"] = path.read_bytes()
    changes = {
        "source_url": f"{store.url}/source?sig=1",
        "onnx_url": f"{store.url}/onnx?sig=1",
        "size": path.stat().st_size,
        "sha256": sha256_hex(path.read_bytes()),
    }
    return event("inspect_model", "valid") | changes


def test_an_event_without_source_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="source_url"):
        handler_module("inspect_model").handler(event("inspect_model", "without_source"), None)


def test_a_file_that_is_not_there_is_worth_another_try(uploaded: dict[str, Any], store: Store) -> None:
    store.objects.clear()
    with pytest.raises(TransferFailed):
        handler_module("inspect_model").handler(uploaded, None)


@pytest.mark.parametrize(("change", "rule"), [({"size": 10}, "size"), ({"sha256": "0" * 64}, "checksum")])
def test_a_file_other_than_declared_is_refused(
    uploaded: dict[str, Any], change: dict[str, Any], rule: str
) -> None:
    answer = handler_module("inspect_model").handler(uploaded | change, None)
    assert answer["verdict"] == "refused"
    assert answer["rule"] == rule


def test_a_size_beyond_the_limit_is_refused_without_fetching(uploaded: dict[str, Any], store: Store) -> None:
    answer = handler_module("inspect_model").handler(uploaded | {"size": 1 << 40}, None)
    assert answer["rule"] == "too_large"
    assert store.requests == []


def test_a_model_is_inspected_and_its_compiled_form_delivered(
    uploaded: dict[str, Any], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = handler_module("inspect_model").handler(uploaded, None)
    assert answer["verdict"] == "accepted"
    assert answer["onnx"]["sha256"] == sha256_hex(store.objects["/onnx"])
    assert json.loads(json.dumps(answer)) == answer
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["message"] == "inspected"
    assert "sig=1" not in json.dumps(line)


def test_native_predictions_end_to_end(uploaded: dict[str, Any], store: Store) -> None:
    signature = handler_module("inspect_model").handler(uploaded, None)["signature"]
    module = handler_module("predict_native")
    workers = Workers(Limits(), keep_bytes=1 << 30)
    x = iris()[0][:10]
    request = event("predict_native", "valid") | {
        "artifact_url": f"{store.url}/source?sig=1",
        "artifact_sha256": uploaded["sha256"],
        "artifact_size": uploaded["size"],
        "signature": signature,
        "columns": x.T.tolist(),
        "deadline_seconds": 60,
    }
    try:
        answer = module.answer(request, None, workers)
        assert answer == {"outputs": {"predict": forest().predict(x).tolist()}}
        unknown = request | {"outputs": event("predict_native", "unknown_output")["outputs"]}
        assert module.answer(unknown, None, workers)["error"]["kind"] == "model_error"
        wish = event("predict_native", "explain")["explain"]
        explained = module.answer(request | {"explain": wish}, None, workers)
        assert explained["outputs"] == answer["outputs"]
        sums = [told["sum"] for told in explained["explanations"]]
        np.testing.assert_allclose(sums, forest().predict_proba(x), atol=1e-9)
        module.MOST_ANSWER_BYTES = 10
        assert module.answer(request, None, workers)["error"]["kind"] == "too_large"
        wrong = request | {"version_id": "ver_other", "artifact_sha256": "0" * 64}
        assert module.answer(wrong, None, workers)["error"]["kind"] == "load_failed"
    finally:
        workers.close()


def test_a_childs_memory_stays_below_the_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    assert function_limits().memory_bytes == (1024 - 256) << 20
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    assert function_limits() == Limits()
