"""Results as items and as files."""

from __future__ import annotations

import csv
import io
import json

import pytest
from modelyard.batch.results import ChunkResult, item_keys, render
from modelyard.kit.errors import FieldError

from tests.support.models import some_signature

BAD = {1: FieldError("/x0", "expected a number, got a string")}


def chunk(values, errors=None, first_row=0, rows=None) -> ChunkResult:
    errors = errors or {}
    rows = rows if rows is not None else len(next(iter(values.values()))) + len(errors)
    return ChunkResult.of(first_row, rows, values, errors)


def rendered(kind, chunks, asked=("predict",), **signature) -> str:
    described = some_signature(**signature)
    return b"".join(render(iter(chunks), kind, item_keys(asked, described), described)).decode()


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_values_stand_at_their_rows():
    result = chunk({"predict": [7, 9]}, BAD, first_row=10)

    assert ChunkResult.load(result.dump()) == result
    items = list(result.items({"predict": "prediction"}, 0, 99))
    assert items == [
        {"row": 10, "prediction": 7},
        {
            "row": 11,
            "prediction": None,
            "error": {"pointer": "/x0", "detail": "expected a number, got a string"},
        },
        {"row": 12, "prediction": 9},
    ]
    assert [item["row"] for item in result.items({"predict": "prediction"}, 1, 2)] == [11]


def test_a_plain_csv():
    text = rendered("csv", [chunk({"predict": [0, 1]}), chunk({"predict": [0.5]}, first_row=2)])

    assert text == "row,prediction,error\n0,0,\n1,1,\n2,0.5,\n"


def test_a_csv_with_text_errors_and_probabilities():
    values = {"predict": ['a "b", c', "x"], "predict_proba": [[0.25, 0.75], [1.0, 0.0]]}

    text = rendered("csv", [chunk(values, BAD)], ("predict", "predict_proba"), classes=["no", "yes"])

    assert table(text) == [
        ["row", "prediction", "probability_no", "probability_yes", "error"],
        ["0", 'a "b", c', "0.25", "0.75", ""],
        ["1", "", "", "", "/x0: expected a number, got a string"],
        ["2", "x", "1.0", "0.0", ""],
    ]


def test_a_csv_of_several_outputs_and_missing_values():
    text = rendered("csv", [chunk({"predict": [[1.5, None], [2.5, 3.5]]})])

    assert table(text)[:2] == [["row", "prediction_0", "prediction_1", "error"], ["0", "1.5", "", ""]]


def test_a_csv_whose_first_chunk_has_no_good_row():
    failed = ChunkResult.of(0, 1, {"predict": []}, {0: FieldError("", "bad")})

    text = rendered("csv", [failed, chunk({"predict": [1]}, first_row=1)])

    assert table(text) == [["row", "prediction", "error"], ["0", "", "/: bad"], ["1", "1", ""]]


def test_probabilities_whose_first_chunk_has_no_good_row_keep_their_columns():
    failed = ChunkResult.of(0, 1, {"predict_proba": []}, {0: FieldError("", "bad")})
    good = chunk({"predict_proba": [[0.5, 0.5]]}, first_row=1)

    text = rendered("csv", [failed, good], ("predict_proba",))

    assert table(text)[0] == ["row", "probability_0", "probability_1", "error"]
    assert [len(line) for line in table(text)] == [4, 4, 4]


def test_a_csv_keeps_its_columns_whatever_a_row_gives():
    failed = ChunkResult.of(0, 1, {"transform": []}, {0: FieldError("", "bad")})
    good = chunk({"transform": [[0.5, 1.5]]}, first_row=1)
    ragged = chunk({"transform": [[1.0, 2.0], [3.0]]})

    late = rendered("csv", [failed, good], ("transform",), outputs=["transform"])
    short = rendered("csv", [ragged], ("transform",), outputs=["transform"])

    assert table(late)[2] == ["1", "[0.5,1.5]", ""]
    assert table(short) == [
        ["row", "prediction_0", "prediction_1", "error"],
        ["0", "1.0", "2.0", ""],
        ["1", "3.0", "", ""],
    ]


def test_json_lines_and_json_hold_the_same_items():
    chunks = [chunk({"predict": [1]}), chunk({"predict": [2]}, BAD, first_row=1, rows=2)]

    lines = [json.loads(line) for line in rendered("jsonl", chunks).splitlines()]

    assert json.loads(rendered("json", chunks)) == lines
    assert [line["row"] for line in lines] == [0, 1, 2]
    assert json.loads(rendered("json", [])) == []


@pytest.mark.parametrize(
    ("outputs", "offered", "keys"),
    [
        (["predict", "predict_proba"], ["predict", "predict_proba"], ["prediction", "probabilities"]),
        (["transform"], ["transform"], ["prediction"]),
        (["decision_function"], ["predict", "decision_function"], ["decision_function"]),
    ],
)
def test_keys_of_items(outputs, offered, keys):
    assert list(item_keys(outputs, some_signature(outputs=offered)).values()) == keys
