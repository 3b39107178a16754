"""Two answers to one request: which rows differ, by how much, and which labels stand against each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from modelyard.registry.shadow.comparison import LONGEST_LABEL, MOST_PAIRS, Comparison, Side, compare
from modelyard.serving.signature import Column, Signature


def side(
    task: str = "classifier", outputs: tuple[str, ...] = ("predict", "predict_proba"), **core: Any
) -> Side:
    signature = Signature(
        estimator="Any",
        task=task,  # type: ignore[arg-type]
        layout="matrix",
        columns=[Column("x0")],
        outputs=list(outputs),
    )
    return Side(signature, core)


def labels(answered: list[Any], shadow: list[Any], **options: Any) -> Comparison:
    given_options = {"tolerance": 1e-6} | options
    return compare(
        side(predictions=answered), side(predictions=shadow), ["predict"], len(answered), **given_options
    )


def numbers(answered: list[Any], shadow: list[Any], tolerance: float = 1e-6) -> Comparison:
    sides = [side("regressor", ("predict",), predictions=values) for values in (answered, shadow)]
    return compare(*sides, ["predict"], len(answered), tolerance=tolerance)


def test_equal_labels_agree():
    assert labels(["a", "b"], ["a", "b"]) == Comparison()


def test_labels_that_differ_are_counted_in_pairs():
    found = labels(["a", "a", "b", "a"], ["b", "b", "c", "a"])
    assert (found.differing, found.pairs) == (3, [["a", "b", 2], ["b", "c", 1]])
    assert (found.measured, found.largest, found.total) == (0, None, None)


@pytest.mark.parametrize(
    ("ours", "theirs", "agree"),
    [
        (1, 1, True),
        (1, 1.0, True),  # JSON knows one kind of number
        (1, 2, False),
        (1, True, False),
        (True, True, True),
        ("1", 1, False),
        (None, None, True),
        (None, "a", False),
        (["a", 1], ["a", 1], True),  # several targets
        (["a", 1], ["a", 2], False),
        (["a"], ["a", "b"], False),
    ],
)
def test_what_labels_are_equal(ours: Any, theirs: Any, agree: bool):
    assert labels([ours], [theirs]).differing == (not agree)


def test_labels_know_no_tolerance():
    assert labels([1, 2], [2, 2], tolerance=1.0).differing == 1


@pytest.mark.parametrize("task", ["clusterer", "outlier_detector"])
def test_other_labels_than_classes(task: str):
    sides = [side(task, ("predict",), predictions=values) for values in ([1, -1], [1, 1])]
    found = compare(*sides, ["predict"], 2, tolerance=1.0)
    assert (found.differing, found.pairs) == (1, [[-1, 1, 1]])


@pytest.mark.parametrize(
    ("ours", "theirs", "agree"),
    [
        (1.0, 1.0, True),
        (0.0, 1e-6, True),
        (0.0, 1.1e-6, False),
        (1e6, 1e6 + 0.9, True),
        (1e6, 1e6 + 1.1, False),
        (-5.0, 5.0, False),
        (None, None, True),
        (None, 0.0, False),
        (0.0, None, False),
    ],
)
def test_numbers_agree_within_the_tolerance(ours: Any, theirs: Any, agree: bool):
    assert numbers([ours], [theirs]).differing == (not agree)


def test_a_tolerance_of_zero_means_equal():
    assert numbers([0.1, 0.2], [0.1, 0.2], 0.0).differing == 0
    assert numbers([0.1], [0.1 + 1e-15], 0.0).differing == 1


def test_differences_are_measured_over_the_rows_that_hold_numbers():
    found = numbers([1.0, 2.0, None, 4.0], [1.0, 2.5, None, 3.0])
    assert (found.differing, found.measured, found.largest, found.total) == (2, 3, 1.0, 1.5)
    assert found.pairs == []


def test_of_several_numbers_in_a_row_the_largest_difference_counts():
    found = numbers([[1.0, 10.0]], [[1.5, 13.0]])
    assert (found.differing, found.measured, found.largest) == (1, 1, 3.0)


def test_sums_stay_within_what_a_double_holds():
    found = numbers([1.7e308] * 3, [-1.7e308] * 3)
    assert found.differing == 3
    assert found.total is not None
    assert found.total < float("inf")


def test_probabilities_are_compared_by_class():
    ours = side(predictions=["a"], probabilities=[[0.75, 0.25]], classes=["a", "b"])
    theirs = side(predictions=["a"], probabilities=[[0.25, 0.75]], classes=["b", "a"])
    assert compare(ours, theirs, ["predict", "predict_proba"], 1, tolerance=0.0).differing == 0


def test_a_class_that_one_side_does_not_know_is_improbable_there():
    ours = side(predictions=["a"], probabilities=[[0.75, 0.25]], classes=["a", "b"])
    theirs = side(predictions=["a"], probabilities=[[0.75, 0.125, 0.125]], classes=["a", "b", "c"])
    found = compare(ours, theirs, ["predict", "predict_proba"], 1, tolerance=1e-6)
    assert (found.differing, found.largest) == (1, 0.125)


def test_probabilities_of_several_targets_are_compared_in_place():
    classes = [["a", "b"], ["x", "y"]]
    ours = side(predictions=[["a", "x"]], probabilities=[[[0.5, 0.5], [0.75, 0.25]]], classes=classes)
    theirs = side(predictions=[["a", "x"]], probabilities=[[[0.5, 0.5], [0.5, 0.5]]], classes=classes)
    found = compare(ours, theirs, ["predict", "predict_proba"], 1, tolerance=1e-6)
    assert (found.differing, found.largest) == (1, 0.25)


def test_a_row_differs_once_however_many_outputs_do():
    ours = side(predictions=["a", "a"], probabilities=[[1.0, 0.0], [1.0, 0.0]], classes=["a", "b"])
    theirs = side(predictions=["b", "a"], probabilities=[[0.0, 1.0], [1.0, 0.0]], classes=["a", "b"])
    found = compare(ours, theirs, ["predict", "predict_proba"], 2, tolerance=1e-6)
    assert (found.differing, found.pairs, found.measured) == (1, [["a", "b", 1]], 2)


def test_what_a_transformer_gives_stands_for_its_predictions():
    sides = [
        side("transformer", ("transform",), predictions=values) for values in ([[1.0, 2.0]], [[1.0, 2.5]])
    ]
    assert compare(*sides, ["transform"], 1, tolerance=1e-6).differing == 1


def test_a_shadow_of_another_kind_differs_everywhere():
    ours, theirs = side(predictions=["a", "b"]), side("regressor", ("predict",), predictions=[0.5, 1.0])
    found = compare(ours, theirs, ["predict"], 2, tolerance=1.0)
    assert (found.differing, found.measured) == (2, 0)


def test_what_is_not_one_per_row_is_compared_as_a_whole():
    assert numbers([1.0, 2.0], [1.0, 2.0, 3.0]).differing == 2


def test_what_is_not_one_per_row_is_looked_at_once_however_many_rows_there_are():
    """Probabilities of several targets: else a request of 32 KiB holds its worker for many seconds."""

    class Counted(list):
        walks = 0

        def __iter__(self):
            Counted.walks += 1
            return super().__iter__()

    rows = 1000
    ours = [Counted([[0.5, 0.5]] * rows), [[0.5, 0.5]] * rows]
    theirs = [[[0.5, 0.25]] * rows, [[0.5, 0.5]] * rows]
    sides = [side(probabilities=values) for values in (ours, theirs)]
    found = compare(*sides, ["predict_proba"], rows, tolerance=1e-6)
    assert (found.differing, found.measured, found.largest, found.total) == (rows, rows, 0.25, 250.0)
    assert Counted.walks <= 2


def test_pairs_are_few_and_short():
    many = [f"{number}" * 200 for number in range(10, 10 + MOST_PAIRS + 5)]
    found = labels(many, ["b"] * len(many))
    assert found.differing == len(many)
    assert len(found.pairs) == MOST_PAIRS
    assert max(len(pair[0]) for pair in found.pairs) == LONGEST_LABEL


values = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63)


@given(st.lists(st.tuples(values, values), min_size=1), st.floats(0, 1))
def test_who_is_asked_first_makes_no_difference(rows: list[tuple[Any, Any]], tolerance: float):
    ours, theirs = [one for one, _ in rows], [other for _, other in rows]
    assert numbers(ours, theirs, tolerance) == numbers(theirs, ours, tolerance)
    assert numbers(ours, ours, tolerance).differing == 0
