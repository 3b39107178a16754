"""What the first bytes of a file tell."""

from __future__ import annotations

import pytest
from modelyard.batch.errors import InputRefused, UnsupportedInput
from modelyard.batch.layout import SAMPLE_BYTES, InputLayout, inspect
from modelyard.serving.signature import Column

from tests.support.models import some_signature

UNNAMED = some_signature()
NAMED = some_signature(columns=[Column("age"), Column("city", kind="string")], named=True, layout="frame")
ONE_TEXT = some_signature(columns=[Column("text", kind="string")], layout="text")


@pytest.mark.parametrize(
    ("sample", "signature", "options", "expected"),
    [
        (b"1,2\n", UNNAMED, {}, InputLayout("csv", 0, ",", 2, [0, 1])),
        (b"x0,x1\n1,2\n", UNNAMED, {}, InputLayout("csv", 6, ",", 2, [0, 1])),
        (b"x1,x0\n1,2\n", UNNAMED, {}, InputLayout("csv", 6, ",", 2, [1, 0])),
        (b"a,b\n1,2\n", UNNAMED, {}, InputLayout("csv", 4, ",", 2, [0, 1])),
        (b"a,b\n1,2\n", UNNAMED, {"header": True}, InputLayout("csv", 4, ",", 2, [0, 1])),
        (b"1,2\n3,4\n", UNNAMED, {"header": True}, InputLayout("csv", 4, ",", 2, [0, 1])),
        (b"1,\n", UNNAMED, {}, InputLayout("csv", 0, ",", 2, [0, 1])),
        (b"x0;x1\n1;2\n", UNNAMED, {}, InputLayout("csv", 6, ";", 2, [0, 1])),
        (b"x0\tx1\n", UNNAMED, {"name": "rows.tsv"}, InputLayout("csv", 6, "\t", 2, [0, 1])),
        (b"1|2", UNNAMED, {"delimiter": "|"}, InputLayout("csv", 0, "|", 2, [0, 1])),
        (b"\xef\xbb\xbfid,city,age\r\n", NAMED, {}, InputLayout("csv", 16, ",", 3, [2, 1])),
        (b"\n\r\ncity , age\n1,2\n", NAMED, {}, InputLayout("csv", 14, ",", 2, [1, 0])),
        (b'"age","ci""ty","city"\n', NAMED, {}, InputLayout("csv", 22, ",", 3, [0, 2])),
        (b"30,Bern\n", NAMED, {}, InputLayout("csv", 0, ",", 2, [0, 1])),
        (b"30,Bern\n", NAMED, {"header": False}, InputLayout("csv", 0, ",", 2, [0, 1])),
        (b"text\nhello, world\n", ONE_TEXT, {}, InputLayout("csv", 5, ",", 1, [0])),
        (b"[1, 2]\n", UNNAMED, {}, InputLayout("jsonl")),
        (b'\xef\xbb\xbf{"age": 1}', NAMED, {}, InputLayout("jsonl", 3)),
        (b"1,2", UNNAMED, {"wished": "jsonl"}, InputLayout("jsonl")),
        (b"[1,2]", UNNAMED, {"name": "a.ndjson"}, InputLayout("jsonl")),
    ],
)
def test_files_that_can_be_read(sample, signature, options, expected):
    found = inspect(sample, signature, **options)

    assert found == expected
    assert InputLayout.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("sample", "signature", "options", "error", "word"),
    [
        (b"ARROW1", UNNAMED, {}, UnsupportedInput, "Arrow"),
        (b"\x80\x04\x95", UNNAMED, {}, UnsupportedInput, "pickle"),
        (b"1,2", UNNAMED, {"wished": "parquet"}, UnsupportedInput, "not supported"),
        (b"caf\xe9,x\n", NAMED, {}, UnsupportedInput, "UTF-8"),
        (b"", UNNAMED, {}, InputRefused, "empty"),
        (b"1,2", UNNAMED, {"delimiter": "x"}, InputRefused, "delimiter"),
        (b"age,town\n", NAMED, {}, InputRefused, "city"),
        (b"age,age,city\n", NAMED, {}, InputRefused, "twice"),
        (b"1,2,3\n", UNNAMED, {}, InputRefused, "takes 2"),
        (b"30,Bern,x\n", NAMED, {"header": False}, InputRefused, "takes 2"),
        (b'"' + b"x" * SAMPLE_BYTES, NAMED, {}, InputRefused, "quote"),
        (b"a,b\n", some_signature(layout="records"), {}, InputRefused, "JSON Lines"),
    ],
)
def test_files_that_cannot_work_say_why(sample, signature, options, error, word):
    with pytest.raises(error, match=word):
        inspect(sample, signature, **options)


def test_many_missing_columns_are_counted_not_listed():
    signature = some_signature(columns=[Column(f"c{n}") for n in range(30)], named=True)

    with pytest.raises(InputRefused, match="c9 and 20 more") as caught:
        inspect(b"a,b\n", signature)

    assert len(caught.value.errors) == 10
