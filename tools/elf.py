"""What the layers need of 64-bit ELF files (shared libraries): cutting off what nothing loads, and names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_LOADED, _DYNAMIC = 1, 2  # kinds of segments
_STRINGS, _NAME = 5, 14  # entries of the dynamic segment


class NotRenamed(ValueError):
    """The library does not hold the name that it should get."""


def is_elf(content: bytes) -> bool:
    """64 bit, little-endian: arm64 and x86-64 both."""
    return content[:6] == b"\x7fELF\x02\x01"


def strip(library: Path) -> None:
    """Cuts off what follows the last segment: section headers, linkers' symbols, debug information.

    The loader reads segments only; `strip` of binutils would need a build for each target.
    """
    content = library.read_bytes()
    if not is_elf(content):
        return
    headers, size, count = _table(content)
    end = headers + size * count
    for _, offset, _, length in _segments(content):
        end = max(end, offset + length)
    without_sections = content[:0x28] + bytes(8) + content[0x30:0x3C] + bytes(4) + content[0x40:end]
    library.write_bytes(without_sections)


def name_of(library: Path) -> str:
    """The name under which other libraries find this one once it is loaded (SONAME)."""
    content = library.read_bytes()
    strings, entry = _name_entry(content)
    start = strings + int(struct.unpack_from("<Q", content, entry)[0])
    return content[start : content.index(b"\0", start)].decode()


def rename(library: Path, name: str) -> None:
    """Gives the library `name`, which its table of strings must hold already. Raises `NotRenamed`.

    Wheels that bring a library of the system call it `libgomp-<digest>.so.1.0.0`; the name it was linked with
    stays in the table, as the name of its versions.
    """
    content = bytearray(library.read_bytes())
    strings, entry = _name_entry(content)
    found = content.find(b"\0" + name.encode() + b"\0", strings)
    if found < 0:
        raise NotRenamed(f"{library.name} does not hold the name {name}")
    struct.pack_into("<Q", content, entry, found + 1 - strings)
    library.write_bytes(content)


def _name_entry(content: bytes | bytearray) -> tuple[int, int]:
    """Where the table of strings lies in the file, and where the offset of the name in it."""
    entries: dict[int, tuple[int, int]] = {}
    for kind, offset, _, length in _segments(content):
        if kind == _DYNAMIC:
            for place in range(offset, offset + length, 16):
                tag, value = struct.unpack_from("<qQ", content, place)
                entries.setdefault(tag, (place + 8, value))
    if not {_STRINGS, _NAME} <= set(entries):
        raise NotRenamed("the library has no name of its own")
    address = entries[_STRINGS][1]
    for kind, offset, start, length in _segments(content):
        if kind == _LOADED and start <= address < start + length:
            return address - start + offset, entries[_NAME][0]
    raise NotRenamed("the library's table of strings is not in the file")


def _table(content: bytes | bytearray) -> tuple[int, int, int]:
    """Where the program headers start, the size of one, and how many there are."""
    (headers,) = struct.unpack_from("<Q", content, 0x20)
    size, count = struct.unpack_from("<HH", content, 0x36)
    return headers, size, count


def _segments(content: bytes | bytearray) -> Iterator[tuple[int, int, int, int]]:
    """Kind, place in the file, address, and length in the file of each segment."""
    headers, size, count = _table(content)
    for header in range(headers, headers + size * count, size):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, header)
        yield kind, offset, address, length
