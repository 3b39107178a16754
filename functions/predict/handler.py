"""`predict`: the hot path, without FastAPI (docs/TECH_DECISIONS.md says why)."""

from __future__ import annotations

import gc
from contextlib import suppress

from modelyard.composition import HotComposition
from modelyard.web.lean import LeanApp
from modelyard.web.prediction import PredictEndpoint, log_prediction


def make_handler(composition: HotComposition) -> LeanApp:
    """Lambda's entry over these services."""
    return LeanApp(
        {"POST /predict/{model_id}": PredictEndpoint(lambda: composition.engine)},
        origins=lambda: composition.allowed_origins,
        log=log_prediction,
    )


services = HotComposition()
services.preload()
handler = make_handler(services)

with suppress(ImportError):  # only Lambda has it, and only there are snapshots restored
    from snapshot_restore_py import register_after_restore

    register_after_restore(services.after_restore)

gc.freeze()  # what is imported by now stays: the collector need not walk it again during requests
