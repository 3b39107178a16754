"""What each Lambda layer is made of: the recipes that tools/layers.py follows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a layer is made from its lock.

    `above`: layers that are always used together with it; their packages are not repeated. `without`:
    distributions that metadata asks for and our use never imports. `trim`: globs below `python/` that nothing
    loads. `undocumented`: packages whose docstrings are a third of their code; they ship without.
    """

    above: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    trim: tuple[str, ...] = ()
    undocumented: tuple[str, ...] = ()


RECIPES: dict[str, Recipe] = {
    "base": Recipe(
        without=("greenlet",),  # serves SQLAlchemy's asyncio side only
        trim=("alembic/testing", "alembic/templates", "sqlalchemy/testing"),
    ),
    "web": Recipe(above=("base",)),
    "onnx": Recipe(
        # onnxruntime's tools need these, a session does not
        without=("flatbuffers", "protobuf", "packaging", "sympy", "mpmath", "coloredlogs", "humanfriendly"),
        trim=(
            "onnxruntime/transformers",
            "onnxruntime/quantization",
            "onnxruntime/tools",
            "onnxruntime/datasets",
            "onnxruntime/backend",
            # a second copy of the runtime, for C programs; the extension module does not load it
            "onnxruntime/capi/libonnxruntime.so*",
            "numpy/_core/include",
            "numpy/_core/lib",
            # numpy's tests of itself; loops for this processor's vectors stand in _multiarray_umath
            "numpy/_core/_simd.*",
            "numpy/_core/_*_tests.*",
        ),
    ),
    "sklearn": Recipe(
        above=("onnx",),
        without=("prettytable", "wcwidth"),  # skops' model cards
        trim=(
            "joblib/test",
            "skops/card",
            "sklearn/datasets/data",
            "sklearn/datasets/images",
            "sklearn/datasets/descr",
            # parts of scipy that neither scikit-learn nor the rest of scipy imports
            "scipy/datasets",
            "scipy/differentiate",
            "scipy/fftpack",
            "scipy/misc",
            "scipy/odr",
            "scipy/signal",
            # loaded on first use, and only by functions that neither scikit-learn nor its estimators call
            "scipy/io/_fast_matrix_market/_fmm_core.*",
            "scipy/stats/_unuran",
            "scipy/**/*_test*.so",
            "scipy/ndimage/_c*test.*",
            "lz4/block",
        ),
        undocumented=("narwhals", "pandas", "scipy", "sklearn"),
    ),
    "compile": Recipe(
        above=("onnx", "sklearn"),
        trim=("onnx/backend/test", "onnx/test", "onnx/fuzz", "onnx/*.proto", "skl2onnx/tutorial"),
        undocumented=("skl2onnx",),
    ),
    "boosters": Recipe(
        above=("onnx", "sklearn", "compile"),
        trim=(
            "lightgbm/dask.*",
            "xgboost/dask",
            "xgboost/spark",
            "xgboost/testing",
            *(f"onnxmltools/convert/{name}" for name in ("catboost", "coreml", "h2o", "libsvm", "sparkml")),
        ),
        undocumented=("lightgbm", "xgboost", "onnxmltools"),
    ),
}

LAYERS = ("core", *RECIPES)

# LightGBM asks for the system's OpenMP, which Lambda has not. scikit-learn's wheel brings one under a name of
# its own and is always loaded first (modelyard/intake/loading.py); under its common name LightGBM finds it.
OPENMP = "libgomp.so.1"

# In every package: tests, stubs, sources of extension modules, command-line scripts, the installer's notes
TRIM_EVERYWHERE = (
    *("**/tests", "**/__pycache__", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.pxi", "**/*.tp", "**/*.a"),
    *("**/*.c", "**/*.cpp", "**/*.cc", "**/*.h", "**/*.hpp", "**/*.pyx.in", "**/*.f90", "**/meson.build"),
    *("bin", "**/*.dist-info/RECORD", "**/*.dist-info/INSTALLER", "**/*.dist-info/REQUESTED", ".lock"),
)
