"""Splitting a model's requests between versions."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from modelyard.db import tables
from modelyard.registry.changes import Reason
from modelyard.registry.promotion import Promotions
from modelyard.registry.repository import ModelRepository
from modelyard.web.conditional import check_match, tagged
from modelyard.web.dependencies import AfterCommitDep, ReadModels, ServicesDep, SessionDep, WriteModels
from modelyard.web.routes.aliases import by_caller
from modelyard.web.routes.models import NOT_MODIFIED, follow_up
from modelyard.web.routing import Router

router = Router(tags=["models"])
Share = Annotated[int, Field(ge=1, le=99, strict=True)]


class Traffic(BaseModel):
    """Percent by version; empty: all requests go to the champion."""

    weights: Annotated[dict[str, int], Field(examples=[{"v1": 90, "v2": 10}])]

    @classmethod
    def of(cls, model: tables.Model) -> Self:
        return cls(weights={f"v{number}": share for number, share in (model.traffic or {}).items()})


class Split(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weights: Annotated[dict[str, Share], Field(min_length=2, max_length=10, examples=[{"v1": 90, "v2": 10}])]
    reason: Reason = ""


@router.get("/models/{model_id}/traffic", response_model=Traffic, responses=NOT_MODIFIED)
async def get_traffic(
    request: Request, model_id: str, caller: ReadModels, services: ServicesDep, session: SessionDep
) -> Response:
    """How requests that ask for no version are divided."""
    return tagged(request, Traffic.of(ModelRepository(session, caller.user_id).model(model_id)))


@router.put("/models/{model_id}/traffic", response_model=Traffic)
async def split(
    request: Request,
    model_id: str,
    body: Split,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Divides the requests that ask for no version between versions, in percent. Requests with the same
    X-Routing-Key go to the same version. With If-Match only from what that says."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    if "if-match" in request.headers:
        check_match(request, Traffic.of(model))
    Promotions(repository).split(model, body.weights, by_caller(caller, body.reason))
    after += follow_up(services, caller, model_id)
    return tagged(request, Traffic.of(model))


@router.delete("/models/{model_id}/traffic", status_code=204)
async def join(
    request: Request,
    model_id: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Sends all requests to the champion again. Send the ETag of the division as If-Match."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    check_match(request, Traffic.of(model))
    Promotions(repository).join(model, by_caller(caller, ""))
    after += follow_up(services, caller, model_id)
    return Response(status_code=204)
