"""Writes `allowlist_methods_data.py`: what every allowed class can do, so that a state cannot replace it.

Run with the newest scikit-learn that is served: `python -m tools.intake.methods`. The gate itself imports
none of
the libraries, hence the table.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

from modelyard.intake import allowlist

TARGET = Path(__file__).parents[2] / "layers/core/python/modelyard/intake/allowlist_methods_data.py"
HEAD = '''"""Written by `python -m tools.intake.methods`: the methods of the allowed classes.

One line per class: `module.Class < bases: methods`.
"""

TABLE = """\\
'''


def own_methods(cls: type) -> list[str]:
    """Names in the class body that an instance attribute would replace: functions, descriptors without
    `__set__`.
    """
    return sorted(
        name
        for name, member in vars(cls).items()
        if not name.startswith("__")
        and not hasattr(type(member), "__set__")
        and (callable(member) or hasattr(type(member), "__get__"))
    )


def collect() -> dict[str, tuple[list[str], list[str]]]:
    table: dict[str, tuple[list[str], list[str]]] = {}
    for module, names in allowlist.NEW.items():
        for name in names:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    cls = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError):
                continue  # of an older version: `methods_of` answers with the common names
            table[f"{module}.{name}"] = _entry(cls, table)
    return table


def _entry(cls: type, table: dict[str, tuple[list[str], list[str]]]) -> tuple[list[str], list[str]]:
    bases = [base for base in cls.__bases__ if base is not object]
    for base in bases:
        path = f"{base.__module__}.{base.__qualname__}"
        if path not in table:
            table[path] = _entry(base, table)
    return [f"{base.__module__}.{base.__qualname__}" for base in bases], own_methods(cls)


def main() -> None:
    lines = []
    for path, (bases, methods) in sorted(collect().items()):
        words = [path, *(["<", *bases] if bases else [])]
        words[-1] += ":"
        line = ""
        for word in [*words, *methods]:
            if len(line) + len(word) > 108:
                lines.append(line)
                line = " "
            line = f"{line} {word}" if line else word
        lines.append(line)
    TARGET.write_text(HEAD + "\n".join(lines) + '\n"""\n')


if __name__ == "__main__":
    main()
