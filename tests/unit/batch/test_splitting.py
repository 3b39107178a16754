"""Finding records: against a plain reference, over every cut of the stream."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings, strategies as st
from modelyard.batch.errors import JobFailure
from modelyard.batch.splitting import Piece, records, split


def pieces(data: bytes, *, quoted=True, block=7, first_byte=0, rows=3, size=1 << 20, row_bytes=1 << 20):
    stream = (data[at : at + block] for at in range(0, len(data), block))
    return list(
        split(
            stream, first_byte=first_byte, quoted=quoted, most_rows=rows, most_bytes=size, row_bytes=row_bytes
        )
    )


def reference(data: bytes, quoted: bool) -> list[bytes]:
    """Records by the rule, one byte after the other."""
    found, current, open_quote = [], bytearray(), False
    for byte in data:
        if byte == 0x0A and not open_quote:
            found.append(bytes(current))
            current.clear()
        else:
            open_quote ^= quoted and byte == 0x22
            current.append(byte)
    found.append(bytes(current))
    return [record.rstrip(b"\r\n") for record in found if record not in (b"", b"\r")]


def test_rows_are_counted_and_cut():
    data = b"a\nb\nc\nd\n"

    assert pieces(data) == [Piece(0, 3, 0, 6), Piece(3, 1, 6, 8)]


def test_a_header_is_skipped_and_the_last_line_needs_no_end():
    assert pieces(b"head\na\nb", first_byte=5) == [Piece(0, 2, 5, 8)]


def test_blank_lines_are_no_rows_and_line_ends_of_windows_are_fine():
    data = b"\r\na\r\n\r\n\nb\r\n"

    (piece,) = pieces(data)

    assert (piece.rows, records(data, quoted=True)) == (2, [b"a", b"b"])


def test_a_newline_in_quotes_is_part_of_its_row():
    data = b'"a\nb",1\n"c""\n",2\n'

    assert [piece.rows for piece in pieces(data, rows=1)] == [1, 1]
    assert records(data, quoted=True) == [b'"a\nb",1', b'"c""\n",2']
    assert len(records(data, quoted=False)) == 4


def test_chunks_are_bounded_in_bytes_too():
    data = b"0123456789\n" * 10

    found = pieces(data, rows=100, size=25)

    assert [piece.rows for piece in found] == [3, 3, 3, 1]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\r\n"])
def test_nothing_but_line_ends_is_no_row(data):
    assert pieces(data) == []
    assert records(data, quoted=True) == []


def test_a_row_without_end_is_refused_before_it_fills_the_memory():
    with pytest.raises(JobFailure, match="row_too_long"):
        pieces(b'a\n"' + b"x\n" * 5000, row_bytes=1000)


SOUP = st.lists(
    st.sampled_from([b"a", b"1,2", b'"', b"\n", b"\r\n", b"\r", b",", b" ", "é".encode()]), max_size=40
)


@given(SOUP.map(b"".join), st.integers(1, 9), st.integers(1, 5), st.integers(1, 30), st.booleans())
@settings(max_examples=400, deadline=None)
def test_every_cut_finds_what_the_rule_says(data, block, rows, size, quoted):
    expected = reference(data, quoted)

    assert records(data, quoted=quoted) == expected
    found = pieces(data, quoted=quoted, block=block, rows=rows, size=size)
    again = [record for p in found for record in records(data[p.first_byte : p.end_byte], quoted=quoted)]
    assert again == expected
    assert [p.rows for p in found] == [
        len(records(data[p.first_byte : p.end_byte], quoted=quoted)) for p in found
    ]
    assert all(p.rows <= rows for p in found)
    position = 0
    for number, piece in enumerate(found):
        assert piece.first_row == sum(p.rows for p in found[:number])
        assert piece.first_byte == position
        position = piece.end_byte


@given(st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=2), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_what_a_csv_writer_wrote_is_found_row_by_row(rows):
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)

    assert len(records(buffer.getvalue().encode("utf-8", "replace"), quoted=True)) == len(rows)
