"""Registration with the real sandbox and the real gate: the contract between them holds."""

from __future__ import annotations

import io
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

import joblib
import pytest
from modelyard.intake import onnx_gate
from modelyard.intake.sandbox import inspect
from modelyard.intake.verdict import Limits
from modelyard.registry.claims import Outcome
from modelyard.registry.inspector import parse_verdict
from modelyard.registry.notifications import Arrival
from modelyard.serving.signature import Signature
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

BUCKET = "modelyard-test-data"


class Marker:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


class SandboxInspector:
    """The inspector without Lambda and HTTP: inspects in the sandbox's child and answers JSON."""

    def __init__(self, s3, folder):
        self.s3 = s3
        self.folder = folder

    def inspect(self, inspection, *, tenant):
        source, compiled = self.folder / inspection.filename, self.folder / "compiled.onnx"
        self.s3.download_file(BUCKET, self._key(inspection.source_url), str(source))
        result = inspect(source, Limits(), onnx_out=compiled)
        if result.get("onnx"):
            self.s3.upload_file(str(compiled), BUCKET, self._key(inspection.onnx_url))
        return parse_verdict(json.dumps(result))

    @staticmethod
    def _key(url):
        return unquote(urlsplit(url).path).lstrip("/").removeprefix(f"{BUCKET}/")


@pytest.fixture
def register(make_registration, cloud, user, tmp_path):
    registration = make_registration(
        inspector=SandboxInspector(cloud.s3, tmp_path), check_onnx=onnx_gate.check
    )

    def register(filename, content):
        key = f"uploads/{user.id}/iris/{filename}"
        return registration.register(Arrival(key, cloud.put(key, content)))

    return register


def dumped(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


X, Y = load_iris(return_X_y=True)


def test_a_forest_is_compiled_passes_the_gate_and_then_serves_as_an_upload_itself(register, rows, cloud):
    forest = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, Y)
    assert register("forest.joblib", dumped(forest)) is Outcome.READY
    (version,) = rows.versions()
    assert version.runtime == "onnx", version.signature["reason"]
    signature = Signature.from_json(version.signature)
    assert signature.estimator.endswith("RandomForestClassifier")
    assert len(signature.columns) == 4
    assert version.signature["example"]

    assert register("forest.onnx", cloud.read(version.onnx_key)) is Outcome.READY
    uploaded = rows.versions()[1]
    assert (uploaded.artifact_format, uploaded.runtime) == ("onnx", "onnx")
    assert uploaded.onnx_sha256 == version.onnx_sha256


def test_what_cannot_be_compiled_is_native_with_its_reason(register, rows):
    model = make_pipeline(SplineTransformer(), LogisticRegression(max_iter=500)).fit(X, Y)
    assert register("splines.joblib", dumped(model)) is Outcome.READY
    (version,) = rows.versions()
    assert (version.runtime, version.onnx_key) == ("native", None)
    assert version.signature["reason"]


def test_hostile_and_broken_files_fail_with_a_reason_and_run_nothing(register, rows, tmp_path):
    marker = tmp_path / "marker"
    forest = dumped(LogisticRegression(max_iter=500).fit(X, Y))
    for content in (dumped(Marker(marker)), forest[:-20], b"just text\n" * 10, b"\0" * 64):
        assert register("m.joblib", content) is Outcome.FAILED
    assert not marker.exists()
    for version in rows.versions():
        assert version.reason["rule"] != "inspection_crashed"
        assert len(version.reason["detail"]) > 20
