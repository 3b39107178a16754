"""Where the rows of a large text file begin and end: whole records per chunk, found at the speed of a scan.

A newline ends a record unless an odd number of quotes stands before it in the record (RFC 4180); JSON
Lines hold no raw newline inside a row. Blank lines are no rows. The parser finds records with the same
functions, so both count alike whatever the file holds.
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
    stream: Iterable[bytes], *, first_byte: int, quoted: bool, most_rows: int, most_bytes: int, row_bytes: int
) -> Iterator[Piece]:
    """Pieces of at most `most_rows` rows and about `most_bytes` bytes, in order, without gaps.

    `stream` is the file from its first byte. Raises `JobFailure` where one record is longer than `row_bytes`.
    """
    open_row, open_byte = 0, first_byte  # the piece being filled begins here
    rows = 0  # of the piece being filled
    position = 0  # of `data` in the file
    for data in _whole_records(stream, first_byte, quoted, row_bytes):
        if not position:
            position = first_byte
        ends, filled = _records(data, quoted)
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


def records(data: bytes, *, quoted: bool) -> list[bytes]:
    """The records of `data` that are not blank, without their line ends."""
    ends, filled = _records(data, quoted)
    starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
    bounds = zip(starts[filled].tolist(), ends[filled].tolist(), strict=True)
    return [data[first:end].rstrip(b"\r\n") for first, end in bounds]


def _whole_records(stream: Iterable[bytes], skip: int, quoted: bool, row_bytes: int) -> Iterator[bytes]:
    """The stream after `skip` bytes, cut anew so that every piece ends where a record ends."""
    rest = b""
    for block in stream:
        if skip:
            skipped = min(skip, len(block))
            block = block[skipped:]
            skip -= skipped
        data = rest + block
        end = _last_end(data, quoted)
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


def _last_end(data: bytes, quoted: bool) -> int:
    if not quoted or _QUOTE not in data:
        return data.rfind(b"\n") + 1
    ends, _ = _records(data, quoted, complete=False)
    return int(ends[-1]) if len(ends) else 0


def _records(
    data: bytes, quoted: bool, *, complete: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The offset after each record, and whether it is more than a line end.

    With `complete`, what follows the last newline is a record as well: the file ended without one.
    """
    octets = np.frombuffer(data, dtype=np.uint8)
    newlines = np.flatnonzero(octets == _NEWLINE)
    if quoted and _QUOTE in data:
        quotes = np.flatnonzero(octets == _QUOTE)
        newlines = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
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
