"""`make lock`: pins every dependency anew. Lock files carry no URL, so that any mirror serves them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from uv import find_uv_bin

from tools.node import ROOT, search_path

PATIENCE = 600  # seconds for one resolution


def _run(*command: str) -> None:
    environment = {**os.environ, "PATH": search_path()}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=PATIENCE)


def lock_environment(name: str, *options: str) -> None:
    place = ROOT / "requirements" / f"{name}.in"
    _run(
        find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate",
        "--python-version", "3.11", *options, str(place), "--output-file", str(place.with_suffix(".txt")),
    )  # fmt: skip


def lock_node() -> None:
    _run("npm", "install", "--silent", "--package-lock-only")
    file = ROOT / "package-lock.json"
    lock = json.loads(file.read_text())
    for package in lock["packages"].values():
        package.pop("funding", None)  # nothing but URLs
        package.pop("resolved", None)
    file.write_text(json.dumps(lock, indent=2) + "\n")


def main() -> int:
    lock_environment("dev", "--universal")
    lock_environment("cloud")
    lock_environment("clients")
    _run(sys.executable, "-m", "tools.layers", "lock")
    lock_node()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
