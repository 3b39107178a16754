"""A confined child process that answers in length-bounded JSON: the parent's side.

The parent never unpickles and never believes: an answer is bounded, parsed as JSON, and comes before a
deadline, or the child's whole process group is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from modelyard.intake.confine import Budget

Death = Literal["timeout", "out_of_memory", "crashed", "protocol"]
MAX_MESSAGE = 64 * 1024 * 1024
MOST_ANSWER = 24 * 1024 * 1024
"""What a worker sends at most: more than Lambda's 6 MB in any spelling, and less than breaks the pipe."""

_HEADER = struct.Struct(">I")
_STDERR_TAIL = 4096
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class ChildDied(Exception):
    """The child gave no answer. `kind` says why, `detail` in words; `stage` is where it stood, as it last
    reported.
    """

    def __init__(self, kind: Death, detail: str, stage: str = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail
        self.stage = stage


def environment(scratch: Path) -> dict[str, str]:
    """A child's whole environment: where Python finds its modules, and nothing of ours."""
    # Packages that are only reachable through the parent's own path (Lambda layers, a checkout) stay
    # reachable.
    paths = [str(Path(entry).resolve()) for entry in sys.path if entry and Path(entry).exists()]
    return {
        "PYTHONPATH": os.pathsep.join(paths),
        "PATH": os.defpath,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "JOBLIB_MULTIPROCESSING": "0",
        **dict.fromkeys(_ONE_THREAD, "1"),
        # A Lambda environment keeps its own libraries outside the loader's default path.
        **{name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if os.environ.get(name)},
    }


class Child:
    """One confined Python process that runs `module` as its main program.

    Used as a context manager or closed with `kill`; its scratch folder goes with it.
    """

    def __init__(self, module: str, budget: Budget) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="modelyard-"))
        self._stderr = (self.scratch / ".stderr").open("w+b")
        self.stage = "starting"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment(self.scratch),
                cwd=self.scratch,
                start_new_session=True,
                close_fds=True,
            )
        except OSError as error:
            self._forget_scratch()
            raise ChildDied("crashed", f"no process could be started ({error.strerror})") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._buffer = bytearray()
        self.pid = self._process.pid
        self._confine = {"budget": budget.to_json(), "scratch": str(self.scratch)}
        self._confined = False

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, message: dict[str, Any], *, seconds: float) -> None:
        """Hand over a message. Raises `ChildDied` when the child does not take it in time."""
        deadline = time.monotonic() + seconds
        if not self._confined:
            self._confined = True
            self._write(encode(self._confine), deadline)
        self._write(encode(message), deadline)

    def receive(self, *, seconds: float) -> dict[str, Any]:
        """The next message. Raises `ChildDied` when none comes in time; the child is dead then."""
        deadline = time.monotonic() + seconds
        header = _HEADER.unpack(self._read(_HEADER.size, deadline))[0]
        if header > MAX_MESSAGE:
            raise self._bury("protocol", "its answer was too long")
        try:
            message = json.loads(self._read(header, deadline))
        except (ValueError, RecursionError):
            raise self._bury("protocol", "its answer was not JSON") from None
        if not isinstance(message, dict):
            raise self._bury("protocol", "its answer was no JSON object")
        if isinstance(message.get("stage"), str):
            self.stage = message["stage"]
        return message

    def waits(self, seconds: float) -> bool:
        """Whether a message (or the child's end) is there within `seconds`; the child lives on either way."""
        if self._buffer:
            return True
        readable, _, _ = select.select([self._stdout], [], [], max(0.0, seconds))
        return bool(readable)

    def memory(self) -> int:
        """Resident bytes of the child; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def ask(self, message: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """Send and receive within one deadline."""
        start = time.monotonic()
        self.send(message, seconds=seconds)
        return self.receive(seconds=max(0.0, seconds - (time.monotonic() - start)))

    def kill(self) -> None:
        """End the child's process group, reap it and remove its scratch folder. May be called twice."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._forget_scratch()

    def _write(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            _, writable, _ = select.select([], [self._stdin], [], max(0.0, deadline - time.monotonic()))
            if not writable:
                raise self._bury("timeout", "it did not answer in time")
            try:
                view = view[os.write(self._stdin, view) :]
            except BlockingIOError:
                continue
            except (BrokenPipeError, OSError):
                raise self._bury(*self._cause()) from None

    def _read(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            readable, _, _ = select.select([self._stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise self._bury("timeout", "it did not answer in time")
            try:
                chunk = os.read(self._stdout, 1 << 20)
            except BlockingIOError:
                continue
            if not chunk:
                raise self._bury(*self._cause())
            self._buffer += chunk
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _cause(self) -> tuple[Death, str]:
        """Why the pipe ended: the exit status, and for aborts the last words on stderr."""
        try:
            status = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "crashed", "it closed its channel"
        if status == -signal.SIGXCPU:
            return "timeout", "it used up its processor time"
        if status == -signal.SIGKILL or self._ran_out_of_memory():
            return "out_of_memory", "it needed more memory than a model may use"
        if status == -signal.SIGXFSZ:
            return "crashed", "it wrote a file larger than allowed"
        if status < 0:
            return "crashed", f"it was ended by signal {signal.Signals(-status).name}"
        return "crashed", f"it ended by itself with exit code {status}"

    def _ran_out_of_memory(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            self._stderr.seek(0, os.SEEK_END)
            self._stderr.seek(max(0, self._stderr.tell() - _STDERR_TAIL))
            tail = self._stderr.read(_STDERR_TAIL)
            return b"bad_alloc" in tail or b"MemoryError" in tail or b"allocate memory" in tail
        return False

    def _bury(self, kind: Death, detail: str) -> ChildDied:
        self.kill()
        return ChildDied(kind, detail, self.stage)

    def _forget_scratch(self) -> None:
        with contextlib.suppress(OSError):
            self._stderr.close()
        shutil.rmtree(self.scratch, ignore_errors=True)


def encode(message: dict[str, Any]) -> bytes:
    """A frame: four bytes of length, then UTF-8 JSON. NaN and infinities must have been replaced before."""
    data = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    return _HEADER.pack(len(data)) + data
