"""Liveness and readiness."""

from __future__ import annotations

from typing import Literal

from modelyard.web.app import create_app, lambda_handler
from modelyard.web.dependencies import ServicesDep
from modelyard.web.fields import Shown
from modelyard.web.routing import PUBLIC, Router
from pydantic import Field

router = Router(tags=["health"], dependencies=[PUBLIC])


class Alive(Shown):
    status: Literal["ok"] = "ok"


class Dependency(Shown):
    status: Literal["up", "down"]
    milliseconds: float


class Ready(Shown):
    status: Literal["ready", "degraded"] = Field(
        description="degraded: only the cache is away; everything works, some of it slower"
    )
    checks: dict[str, Dependency]


@router.get("/health")
async def health() -> Alive:
    """Whether the service answers at all. Asks nothing of anybody."""
    return Alive()


@router.get("/health/ready")
async def ready(services: ServicesDep) -> Ready:
    """Whether database, cache and storage answer."""
    status, checks = services.readiness.ask()
    return Ready.model_validate({"status": status, "checks": checks})


handler = lambda_handler(create_app(router))
