"""No process left behind: children end with us, and whatever they started is found and ended too."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_with_parent() -> None:
    """Asks the kernel for SIGTERM when our parent dies, so that a killed `make` does not leave us running."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> None:
    """Makes us the parent of grandchildren whose parent ends: `end_descendants` then finds them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants(root: int | None = None) -> list[int]:
    """Process ids below `root` (default: us), deepest last. Empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            after_name = entry.read_text().rpartition(")")[2].split()
            if after_name[0] != "Z":
                children.setdefault(int(after_name[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    queue = [root or os.getpid()]
    while queue:
        queue = [child for parent in queue for child in children.get(parent, [])]
        found += queue
    return found


def end_descendants(patience: float = 3.0) -> None:
    """SIGTERM to everything below us, after `patience` seconds SIGKILL; reaps what we adopted."""
    for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        remaining = descendants()
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)
        deadline = time.monotonic() + wait
        while remaining and time.monotonic() < deadline:
            _reap()
            remaining = descendants()
            time.sleep(0.02)
        if not remaining:
            return


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
