"""Copies Swagger UI and ReDoc from node_modules into the docs function: `python -m tools.docs_assets`.

The pages load nothing from elsewhere, so they work on a closed network and under a strict policy.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "functions" / "docs" / "assets"
SOURCES = (
    "swagger-ui-dist/swagger-ui.css",
    "swagger-ui-dist/swagger-ui-bundle.js",
    "swagger-ui-dist/favicon-32x32.png",
    "redoc/bundles/redoc.standalone.js",
)


class AssetsMissing(RuntimeError):
    """The npm packages are not installed."""


def ensure(modules: Path = ROOT / "node_modules", into: Path = ASSETS) -> Path:
    """Fills `into` where a file is missing or differs, and returns it."""
    into.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        source = modules / name
        target = into / source.name
        if not source.is_file():
            raise AssetsMissing(f"node_modules/{name} is missing; run: make setup")
        if not target.exists() or target.stat().st_size != source.stat().st_size or _differ(source, target):
            shutil.copyfile(source, target)
    return into


def _differ(one: Path, other: Path) -> bool:
    return one.read_bytes() != other.read_bytes()


if __name__ == "__main__":
    try:
        print(ensure().relative_to(ROOT))
    except AssetsMissing as problem:
        sys.exit(str(problem))
