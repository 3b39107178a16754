"""Honest models of every kind, uploaded as a file and asked through the API, beside the library itself.

A few kinds in every form of file by default; `MODELYARD_E2E_MODELS=all` takes every honest model (about ten
minutes), or those of a list of names.
"""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from modelyard.intake.describe import describe
from modelyard.intake.estimators import call, plain
from modelyard.intake.frames import native_input, records
from modelyard.intake.verdict import Refused, StaticReport
from modelyard.serving.signature import Signature

from tests.support.account import Account
from tests.support.honest_models import FORMATS, all_models

A_FEW = (
    "frame_forest", "HistGradientBoostingRegressor", "text_tfidf", "TunedThresholdClassifierCV",
    "DictVectorizer", "MultiOutputRegressor", "GridSearchCV", "PCA", "lgbm_classifier", "xgb_classifier",
)  # fmt: skip
TOO_WIDE = {"HashingVectorizer", "FeatureHasher"}  # a row is a million columns: more than an answer holds
ROWS = 40
AT_ONCE = 4  # uploads under inspection; the queue holds the rest


def chosen() -> dict[str, Any]:
    """The models of this run that can be asked about new rows."""
    models = all_models()
    wished = os.environ.get("MODELYARD_E2E_MODELS", ",".join(A_FEW))
    names = [name for name in models if name not in TOO_WIDE] if wished == "all" else wished.split(",")
    return {name: models[name] for name in names if _described(models[name]) is not None}


def _described(model: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return describe(model, StaticReport(format="pickle", size=1))
        except Refused:
            return None


def _body(signature: Signature, columns: list[Any]) -> dict[str, Any]:
    if signature.layout == "records":
        return {"records": [{key: plain(value) for key, value in record.items()} for record in columns[0]]}
    names = [column.name for column in signature.columns]
    return {"records": [dict(zip(names, row, strict=True)) for row in _rows(columns)]}


def _rows(columns: list[Any]) -> Iterator[list[Any]]:
    for row in zip(*columns, strict=True):
        yield [
            None if isinstance(value, float) and not math.isfinite(value) else plain(value) for value in row
        ]


def _agree(got: Any, expected: Any) -> None:
    """Labels are equal; numbers agree within the stated tolerance (docs/MODEL_SAFETY.md)."""
    wanted = plain(expected)
    if isinstance(expected, np.ndarray) and expected.dtype.kind == "f":
        scale = max(1.0, float(np.nanmax(np.abs(expected), initial=0.0)))
        answered = np.array(got, dtype=float)
        np.testing.assert_allclose(answered, expected, rtol=1e-5, atol=1e-6 * scale, equal_nan=True)
    elif isinstance(expected, list):  # probabilities of several targets
        for mine, theirs in zip(got, expected, strict=True):
            for one, other in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    else:
        assert got == wanted


@pytest.mark.timeout(3600)
def test_served_models_answer_as_the_library_does(
    account: Callable[[], Account], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    models, forms = chosen(), list(FORMATS.items())
    runtimes: Counter[str] = Counter()
    failures: dict[str, str] = {}
    waiting: list[tuple[str, Any, Account, dict[str, Any]]] = []

    def finish(name: str, model: Any, owner: Account, created: dict[str, Any]) -> None:
        try:
            version = owner.ready(created)
            runtimes[version["runtime"]] += 1
            _compare(model, owner, created["model_id"])
        except AssertionError as error:
            failures[name] = " ".join(str(error).split())[:300]

    for number, (name, model) in enumerate(models.items()):
        ending, write = forms[number % len(forms)]
        path = tmp_path / f"model.{ending}"
        write(model, path)
        owner = account()  # one user each: nobody meets a rate limit
        created = owner.upload(name.replace("_", "-").lower(), path.read_bytes(), filename=path.name)
        waiting.append((f"{name} ({ending})", model, owner, created))
        if len(waiting) == AT_ONCE:
            finish(*waiting.pop(0))
    for one in waiting:
        finish(*one)

    record_property("runtimes", dict(runtimes))
    print(f"\n{len(models)} models served: {dict(runtimes)}")
    assert failures == {}
    assert runtimes.total() == len(models)
    assert runtimes["onnx"] > 0
    assert runtimes["native"] > 0


def _compare(model: Any, owner: Account, model_id: str) -> None:
    described = _described(model)
    described.rows.random = np.random.default_rng(2026)  # rows that the proof has not seen
    columns = described.rows.typical(ROWS)
    if described.signature.layout == "records":
        columns = [records(described.signature, columns)]
    answer = owner.predict(model_id, _body(described.signature, columns))
    assert answer.status_code == 200, answer.text
    output = described.signature.outputs[0]
    expected = call(model, output, native_input(described.signature, columns, described.missing))
    _agree(answer.json()["predictions"], expected)
