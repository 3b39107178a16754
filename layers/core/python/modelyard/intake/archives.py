"""Zip archives and `.npy` headers, checked before anything is read out of them."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Callable
from typing import IO, Any

from modelyard.intake.symbols import ArrayFacts, Dtype
from modelyard.intake.verdict import Limits, Refused

MEMBERS = 200_000
HEADER = 10_000  # bytes of a .npy header that numpy itself accepts
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_ENCRYPTED = 0x1 | 0x40
_PLAIN = re.compile(
    r"\{'descr': '([<>|=])([a-zA-Z?])([0-9]{0,7})(?:\[[a-zA-Z]{1,2}\])?', 'fortran_order': (?:True|False),"
    r" 'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), ?\} *\n"
)
_STRUCTURED = re.compile(
    r"\{'descr': \[((?:\('\w{0,64}', '[<>|=][biufc?V][0-9]{1,2}'\),? ?){1,64})\],"
    r" 'fortran_order': (?:True|False),"
    r" 'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), ?\} *\n"
)
_FIELD = re.compile(r"\('(\w*)', '[<>|=]([biufc?V])([0-9]{1,2})'\)")


def open_archive(
    file: IO[bytes], size: int, limits: Limits, name_rule: Callable[[str], bool]
) -> zipfile.ZipFile:
    """The archive, once its directory holds nothing odd. Raises `Refused`."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, OverflowError) as error:
        raise Refused(
            "broken", f"the zip archive is damaged ({type(error).__name__}); save the model again with skops"
        ) from None
    entries = archive.infolist()
    if len(entries) > MEMBERS:
        raise Refused("too_many_members", f"the archive has more than {MEMBERS} members")
    if archive.comment:
        raise Refused("archive", "the archive carries a comment; save the model again with skops")
    names: set[str] = set()
    total = 0
    for entry in entries:
        _check_entry(entry, names, name_rule)
        names.add(entry.filename)
        total += entry.file_size
    if total > limits.inflated(size):
        raise Refused(
            "decompression_bomb",
            f"the archive's members unpack to {total} bytes, more than {limits.inflated(size)}; save"
            " the model"
            " without compression",
        )
    _check_layout(entries)
    return archive


def _check_entry(entry: zipfile.ZipInfo, names: set[str], name_rule: Callable[[str], bool]) -> None:
    if entry.filename != entry.orig_filename or not name_rule(entry.filename):
        raise Refused(
            "member_name", "the archive has a member whose name skops would not give; save the model again"
        )
    if entry.filename in names:
        raise Refused("duplicate_member", "the archive has two members of one name; save the model again")
    mode = entry.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise Refused("member_type", "the archive has a member that is no plain file; save the model again")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise Refused(
            "member_type", "the archive has a member that is encrypted or compressed in an unknown way"
        )


