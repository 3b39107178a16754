"""Chunks of text to batches: the fast way and the careful way say the same."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from modelyard.batch import parsing
from modelyard.batch.layout import InputLayout
from modelyard.batch.parsing import parse_chunk
from modelyard.serving.decoding import Decoder
from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, Signature

from tests.support.models import some_signature

NULLABLE = [Column("x0", nullable=True), Column("x1", nullable=True)]


def numbers(**changes) -> Decoder:
    return Decoder(some_signature(**changes))


def words() -> Decoder:
    columns = [
        Column("price"),
        Column("city", kind="string", dtype="object", nullable=True),
        Column("new", kind="boolean", dtype="bool"),
    ]
    return Decoder(some_signature(columns=columns, layout="frame", named=True, runtime="native"))


def layout(width=2, order=None, delimiter=",") -> InputLayout:
    return InputLayout("csv", 0, delimiter, width, order or list(range(width)))


def values(batch) -> list[list]:
    return [list(map(_plain, column)) for column in batch.columns]


def _plain(value):
    value = value.item() if hasattr(value, "item") else value
    return None if value is None or (isinstance(value, float) and math.isnan(value)) else value


def fast(data, chosen=None, decoder=None):
    """The matrix of the fast way, or None where it leaves the chunk to the careful way."""
    return parsing._plain_numbers(data, chosen or layout(), decoder or numbers())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"1,2\n3,4\n", [[1, 3], [2, 4]]),
        (b"1.5,-2e3\r\n3,4", [[1.5, 3], [-2000, 4]]),
        (b"\n\n1,2\n", [[1], [2]]),
        (b" 1 , 2 \n", [[1], [2]]),
        (b"+1,.5\n01,1.\n", [[1, 1], [0.5, 1]]),  # not JSON's numbers
        (b"9007199254740993,123456789012345678901234567890\n", [[9007199254740992], [1.2345678901234568e29]]),
    ],
)
def test_plain_numbers_go_the_fast_way(data, expected):
    assert fast(data).tolist() == expected
    batch, errors, rows = parse_chunk(data, layout(), numbers())
    assert (values(batch), errors, rows) == (expected, {}, len(expected[0]))


@pytest.mark.parametrize(
    "data",
    [
        b'"1",2\n',
        b"1,2\n3\n",
        b"1\n3,4,5\n",
        b"1,2\n\n3,4\n",
        b"1,2\r3,4\n",
        b"1,true\n",
        b"1,x\n",
        b"1,[2\n3],4\n",
        b"[1],[2]\n",
        b"{},2\n",
        b"1,inf\n",
        b"1,1e999\n",
        b"1,\n",  # missing where the model takes none
        b"1,nan\n",
        b"",
    ],
)
def test_anything_unusual_goes_the_careful_way(data):
    assert fast(data) is None


def test_missing_numbers_where_the_model_takes_them():
    decoder = numbers(columns=NULLABLE)
    data = b",1\n2,\n,\nnan,NaN\nNA,null\n3,4\n"

    assert fast(data, decoder=decoder).shape == (2, 6)
    batch, errors, _ = parse_chunk(data, layout(), decoder)
    assert values(batch) == [[None, 2, None, None, None, 3], [1, None, None, None, None, 4]]
    assert errors == {}


def test_infinite_beside_missing_is_seen():
    decoder = numbers(columns=NULLABLE)

    assert fast(b",1\n1e999,1\n", decoder=decoder) is None
    _, errors, rows = parse_chunk(b",1\n1e999,1\n", layout(), decoder)
    assert (set(errors), rows) == ({1}, 2)


def test_numbers_beyond_32_bits_are_refused_where_the_graph_takes_no_more():
    onnx = OnnxGraph([OnnxInput("X", "float", [0, 1])], {"predict": "label"})

    batch, errors, _ = parse_chunk(b"1e39,1\n1,1\n", layout(), numbers(onnx=onnx))

    assert batch.rows == 1
    assert errors[0].pointer == "/x0"


def test_other_columns_and_another_order():
    data = b"id-1,4,3\nid-2,6,5\n"

    batch, errors, _ = parse_chunk(data, layout(3, [2, 1]), numbers())

    assert (values(batch), errors) == ([[3, 5], [4, 6]], {})
    assert fast(data, layout(3, [2, 1])) is not None


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters(delimiter):
    data = f"1{delimiter}2\n3{delimiter}4\n".encode()

    assert fast(data, layout(delimiter=delimiter)).tolist() == [[1, 3], [2, 4]]


def test_decimal_commas_are_no_numbers():
    _, errors, _ = parse_chunk(b"1,5;2\n", layout(delimiter=";"), numbers())

    assert "number" in errors[0].detail


def test_words_and_truths():
    data = '1.5,Zürich,true\n2,"a ""b"",\nc",0\n3,,FALSE\nx,Bern,1\n4,Bern,maybe\n'.encode()

    batch, errors, rows = parse_chunk(data, layout(3), words())

    assert values(batch) == [[1.5, 2, 3], ["Zürich", 'a "b",\nc', None], [True, False, False]]
    assert {row: error.pointer for row, error in errors.items()} == {3: "/price", 4: "/new"}
    assert rows == 5


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b"1", "expected 3 fields"),
        (b"1,2,3,4", "expected 3 fields"),
        (b"1,\xff\xfe,true", "UTF-8"),
        (b"1_000,a,true", "expected a number"),
        (b",a,true", "expected a number, got null"),
    ],
)
def test_a_bad_line_fails_alone_and_shifts_nobody(line, detail):
    data = b"1,a,true\n" + line + b"\n2,b,false\n"

    batch, errors, rows = parse_chunk(data, layout(3), words())

    assert detail in errors[1].detail
    assert (list(errors), rows, batch.rows) == ([1], 3, 2)
    assert values(batch)[0] == [1, 2]


def test_a_line_end_of_an_old_mac_in_a_line():
    batch, errors, rows = parse_chunk(b"1,a\rb,true\n2,b,false\n", layout(3), words())

    assert (batch.rows, rows, list(errors)) == (1, 2, [0])


def test_integers_stay_whole():
    onnx = OnnxGraph([OnnxInput("X", "int64", [0, 1])], {"predict": "label"})

    batch, errors, _ = parse_chunk(b"9007199254740993,1\n1.5,1\n", layout(), numbers(onnx=onnx))

    assert values(batch)[0] == [9007199254740993]
    assert "whole number" in errors[1].detail


def test_json_lines():
    lines = [b"[1, 2]", b'{"x0": 3, "x1": 4}', b"", b"[1,", b"7", b'{"x0": 1}', b"[1],[2]", b"[5, 6]"]

    batch, errors, rows = parse_chunk(b"\n".join(lines), InputLayout("jsonl"), numbers())

    assert values(batch) == [[1, 3, 5], [2, 4, 6]]
    assert (sorted(errors), rows) == ([2, 3, 4, 5], 7)


def test_objects_for_a_model_that_takes_dictionaries():
    decoder = Decoder(some_signature(columns=[Column("record")], layout="records", runtime="native"))

    batch, errors, _ = parse_chunk(b'{"a": 1}\n[1]\n{"b": "x"}\n', InputLayout("jsonl"), decoder)

    assert batch.columns == [({"a": 1}, {"b": "x"})]
    assert list(errors) == [1]


def test_numbers_beyond_what_the_model_takes_are_left_to_the_careful_way():
    decoder = numbers(runtime="native", largest=1e150)
    assert fast(b"1e150,-1e150\n", decoder=decoder) is not None
    assert fast(b"1,2\n1e151,2\n", decoder=decoder) is None
    batch, errors, total = parse_chunk(b"1,2\n1e151,2\n", layout(), decoder)
    assert (batch.rows, total, list(errors)) == (1, 2, [1])
    assert "between" in errors[1].detail


CELL = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        [
            "",
            "nan",
            "NA",
            "x",
            "inf",
            "true",
            "[1",
            "1]",
            "1e400",
            " 7 ",
            '"8"',
            "1;2",
            "+3",
            ".5",
            "1_0",
            "١٢",
        ]
    ),
)


@given(st.lists(st.lists(CELL, min_size=1, max_size=3), min_size=1, max_size=6), st.booleans())
@settings(max_examples=400, deadline=None)
def test_fast_and_careful_agree(rows, nullable):
    """Where the fast way answers at all, it answers what the careful way would have answered."""
    decoder = numbers(columns=NULLABLE) if nullable else numbers()
    data = "\n".join(",".join(row) for row in rows).encode()
    matrix = fast(data, decoder=decoder)
    batch, errors, total = parsing._csv(data, layout(), decoder)

    assert total == len([row for row in rows if ",".join(row)])
    assert batch.rows + len(errors) == total
    if matrix is not None:
        assert errors == {}
        careful = np.array(batch.columns, dtype=np.float64)
        assert np.array_equal(matrix, careful, equal_nan=True)


@given(
    st.lists(
        st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=4), max_size=6
    )
)
@settings(max_examples=100, deadline=None)
def test_every_json_line_is_a_row_or_an_error(rows):
    data = "\n".join(json.dumps(row) for row in rows).encode()

    batch, errors, total = parse_chunk(data, InputLayout("jsonl"), numbers())

    assert batch.rows + len(errors) == total == len(rows)


def test_signatures_of_these_tests_are_what_they_seem():
    assert isinstance(numbers().signature, Signature)
    assert [column.kind for column in words().signature.columns] == ["number", "string", "boolean"]
