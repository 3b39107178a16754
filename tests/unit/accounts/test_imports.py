"""Admission is on the hot path: it must not cost a cold start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parents[3] / "layers" / "core" / "python"
HEAVY = (
    "sqlalchemy",
    "pydantic",
    "fastapi",
    "starlette",
    "redis",
    "boto3",
    "jwt",
    "bcrypt",
    "cryptography",
    "orjson",
)


def test_admission_imports_only_the_standard_library():
    code = "import sys; import modelyard.accounts.admission; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={"PYTHONPATH": str(CORE)},
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)
