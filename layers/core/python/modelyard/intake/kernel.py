"""Two locks of the Linux kernel, set through ctypes: which files may be written, which calls may be made.

Neither needs a privilege, neither can be taken off again, and both hold where no namespace is to be had, as
in Lambda. Where the kernel has none of them, the functions return False.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path
from typing import Any

# --- Landlock: writing only below one folder

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_WRITE_FILE = 1 << 1
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))  # remove and make, of every kind
_PATH_BENEATH = 1


def write_only_below(folder: Path, libc: Any) -> bool:
    """From now on this process and its children change files below `folder` alone."""
    handled = struct.pack("<Q", _CHANGES)
    ruleset = libc.syscall(_CREATE_RULESET, handled, len(handled), 0)
    if ruleset < 0:
        return False
    try:
        _allow(libc, ruleset, folder, _CHANGES)
        _allow(libc, ruleset, Path(os.devnull), _WRITE_FILE)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: Any, ruleset: int, path: Path, access: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("<Qi", access, place), 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock rule not accepted")
    finally:
        os.close(place)


# --- seccomp: no new programs, no new processes, no sockets

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_CLONE_THREAD = 0x00010000
_SET_MODE_FILTER = 1
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_FORBIDDEN = {
    # socket connect socketpair fork vfork execve execveat ptrace process_vm_readv process_vm_writev bpf
    # io_uring_setup mount unshare setns keyctl perf_event_open userfaultfd
    "x86_64": (41, 42, 53, 57, 58, 59, 322, 101, 310, 311, 321, 425, 165, 272, 308, 250, 298, 323),
    # the same without fork and vfork, which do not exist there
    "aarch64": (198, 203, 199, 221, 281, 117, 270, 271, 280, 425, 40, 97, 268, 219, 241, 282),
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_SIGNALS = {"x86_64": (62, 234, 200), "aarch64": (129, 131, 130)}  # kill tgkill tkill


def forbid_calls(libc: Any) -> bool:
    """From now on: threads, but no processes and no programs; no sockets; signals to this process alone."""
    machine = platform.machine()
    if machine not in _SECCOMP:
        return False
    program = _program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer))
    return bool(libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, 0, header) == 0)


def _program(machine: str, pid: int) -> list[bytes]:
    """The filter in the kernel's byte code. Jumps are relative, so every rule is complete in itself."""
    denied = _ERRNO | errno.EPERM
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, _AUDIT[machine], yes=1),
        _step(_RETURN, denied),  # calls of another architecture have other numbers
        _step(_LOAD, _NUMBER),
    ]
    for number in _FORBIDDEN[machine]:
        code += [_step(_EQUAL, number, no=1), _step(_RETURN, denied)]
    # clone3 hides its flags in memory; without it the C library falls back to clone.
    code += [_step(_EQUAL, _CLONE3, no=1), _step(_RETURN, _ERRNO | errno.ENOSYS)]
    code += [
        _step(_EQUAL, _CLONE[machine], no=4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _CLONE_THREAD, yes=1),
        _step(_RETURN, denied),
        _step(_RETURN, _ALLOW),
    ]
    for number in _SIGNALS[machine]:
        code += [
            _step(_EQUAL, number, no=4),
            _step(_LOAD, _FIRST_ARGUMENT),
            _step(_EQUAL, pid, yes=1),
            _step(_RETURN, denied),
            _step(_RETURN, _ALLOW),
        ]
    return [*code, _step(_RETURN, _ALLOW)]


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)
