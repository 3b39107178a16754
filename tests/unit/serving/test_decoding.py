"""Every body form, and every way to get one wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from modelyard.kit.errors import Problem
from modelyard.serving.decoding import Decoder, decode, decode_rows
from modelyard.serving.errors import InvalidInput, MalformedBody, TooManyRows
from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, Signature

SECRET = "do-not-echo-me"


def signature(*columns: Column, tensors: tuple[str, ...] | None = None, **more: Any) -> Signature:
    kinds: Any = tensors or tuple(
        {"string": "string", "boolean": "bool"}.get(c.kind, "double") for c in columns
    )
    inputs = [OnnxInput(f"in{index}", kind, [index]) for index, kind in enumerate(kinds)]
    return Signature(
        estimator="Some",
        task="classifier",
        layout=more.pop("layout", "frame"),
        columns=list(columns),
        outputs=["predict"],
        runtime=more.pop("runtime", "onnx"),
        onnx=OnnxGraph(inputs, {"predict": "label"}),
        **more,
    )


MATRIX = signature(Column("x0"), Column("x1"), Column("x2"), layout="matrix")
FRAME = signature(
    Column("age"),
    Column("city", kind="string", dtype="object"),
    Column("vip", kind="boolean", dtype="bool"),
    named=True,
)
NULLABLE = signature(Column("a", nullable=True), Column("b", kind="string", nullable=True))
ONE = signature(Column("text", kind="string"), layout="text")


def columns_of(body: dict[str, Any], model: Signature = MATRIX) -> list[list[Any]]:
    return [list(column) for column in decode(json.dumps(body).encode(), model).columns]


def refused(body: Any, model: Signature = MATRIX) -> dict[str, str]:
    """Pointer → detail of the 422 that this body gets; no value may appear in it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidInput) as caught:
        decode(raw, model)
    told = json.dumps(caught.value.body(instance="", request_id=""))
    assert SECRET not in told
    assert caught.value.status == 422
    assert caught.value.errors
    return {error.pointer: error.detail for error in caught.value.errors}


class TestForms:
    @pytest.mark.parametrize(
        "body",
        [
            {"inputs": [[1, 2, 3], [4, 5, 6]]},
            {"inputs": {"x0": [1, 4], "x1": [2, 5], "x2": [3, 6]}},
            {"inputs": {"x2": [3, 6], "x0": [1, 4], "x1": [2, 5]}},
            {"records": [{"x0": 1, "x1": 2, "x2": 3}, {"x2": 6, "x1": 5, "x0": 4}]},
            {"dataframe_split": {"columns": ["x0", "x1", "x2"], "data": [[1, 2, 3], [4, 5, 6]]}},
            {"dataframe_split": {"columns": ["x2", "x0", "x1"], "data": [[3, 1, 2], [6, 4, 5]]}},
            {"dataframe_split": {"columns": [0, 1, 2], "index": [0, 1], "data": [[1, 2, 3], [4, 5, 6]]}},
        ],
    )
    def test_all_forms_give_the_same_columns_in_the_order_of_the_signature(
        self, body: dict[str, Any]
    ) -> None:
        assert columns_of(body) == [[1, 4], [2, 5], [3, 6]]

    def test_one_dimension_is_one_row(self) -> None:
        assert columns_of({"inputs": [1, 2, 3]}) == [[1], [2], [3]]

    def test_one_dimension_of_a_single_column_is_one_value_per_row(self) -> None:
        assert columns_of({"inputs": ["a", "b"]}, ONE) == [["a", "b"]]
        assert columns_of({"inputs": [["a"], ["b"]]}, ONE) == [["a", "b"]]

    def test_the_form_that_was_read_is_known(self) -> None:
        batch = decode(b'{"records":[{"x0":1,"x1":2,"x2":3}]}', MATRIX)
        assert (batch.form, batch.rows) == ("records", 1)

    def test_kinds_of_a_frame(self) -> None:
        assert columns_of({"records": [{"age": 3.5, "city": "Bern", "vip": True}]}, FRAME) == [
            [3.5],
            ["Bern"],
            [True],
        ]

    def test_null_where_the_model_takes_missing_values(self) -> None:
        assert columns_of({"inputs": [[None, None], [1, "b"]]}, NULLABLE) == [[None, 1], [None, "b"]]

    def test_a_model_of_records_takes_objects_of_any_keys(self) -> None:
        model = signature(Column("feature"), layout="records", runtime="native")
        batch = decode(b'{"records":[{"a":1},{"b":"x","c":true}]}', model)
        assert batch.columns == [[{"a": 1}, {"b": "x", "c": True}]]
        assert batch.rows == 2


