"""The gate for skops files: the same lists over the schema's nodes. Nothing is extracted.

The schema is walked into the symbols that the pickle gate uses, so that both formats meet
the same rules for calls and states.
"""

from __future__ import annotations

import re
import time
import zipfile
from pathlib import Path

from modelyard.intake.archives import open_archive
from modelyard.intake.pickle_gate import estimator_of, version_of
from modelyard.intake.skops_nodes import NODES
from modelyard.intake.skops_walker import Walker
from modelyard.intake.verdict import Limits, StaticReport

_MEMBER = re.compile(
    r"schema\.json|[0-9]{1,20}\.np[yz]|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.bin"
)


def scan_skops(path: Path, limits: Limits, *, deadline: float | None = None) -> StaticReport:
    """Judge a skops file. Raises `Refused`."""
    size = path.stat().st_size
    deadline = deadline if deadline is not None else time.monotonic() + limits.scan_seconds
    with path.open("rb") as file, open_archive(file, size, limits, is_member) as archive:
        walker = Walker(archive, NODES, limits, deadline)
        root = walker.root()
        estimator = estimator_of(root)
        compressed = any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist())
        return StaticReport(
            format="skops",
            size=size,
            estimator=f"{estimator.cls.module}.{estimator.cls.name}",
            sklearn_version=version_of(estimator),
            libraries={"scikit-learn": version_of(estimator) or ""} if version_of(estimator) else {},
            compression="zip" if compressed else None,
            inflated=sum(entry.file_size for entry in archive.infolist()),
            globals=tuple(sorted(f"{module}.{name}" for module, name in walker.globals_seen)),
        )


def is_member(name: str) -> bool:
    return _MEMBER.fullmatch(name) is not None
