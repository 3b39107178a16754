"""Nothing hostile passes the gate alone, nothing runs, and nothing takes more than its limits."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from modelyard.intake.gate import scan
from modelyard.intake.loading import load
from modelyard.intake.unpickling import unpickle
from modelyard.intake.verdict import Limits, Refused, StaticReport

from tests.support import pickle_assembler as asm
from tests.support.hostile_archives import onnx_files, skops_files
from tests.support.hostile_pickles import GADGETS, everything
from tests.support.pickle_assembler import call, line_global, ridge, stream, text

SLOWEST = 15.0  # seconds a single hostile file may take on a busy machine


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """The file that every payload would create."""
    path = tmp_path / "marker"
    yield path
    assert not path.exists(), "a payload has run"


def refused_by_gate(files: Iterator[tuple[str, bytes]], folder: Path, limits: Limits) -> dict[str, Refused]:
    """The refusals by name; fails on an acceptance, a crash, slowness or a refusal without words."""
    found: dict[str, Refused] = {}
    accepted, slow = [], []
    path = folder / "upload"
    for name, content in files:
        path.write_bytes(content)
        start = time.monotonic()
        try:
            scan(path, limits)
        except Refused as error:
            found[name] = error
        else:
            accepted.append(name)
        if time.monotonic() - start > SLOWEST:
            slow.append(name)
    assert accepted == []
    assert slow == []
    assert [name for name, error in found.items() if error.rule == "unexpected"] == []
    assert all(error.rule and len(error.detail) > 20 for error in found.values())
    return found


def test_hostile_pickles_are_refused(marker: Path, tmp_path: Path, limits: Limits) -> None:
    found = refused_by_gate(iter(everything(str(marker)).items()), tmp_path, limits)
    assert len(found) > 700
    assert not any(str(marker) in error.detail for error in found.values()), "a refusal quotes the file"


def test_refusals_name_the_global_and_where_it_stands(marker: Path, tmp_path: Path, limits: Limits) -> None:
    attack = stream(call(line_global("os", "system"), text(f"touch {marker}")))
    error = refused_by_gate(iter([("attack", attack)]), tmp_path, limits)["attack"]
    assert error.rule == "global"
    assert error.format == "pickle"
    assert "os.system" in error.detail
    assert "offset" in error.detail
    assert "ONNX" in error.detail
    custom = stream(asm.new("__main__", "MyModel", asm.dct(a=asm.NONE)))
    error = refused_by_gate(iter([("custom", custom)]), tmp_path, limits)["custom"]
    assert "__main__.MyModel" in error.detail


def test_hostile_skops_files_are_refused(marker: Path, tmp_path: Path, limits: Limits) -> None:
    found = refused_by_gate(skops_files(str(marker)), tmp_path, limits)
    assert len(found) > 90


def test_hostile_onnx_files_are_refused(tmp_path: Path, limits: Limits) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = refused_by_gate(onnx_files(), tmp_path, limits)
    assert len(found) >= 75


def test_the_gate_imports_none_of_the_libraries(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(stream(ridge()))
    program = (
        "import sys; from pathlib import Path; from modelyard.intake.gate import scan;"
        "from modelyard.intake.verdict import Limits; scan(Path(sys.argv[1]), Limits());"
        "print([m for m in ('numpy', 'sklearn', 'scipy', 'onnx', 'joblib', 'skops', 'pandas') if m"
        " in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).parents[3] / "layers/core/python",
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("joblib", [False, True], ids=["pickle", "joblib"])
def test_the_second_layer_alone_runs_nothing(
    joblib: bool, marker: Path, tmp_path: Path, limits: Limits
) -> None:
    path = tmp_path / "upload"
    for module, name in GADGETS:
        path.write_bytes(stream(call(line_global(module, name), text(f"touch {marker}")), 2))
        with pytest.raises((Refused, TypeError, ValueError, AttributeError)):
            unpickle(path, limits, joblib=joblib)
    for content in (b"P1\n.", asm.NONE + b"Q.", b"\x82\x01."):
        path.write_bytes(content)
        with pytest.raises((Refused, ValueError)):
            unpickle(path, limits, joblib=joblib)


def test_loading_turns_every_failure_into_a_refusal(tmp_path: Path, limits: Limits) -> None:
    path = tmp_path / "upload"
    from sklearn.linear_model import Ridge

    path.write_bytes(pickle.dumps(Ridge()))
    report = scan(path, limits)
    with pytest.raises(Refused) as refused:
        load(path, report, limits)
    assert refused.value.rule == "not_fitted"
    path.write_bytes(b"\x80\x04.")
    with pytest.raises(Refused) as refused:
        load(path, StaticReport(format="pickle", size=3, sklearn_version="1.2.0"), limits)
    assert refused.value.rule == "load_failed"
    assert "1.2.0" in refused.value.detail
    with pytest.raises(Refused, match="ONNX"):
        load(path, StaticReport(format="onnx", size=3), limits)


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("upload_bytes", 100, "too_large"),
        ("opcodes", 5000, "too_many_opcodes"),
        ("memo_entries", 50, "memo"),
        ("array_elements", 3, "array"),
        ("scan_seconds", 1e-9, "timeout"),
    ],
)
def test_limits_are_settings(setting: str, value: float, rule: str, tmp_path: Path, limits: Limits) -> None:
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(CountVectorizer(), Ridge()).fit(
        [f"word{i}" for i in range(3000)], np.arange(3000.0)
    )
    path = tmp_path / "upload"
    path.write_bytes(pickle.dumps(model))
    scan(path, limits)
    with pytest.raises(Refused) as refused:
        scan(path, replace(limits, **{setting: value}))
    assert refused.value.rule == rule


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, limits: Limits) -> None:
    import joblib
    from sklearn.tree import DecisionTreeClassifier

    path = tmp_path / "upload"
    joblib.dump(DecisionTreeClassifier(max_depth=1).fit([[0.0], [1.0]], [0, 1]), path)
    whole = path.read_bytes()
    ends = itertools.chain(range(1, 200), range(200, len(whole), 7))
    refused_by_gate(((f"cut at {end}", whole[:end]) for end in ends), tmp_path, limits)
