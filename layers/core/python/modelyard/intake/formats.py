"""Which of the four formats a file is, by content; names and extensions are not believed."""

from __future__ import annotations

from pathlib import Path

from modelyard.intake.streams import compression_of
from modelyard.intake.verdict import Format, Refused

KNOWN = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file (Keras?)",
    b"%PDF": "a PDF",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"PAR1": "a Parquet file",
    b"\x93NUMPY": "a numpy array (.npy)",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "a zstd stream",
    b"#!": "a script",
    b"<": "XML or HTML",
    b"binf": "a native XGBoost model",
    b"tree\n": "a native LightGBM model",
}
ADVICE = "upload a pickle, joblib, skops or ONNX file"


def detect(path: Path) -> Format:
    """The format that the first bytes announce; "pickle" stands for joblib as well until the stream is
    read.
    """
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return "skops"
    if compression_of(head):
        return "joblib"
    if head.startswith(b"ZF"):
        raise Refused(
            "old_joblib",
            "the file was written by joblib before 0.10; load it and save it with a current joblib",
        )
    if head[0] == 0x80:
        return "pickle"
    for prefix, what in KNOWN.items():
        if head.startswith(prefix):
            raise Refused("unknown_format", f"the file is {what}; {ADVICE}")
    if _looks_like_onnx(head):
        return "onnx"
    if _looks_like_old_pickle(head):
        return "pickle"
    if _is_text(head):
        raise Refused("unknown_format", f"the file is plain text; {ADVICE}")
    raise Refused("unknown_format", f"the file's first bytes belong to no known model format; {ADVICE}")


def _looks_like_onnx(head: bytes) -> bool:
    """ModelProto opens with its first field, `ir_version`, a small varint: 08 0x; other fields may come
    first.
    """
    return (head[0] == 0x08 and len(head) > 3 and head[1] < 0x40) or (
        head[0] in (0x12, 0x1A, 0x22, 0x32, 0x3A, 0x42) and b"\x0a" in head and not _is_text(head)
    )


def _looks_like_old_pickle(head: bytes) -> bool:
    """Protocols 0 and 1 of an object begin with a GLOBAL or a MARK: `ccopy_reg\\n…`, `(i…`, `(d…`, `]`,
    `}`.
    """
    if head[0:1] == b"c":
        return head.count(b"\n") >= 2
    return head[0] in b"(]}NIFLVX)KMJG.ilUSPQ" and (
        not _is_text(head) or (b"\n" in head and head[0] in b"(NIFLVSPi")
    )


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