class TestMalformed:
    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"", "empty"),
            (b"  \n", "empty"),
            (b"{", "not valid JSON"),
            (b'{"inputs": [[NaN, 1, 2]]}', "null"),
            (b'{"inputs": [[Infinity, 1, 2]]}', "null"),
            (b'{"inputs": [[1e999, 1, 2]]}', "not valid JSON"),
            (b'{"inputs": [[1,2,3],]}', "not valid JSON"),
            (b"\xff\xfe{}", "byte order mark"),
            (b"x,y\n1,2", "not valid JSON"),
            (b"[" * 5000 + b"]" * 5000, "not valid JSON"),
            (b"[[1,2,3]]", "an array"),
            (b"3", "a number"),
            (b'"text"', "a string"),
            (b"null", "null"),
        ],
    )
    def test_what_is_no_json_object_is_a_400(self, body: bytes, says: str) -> None:
        with pytest.raises(MalformedBody, match=says) as caught:
            decode(body, MATRIX)
        assert caught.value.status == 400

    def test_deep_nesting_is_a_wrong_value_and_no_crash(self) -> None:
        depth = 900
        body = b'{"inputs": ' + b"[" * depth + b"]" * depth + b"}"
        assert "/inputs/0" in refused(body)


class TestWrongShape:
    @pytest.mark.parametrize(
        ("body", "pointer", "says"),
        [
            ({}, "", "found none"),
            ({"instances": [[1, 2, 3]]}, "", "found none"),
            ({"inputs": [[1, 2, 3]], "records": []}, "", "2 of them"),
            ({"inputs": [[1, 2, 3]], "extra": SECRET}, "/extra", "unknown key"),
            ({"inputs": None}, "/inputs", "null"),
            ({"inputs": SECRET}, "/inputs", "a string"),
            ({"inputs": 3}, "/inputs", "a number"),
            ({"inputs": []}, "/inputs", "at least one row"),
            ({"inputs": [1, 2]}, "/inputs", "expected 3 values (x0, x1, x2), got 2"),
            ({"inputs": [[1, 2]]}, "/inputs/0", "got 2"),
            ({"inputs": [[]]}, "/inputs/0", "got 0"),
            ({"inputs": [[1, 2, 3], [1, 2]]}, "/inputs/1", "got 2"),
            ({"inputs": [[1, 2, 3], 4]}, "/inputs/1", "expected an array, got a number"),
            ({"inputs": [{"x0": 1, "x1": 2, "x2": 3}]}, "/inputs", 'Objects go under "records"'),
            ({"inputs": [1, [2], 3]}, "/inputs", "all arrays"),
            ({"inputs": {}}, "/inputs/x0", "missing column"),
            ({"inputs": {"x0": [1], "x1": [2]}}, "/inputs/x2", "missing column"),
            ({"inputs": {"x0": [1], "x1": [2], "x2": [3], "x3": [4]}}, "/inputs/x3", "unknown column"),
            ({"inputs": {"x0": [1], "x1": [2], "x2": [3, 4]}}, "/inputs", "one length"),
            ({"inputs": {"x0": [1], "x1": [2], "x2": 3}}, "/inputs/x2", "got a number"),
            ({"inputs": {"x0": [], "x1": [], "x2": []}}, "/inputs/x0", "at least one row"),
            ({"records": []}, "/records", "at least one row"),
            ({"records": {"x0": 1, "x1": 2, "x2": 3}}, "/records", "got an object"),
            ({"records": [[1, 2, 3]]}, "/records/0", "expected an object, got an array"),
            ({"records": [{"x0": 1, "x1": 2}]}, "/records/0/x2", "missing column"),
            ({"records": [{"x0": 1, "x1": 2, "x2": 3, "y": SECRET}]}, "/records/0/y", "unknown column"),
            ({"records": [{"x0": 1, "x1": 2, "X2": 3}]}, "/records/0/x2", "missing column"),
            ({"records": [{"x0": 1, "x1": 2, "x2": 3}, None]}, "/records/1", "null"),
            ({"dataframe_split": []}, "/dataframe_split", "got an array"),
            ({"dataframe_split": {}}, "/dataframe_split/columns", "got null"),
            (
                {"dataframe_split": {"columns": ["x0", "x1", "x2"]}},
                "/dataframe_split/data",
                "got null",
            ),
            (
                {"dataframe_split": {"columns": ["x0", "x0", "x2"], "data": [[1, 2, 3]]}},
                "/dataframe_split/columns",
                "distinct",
            ),
            (
                {"dataframe_split": {"columns": ["x0", [], "x2"], "data": [[1, 2, 3]]}},
                "/dataframe_split/columns",
                "strings",
            ),
            (
                {"dataframe_split": {"columns": ["x0", "x1"], "data": [[1, 2]]}},
                "/dataframe_split/columns",
                "missing column",
            ),
            (
                {"dataframe_split": {"columns": ["x0", "x1", "x2"], "data": [[1, 2]]}},
                "/dataframe_split/data/0",
                "got 2",
            ),
        ],
    )
    def test_the_place_is_named(self, body: Any, pointer: str, says: str) -> None:
        assert says in refused(body)[pointer]

    def test_a_named_model_does_not_take_numbered_columns(self) -> None:
        body = {"dataframe_split": {"columns": [0, 1, 2], "data": [[1, "a", True]]}}
        assert "strings" in refused(body, FRAME)["/dataframe_split/columns"]

    def test_too_many_rows_point_to_batch(self) -> None:
        body = json.dumps({"inputs": [[1, 2, 3]] * 11}).encode()
        with pytest.raises(TooManyRows, match="batch") as caught:
            Decoder(MATRIX, max_rows=10).decode(body)
        assert caught.value.status == 413

    def test_names_are_escaped_as_json_pointers(self) -> None:
        model = signature(Column("a/b~c"), Column("d"))
        assert "/records/0/a~1b~0c" in refused({"records": [{"a/b~c": "no", "d": 1}]}, model)

    def test_a_long_foreign_name_is_not_repeated(self) -> None:
        told = refused({"records": [{"x0": 1, "x1": 2, "x2": 3, SECRET * 10: 1}]})
        assert told == {"/records/0": "unknown column; expected x0, x1, x2"}
        told = refused({"inputs": [[1, 2, 3]], SECRET * 10: 1})
        assert list(told) == [""]

    @pytest.mark.parametrize("form", ["inputs", "dataframe_split"])
    def test_a_model_of_records_says_which_form_it_takes(self, form: str) -> None:
        model = signature(Column("feature"), layout="records", runtime="native")
        assert "records" in refused({form: [[1]]}, model)[f"/{form}"]
        assert "null" in refused({"records": [{"a": None}]}, model)["/records/0"]
        assert "an array" in refused({"records": [[1]]}, model)["/records/0"]
        assert "at least one" in refused({"records": []}, model)["/records"]


