"""`POST /predict/{model_id}`: its HTTP shape, between the lean adapter and the engine."""

from __future__ import annotations

import time
from collections.abc import Callable

from modelyard.kit.errors import FieldError, Problem, UnsupportedMediaType
from modelyard.serving.deadlines import DEADLINE_SECONDS, SHORTEST_TIMEOUT
from modelyard.serving.engine import Ask, Engine
from modelyard.serving.errors import InvalidParameter, PredictionTimeout
from modelyard.telemetry.records import PredictionRecord, write_line
from modelyard.web.lean import LeanRequest, LeanResponse, log_request

_SPARE_SECONDS = 1.0  # of Lambda's own deadline, to still write an answer
PARAMETERS = ("version", "alias", "outputs", "explain", "timeout")
# The local entry names bodies that came without a type so; binary bodies are none of this route's.
_JSON_TYPES = frozenset({"", "application/json", "application/octet-stream"})


class PredictEndpoint:
    """Answers predictions. `engine` is built on first use."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    def __call__(self, request: LeanRequest) -> LeanResponse:
        ask = _ask(request)
        request.facts["ask"] = ask
        try:
            body = self._engine().answer(ask)
        finally:
            request.more_headers |= headers_of(ask)
        return LeanResponse(body, 200, success_headers(ask))


def headers_of(ask: Ask) -> dict[str, str]:
    """What is known of a request, for its answer, be it an error or not."""
    headers: dict[str, str] = {}
    if ask.admission is not None:
        headers |= ask.admission.rate.headers()
    if ask.route is not None:
        headers["x-prediction-id"] = ask.prediction_id
        headers["x-model-version"] = ask.route.label
        headers |= ask.route.notices
    return headers


def success_headers(ask: Ask) -> dict[str, str]:
    timing = ", ".join([f"{name};dur={took:.3f}" for name, took in ask.timings.items()])
    headers = {"x-cache": ask.cache, "server-timing": timing}
    if ask.cache == "HIT":
        headers["age"] = str(ask.age)
    return headers


def log_prediction(request: LeanRequest, status: int, code: str | None) -> None:
    """The prediction record where a version was asked, else the log line of a request that came to none."""
    ask: Ask | None = request.facts.pop("ask", None)
    if ask is None or ask.route is None or ask.user_id is None:
        if ask is not None:
            request.facts |= {"user_id": ask.user_id, "model_id": ask.model_id[:30]}
        log_request(request, status, code)
        return
    record = PredictionRecord(
        prediction_id=ask.prediction_id,
        user_id=ask.user_id,
        model_id=ask.model_id,
        version_id=ask.route.version_id,
        model_version=ask.route.label,
        status_code=status,
        duration_ms=request.milliseconds,
        at=time.time(),
        rows=ask.rows,
        cached=ask.cache == "HIT",
        runtime=ask.route.runtime,
        error=code,
        request_id=request.request_id,
        endpoint=request.endpoint,
        cold=ask.cold,
        # Who gave up before the version had the time that it is promised says nothing about it.
        routed=ask.routed and not (ask.hurried and code == PredictionTimeout.code),
    )
    write_line(record.line())


def _ask(request: LeanRequest) -> Ask:
    """The request in the engine's words. What is wrong with it is told by the engine, after admission."""
    ask = ask_of(request, request.parameters["model_id"])
    try:
        if request.event.get("queryStringParameters") or request.event.get("multiValueQueryStringParameters"):
            ask.version, ask.outputs, wanted = _parameters(request.query)
            ask.alias = _alias(request.query)
            ask.explain = _explain(request.query)
            ask.deadline = min(ask.deadline, time.monotonic() + wanted)
            ask.hurried = wanted < DEADLINE_SECONDS
        _check_media_type(request.headers.get("content-type", ""))
        ask.body = request.body()
    except Problem as problem:
        ask.early = problem
    return ask


def ask_of(request: LeanRequest, model_id: str) -> Ask:
    """What headers and Lambda's own deadline say of a request."""
    seconds = min(DEADLINE_SECONDS, request.seconds_left - _SPARE_SECONDS)
    control = request.headers.get("cache-control", "")
    if control:
        control = control.lower()
    return Ask(
        model_id=model_id,
        body=b"",
        headers=request.headers,
        routing_key=request.headers.get("x-routing-key"),
        deadline=time.monotonic() + seconds,
        read_cache="no-cache" not in control and "no-store" not in control,
        write_cache="no-store" not in control,
    )


def _parameters(query: dict[str, list[str]]) -> tuple[int | None, tuple[str, ...], float]:
    """Version, outputs and seconds to wait."""
    for name, values in query.items():
        if name not in PARAMETERS:
            raise _bad("query:…", f"expected no parameters but {', '.join(PARAMETERS)}")
        if len(values) != 1:
            raise _bad(f"query:{name}", "expected once")
    number = query.get("version", [""])[0].removeprefix("v")
    if "version" in query and not (number.isascii() and number.isdecimal() and len(number) <= 9):
        raise _bad("query:version", "expected a version such as v2 or 2")
    asked = [part.strip() for part in query.get("outputs", [""])[0].split(",")]
    outputs = tuple(dict.fromkeys(part for part in asked if part))
    if "outputs" in query and not outputs:
        raise _bad("query:outputs", "expected names of outputs, separated by commas")
    return int(number) if number else None, outputs, _timeout(query.get("timeout", [None])[0])


def _alias(query: dict[str, list[str]]) -> str | None:
    if "alias" not in query:
        return None
    if "version" in query:
        raise _bad("query:alias", "expected either version or alias")
    alias = query["alias"][0]
    if not 0 < len(alias) <= 64:
        raise _bad("query:alias", "expected the name of an alias, such as champion")
    return alias


def _explain(query: dict[str, list[str]]) -> bool:
    given = query.get("explain", ["false"])[0]
    if given not in ("true", "false"):
        raise _bad("query:explain", "expected true or false")
    return given == "true"


def _timeout(given: str | None) -> float:
    if given is None:
        return DEADLINE_SECONDS
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not SHORTEST_TIMEOUT <= seconds <= DEADLINE_SECONDS:
        raise _bad("query:timeout", f"expected seconds from {SHORTEST_TIMEOUT} to {DEADLINE_SECONDS:.0f}")
    return seconds


def _bad(place: str, detail: str) -> InvalidParameter:
    return InvalidParameter(f"A query parameter does not fit: {detail}.", errors=[FieldError(place, detail)])


def _check_media_type(given: str) -> None:
    kind = given.partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")
