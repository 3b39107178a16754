"""`make test`: every tier, with the coverage of functions and layers.

First what needs no deployed cloud, on two workers; then the end-to-end tests alone, because they start a
cloud of their own. The second part runs only when the first has passed; the last line is pytest's, and so is
the exit code.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tools.node import QUIET, ROOT, search_path

ALONE = "tests/e2e"
TOGETHER = ("tests/unit", "tests/integration", "tests/infra", "tests/security")
WORKERS = "2"
COVERED = 85  # percent of functions and layers, at least
NO_TESTS = 5  # pytest's exit code for an empty folder
CODE = ("--cov=functions", "--cov=layers/core/python/modelyard")


def environment() -> dict[str, str]:
    # One thread per library: two workers on two cores are slower, not faster, with more.
    return {
        **QUIET,
        **os.environ,
        "PATH": search_path(),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def run(*arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


def main() -> int:
    tiers = [tier for tier in TOGETHER if any((ROOT / tier).rglob("test_*.py"))]
    coverage = ["--cov-report=term:skip-covered", f"--cov-fail-under={COVERED}"]
    status = run("-n", WORKERS, "--dist", "loadfile", *CODE, *coverage, "--durations=10", *tiers)
    if status not in (0, NO_TESTS):
        return status
    return run("-n", "0", "--durations=10", ALONE)


if __name__ == "__main__":
    raise SystemExit(main())
