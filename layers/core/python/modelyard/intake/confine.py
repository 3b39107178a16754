"""What a child process does to itself before it touches a model: nothing here can be undone by what it loads.

Every measure that the system grants is taken; those it does not grant (Lambda grants no namespaces) are
reported, not fatal, because the real boundary on AWS is a function without permissions.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelyard.intake import kernel

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
SIGKILL = 9
_OPEN_FILES = 128


@dataclass(frozen=True, slots=True)
class Budget:
    """What one child may use. Bytes and seconds; `cpu_seconds` is over the child's whole life."""

    memory_bytes: int
    cpu_seconds: int
    file_bytes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Budget:
        return cls(**data)


def apply(budget: Budget, scratch: Path) -> list[str]:
    """Confine this process; returns the names of the measures that hold.

    Raises `OSError` where not even the limits of memory, time and file size can be set: then nothing may be
    opened.
    """
    _limit(resource.RLIMIT_AS, budget.memory_bytes)
    # The soft limit comes first and as another signal, so that the parent can tell time from memory.
    _limit(resource.RLIMIT_CPU, budget.cpu_seconds, grace=5)
    _limit(resource.RLIMIT_FSIZE, budget.file_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    held = ["rlimits"]
    os.chdir(scratch)
    os.umask(0o077)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("no_new_privs")
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if leave_network(libc):
        held.append("network")
    if kernel.write_only_below(scratch, libc):
        held.append("files")
    if kernel.forbid_calls(libc):
        held.append("calls")
    return held


def leave_network(libc: Any = None) -> bool:
    """Move into a network namespace without interfaces; False where the system does not let us."""
    libc = libc or ctypes.CDLL(None, use_errno=True)
    if not sys.platform.startswith("linux"):
        return False
    return any(libc.unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


def _limit(kind: int, wanted: int, *, grace: int = 0) -> None:
    """Lower both limits, never raise them; the hard one stays `grace` above."""
    _, hard = resource.getrlimit(kind)
    unlimited = hard == resource.RLIM_INFINITY
    soft = wanted if unlimited else min(wanted, hard)
    resource.setrlimit(kind, (soft, wanted + grace if unlimited else min(wanted + grace, hard)))
