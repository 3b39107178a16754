"""The gate for pickle and joblib files: one symbolic pass over the stream."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from modelyard.intake.allowlist_methods import is_estimator
from modelyard.intake.arrays import elements
from modelyard.intake.calls import call, create
from modelyard.intake.opcodes import PickleMachine
from modelyard.intake.states import build
from modelyard.intake.streams import Source
from modelyard.intake.symbols import ArrayFacts, Dtype, Global, Instance
from modelyard.intake.verdict import Format, Limits, Refused, StaticReport

PADDING = 16


class JoblibMachine(PickleMachine):
    """A machine that also passes over the array bytes that joblib writes between the opcodes."""

    def read_array(self, shape: tuple[int, ...], dtype: Dtype, *, padded: bool) -> Instance:
        """The array behind a wrapper: a nested pickle where it holds objects, padding and raw bytes
        otherwise.
        """
        if dtype.kind == "O":
            return self._nested(shape)
        if padded:
            padding = self.source.take(1)[0]
            if padding > PADDING:
                self.refuse("array", f"an array is padded by more than {PADDING} bytes; save the model again")
            self.source.skip(padding)
        if not dtype.itemsize and elements(shape) > 1 << 20:
            self.refuse("array", "an array has many items without size")
        self.source.skip(elements(shape) * dtype.itemsize)
        return Instance(_ndarray(), ArrayFacts(shape, dtype))

    def _nested(self, shape: tuple[int, ...]) -> Instance:
        if self.nesting + 1 > self.limits.nesting:
            self.refuse(
                "nesting", f"arrays of objects are nested more than {self.limits.nesting} levels deep"
            )
        inner = JoblibMachine(
            self.source,
            self.limits,
            call=call,
            create=create,
            build=build,
            globals_seen=self.globals_seen,
            deadline=self.deadline,
            nesting=self.nesting + 1,
            opcodes=self.opcodes,
        )
        inner.big_integers = self.big_integers
        root = inner.run()
        self.opcodes, self.big_integers = inner.opcodes, inner.big_integers
        if (
            not isinstance(root, Instance)
            or not isinstance(root.facts, ArrayFacts)
            or root.facts.shape != shape
        ):
            self.refuse("array", "an array of objects is stored as something else; save the model again")
        if root.facts.dtype is None or root.facts.dtype.kind != "O":
            self.refuse("array", "an array of objects is stored as something else; save the model again")
        return root


def _ndarray() -> Global:
    return Global("numpy", "ndarray", 0, 0)


def scan_pickle(path: Path, limits: Limits, *, deadline: float | None = None) -> StaticReport:
    """Judge a pickle or joblib file. Raises `Refused`."""
    deadline = deadline if deadline is not None else time.monotonic() + limits.scan_seconds
    with Source(path, limits, deadline=deadline) as source:
        seen: dict[tuple[str, str], Global] = {}
        machine = JoblibMachine(
            source, limits, call=call, create=create, build=build, globals_seen=seen, deadline=deadline
        )
        kind: Format = "joblib" if source.compression else "pickle"
        try:
            root = machine.run()
            kind = "joblib" if source.compression or machine.arrays else "pickle"
            if not source.finished():
                raise Refused(
                    "trailing_data",
                    f"bytes follow the end of the model at offset {source.offset}; save the model"
                    " alone in its file",
                )
            estimator = estimator_of(root)
        except Refused as refused:
            refused.format = "joblib" if machine.arrays else kind
            raise
        return StaticReport(
            format=kind,
            size=source.size,
            estimator=f"{estimator.cls.module}.{estimator.cls.name}",
            sklearn_version=version_of(estimator),
            libraries=_libraries(estimator),
            compression=source.compression,
            inflated=source.offset,
            globals=tuple(sorted(f"{module}.{name}" for module, name in seen)),
        )


def estimator_of(root: Any) -> Instance:
    if isinstance(root, Instance) and is_estimator(root.cls.key):
        if root.state is None:
            raise Refused("not_fitted", f"the {root.cls.name} in the file has no state; fit it before saving")
        return root
    what = f"a {root.cls.module}.{root.cls.name}" if isinstance(root, Instance) else "a plain value"
    raise Refused(
        "no_estimator",
        f"the file holds {what} instead of an estimator of scikit-learn; save the fitted estimator or"
        " pipeline itself",
    )


def version_of(estimator: Instance) -> str | None:
    assert estimator.state is not None
    version = estimator.state.entries.get("_sklearn_version")
    return version if isinstance(version, str) and len(version) < 32 else None


def _libraries(estimator: Instance) -> dict[str, str]:
    version = version_of(estimator)
    return {"scikit-learn": version} if version else {}
