"""Layer 2: opens a file that the gate accepted and checks what compiled code would trust. Sandbox only.

Importing this module imports numpy; scikit-learn comes with the file's own classes.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from modelyard.intake.unpickling import RemainderColumns, unpickle
from modelyard.intake.validate import parts_of, validate
from modelyard.intake.verdict import Limits, Refused, StaticReport


def load(path: Path, report: StaticReport, limits: Limits) -> Any:
    """The fitted estimator in the file. Raises `Refused`; what to warn of is the caller's."""
    if report.format == "onnx":
        raise Refused("format", "an ONNX file is not loaded as an estimator", format="onnx")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = _modernised(_open(path, report, limits))
            validate(estimator, limits)
    except Refused as refused:
        refused.format = report.format
        raise
    except MemoryError:
        raise Refused(
            "out_of_memory",
            "the model needs more memory to load than an inspection has",
            format=report.format,
        ) from None
    except Exception as error:
        raise Refused("load_failed", _explain(error, report), format=report.format) from None
    return estimator


def _modernised(estimator: Any) -> Any:
    """What older versions of scikit-learn kept differently, as the installed one keeps it."""
    from sklearn.compose import ColumnTransformer

    for part in parts_of(estimator):
        if isinstance(part, ColumnTransformer) and isinstance(getattr(part, "transformers_", None), list):
            part.transformers_ = [
                (*step[:2], list(step[2]) if isinstance(step[2], RemainderColumns) else step[2])
                for step in part.transformers_
            ]
    return estimator


def _open(path: Path, report: StaticReport, limits: Limits) -> Any:
    # On Lambda, LightGBM borrows the OpenMP library of scikit-learn (tools/recipes.py): that comes first,
    # whatever class the file names first.
    import sklearn.utils._openmp_helpers  # noqa: F401

    if report.format == "skops":
        from modelyard.intake.skops_loading import load_skops

        return load_skops(path, limits)
    return unpickle(path, limits, joblib=report.format == "joblib")


def _explain(error: Exception, report: StaticReport) -> str:
    import sklearn

    kind = type(error).__name__
    trained = report.sklearn_version
    if trained and trained != sklearn.__version__:
        return (
            f"the model was saved by scikit-learn {trained} and does not load in"
            f" {sklearn.__version__} ({kind});"
            f" train it with scikit-learn {sklearn.__version__}, or export it to ONNX"
        )
    return f"the model does not load ({kind}); save it again with an unmodified library"
