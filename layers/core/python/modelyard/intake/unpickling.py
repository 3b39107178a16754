"""Layer 2: unpicklers that know the same list as the gate and read the file the same way.

They run inside the sandbox only, on files that the gate accepted. Plain pickles go through Python's C
unpickler;
joblib files through its Python twin, with the array bytes read by the same `Source` that the gate used.
"""

from __future__ import annotations

import copyreg
import importlib
import pickle
from collections import UserList
from pathlib import Path
from typing import Any, cast

import numpy as np

from modelyard.intake import allowlist
from modelyard.intake.streams import Source
from modelyard.intake.verdict import Limits, Refused

LINE_LIMIT = 1 << 27
_BUILTINS = {"unicode": "str", "long": "int"}
_MOVED_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "_loss": "sklearn._loss._loss",
    "numpy.lib.function_base": "numpy",
    "numpy.lib._function_base_impl": "numpy",
    "scipy._lib.array_api_compat.numpy._aliases": "numpy",
}
_MOVED = {
    ("pandas.core.indexes.numeric", "Int64Index"): ("pandas", "Index"),
    ("sklearn.metrics._scorer", "_PredictScorer"): ("sklearn.metrics._scorer", "_Scorer"),
    ("sklearn.metrics._scorer", "_ProbaScorer"): ("sklearn.metrics._scorer", "_Scorer"),
    ("sklearn.metrics._scorer", "_ThresholdScorer"): ("sklearn.metrics._scorer", "_Scorer"),
    # losses that stochastic gradient descent does not need to predict, under the names of 1.4 and 1.5
    ("sklearn.linear_model._sgd_fast", "Log"): ("sklearn._loss._loss", "CyHalfBinomialLoss"),
    ("sklearn.linear_model._sgd_fast", "SquaredLoss"): ("sklearn._loss._loss", "CyHalfSquaredError"),
    ("sklearn.linear_model._sgd_fast", "Huber"): ("sklearn._loss._loss", "CyHuberLoss"),
    ("lightgbm.compat", "_LGBMLabelEncoder"): ("sklearn.preprocessing._label", "LabelEncoder"),
}
_TABLES = (allowlist.CALL, allowlist.NEW, allowlist.VALUE, allowlist.BASE, allowlist.MEMMAP)


class ArrayWrapper:
    """Stands where joblib writes its `NumpyArrayWrapper`; the array that follows takes its place."""

    subclass: Any
    shape: tuple[int, ...]
    order: str
    dtype: np.dtype[Any]
    numpy_array_alignment_bytes: int | None = None


class RemainderColumns(UserList[Any]):
    """Stands for the list of remaining columns that scikit-learn 1.5 and 1.6 wrote; `loading` makes it
    plain.
    """


def find_class(module: str, name: str) -> Any:
    """The object behind an allowed pair, under the name that it has in the installed versions."""
    if not any(allowlist.has(table, module, name) for table in _TABLES):
        raise Refused("global", f"the file names {module}.{name} while loading, which is not allowed")
    if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
        return ArrayWrapper
    if name == "getattr":
        return _entropy_method
    if name == "_RemainderColsList":
        return RemainderColumns
    if name.startswith("__pyx_unpickle_Cy"):
        return _loss
    if name == "memmap":
        return np.ndarray
    found = _MOVED.get((module, name))
    if found is None:
        found = (_MOVED_MODULES.get(module, module), name)
        if module == "__builtin__":
            found = ("builtins", _BUILTINS.get(name, name))
    return _import(*found)


def _import(module: str, name: str) -> Any:
    for candidate in (
        module,
        module.replace("numpy.core", "numpy._core"),
        module.replace("numpy._core", "numpy.core"),
    ):
        try:
            return getattr(importlib.import_module(candidate), name)
        except (ImportError, AttributeError):
            continue
    library = module.partition(".")[0]
    raise Refused(
        "version",
        f"the file needs {module}.{name}, which the installed {library} does not have; train and save"
        " the model"
        " with a current version, or export it to ONNX",
    )


def _entropy_method(owner: Any, name: str) -> Any:
    """`getattr` as far as discrete distributions need it."""
    from scipy.stats import rv_discrete

    if not isinstance(owner, rv_discrete) or name != "_entropy":
        raise Refused("global", "the file looks up an attribute while loading, which is not allowed")
    return owner._entropy


def _loss(cls: Any, checksum: int, state: Any) -> Any:
    """A loss of scikit-learn from what Cython wrote of it, whose own function for that comes and goes by
    version.
    """
    if not cls.__module__.endswith("_loss") or not cls.__name__.startswith("Cy"):
        raise Refused("global", "the file makes a loss of another class while loading, which is not allowed")
    return cls(*(state or ()))


class _Reader:
    """A `Source` as the file that an unpickler wants."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def read(self, count: int) -> bytes:
        return self.source.take(count)

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        self.source.readinto(view)
        return len(view)

    def readline(self) -> bytes:
        return self.source.line(LINE_LIMIT) + b"\n"


class PlainUnpickler(pickle.Unpickler):
    """For pickles without joblib's arrays."""

    def find_class(self, module: str, name: str) -> Any:
        return find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("opcode", "the file refers to an object outside of itself")


_PythonUnpickler: Any = pickle._Unpickler


class ArrayUnpickler(_PythonUnpickler):  # type: ignore[misc]
    """For joblib files. `nested` reads the stream of an object array, which holds no wrappers."""

    dispatch = _PythonUnpickler.dispatch.copy()

    def __init__(self, source: Source, *, nested: bool = False) -> None:
        super().__init__(_Reader(source))
        self.source = source
        self.nested = nested

    def find_class(self, module: str, name: str) -> Any:
        return find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("opcode", "the file refers to an object outside of itself")

    def load_build(self) -> None:
        _PythonUnpickler.load_build(self)
        wrapper = self.stack[-1]
        if not isinstance(wrapper, ArrayWrapper):
            return
        frame = self._unframer.current_frame
        if self.nested or (frame is not None and frame.read(1)):
            raise Refused("broken", "an array does not begin at the end of a frame; save the model again")
        self._unframer.current_frame = None
        self.stack[-1] = self._array(wrapper)

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, wrapper: ArrayWrapper) -> np.ndarray[Any, Any]:
        if wrapper.dtype.hasobject:
            array = ArrayUnpickler(self.source, nested=True).load()
            if not isinstance(array, np.ndarray) or array.shape != tuple(wrapper.shape):
                raise Refused(
                    "array", "an array of objects is stored as something else; save the model again"
                )
            return array
        if wrapper.numpy_array_alignment_bytes is not None:
            self.source.take(self.source.take(1)[0])
        count = 1
        for side in wrapper.shape:
            count *= int(side)
        raw = np.empty(count * wrapper.dtype.itemsize, dtype=np.uint8)
        self.source.readinto(memoryview(cast(Any, raw)))
        array = raw.view(wrapper.dtype) if len(raw) else np.empty(count, dtype=wrapper.dtype)
        shaped = array.reshape(wrapper.shape, order=cast(Any, wrapper.order))
        if shaped.dtype.byteorder == ">":
            shaped = shaped.byteswap().view(shaped.dtype.newbyteorder("="))
        return cast("np.ndarray[Any, Any]", shaped)


def unpickle(path: Path, limits: Limits, *, joblib: bool) -> Any:
    """The object in the file. Whatever goes wrong becomes `Refused`."""
    copyreg.clear_extension_cache()
    with Source(path, limits) as source:
        if joblib:
            return ArrayUnpickler(source).load()
        return PlainUnpickler(cast(Any, _Reader(source))).load()
