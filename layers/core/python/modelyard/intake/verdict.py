"""What the layers of intake say to each other: limits, refusals and the report of the static gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from modelyard.kit.environment import optional

Format = Literal["pickle", "joblib", "skops", "onnx"]
MEBI = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one inspection. Bytes, seconds and counts; each may be set as `MODELYARD_LIMIT_<NAME>`."""

    upload_bytes: int = 512 * MEBI
    inflated_bytes: int = 2048 * MEBI  # what decompression may yield at most …
    inflated_floor: int = 64 * MEBI  # … a small file may always grow to this …
    inflated_ratio: int = 200  # … and a large one to this many times its size
    opcodes: int = 20_000_000
    memo_entries: int = 2_000_000
    nesting: int = 4  # object arrays within object arrays
    array_elements: int = 2**28
    scan_seconds: float = 60.0
    inspection_seconds: float = 300.0
    prediction_seconds: float = 10.0
    memory_bytes: int = 3072 * MEBI  # address space of a process that loads or runs a model

    def inflated(self, size: int) -> int:
        """How many bytes a file of `size` bytes may decompress to."""
        return min(self.inflated_bytes, max(self.inflated_floor, self.inflated_ratio * size))

    @classmethod
    def from_environment(cls) -> Limits:
        """The defaults, overridden by `MODELYARD_LIMIT_UPLOAD_BYTES` and so on.

        Raises `ValueError` naming the variable whose value is no positive number.
        """
        limits = cls()
        for setting in fields(cls):
            name = f"MODELYARD_LIMIT_{setting.name.upper()}"
            text = optional(name)
            if not text:
                continue
            try:
                value = type(getattr(limits, setting.name))(text)
            except ValueError:
                raise ValueError(f"environment variable {name} must be a number") from None
            if not value > 0:
                raise ValueError(f"environment variable {name} must be greater than zero")
            limits = replace(limits, **{setting.name: value})
        return limits


class Refused(Exception):
    """A file that is not taken.

    `rule` is a stable word for programs. `detail` is for the data scientist: what was wrong, where it stood
    and
    what to do; it never quotes the file's data. `format` is filled in once it is known.
    """

    def __init__(self, rule: str, detail: str, *, format: Format | None = None) -> None:  # noqa: A002
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
        self.format: Format | None = format


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth telling that is no reason to refuse."""

    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class StaticReport:
    """What layer 1 learned without importing or calling anything."""

    format: Format
    size: int  # bytes of the file
    estimator: str | None = None  # "sklearn.ensemble._forest.RandomForestClassifier"; None for ONNX
    sklearn_version: str | None = None  # of the library that wrote the file, where the file says it
    libraries: Mapping[str, str] = field(default_factory=dict)  # library → version, where the file says it
    compression: str | None = None  # "zlib", "gzip", "bz2", "lzma", "xz", "lz4"; None: as it is
    inflated: int = 0  # bytes after decompression; equals `size` where nothing is compressed
    globals: tuple[str, ...] = ()  # every global that the file names, sorted
    findings: tuple[Finding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "size": self.size,
            "estimator": self.estimator,
            "sklearn_version": self.sklearn_version,
            "libraries": dict(self.libraries),
            "compression": self.compression,
            "inflated": self.inflated,
            "globals": list(self.globals),
            "findings": [{"rule": finding.rule, "detail": finding.detail} for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class OnnxValue:
    """One input or output of a graph. `shape` has -1 where a dimension is free; None: none is stated."""

    name: str
    type: str  # "float", "double", "int64", "string", "bool", …; "sequence", "map" for the rest
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class OnnxReport:
    """What the ONNX gate read off a graph."""

    size: int
    ir_version: int
    opsets: Mapping[str, int]  # domain → version
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    operators: Mapping[str, int]  # "ai.onnx.ml.TreeEnsembleClassifier" → count
    producer: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
