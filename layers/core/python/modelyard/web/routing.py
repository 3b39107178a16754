"""The router that every function uses.

Its routes ask who calls before they look at a body, take JSON only as JSON, and cannot be declared without
saying who may call them: with a caller (`ReadModels`, …) or, in so many words, in public
(`dependencies=[PUBLIC]`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Request, params
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from modelyard.kit.errors import Malformed, UnsupportedMediaType
from modelyard.web.context import RequestContext
from modelyard.web.dependencies import admit, authenticated
from modelyard.web.idempotency import HEADER, Idempotency, claim_of

DEEPEST_JSON = 64
LARGEST_BODY = 6 * 1024 * 1024  # what Lambda accepts at all
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_UNTYPED = "application/octet-stream"  # so some gateways name what came without a type


async def public() -> None:
    """Says that a route is open to everybody."""


PUBLIC = Depends(public)


async def idempotent(
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", max_length=255, description="Sent again, the request is done once"),
    ] = None,
) -> None:
    """Says that a route creates something and honours `Idempotency-Key`."""


async def idempotent_secret(
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", max_length=255, description="Sent again, the answer is a 409"),
    ] = None,
) -> None:
    """The same for a route whose answer is shown once and must not be kept."""


IDEMPOTENT = Depends(idempotent)
IDEMPOTENT_SECRET = Depends(idempotent_secret)

PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}},
    }
}


class _JsonRequest(Request):
    """Parses with orjson: strict (no NaN, no lone surrogates), fast, and bounded in depth."""

    async def json(self) -> Any:
        if not hasattr(self, "_parsed"):
            body = await self.body()
            try:
                value = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                # the message and position only: the exception would carry the whole document
                raise json.JSONDecodeError(error.msg, "", 0) from None
            if body.count(b"[") + body.count(b"{") > DEEPEST_JSON and _deeper_than(value, DEEPEST_JSON):
                raise Malformed(f"The body is nested more than {DEEPEST_JSON} levels deep.")
            self._parsed = value
        return self._parsed


class Route(APIRoute):
    """See the module."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        calls = {dependant.call for dependant in _flat(self.dependant)}
        self.wants_caller = authenticated in calls
        self.query_names = frozenset(_query_names(self.dependant))
        self.secret = idempotent_secret in calls
        self.idempotent = idempotent in calls or self.secret
        if self.idempotent and not self.wants_caller:
            raise TypeError(f"{path} is idempotent per user, and so needs a caller")
        if not self.wants_caller and public not in calls:
            raise TypeError(
                f"{path} does not say who may call it: take a caller such as ReadModels, "
                "or declare dependencies=[PUBLIC]"
            )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            request = _JsonRequest(request.scope, request.receive)
            user_id = admit(request).caller.user_id if self.wants_caller else ""
            self._check_media_type(request)
            once = await self._once(request, user_id) if self.idempotent else None
            if once is None:
                return await handle(request)
            given = once.begin()
            if given is not None:
                return given
            context = RequestContext.of(request.scope)
            context.at_end.append(lambda status: once.give_back() if not 200 <= status < 300 else None)
            response = await handle(request)
            once.finish(response, context.unit)
            return response

        return checked

    async def _once(self, request: Request, user_id: str) -> Idempotency | None:
        body = await request.body() if HEADER in request.headers else b""
        claim = claim_of(request, body, user_id=user_id, route=f"POST {self.path}")
        if claim is None:
            return None
        return Idempotency(request.app.state.composition.database, claim, secret=self.secret)

    def _check_media_type(self, request: Request) -> None:
        if self.body_field is None:
            return
        given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if isinstance(self.body_field.field_info, params.Form):
            if given and given not in _FORMS:
                raise UnsupportedMediaType(f"Send the form as {_FORMS[0]}.")
        elif given == _UNTYPED:
            headers = request.scope["headers"]
            request.scope["headers"] = [pair for pair in headers if pair[0] != b"content-type"]
            request.__dict__.pop("_headers", None)
        elif given and given != "application/json" and not given.endswith("+json"):
            raise UnsupportedMediaType("Send the body as JSON, with Content-Type: application/json.")


class Router(APIRouter):
    """An `APIRouter` of `Route`s that documents problems. Paths are declared without `/api`."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("route_class", Route)
        options.setdefault(
            "strict_content_type", False
        )  # API Gateway takes a missing type for JSON, and so do we
        options["responses"] = _PROBLEMS | options.get("responses", {})
        super().__init__(**options)


def combine(*routers: Router) -> Router:
    """One router with the routes of several."""
    whole = Router()
    for router in routers:
        whole.routes.extend(router.routes)
    return whole


def _flat(dependant: Dependant) -> Iterator[Dependant]:
    for inner in dependant.dependencies:
        yield inner
        yield from _flat(inner)


def _query_names(dependant: Dependant) -> Iterator[str]:
    for each in (dependant, *_flat(dependant)):
        for parameter in each.query_params:
            kind = parameter.field_info.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):  # of several parameters
                yield from (field.alias or name for name, field in kind.model_fields.items())
            else:
                yield parameter.alias


def _deeper_than(value: Any, levels: int) -> bool:
    """Level by level: recursion is what a deep document attacks."""
    current = [value]
    for _ in range(levels + 1):
        children: list[Any] = []
        for item in current:
            if isinstance(item, dict):
                children.extend(child for child in item.values() if isinstance(child, dict | list))
            elif isinstance(item, list):
                children.extend(child for child in item if isinstance(child, dict | list))
        if not children:
            return False
        current = children
    return True
