"""Columns back to what an estimator was trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from modelyard.intake.estimators import call, plain, single_thread
from modelyard.intake.frames import native_input
from modelyard.serving.signature import Column, Signature


def signature(layout: Any, *columns: Column) -> Signature:
    return Signature(
        estimator="m.M", task="regressor", layout=layout, columns=list(columns), outputs=["predict"]
    )


NUMBER, WHOLE = Column("n"), Column("i", dtype="int64")
WORD, FLAG = Column("w", kind="string", dtype="object"), Column("f", kind="boolean", dtype="bool")
KIND = Column("k", kind="string", dtype="category", categories=["a", "b"])
DAY = Column("d", kind="string", dtype="datetime64[D]")


def test_a_matrix_of_numbers_is_contiguous_doubles() -> None:
    table = native_input(signature("matrix", NUMBER, WHOLE), [[1.5, None], [2, 3]])
    assert table.dtype == np.float64
    assert table.flags.c_contiguous
    np.testing.assert_array_equal(table, [[1.5, 2], [math.nan, 3]])


def test_a_matrix_with_words_holds_objects() -> None:
    table = native_input(signature("matrix", NUMBER, WORD), [[1.5, None], ["x", None]], [math.nan, None])
    assert table.dtype == object
    assert table[0].tolist() == [1.5, "x"]
    assert math.isnan(table[1, 0])
    assert table[1, 1] is None


def test_a_frame_has_the_names_and_dtypes_of_training() -> None:
    frame = native_input(
        signature("frame", NUMBER, WHOLE, WORD, FLAG, KIND, DAY),
        [[1, None], [1, 2], ["x", None], [True, False], ["a", None], ["2020-01-02", None]],
    )
    assert list(frame.columns) == ["n", "i", "w", "f", "k", "d"]
    kinds = [str(dtype) for dtype in frame.dtypes]
    assert kinds[:5] == ["float64", "int64", "object", "bool", "category"]
    assert kinds[5].startswith("datetime64")
    assert frame["k"].cat.categories.tolist() == ["a", "b"]
    assert pd.isna(frame.loc[1, ["n", "w", "k", "d"]]).all()


def test_whole_numbers_with_a_gap_become_doubles() -> None:
    assert native_input(signature("frame", WHOLE), [[1, None]])["i"].dtype == np.float64


def test_texts_records_and_labels() -> None:
    assert native_input(signature("text", WORD), [["a", None]]) == ["a", ""]
    assert native_input(signature("text", WHOLE), [[3, 4]]).tolist() == [3, 4]
    assert native_input(signature("records", WORD), [[{"w": 1}]]) == [{"w": 1}]


def test_dates_that_are_none_are_an_error_of_the_model() -> None:
    assert native_input(signature("matrix", DAY), [["2020-01-02"]]).dtype == np.dtype("datetime64[D]")
    with pytest.raises(ValueError):
        native_input(signature("matrix", DAY), [["soon"]])


class Answers:
    """An estimator whose outputs are given."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def predict(self, _: Any) -> Any:
        return self.value


def test_outputs_come_row_by_row_whatever_their_form() -> None:
    import scipy.sparse

    assert call(Answers(np.array([[1.0], [2.0]])), "predict", None).tolist() == [1.0, 2.0]
    assert call(Answers(scipy.sparse.eye(2).tocsr()), "predict", None).tolist() == [[1, 0], [0, 1]]
    assert call(Answers((np.array([1.0]), np.array([2.0]))), "predict", None).tolist() == [1.0]
    per_target = [np.array([[0.1, 0.9], [0.4, 0.6]]), np.array([[1.0], [1.0]])]
    assert plain(call(Answers(per_target), "predict", None)) == [[[0.1, 0.9], [1.0]], [[0.4, 0.6], [1.0]]]
    with pytest.raises(MemoryError):
        call(Answers(scipy.sparse.csr_matrix((10_000, 10_000))), "predict", None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([1.0, math.nan, math.inf]), [1.0, None, None]),
        (np.array([True, False]), [True, False]),
        (np.array(["a"], dtype=object), ["a"]),
        (np.float64("nan"), None),
        ((np.int64(3), None), [3, None]),
        (np.array(["2020-01-02"], dtype="datetime64[D]"), ["2020-01-02"]),
        (complex(1, 2), "(1+2j)"),
    ],
)
def test_values_become_json(value: Any, expected: Any) -> None:
    assert plain(value) == expected


def test_models_are_kept_from_starting_threads() -> None:
    from sklearn.ensemble import RandomForestClassifier, StackingClassifier

    x, y = np.arange(20.0).reshape(10, 2), np.arange(10) % 2
    model = StackingClassifier([("f", RandomForestClassifier(2, n_jobs=2))], n_jobs=2, cv=2).fit(x, y)
    single_thread(model)
    assert model.n_jobs == 1
    assert model.estimators_[0].n_jobs == 1
