"""The app of a function and its Lambda entry.

router = Router()
…
handler = lambda_handler(create_app(router))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from modelyard.composition import Composition
from modelyard.web import problems
from modelyard.web.adapter import RestApi, run
from modelyard.web.middleware import Envelope, MethodsOf
from modelyard.web.routing import LARGEST_BODY, Route, Router

_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def create_app(
    router: Router, composition: Composition | None = None, *, methods: MethodsOf | None = None
) -> FastAPI:
    """A fresh app for one function. Without `composition`, services are built from the environment on first
    use. `methods` says which methods a path takes, for a function that answers OPTIONS of others' paths too.
    """
    services = composition or Composition()
    app = FastAPI(
        title="Modelyard",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
        telemetry=_NO_TELEMETRY,
        middleware=[
            Middleware(
                Envelope, origins=lambda: services.allowed_origins, methods=methods or _methods_of(router)
            ),
        ],
    )
    app.state.composition = services
    strangers = [route for route in router.routes if not isinstance(route, Route)]
    if strangers:
        raise TypeError("build routers with modelyard.web.routing.Router: its routes check who may call them")
    app.include_router(router)
    problems.install(app)
    return app


def lambda_handler(app: FastAPI) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The entry for API Gateway's proxy events. Works behind the stage prefix `/api` and without it."""
    from mangum import Mangum

    adapter = Mangum(
        app,
        lifespan="off",
        custom_handlers=[RestApi],
        text_mime_types=[
            "text/",
            "application/json",
            "application/problem+json",
            "application/javascript",
            "image/svg+xml",
        ],
    )
    return run(adapter)


def _methods_of(router: Router) -> MethodsOf:
    def methods(path: str) -> Iterable[str]:
        found = [
            route for route in router.routes if isinstance(route, Route) and route.path_regex.match(path)
        ]
        literal = [route for route in found if route.path == path]
        for route in literal or found:  # API Gateway prefers a literal path, too
            yield from route.methods or ()

    return methods
