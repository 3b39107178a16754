"""Finding records: against a plain reference, over every cut of the stream."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings, strategies as st
from modelyard.batch.errors import JobFailure
from modelyard.batch.splitting import Piece, records, split


def pieces(data: bytes, *, delimiter=",", block=7, first_byte=0, rows=3, size=1 << 20, row_bytes=1 << 20):
    stream = (data[at : at + block] for at in range(0, len(data), block))
    return list(
        split(
            stream,
            first_byte=first_byte,
            delimiter=delimiter,
            most_rows=rows,
            most_bytes=size,
            row_bytes=row_bytes,
        )
    )


def reference(data: bytes) -> list[list[str]]:
    """What Python's own reader finds."""
    return [row for row in csv.reader(io.StringIO(data.decode(), newline="")) if row]


def test_rows_are_counted_and_cut():
    data = b"a\nb\nc\nd\n"

    assert pieces(data) == [Piece(0, 3, 0, 6), Piece(3, 1, 6, 8)]


def test_a_header_is_skipped_and_the_last_line_needs_no_end():
    assert pieces(b"head\na\nb", first_byte=5) == [Piece(0, 2, 5, 8)]


def test_blank_lines_are_no_rows_and_line_ends_of_windows_are_fine():
    data = b"\r\na\r\n\r\n\nb\r\n"

    (piece,) = pieces(data)

    assert (piece.rows, records(data, delimiter=",")) == (2, [b"a", b"b"])


def test_a_newline_in_quotes_is_part_of_its_row():
    data = b'"a\nb",1\n"c""\n",2\n'

    assert [piece.rows for piece in pieces(data, rows=1)] == [1, 1]
    assert records(data, delimiter=",") == [b'"a\nb",1', b'"c""\n",2']
    assert len(records(data, delimiter=None)) == 4


def test_chunks_are_bounded_in_bytes_too():
    data = b"0123456789\n" * 10

    found = pieces(data, rows=100, size=25)

    assert [piece.rows for piece in found] == [3, 3, 3, 1]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\r\n"])
def test_nothing_but_line_ends_is_no_row(data):
    assert pieces(data) == []
    assert records(data, delimiter=",") == []


def test_a_row_without_end_is_refused_before_it_fills_the_memory():
    with pytest.raises(JobFailure, match="row_too_long"):
        pieces(b'a\n"' + b"x\n" * 5000, row_bytes=1000)


SOUP = st.lists(
    st.sampled_from(["a", "1,2", '"', '""', "\n", ",", " ", "é", '5"', ',"x\n"']), max_size=40
).map("".join)


@given(SOUP.map(str.encode), st.integers(1, 9), st.integers(1, 5), st.integers(1, 30))
@settings(max_examples=500, deadline=None)
def test_every_cut_finds_the_rows_that_csv_finds(data, block, rows, size):
    found = records(data, delimiter=",")

    assert [next(csv.reader(io.StringIO(record.decode(), newline=""))) for record in found] == reference(
        b"\n".join(found)
    )
    assert len(found) == len(reference(data))
    check_pieces(data, found, pieces(data, block=block, rows=rows, size=size), ",", rows)


@given(SOUP.map(str.encode), st.integers(1, 9), st.integers(1, 5), st.integers(1, 30))
@settings(max_examples=200, deadline=None)
def test_every_cut_finds_every_line(data, block, rows, size):
    found = records(data, delimiter=None)

    assert found == [line for line in data.split(b"\n") if line]
    check_pieces(data, found, pieces(data, delimiter=None, block=block, rows=rows, size=size), None, rows)


def check_pieces(data, expected, found, delimiter, most):
    """Pieces follow each other without gaps and hold what they say."""
    cut = [records(data[piece.first_byte : piece.end_byte], delimiter=delimiter) for piece in found]
    assert [record for part in cut for record in part] == expected
    assert [piece.rows for piece in found] == [len(part) for part in cut]
    assert all(piece.rows <= most for piece in found)
    position = row = 0
    for piece in found:
        assert (piece.first_row, piece.first_byte) == (row, position)
        position, row = piece.end_byte, row + piece.rows


@given(st.lists(st.lists(st.text(max_size=5), min_size=2, max_size=2), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_what_a_csv_writer_wrote_is_found_row_by_row(rows):
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)

    assert len(records(buffer.getvalue().encode("utf-8", "replace"), delimiter=",")) == len(rows)
