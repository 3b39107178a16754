"""Opens a skops file that the gate accepted: skops itself does it, trusting the gate's list and nothing
else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modelyard.intake import allowlist
from modelyard.intake.archives import open_archive
from modelyard.intake.skops_gate import is_member
from modelyard.intake.verdict import Limits

_EXTRA = (
    "functools.partial",
    "collections.OrderedDict",
    "collections.defaultdict",
    "builtins.bytes",
    "builtins.bytearray",
    "builtins.slice",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.ma.MaskedArray",
    "numpy.random.mtrand.RandomState",
    "numpy.random._generator.Generator",
)
_NEVER = {"builtins.getattr", "__builtin__.getattr"}


def trusted() -> list[str]:
    """Every pair of the list in skops' spelling."""
    names = {
        f"{module}.{name}"
        for table in (allowlist.NEW, allowlist.VALUE, allowlist.CALL)
        for module, known in table.items()
        for name in known
    }
    return sorted((names | set(_EXTRA)) - _NEVER)


def load_skops(path: Path, limits: Limits) -> Any:
    """The object in the file; the archive is checked again, so that this never opens what the gate did not
    see.
    """
    import sklearn._loss._loss
    import skops.io

    # scikit-learn before 1.9 called this module `_loss`, and skops wrote that down
    sys.modules.setdefault("_loss", sklearn._loss._loss)
    with path.open("rb") as file, open_archive(file, path.stat().st_size, limits, is_member):
        file.seek(0)
        return skops.io.load(file, trusted=trusted())