class TestWrongValues:
    @pytest.mark.parametrize(
        ("value", "got"),
        [
            (SECRET, "a string"),
            (True, "a boolean"),
            (None, "null"),
            ([1], "an array"),
            ({"a": 1}, "an object"),
        ],
    )
    def test_row_column_expected_and_got_are_named(self, value: Any, got: str) -> None:
        body = {"inputs": [[1, 2, 3], [1, value, 3]]}
        assert refused(body) == {"/inputs/1/1": f"expected a number, got {got}"}

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"records": [{"x0": 1, "x1": SECRET, "x2": 3}]}, "/records/0/x1"),
            ({"inputs": {"x0": [1], "x1": [SECRET], "x2": [3]}}, "/inputs/x1/0"),
            ({"inputs": [1, SECRET, 3]}, "/inputs/1"),
            (
                {"dataframe_split": {"columns": ["x2", "x1", "x0"], "data": [[1, SECRET, 3]]}},
                "/dataframe_split/data/0/1",
            ),
            (
                {"dataframe_split": {"columns": ["x1", "x2", "x0"], "data": [[SECRET, 2, 3]]}},
                "/dataframe_split/data/0/0",
            ),
        ],
    )
    def test_pointers_point_into_the_body_as_it_was_sent(self, body: Any, pointer: str) -> None:
        assert list(refused(body)) == [pointer]

    def test_a_value_of_a_single_column_is_pointed_at(self) -> None:
        assert refused({"inputs": ["a", 3]}, ONE) == {"/inputs/1": "expected a string, got a number"}

    def test_strings_and_booleans_are_not_numbers_nor_the_other_way_round(self) -> None:
        told = refused({"records": [{"age": "3", "city": 3, "vip": 1}]}, FRAME)
        assert told == {
            "/records/0/age": "expected a number, got a string",
            "/records/0/city": "expected a string, got a number",
            "/records/0/vip": "expected true or false, got a number",
        }

    def test_at_most_twenty_places_are_told(self) -> None:
        with pytest.raises(InvalidInput, match="More than 20 places") as caught:
            decode(json.dumps({"inputs": [["a", "b", "c"]] * 50}).encode(), MATRIX)
        assert len(caught.value.errors) == 20
        assert caught.value.errors[0].pointer == "/inputs/0/0"

    def test_integers_for_an_integer_tensor(self) -> None:
        model = signature(Column("n", dtype="int64", nullable=True), Column("m"), tensors=("int64", "double"))
        assert columns_of({"inputs": [[3.0, 1]]}, model) == [[3.0], [1]]
        assert "fraction" in refused({"inputs": [[3.5, 1]]}, model)["/inputs/0/0"]
        assert "64 bits" in refused({"inputs": [[1e300, 1]]}, model)["/inputs/0/0"]
        assert "64 bits" in refused({"inputs": [[2**63, 1]]}, model)["/inputs/0/0"]
        # the tensor has no room for a missing value, whatever the column says
        assert "got null" in refused({"inputs": [[None, 1]]}, model)["/inputs/0/0"]

    @pytest.mark.parametrize("rounded", [True, False])
    def test_numbers_beyond_float32_where_the_model_sees_float32(self, rounded: bool) -> None:
        kind: Any = "double" if rounded else "float"
        graph = OnnxGraph([OnnxInput("X", kind, [0, 1], round_to_float32=rounded)], {"predict": "label"})
        model = Signature("Some", "classifier", "matrix", [Column("a"), Column("b")], ["predict"], onnx=graph)
        model = Signature.from_json(model.to_json() | {"runtime": "onnx"})
        assert columns_of({"inputs": [[1e38, -1e38]]}, model) == [[1e38], [-1e38]]
        assert "32-bit" in refused({"inputs": [[1e39, 1]]}, model)["/inputs/0/0"]
        assert "32-bit" in refused({"inputs": [[1, -1e300]]}, model)["/inputs/0/1"]

    def test_numbers_that_would_make_the_estimator_raise(self) -> None:
        model = signature(Column("a"), Column("b"), runtime="native", largest=1e150)
        assert columns_of({"inputs": [[1e150, -1e150]]}, model) == [[1e150], [-1e150]]
        told = refused({"inputs": [[1e151, 1], [1, -2e150]]}, model)
        assert told == dict.fromkeys(
            ("/inputs/0/0", "/inputs/1/1"), "expected a number between -1e+150 and 1e+150, got a larger one"
        )

    @pytest.mark.parametrize("kind", ["datetime64[D]", "datetime64[ns]"])
    def test_texts_that_are_no_dates(self, kind: str) -> None:
        model = signature(Column("day", kind="string", dtype=kind, nullable=True), runtime="native")
        assert columns_of({"inputs": [["2026-01-31"], [None]]}, model) == [["2026-01-31", None]]
        for text in (SECRET, "31.1.2026", "2026-02-30", "NaT", "", "2026-13-01", "12:00"):
            told = refused({"inputs": [["2026-01-31"], [text]]}, model)
            assert told == {"/inputs/1/0": "expected a date such as 2026-01-31, got another text"}

    @pytest.mark.parametrize("columns", [1, 2])
    def test_the_text_that_stands_for_a_missing_one_is_nobodys(self, columns: int) -> None:
        texts = [Column(f"t{index}", kind="string", nullable=True) for index in range(columns)]
        row = ["\ufdd0"] * columns
        told = refused({"inputs": [row]}, signature(*texts))
        assert set(told.values()) == {"expected text, got a code point that Unicode keeps free of characters"}
        assert columns_of({"inputs": [[f"{row[0]}!"] * columns]}, signature(*texts))
        assert columns_of({"inputs": [row]}, signature(*texts, runtime="native")) == [["\ufdd0"]] * columns

    def test_large_numbers_are_fine_in_float64(self) -> None:
        assert columns_of({"inputs": [[1e308, -1e308, 2**63]]}) == [[1e308], [-1e308], [2**63]]
        assert columns_of({"inputs": [[1e308, 1e308, 1e308]] * 2})[0] == [
            1e308,
            1e308,
        ]  # whose sum is infinite

    def test_unknown_categories_where_the_encoder_would_raise(self) -> None:
        city = Column("city", kind="string", categories=["Bern", "Basel"], handle_unknown=False)
        model = signature(city, Column("n", categories=[1, 2], handle_unknown=False, nullable=True))
        assert columns_of({"inputs": [["Bern", 1], ["Basel", None]]}, model) == [["Bern", "Basel"], [1, None]]
        told = refused({"inputs": [[SECRET, 1]]}, model)
        assert told["/inputs/0/0"] == "expected one of the 2 categories seen in training: 'Bern', 'Basel'"
        assert "categories" in refused({"inputs": [["Bern", 3]]}, model)["/inputs/0/1"]

    def test_unknown_categories_pass_where_the_encoder_ignores_them(self) -> None:
        model = signature(Column("city", kind="string", categories=["Bern"]))
        assert columns_of({"inputs": [["Genf"]]}, model) == [["Genf"]]

    def test_long_lists_of_categories_are_not_recited(self) -> None:
        model = signature(Column("n", categories=list(range(100)), handle_unknown=False))
        assert refused({"inputs": [[500]]}, model)["/inputs/0/0"] == (
            "expected one of the 100 categories seen in training"
        )

    def test_odd_unicode_passes(self) -> None:
        odd = ["", "\0", "🦊", "e\u0301", "\u202e", "x" * 10_000]
        assert columns_of({"inputs": odd}, ONE) == [odd]


