"""`python -m modelyard.intake` and the settings behind it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelyard.intake import formats, sandbox
from modelyard.intake.__main__ import main
from modelyard.intake.allowlist_methods import is_estimator, methods_of
from modelyard.intake.verdict import Finding, Limits, Refused, StaticReport
from sklearn.linear_model import LogisticRegression

KEYS = ["file", "verdict", "format", "rule", "detail", "estimator", "runtime", "seconds"]


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression().fit(np.arange(20.0).reshape(10, 2), [0, 1] * 5)))
    return path


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"cos\nsystem\n(V" + b"touch " + str(tmp_path / "marker").encode() + b"\ntR.")
    return path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_line_per_file_and_a_code_for_any_refusal(
    honest: Path, hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--static-only", str(hostile), str(honest), str(tmp_path / "missing")]) == 1
    refused, accepted, missing = lines(capsys)
    assert list(refused) == KEYS
    assert (refused["verdict"], refused["rule"], refused["format"]) == ("refused", "global", "pickle")
    assert "os.system" in refused["detail"]
    assert (accepted["verdict"], accepted["format"], accepted["rule"]) == ("accepted", "pickle", None)
    assert (accepted["estimator"], accepted["runtime"]) == ("LogisticRegression", None)
    assert (missing["verdict"], missing["rule"]) == ("refused", "unreadable")
    assert not (tmp_path / "marker").exists()
    assert main(["--static-only", str(honest)]) == 0


def test_the_full_verdict_names_the_runtime(
    honest: Path, hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(honest), str(hostile)]) == 1
    accepted, refused = lines(capsys)
    assert accepted["verdict"] == "accepted"
    assert accepted["runtime"] in ("onnx", "native")
    assert refused["rule"] == "global"


def test_what_only_loading_shows_is_refused_by_the_sandbox(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "unfitted.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression()))
    assert main([str(path)]) == 1
    (refused,) = lines(capsys)
    assert (refused["verdict"], refused["rule"], refused["format"]) == ("refused", "not_fitted", "pickle")
    assert sandbox.inspect(path, Limits())["rule"] == "not_fitted"


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Limits.from_environment() == Limits()
    monkeypatch.setenv("MODELYARD_LIMIT_UPLOAD_BYTES", "1000")
    monkeypatch.setenv("MODELYARD_LIMIT_SCAN_SECONDS", "2.5")
    limits = Limits.from_environment()
    assert (limits.upload_bytes, limits.scan_seconds) == (1000, 2.5)
    for wrong in ("many", "-1", "0"):
        monkeypatch.setenv("MODELYARD_LIMIT_NESTING", wrong)
        with pytest.raises(ValueError, match="MODELYARD_LIMIT_NESTING") as error:
            Limits.from_environment()
        assert wrong not in str(error.value) or wrong == "0"


def test_what_may_inflate_is_bounded_by_size_and_in_total() -> None:
    limits = Limits()
    assert limits.inflated(10) == 64 << 20
    assert limits.inflated(1 << 20) == 200 << 20
    assert limits.inflated(512 << 20) == 2 << 30


def test_a_report_is_plain_json() -> None:
    report = StaticReport(format="pickle", size=3, findings=(Finding("skew", "older"),), globals=("a.b",))
    assert json.loads(json.dumps(report.to_json()))["findings"] == [{"rule": "skew", "detail": "older"}]


@pytest.mark.parametrize(
    ("content", "format_name"),
    [
        (b"\x80\x04N.", "pickle"),
        (b"ccopy_reg\n_reconstructor\np0\n", "pickle"),
        (b"\x1f\x8b\x08\x00", "joblib"),
        (b"x\x9c\x03\x00", "joblib"),
        (b"PK\x03\x04....", "skops"),
        (b"\x08\x08\x12\x08skl2onnx", "onnx"),
    ],
)
def test_the_content_decides_the_format(content: bytes, format_name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    path.write_bytes(content)
    assert formats.detect(path) == format_name


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"ZF0x1", "before 0.10"),
        (b"\x89PNG....", "image"),
        (b"hello there\n", "plain text"),
        (b"\x93NUMPY\x01\x00", "numpy array"),
        (b"<html>", "HTML"),
        (b"\x00\x01\x02\x03", "no known"),
    ],
)
def test_other_formats_are_refused_by_name(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(Refused) as error:
        formats.detect(path)
    assert told in error.value.detail


def test_the_table_of_methods_is_that_of_the_installed_libraries() -> None:
    import importlib

    from modelyard.intake import allowlist

    from tools.intake.methods import collect

    listed = collect()
    for module, names in allowlist.NEW.items():
        for name in names:
            path = f"{module}.{name}"
            if path not in listed:
                continue
            cls = getattr(importlib.import_module(module), name)
            functions = {
                key for key in dir(cls) if not key.startswith("__") and callable(getattr(cls, key, None))
            }
            own_classes = {key for key in functions if isinstance(getattr(cls, key), type)}
            assert functions - own_classes <= methods_of((module, name)), path
            assert is_estimator((module, name)) == (
                hasattr(cls, "fit") and hasattr(cls, "get_params") and name[0] != "_"
            )
