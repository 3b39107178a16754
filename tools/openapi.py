"""Writes the one OpenAPI document of all functions: `python -m tools.openapi` (`--check` only compares)."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "functions" / "docs" / "openapi.json"


def routers() -> dict[str, Any]:
    """The router of each function that answers HTTP, by the function's name.

    `predict` answers without FastAPI; its router says what it answers and is never run.
    """
    found: dict[str, Any] = {}
    for handler in sorted((ROOT / "functions").glob("*/handler.py")):
        name = handler.parent.name
        if name == "predict":
            continue
        module = importlib.import_module(f"functions.{name}.handler")
        if hasattr(module, "router"):
            found[name] = module.router
    if (ROOT / "functions" / "predict" / "handler.py").exists():
        combine = importlib.import_module("modelyard.web.routing").combine
        own = importlib.import_module("modelyard.web.predict_routes").router
        other = importlib.import_module("modelyard.web.protocol_routes")
        found["predict"] = combine(own, other.v2, other.v1, other.mlflow)
    return found


def build() -> dict[str, Any]:
    from modelyard.web.document import make_document

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    routes = [route for router in routers().values() for route in router.routes]
    return make_document(routes, version=version)


def render() -> str:
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    arguments = parser.parse_args()
    for folder in (ROOT, ROOT / "layers" / "core" / "python"):
        sys.path.insert(0, str(folder))
    text = render()
    if DOCUMENT.exists() and DOCUMENT.read_text() == text:
        return 0
    if arguments.check:
        print("functions/docs/openapi.json is not what the routes say; run: make openapi", file=sys.stderr)
        return 1
    DOCUMENT.write_text(text)
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
