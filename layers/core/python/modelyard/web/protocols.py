"""The routes of other model servers' protocols, between the lean adapter and the engine.

A model is called by its id or by its owner's name for it. Whoever calls is asked first, as everywhere; what
is wrong with a body is told after admission.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import orjson

from modelyard.kit.errors import Problem, UnsupportedMediaType
from modelyard.kit.ids import is_id
from modelyard.serving.engine import Answered, Ask, Engine
from modelyard.serving.errors import ArtifactUnavailable, ModelNotReady, VersionNotFound
from modelyard.serving.names import ListedModel
from modelyard.serving.protocols import mlflow, tensors, v1, v2
from modelyard.serving.protocols.common import values_of, wanted_outputs
from modelyard.serving.route import Route
from modelyard.web.lean import LeanRequest, LeanResponse
from modelyard.web.prediction import ask_of, headers_of, success_headers
from modelyard.web.protocol_errors import NotReady
from modelyard.web.shapes import DETAILS, NoSuchRoute

_PREDICT = ":predict"
_SERVER = {
    "name": "modelyard",
    "version": "2",
    "extensions": ["binary_tensor_data", "model_repository"],
}


class Listings(Protocol):
    """`modelyard.registry.routes.RouteBook`, as far as lists need it."""

    def listing(self, user_id: str) -> list[ListedModel]: ...


class ProtocolRoutes:
    """Answers V2, V1 and MLflow. `engine` and `listings` are built on first use."""

    def __init__(self, engine: Callable[[], Engine], listings: Callable[[], Listings]) -> None:
        self._engine = engine
        self._listings = listings

    # --- Open Inference Protocol V2

    def server(self, request: LeanRequest) -> LeanResponse:
        return _json(_SERVER)

    def healthy(self, request: LeanRequest) -> LeanResponse:
        """Alive and ready: environments that are not, answer nothing. `/api/health/ready` looks deeper."""
        return _json({"live": True, "ready": True})

    def v2_models(self, request: LeanRequest) -> LeanResponse:
        return _json({"models": [model.name for model in self._list(request)]})

    def v2_index(self, request: LeanRequest) -> LeanResponse:
        """All versions, or with `{"ready": true}` those that answer."""
        ask = _ask(request, "")
        only_ready = False
        try:
            only_ready = v2.only_ready(request.body())
        except Problem as problem:
            ask.early = problem
        found = []
        for model in self._list(request, ask):
            for number, ready in model.versions.items():
                if ready or not only_ready:
                    state = {"state": "READY" if ready else "UNAVAILABLE", "reason": ""}
                    found.append({"name": model.name, "version": f"v{number}", **state})
        return _json(found)

    def v2_model(self, request: LeanRequest) -> LeanResponse:
        route, model = self._load(request)
        signature = model.signature
        return _json(
            {
                "name": _name(request),
                "versions": [version.label for version in route.versions.values()],
                "platform": f"sklearn_{model.version.runtime}",
                "inputs": tensors.inputs_of(signature),
                "outputs": tensors.outputs_of(signature),
                "parameters": {"model_id": route.model_id, "version": model.version.label},
            }
        )

    def v2_ready(self, request: LeanRequest) -> LeanResponse:
        _, model = self._load(request)
        return _json({"name": _name(request), "version": model.version.label, "ready": True})

    def v2_infer(self, request: LeanRequest) -> LeanResponse:
        def reader(body: bytes) -> v2.InferRequest:
            return v2.InferRequest(body, request.headers.get("inference-header-content-length"))

        asked, ask, answered = self._compute(request, _name(request), reader)
        found: dict[str, Any] = {
            "model_name": _name(request),
            "model_version": answered.model.version.label,
            "id": ask.prediction_id if asked.id is None else asked.id,
            "parameters": {"prediction_id": ask.prediction_id},
            "outputs": tensors.tensors_of(
                answered.model.signature, orjson.loads(answered.core), asked.outputs
            ),
        }
        return _json(found, ask)

    # --- KServe V1

    def v1_models(self, request: LeanRequest) -> LeanResponse:
        return _json({"models": [model.name for model in self._list(request)]})

    def v1_model(self, request: LeanRequest) -> LeanResponse:
        self._load(request)
        return _json({"name": _name(request), "ready": True})

    def v1_predict(self, request: LeanRequest) -> LeanResponse:
        """`{model}:predict` is one part of a path to API Gateway."""
        name = _name(request)
        if not name.endswith(_PREDICT):
            raise NoSuchRoute(DETAILS[404])
        _, ask, answered = self._compute(request, name.removesuffix(_PREDICT), v1.Predict)
        return _predictions(ask, answered, ())

    # --- MLflow and SageMaker

    def mlflow_invocations(self, request: LeanRequest) -> LeanResponse:
        return self._invocations(request, header=True)

    def sagemaker_invocations(self, request: LeanRequest) -> LeanResponse:
        return self._invocations(request, header=False)

    def mlflow_ping(self, request: LeanRequest) -> LeanResponse:
        self._load(request)
        return LeanResponse("null")

    def mlflow_version(self, request: LeanRequest) -> LeanResponse:
        _, model = self._load(request)
        return LeanResponse(model.version.label, 200, {"content-type": "text/plain; charset=utf-8"})

    def _invocations(self, request: LeanRequest, *, header: bool) -> LeanResponse:
        def reader(body: bytes) -> mlflow.Invocation:
            return mlflow.Invocation(body, request.headers.get("content-type", ""), header=header)

        asked, ask, answered = self._compute(request, _name(request), reader)
        return _predictions(ask, answered, asked.outputs)

    # --- all of them

    def _list(self, request: LeanRequest, ask: Ask | None = None) -> list[ListedModel]:
        """The models that this credential may use."""
        ask = request.facts["ask"] = ask or _ask(request, "")
        try:
            caller = self._engine().welcome(ask).caller
            if ask.early is not None:
                raise ask.early
        finally:
            request.more_headers |= headers_of(ask)
        models = self._listings().listing(caller.user_id)
        return [model for model in models if caller.models is None or model.model_id in caller.models]

    def _load(self, request: LeanRequest) -> tuple[Route, Any]:
        ask = request.facts["ask"] = _ask(request, _name(request))
        try:
            return self._engine().load(ask)
        except (ModelNotReady, ArtifactUnavailable) as problem:
            raise NotReady(problem.detail, headers=problem.headers, name=_name(request)) from problem
        finally:
            request.more_headers |= headers_of(ask)

    def _compute(self, request: LeanRequest, name: str, reader: Callable[[bytes], Any]) -> Any:
        """The request as its protocol reads it, the ask, and the answer."""
        ask = request.facts["ask"] = _ask(request, name)
        asked: Any = None
        try:
            if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
                raise UnsupportedMediaType("Send the body without compression.")
            asked = reader(request.body())
            ask.read = asked.read
        except Problem as problem:
            ask.early = ask.early or problem
        try:
            answered = self._engine().compute(ask)
        finally:
            request.more_headers |= headers_of(ask)
        return asked, ask, answered


def _name(request: LeanRequest) -> str:
    return request.parameters.get("model") or request.parameters["model_id"]


def _ask(request: LeanRequest, name: str) -> Ask:
    ask = ask_of(request, name)
    if not is_id(name, "mdl"):
        ask = replace(ask, model_id="", name=name)
    ask.headers = _credentials(request.headers)
    version = request.parameters.get("version")
    if version is not None:
        number = version.removeprefix("v")
        if number.isascii() and number.isdecimal() and len(number) <= 9:
            ask.version = int(number)
        else:
            ask.early = VersionNotFound("There is no such version. Versions are called v1, v2, ….")
    return ask


def _credentials(headers: dict[str, str]) -> dict[str, str]:
    """The headers, with an API key that came as Basic's password, which is all that some clients can send."""
    scheme, _, coded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic" or "x-api-key" in headers:
        return headers
    try:
        password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return headers  # admission says what it expects
    others = {name: value for name, value in headers.items() if name != "authorization"}
    return others | {"x-api-key": password} if password else others


def _predictions(ask: Ask, answered: Answered, asked: tuple[str, ...]) -> LeanResponse:
    signature, core = answered.model.signature, orjson.loads(answered.core)
    return _json({"predictions": values_of(core, signature, wanted_outputs(signature, asked)[0])}, ask)


def _json(body: Any, ask: Ask | None = None) -> LeanResponse:
    return LeanResponse(orjson.dumps(body).decode(), 200, {} if ask is None else success_headers(ask))
