"""The child's side of the pipe: framed JSON in from stdin, framed JSON out on what used to be stdout."""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

from modelyard.intake import confine

_HEADER = struct.Struct(">I")


class Channel:
    """Claims stdin and stdout for the protocol: whatever a model prints afterwards goes nowhere."""

    def __init__(self) -> None:
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115

    def confine(self) -> list[str]:
        """Read the parent's first message and apply it; returns the measures that hold."""
        message = self.receive()
        if message is None:
            raise SystemExit(0)
        return confine.apply(confine.Budget.from_json(message["budget"]), Path(message["scratch"]))

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the parent has closed its end."""
        header = self._in.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        message: dict[str, Any] = json.loads(self._in.read(_HEADER.unpack(header)[0]))
        return message

    def send(self, message: dict[str, Any]) -> None:
        from modelyard.intake.process import encode

        self.send_frame(encode(message))

    def send_frame(self, frame: bytes) -> None:
        """A message that `process.encode` has made."""
        view = memoryview(frame)
        while view:
            view = view[os.write(self._out, view) :]
