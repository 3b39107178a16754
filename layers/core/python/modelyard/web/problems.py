"""Errors as responses: RFC 9457, one shape for everything that goes wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from modelyard.kit import errors
from modelyard.kit.errors import FieldError, Invalid, Malformed, Problem
from modelyard.web.context import RequestContext
from modelyard.web.shapes import DETAILS, PROBLEM_TYPE, MethodNotAllowed, NoSuchRoute

_MOST_ERRORS = 20
_KEY = re.compile(r"^[\w.\- ]{1,64}$")


_BY_STATUS: dict[int, type[Problem]] = {
    400: Malformed,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: NoSuchRoute,
    405: MethodNotAllowed,
    413: errors.TooLarge,
    415: errors.UnsupportedMediaType,
    422: Invalid,
    429: errors.TooManyRequests,
    503: errors.Unavailable,
}


class ProblemResponse(JSONResponse):
    media_type = PROBLEM_TYPE


def render(problem: Problem, context: RequestContext) -> ProblemResponse:
    """The answer for `problem`, with the request's id."""
    context.error = problem.code
    body = problem.body(instance=context.path, request_id=context.request_id)
    return ProblemResponse(body, status_code=problem.status, headers=problem.headers)


def install(app: FastAPI) -> None:
    """Registers the one renderer for everything that a route can raise. Unknown exceptions reach the
    middleware.
    """

    async def on_problem(request: Request, problem: Exception) -> ProblemResponse:
        assert isinstance(problem, Problem)
        return render(problem, RequestContext.of(request.scope))

    async def on_validation(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, RequestValidationError)
        return render(from_validation(error.errors()), RequestContext.of(request.scope))

    async def on_http(request: Request, error: Exception) -> ProblemResponse:
        assert isinstance(error, HTTPException)
        return render(from_http(error), RequestContext.of(request.scope))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)


def from_http(error: HTTPException) -> Problem:
    """Starlette's own exceptions, in our words: theirs could echo input."""
    kind = _BY_STATUS.get(error.status_code, Malformed if error.status_code < 500 else Problem)
    return kind(DETAILS.get(error.status_code, ""), headers=dict(error.headers or {}) or None)


def from_validation(failures: Sequence[Mapping[str, Any]]) -> Problem:
    """pydantic's failures as pointers and sentences; values stay out."""
    if any(failure["type"] == "json_invalid" for failure in failures):
        return Malformed("The body is not valid JSON.")
    found = [FieldError(pointer(failure["loc"]), _sentence(failure)) for failure in failures]
    count = len(found)
    more = f" The first {_MOST_ERRORS} of {count} are listed." if count > _MOST_ERRORS else ""
    places = "1 place does" if count == 1 else f"{count} places do"
    return Invalid(f"{places} not fit; see errors.{more}", errors=found[:_MOST_ERRORS])


def pointer(location: Sequence[Any]) -> str:
    """JSON pointer into the body; for anything else where it stands: `query:limit`, `path:model_id`,
    `header:x`.
    """
    place, *steps = location
    names = [_step(step) for step in steps]
    if place == "body":
        return "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)
    return f"{place}:{'/'.join(names)}"


def _step(step: Any) -> str:
    """Names that a caller invented are shown only where they are harmless to show."""
    text = str(step)
    return text if _KEY.match(text) else "…"


def _sentence(failure: Mapping[str, Any]) -> str:
    kind, message = str(failure["type"]), str(failure["msg"])
    if kind == "missing":
        return "This field is required."
    if kind == "extra_forbidden":
        return "This field is not known here; leave it out."
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind.endswith(("_type", "_parsing")) or kind.startswith("model_"):
        return f"{message.partition(',')[0]}; got {kind_of(failure.get('input'))}."
    return f"{message}."


def kind_of(value: Any) -> str:
    """What a JSON value is, without the value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str | bytes):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    return "an array" if isinstance(value, Sequence) else "something else"
