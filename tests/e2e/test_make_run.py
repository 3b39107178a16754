"""`make run` as a newcomer meets it: ready, with commands to paste, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tools.local.processes import descendants
from tools.local.services import free_port
from tools.node import ROOT

READY_WITHIN = 280.0  # seconds; everything is installed already
AGAIN_WITHIN = 150.0  # 60 on an idle machine; the tests share two cores with whatever else runs


class Run:
    """A `make run` in a folder of its own, without the make."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()

    def start(self, within: float) -> str:
        """Waits for the last line and returns everything that was printed."""
        environment = {**os.environ, "MODELYARD_LOCAL_FOLDER": str(self.folder), "PORT": str(self.port)}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.local.run"],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + within
        while f"ready: http://localhost:{self.port}/api" not in (said := self.output.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        return said

    def interrupt(self) -> list[int]:
        """Ctrl-C; returns the processes that were below it."""
        below = descendants(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0
        return below


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and _state(pid) not in "ZX"]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _paste(printed: str, command: str) -> str:
    """Runs one printed command in a shell, after the printed exports."""
    exports = re.findall(r"^  (export .*)$", printed, re.MULTILINE)
    (block,) = re.findall(rf"^  ({re.escape(command)}(?:.*\\\n)*.*)$", printed, re.MULTILINE)
    script = "\n".join([*exports, block])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own, which another session would close to PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="modelyard-run-", ignore_cleanup_errors=True) as place:
        yield Path(place)


@pytest.mark.timeout(900)
def test_it_becomes_ready_can_be_pasted_and_leaves_nothing_behind(folder: Path):
    run = Run(folder)
    printed = run.start(READY_WITHIN)
    try:
        first = _paste(printed, "curl -si $API/predict/$MODEL")
        second = _paste(printed, "curl -si $API/predict/$MODEL")
        assert first.startswith("HTTP/1.1 200")
        assert "setosa" in first
        assert "x-cache: hit" in second.lower()
        assert "iris-forest" in _paste(printed, "curl -s $API/models -H")
        assert '"ready"' in _paste(printed, "curl -s $API/models/$MODEL/versions")
        assert (
            httpx.get(f"http://localhost:{run.port}/api/docs", timeout=20, trust_env=False).status_code == 200
        )
        assert (run.folder / "data" / "settings.json").stat().st_mode & 0o077 == 0
    finally:
        below = run.interrupt()
    assert len(below) >= 3
    assert _alive(below) == []

    model = re.search(r"export MODEL=(\S+)", printed)
    again = run.start(AGAIN_WITHIN)
    try:
        assert model is not None
        assert f"export MODEL={model[1]}" in again
        assert "setosa" in _paste(again, "curl -si $API/predict/$MODEL")
        second_start = Run(run.folder)
        with pytest.raises(AssertionError, match="already runs"):
            second_start.start(30)
        below = descendants(run.process.pid)
    finally:
        run.process.kill()  # not even a chance to clean up: the kernel tells the children
        run.process.wait(10)
    deadline = time.monotonic() + 60
    while _alive(below) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _alive(below) == []


def test_a_taken_port_says_so_at_once(tmp_path: Path):
    run = Run(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", str(run.port), "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as other:
        try:
            deadline = time.monotonic() + 20
            while _refuses(run.port) and time.monotonic() < deadline:
                time.sleep(0.1)
            with pytest.raises(AssertionError, match="PORT=8001"):
                run.start(60)
        finally:
            other.terminate()


def _refuses(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/", timeout=2, trust_env=False)
    except httpx.TransportError:
        return True
    return False
