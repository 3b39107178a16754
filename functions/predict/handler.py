"""`predict`: the hot path, without FastAPI (docs/TECH_DECISIONS.md says why)."""

from __future__ import annotations

import gc
from contextlib import suppress

from modelyard.composition import HotComposition
from modelyard.web.lean import LeanApp
from modelyard.web.prediction import PredictEndpoint, log_prediction
from modelyard.web.protocol_errors import error_shape
from modelyard.web.protocols import ProtocolRoutes


def make_handler(composition: HotComposition) -> LeanApp:
    """Lambda's entry over these services."""
    other = ProtocolRoutes(lambda: composition.engine, lambda: composition.routes)
    return LeanApp(
        {
            "POST /predict/{model_id}": PredictEndpoint(lambda: composition.engine),
            "GET /v2": other.server,
            "GET /v2/health/live": other.healthy,
            "GET /v2/health/ready": other.healthy,
            "GET /v2/models": other.v2_models,
            "POST /v2/repository/index": other.v2_index,
            "GET /v2/models/{model}": other.v2_model,
            "GET /v2/models/{model}/ready": other.v2_ready,
            "POST /v2/models/{model}/infer": other.v2_infer,
            "GET /v2/models/{model}/versions/{version}": other.v2_model,
            "GET /v2/models/{model}/versions/{version}/ready": other.v2_ready,
            "POST /v2/models/{model}/versions/{version}/infer": other.v2_infer,
            "GET /v1/models": other.v1_models,
            "GET /v1/models/{model}": other.v1_model,
            "POST /v1/models/{model}": other.v1_predict,
            "POST /models/{model_id}/invocations": other.mlflow_invocations,
            "GET /models/{model_id}/ping": other.mlflow_ping,
            "GET /models/{model_id}/version": other.mlflow_version,
            "POST /endpoints/{model}/invocations": other.sagemaker_invocations,
        },
        origins=lambda: composition.allowed_origins,
        log=log_prediction,
        error_shape=error_shape,
    )


services = HotComposition()
services.preload()
handler = make_handler(services)

with suppress(ImportError):  # only Lambda has it, and only there are snapshots restored
    from snapshot_restore_py import register_after_restore

    register_after_restore(services.after_restore)

gc.freeze()  # what is imported by now stays: the collector need not walk it again during requests
