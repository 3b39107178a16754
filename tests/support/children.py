"""A program for confined children that misbehaves in the way that is asked for."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard.intake.channel import Channel


def main() -> None:
    channel = Channel()
    held = channel.confine()
    while (request := channel.receive()) is not None:
        action = Path(request["path"]).name if "path" in request else request["do"]
        answer = ACTIONS[action](request, channel)
        channel.send({"answer": answer, "held": held})


def _stage(_: dict[str, Any], channel: Channel) -> None:
    channel.send({"stage": "predicting"})


def _hang(_: dict[str, Any], channel: Channel) -> None:
    _stage({}, channel)
    time.sleep(600)


def _crash(_: dict[str, Any], channel: Channel) -> None:
    _stage({}, channel)
    os.kill(os.getpid(), signal.SIGSEGV)


def _leave(_: dict[str, Any], channel: Channel) -> None:
    os._exit(3)


def _eat(_: dict[str, Any], channel: Channel) -> None:
    _stage({}, channel)
    kept = []
    while True:
        kept.append(bytearray(64 << 20))


def _spin(_: dict[str, Any], channel: Channel) -> None:
    while True:
        pass


def _garbage(_: dict[str, Any], channel: Channel) -> None:
    os.write(channel._out, b"\x00\x00\x00\x04nope")


def _flood(_: dict[str, Any], channel: Channel) -> None:
    os.write(channel._out, b"\xff\xff\xff\xff")


def _print(_: dict[str, Any], channel: Channel) -> str:
    print("a model that talks")
    sys.stderr.write("and complains\n")
    return "said"


def _environment(_: dict[str, Any], channel: Channel) -> dict[str, str]:
    return dict(os.environ)


def _connect(request: dict[str, Any], channel: Channel) -> str:
    try:
        socket.create_connection(("127.0.0.1", request["port"]), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def _fork(_: dict[str, Any], channel: Channel) -> str:
    return _tried(os.fork)


def _execute(_: dict[str, Any], channel: Channel) -> str:
    return _tried(lambda: os.execv("/bin/true", ["/bin/true"]))


def _signal(request: dict[str, Any], channel: Channel) -> str:
    return _tried(lambda: os.kill(request["pid"], 0))


def _tried(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as error:
        return type(error).__name__
    return "done"


def _thread(_: dict[str, Any], channel: Channel) -> str:
    said: list[str] = []
    thread = threading.Thread(target=said.append, args=("ran",))
    thread.start()
    thread.join(timeout=5)
    return said[0]


def _write(request: dict[str, Any], channel: Channel) -> str:
    try:
        with Path(request["file"]).open("wb") as file:
            for _ in range(request["mebibytes"]):
                file.write(bytes(1 << 20))
    except OSError as error:
        return type(error).__name__
    return "written"


def _lie(_: dict[str, Any], channel: Channel) -> None:
    channel.send({"result": {"verdict": "accepted", "format": "joblib", "signature": {"columns": 1}}})
    time.sleep(600)


def _half_way(request: dict[str, Any], channel: Channel) -> None:
    """Described, then dead while compiling."""
    signature = {
        "estimator": "m.M", "task": "regressor", "layout": "matrix", "columns": [{"name": "x0"}],
        "outputs": ["predict"],
    }  # fmt: skip
    native = {"format": "joblib", "size": 1, "sha256": "00", "signature": signature, "onnx": None}
    channel.send({"stage": "compiling", "native": native})
    os.kill(os.getpid(), signal.SIGSEGV)


ACTIONS = {
    "hang": _hang, "crash": _crash, "leave": _leave, "eat": _eat, "spin": _spin, "garbage": _garbage,
    "flood": _flood, "print": _print, "environment": _environment, "connect": _connect, "write": _write,
    "fork": _fork, "execute": _execute, "signal": _signal, "thread": _thread, "lie": _lie,
    "half_way": _half_way,
}  # fmt: skip

if __name__ == "__main__":
    main()
