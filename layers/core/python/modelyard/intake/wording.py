"""How texts of a file are described and unknown globals told about, without quoting the file."""

from __future__ import annotations

import hashlib
import re

from modelyard.intake.symbols import SHORT_TEXT, Text

TEMPLATE_LIMIT = 4096  # characters of a text whose digest is kept
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def is_latin1(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def describe(text: str) -> str | Text:
    if len(text) <= SHORT_TEXT:
        return text
    digest = None
    if len(text) <= TEMPLATE_LIMIT and "def _parse_args" in text:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Text(len(text), is_latin1(text), digest)


def unknown_global(module: str, name: str) -> str:
    """What to tell about a global that no list knows, without quoting odd characters."""
    readable = _MODULE.fullmatch(module) and _NAME.fullmatch(name) and len(module) + len(name) < 160
    path = f"{module}.{name}" if readable else "with an unreadable or dotted name"
    root = module.partition(".")[0]
    if module == "__main__" or root not in LIBRARIES:
        advice = (
            "custom classes and functions cannot be served from a pickle: build the model from"
            " scikit-learn's own"
            " parts, or export it to ONNX"
        )
    else:
        advice = (
            "no model of that library needs it: rebuild the model from standard parts, or export it to ONNX"
        )
    return f"the file names the global {path}; {advice}"


LIBRARIES = {"sklearn", "numpy", "scipy", "pandas", "lightgbm", "xgboost", "joblib"}