class TestRows:
    """`decode_rows`: a bad row costs itself, not the batch."""

    def test_good_rows_of_both_kinds(self) -> None:
        batch, errors = decode_rows([[1, 2, 3], {"x0": 4, "x2": 6, "x1": 5}, (7, 8, 9)], MATRIX)
        assert errors == {}
        assert [list(column) for column in batch.columns] == [[1, 4, 7], [2, 5, 8], [3, 6, 9]]

    def test_bad_rows_are_left_out_and_named(self) -> None:
        rows = [[1, 2, 3], [1, 2], [1, SECRET, 3], {"x0": 1, "x1": None, "x2": 3}, 5, {"x0": 1}, [4, 5, 6]]
        batch, errors = decode_rows(rows, MATRIX)
        assert [list(column) for column in batch.columns] == [[1, 4], [2, 5], [3, 6]]
        assert batch.rows == 2
        assert {row: (error.pointer, error.detail) for row, error in errors.items()} == {
            1: ("", "expected 3 values (x0, x1, x2), got 2"),
            2: ("/1", "expected a number, got a string"),
            3: ("/x1", "expected a number, got null"),
            4: ("", "expected an array or an object, got a number"),
            5: ("/x1", "missing column 'x1'"),
        }

    def test_all_bad(self) -> None:
        batch, errors = decode_rows([["a", "b", "c"]], MATRIX)
        assert (batch.rows, len(batch.columns), list(errors)) == (0, 3, [0])

    def test_bare_values_of_a_single_column(self) -> None:
        batch, errors = decode_rows(["a", "b", 3], ONE)
        assert list(batch.columns[0]) == ["a", "b"]
        assert list(errors) == [2]

    def test_nan_and_infinity_that_json_cannot_hold(self) -> None:
        batch, errors = decode_rows([[float("nan"), 1, 2], [float("inf"), 1, 2], [1, 2, 3]], MATRIX)
        assert batch.rows == 1
        assert errors[0].detail == "expected a number, got NaN"
        assert "finite" in errors[1].detail
        batch, errors = decode_rows([[float("nan"), "b"]], NULLABLE)
        assert (batch.rows, errors) == (1, {})

    def test_objects(self) -> None:
        model = signature(Column("feature"), layout="records", runtime="native")
        batch, errors = decode_rows([{"a": 1}, 3, {"b": []}, {"c": float("inf")}], model)
        assert batch.columns == [({"a": 1},)]
        assert list(errors) == [1, 2, 3]
        assert errors[3].detail == "expected finite numbers, got an infinite one or NaN"
        assert decode_rows([3], model)[0].rows == 0


def test_arrays_are_checked_like_lists() -> None:
    from modelyard.serving.rules import rules_of

    rule = rules_of(MATRIX)[0]
    assert rule.fits(np.array([1.0, 2.0]))
    assert not rule.fits(np.array([1.0, np.nan]))
    assert not rule.fits(np.array(["a"]))


def test_every_refusal_is_a_problem_with_a_code() -> None:
    with pytest.raises(Problem) as caught:
        decode(b"{}", MATRIX)
    assert caught.value.code == "invalid_input"