def _check_layout(entries: list[zipfile.ZipInfo]) -> None:
    """Members lie one behind the other from the start of the file: none shares another's bytes."""
    end = 0
    for entry in sorted(entries, key=lambda item: item.header_offset):
        if entry.header_offset < end or (end == 0 and entry.header_offset != 0):
            raise Refused(
                "archive", "members of the archive overlap or do not begin at its start; save it again"
            )
        end = entry.header_offset + 30 + len(entry.filename.encode()) + entry.compress_size


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The whole member, at most `limit` bytes."""
    try:
        if archive.getinfo(name).file_size > limit:
            raise Refused("too_large", f"a member of the archive has more than {limit} bytes")
        with archive.open(name) as member:
            return member.read()
    except KeyError:
        raise Refused(
            "missing_member", "the archive lacks a member that its schema names; save it again"
        ) from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RuntimeError) as error:
        raise _damaged(error) from None
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        raise _damaged(error) from None


def _damaged(error: Exception) -> Refused:
    return Refused(
        "broken", f"a member of the archive is damaged ({type(error).__name__}); save the model again"
    )


def npy_member(archive: zipfile.ZipFile, name: str, limits: Limits) -> ArrayFacts:
    """The shape and type of a `.npy` member whose size fits its header; the data is not read."""
    try:
        info = archive.getinfo(name)
        with archive.open(name) as member:
            head = member.read(HEADER + 12)
    except KeyError:
        raise Refused(
            "missing_member", "the archive lacks a member that its schema names; save it again"
        ) from None
    except Refused:
        raise
    except Exception as error:
        raise _damaged(error) from None
    return npy_facts(head, info.file_size, limits)


def npy_facts(head: bytes, size: int, limits: Limits) -> ArrayFacts:
    """The same for the first bytes of a `.npy` file of `size` bytes."""
    if head[:6] != b"\x93NUMPY" or len(head) < 12 or head[6] not in (1, 2, 3):
        raise Refused("npy", "an array's member is no .npy file; save the model again")
    width = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width
    if length > HEADER or len(head) < start + length:
        raise Refused("npy", "an array's header is too long or cut off; save the model again")
    try:
        text = head[start : start + length].decode("utf-8" if head[6] == 3 else "latin-1")
    except UnicodeDecodeError:
        raise Refused("npy", "an array's header is no text; save the model again") from None
    dtype, sides = _parse(text)
    count = 1
    for side in sides:
        count *= side
        if side > limits.array_elements or count > limits.array_elements:
            raise Refused("array", f"an array has more than {limits.array_elements} elements")
    if size != start + length + count * dtype.itemsize:
        raise Refused("npy", "an array has more or less data than its header says; save the model again")
    return ArrayFacts(sides, dtype)


def _parse(text: str) -> tuple[Dtype, tuple[int, ...]]:
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        _, kind, digits, shape = plain.groups()
        itemsize = int(digits or 0) * (4 if kind == "U" else 1)
        if kind not in "biufcSUMmV" or (
            kind != "V" and kind not in "SU" and itemsize not in (1, 2, 4, 8, 16, 32)
        ):
            raise Refused("npy", "an array is of a type that models do not have; save the model again")
        return Dtype(f"{kind}{digits}", kind, itemsize), _sides(shape)
    structured = _STRUCTURED.fullmatch(text)
    if structured is None:
        raise Refused("npy", "an array's header is not what numpy writes; save the model again")
    fields, offset = [], 0
    for name, kind, digits in _FIELD.findall(structured.group(1)):
        if bool(name) == (kind == "V"):  # padding has no name, numbers have one
            raise Refused("npy", "an array's header is not what numpy writes; save the model again")
        if name:
            fields.append((name, kind, offset, int(digits)))
        offset += int(digits)
    return Dtype(f"V{offset}", "V", offset, tuple(fields)), _sides(structured.group(2))


def _sides(text: str) -> tuple[int, ...]:
    return tuple(int(side) for side in text.replace(" ", "").split(",") if side)


_SPARSE_MEMBERS = {
    f"{name}.npy"
    for name in ("data", "indices", "indptr", "format", "shape", "row", "col", "offsets", "_is_array")
}
_SPARSE_FORMATS = ("csr", "csc", "coo", "dia", "bsr")


def check_sparse(data: bytes, limits: Limits) -> None:
    """A sparse matrix as `scipy.sparse.save_npz` writes it: an archive of plain arrays."""
    archive: Any = open_archive(io.BytesIO(data), len(data), limits, _SPARSE_MEMBERS.__contains__)
    with archive:
        facts = {entry.filename: npy_member(archive, entry.filename, limits) for entry in archive.infolist()}
        if not {"data.npy", "format.npy", "shape.npy"} <= set(facts):
            raise Refused("sparse", "a sparse matrix lacks its data, format or shape; save the model again")
        kind = facts["format.npy"]
        if kind.shape != () or kind.dtype is None or kind.dtype.kind not in "SU":
            raise Refused("sparse", "a sparse matrix has no proper format; save the model again")
        text = read_member(archive, "format.npy", HEADER)[-kind.dtype.itemsize :].replace(b"\0", b"")
        if text.decode("latin-1") not in _SPARSE_FORMATS:
            raise Refused("sparse", "a sparse matrix has an unknown format; save the model again")
