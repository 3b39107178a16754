"""The confined child: what it may not do, and what the parent says when it does."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelyard.intake.confine import Budget
from modelyard.intake.process import Child, ChildDied, environment

MODULE = "tests.support.children"
SMALL = Budget(memory_bytes=256 << 20, cpu_seconds=2, file_bytes=1 << 20)


@pytest.fixture
def child() -> Iterator[Child]:
    with Child(MODULE, SMALL) as child:
        yield child


def drain(child: Child, seconds: float) -> None:
    """Read until the child dies."""
    while True:
        child.receive(seconds=seconds)


@pytest.mark.parametrize(
    ("action", "kind", "words", "seconds"),
    [
        ("hang", "timeout", "in time", 1.0),
        ("spin", "timeout", "processor time", 20.0),
        ("crash", "crashed", "SIGSEGV", 10.0),
        ("leave", "crashed", "exit code 3", 10.0),
        ("eat", "out_of_memory", "memory", 20.0),
        ("garbage", "protocol", "JSON", 10.0),
        ("flood", "protocol", "too long", 10.0),
    ],
)
def test_misbehaviour_ends_the_child_and_is_told(
    child: Child, action: str, kind: str, words: str, seconds: float
) -> None:
    child.send({"do": action}, seconds=10)
    with pytest.raises(ChildDied) as death:
        drain(child, seconds)
    assert death.value.kind == kind
    assert words in death.value.detail
    assert not child.alive
    assert not child.scratch.exists()


def test_the_stage_is_remembered(child: Child) -> None:
    child.send({"do": "crash"}, seconds=10)
    with pytest.raises(ChildDied) as death:
        drain(child, 10)
    assert death.value.stage == "predicting"


def test_what_a_model_prints_goes_nowhere(child: Child) -> None:
    assert child.ask({"do": "print"}, seconds=10)["answer"] == "said"


def test_the_environment_is_scrubbed(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "no one's business")
    with Child(MODULE, SMALL) as fresh:
        seen = fresh.ask({"do": "environment"}, seconds=10)["answer"]
    assert not [name for name in seen if name.startswith(("AWS", "MODELYARD"))]
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["HOME"] == str(fresh.scratch)
    assert environment(fresh.scratch)["PYTHONPATH"]


def test_every_measure_holds_here(child: Child) -> None:
    held = child.ask({"do": "print"}, seconds=10)["held"]
    assert {"rlimits", "no_new_privs", "calls"} <= set(held)


def test_there_is_no_network(child: Child) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        message = child.ask({"do": "connect", "port": server.getsockname()[1]}, seconds=10)
    assert message["answer"] in ("PermissionError", "OSError", "ConnectionRefusedError")


@pytest.mark.parametrize("action", ["fork", "execute", "signal"])
def test_there_are_no_other_processes(child: Child, action: str) -> None:
    assert child.ask({"do": action, "pid": os.getpid()}, seconds=10)["answer"] == "PermissionError"


def test_threads_are_fine(child: Child) -> None:
    assert child.ask({"do": "thread"}, seconds=10)["answer"] == "ran"


def test_only_the_scratch_folder_can_be_written(child: Child, tmp_path: Path) -> None:
    inside = {"do": "write", "file": str(child.scratch / "small"), "mebibytes": 0}
    message = child.ask(inside, seconds=10)
    assert message["answer"] == "written"
    outside = child.ask({"do": "write", "file": str(tmp_path / "f"), "mebibytes": 0}, seconds=10)
    assert ("files" in message["held"]) == (outside["answer"] == "PermissionError")


def test_files_stay_small(child: Child) -> None:
    wanted = {"do": "write", "file": str(child.scratch / "big"), "mebibytes": 3}
    assert child.ask(wanted, seconds=10)["answer"] == "OSError"


def test_a_child_that_is_killed_from_outside_says_so(child: Child) -> None:
    child.ask({"do": "print"}, seconds=10)
    os.kill(child.pid, 9)
    with pytest.raises(ChildDied) as death:
        child.ask({"do": "print"}, seconds=5)
    assert death.value.kind == "out_of_memory"  # on Linux that is who kills


def test_killing_twice_is_fine_and_leaves_no_process(child: Child) -> None:
    child.kill()
    child.kill()
    assert not Path(f"/proc/{child.pid}").exists()


def test_waiting_does_not_kill(child: Child) -> None:
    child.send({"do": "print"}, seconds=10)
    assert child.waits(10)
    assert child.receive(seconds=1)["answer"] == "said"
    assert not child.waits(0.05)
    assert child.alive
    assert child.memory() > 1 << 20
