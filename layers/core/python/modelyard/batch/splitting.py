"""Where the rows of a large text file begin and end: whole records per chunk, found at the speed of a scan.

A newline ends a record unless it stands in a quoted field: one that begins with a quote (RFC 4180). A quote
anywhere else is a character like others, as it is to Python's `csv` and to pandas. JSON Lines hold no raw
newline inside a row. Blank lines are no rows. The parser finds records with the same functions, so both count
alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.batch.errors import JobFailure

_NEWLINE, _RETURN, _QUOTE = 0x0A, 0x0D, 0x22


@dataclass(frozen=True, slots=True)
class Piece:
    """`rows` records from byte `first_byte` to `end_byte` (exclusive) of the file."""

    first_row: int
    rows: int
    first_byte: int
    end_byte: int


def split(
    stream: Iterable[bytes],
    *,
    first_byte: int,
    delimiter: str | None,
    most_rows: int,
    most_bytes: int,
    row_bytes: int,
) -> Iterator[Piece]:
    """Pieces of at most `most_rows` rows and about `most_bytes` bytes, in order, without gaps.

    `stream` is the file from its first byte; `delimiter` is that of CSV, None for JSON Lines.
    Raises `JobFailure` where one record is longer than `row_bytes`.
    """
    open_row, open_byte = 0, first_byte  # the piece being filled begins here
    rows = 0  # of the piece being filled
    position = 0  # of `data` in the file
    for data in _whole_records(stream, first_byte, delimiter, row_bytes):
        if not position:
            position = first_byte
        ends, filled = _records(data, delimiter)
        counted = np.cumsum(filled)
        done = 0  # records of `data` that are in a piece already
        while done < len(ends):
            before = int(counted[done - 1]) if done else 0
            by_rows = int(np.searchsorted(counted, before + most_rows - rows))
            # At least the next record: a stretch of blank lines fills no piece, but may be over the size.
            by_bytes = max(done, int(np.searchsorted(ends, open_byte + most_bytes - position)))
            last = min(by_rows, by_bytes, len(ends) - 1)
            rows += int(counted[last]) - before
            done = last + 1
            if last == min(by_rows, by_bytes) and rows:
                end = position + int(ends[last])
                yield Piece(open_row, rows, open_byte, end)
                open_row, open_byte, rows = open_row + rows, end, 0
        position += len(data)
    if rows:
        yield Piece(open_row, rows, open_byte, position)


def records(data: bytes, *, delimiter: str | None) -> list[bytes]:
    """The records of `data` that are not blank, without their line ends."""
    ends, filled = _records(data, delimiter)
    starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
    bounds = zip(starts[filled].tolist(), ends[filled].tolist(), strict=True)
    return [data[first:end].rstrip(b"\r\n") for first, end in bounds]


def _whole_records(
    stream: Iterable[bytes], skip: int, delimiter: str | None, row_bytes: int
) -> Iterator[bytes]:
    """The stream after `skip` bytes, cut anew so that every piece ends where a record ends."""
    rest = b""
    for block in stream:
        if skip:
            skipped = min(skip, len(block))
            block = block[skipped:]
            skip -= skipped
        data = rest + block
        end = _last_end(data, delimiter)
        if end:
            yield data[:end]
        rest = data[end:]
        if len(rest) > row_bytes:
            raise JobFailure(
                "row_too_long",
                f"The file holds a row of more than {row_bytes // 1024 // 1024} MiB. "
                "Is a quote opened and never closed?",
            )
    if rest:
        yield rest


def _last_end(data: bytes, delimiter: str | None) -> int:
    if delimiter is None or _QUOTE not in data:
        return data.rfind(b"\n") + 1
    ends, _ = _records(data, delimiter, complete=False)
    return int(ends[-1]) if len(ends) else 0


def _records(
    data: bytes, delimiter: str | None, *, complete: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The offset after each record, and whether it is more than a line end.

    With `complete`, what follows the last newline is a record as well: the file ended without one.
    """
    octets = np.frombuffer(data, dtype=np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    if delimiter is not None and _QUOTE in data:
        newlines = _outside_quotes(octets, newlines, ord(delimiter))
    ends = newlines + 1
    if complete and len(data) and (not len(ends) or ends[-1] < len(data)):
        ends = np.append(ends, len(data))
    starts = np.concatenate((np.zeros(min(len(ends), 1), dtype=ends.dtype), ends[:-1]))
    lengths = ends - starts
    blank = octets[starts] == _NEWLINE
    blank |= (octets[starts] == _RETURN) & (
        (lengths == 1) | ((lengths == 2) & (octets[ends - 1] == _NEWLINE))
    )
    return ends.astype(np.int64), ~blank


def _outside_quotes(octets: NDArray[np.uint8], newlines: NDArray[np.intp], comma: int) -> NDArray[np.intp]:
    """The newlines that stand in no quoted field; `octets` begins where a record begins."""
    quotes = np.flatnonzero(octets == _QUOTE)
    opening = quotes[::2]  # if every quote opens or closes, or is one of a pair that stands for itself
    before = octets[np.maximum(opening - 1, 0)]
    proper = (opening == 0) | (before == comma) | (before == _NEWLINE) | (before == _QUOTE)
    if proper.all():
        outside: NDArray[np.intp] = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        return outside
    return _walk(octets, comma)


def _walk(octets: NDArray[np.uint8], delimiter: int) -> NDArray[np.intp]:
    """The same, going from quote to delimiter to newline: for files that use quotes in other ways."""
    places = np.flatnonzero((octets == _QUOTE) | (octets == delimiter) | (octets == _NEWLINE))
    found = []
    field, quoted, skip = 0, False, -1
    for place, octet in zip(places.tolist(), octets[places].tolist(), strict=True):
        if place == skip:
            continue
        if quoted:
            if octet == _QUOTE:
                if place + 1 < len(octets) and octets[place + 1] == _QUOTE:
                    skip = place + 1
                else:
                    quoted = False
        elif octet == _QUOTE:
            quoted = place == field
        else:
            field = place + 1
            if octet == _NEWLINE:
                found.append(place)
    return np.array(found, dtype=np.intp)
