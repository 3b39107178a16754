"""A model's shadow: the setting, its disagreement report, and the requests behind that."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from modelyard.accounts.admission import Caller
from modelyard.composition import Composition
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.registry.promotion import Promotions
from modelyard.registry.repository import ModelRepository
from modelyard.registry.shadow.reports import ShadowReports
from modelyard.registry.shadow.repository import ShadowRepository
from modelyard.registry.shadow.schemas import (
    Compared,
    ComparedPage,
    ShadowSetting,
    ShadowShown,
    ShadowWanted,
    Version,
)
from modelyard.registry.shadow.settings import Shadows
from modelyard.serving.mirror import mirror_key
from modelyard.web.conditional import IF_MATCH, IF_MATCH_GIVEN, check_given, check_match, tagged, tagged_by
from modelyard.web.dependencies import AfterCommitDep, ReadModels, ServicesDep, SessionDep, WriteModels
from modelyard.web.routes.aliases import by_caller
from modelyard.web.routes.models import follow_up
from modelyard.web.routing import Router
from modelyard.web.urls import base_url

router = Router(tags=["models"])
Earlier = Annotated[Version | None, Query(description="An earlier shadow, instead of the present one")]


class ComparedQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[Version | None, Field(description="An earlier shadow, instead of the present")] = None
    differing: Annotated[
        bool | None, Field(description="Those with rows that differ, or those that agree")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(description="The next_cursor of the page before")] = None


@router.get("/models/{model_id}/shadow", response_model=ShadowShown)
async def get_shadow(
    model_id: str, caller: ReadModels, services: ServicesDep, session: SessionDep, version: Earlier = None
) -> Response:
    """The shadow, and how its answers compare with those that were given. The ETag is that of the setting."""
    model = ModelRepository(session, caller.user_id).model(model_id)
    setting, report = ShadowSetting.of(model), _reports(session, services, caller).report(model, version)
    return tagged_by(setting, ShadowShown(**setting.model_dump(), report=report))


@router.put("/models/{model_id}/shadow", response_model=ShadowSetting, dependencies=[IF_MATCH_GIVEN])
async def set_shadow(
    request: Request,
    model_id: str,
    body: ShadowWanted,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Has a version asked what callers ask the model, out of their sight: its answers are compared with those
    that they got, and go to nobody. With If-Match only from what that says."""
    model = ModelRepository(session, caller.user_id).model(model_id, lock=True)
    before = ShadowSetting.of(model)
    check_given(request, before, made=model.shadow is not None)
    _shadows(session, caller).begin(
        model,
        body.version,
        percent=body.percent,
        tolerance=body.tolerance,
        by=by_caller(caller, body.reason),
    )
    if ShadowSetting.of(model) != before:
        after += follow_up(services, caller, model_id)
        after.append(partial(services.redis.delete, mirror_key(caller.user_id, model_id)))
    return tagged(request, ShadowSetting.of(model))


@router.delete("/models/{model_id}/shadow", status_code=204, dependencies=[IF_MATCH])
async def end_shadow(
    request: Request,
    model_id: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Ends the shadow; its report stays for 30 days. Send the ETag of the shadow as If-Match."""
    model = ModelRepository(session, caller.user_id).model(model_id, lock=True)
    check_match(request, ShadowSetting.of(model))
    _shadows(session, caller).end(model, by_caller(caller, ""))
    after += follow_up(services, caller, model_id)
    after.append(partial(services.redis.delete, mirror_key(caller.user_id, model_id)))
    return Response(status_code=204)


@router.get("/models/{model_id}/shadow/predictions")
async def list_compared(
    request: Request,
    response: Response,
    model_id: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    wanted: Annotated[ComparedQuery, Query()],
) -> ComparedPage:
    """The requests that the shadow saw, newest first, with both answers where they differ."""
    model = ModelRepository(session, caller.user_id).model(model_id)
    page = _reports(session, services, caller).page(
        model, wanted.version, differing=wanted.differing, limit=wanted.limit, cursor=wanted.cursor
    )
    url = f"{base_url(request, services)}/models/{model_id}/shadow/predictions"
    if link := page.link(url, wanted.model_dump(mode="json", exclude={"cursor"}, exclude_none=True)):
        response.headers["Link"] = link
    return ComparedPage(items=[Compared.of(row) for row in page.items], next_cursor=page.next_cursor)


def _shadows(session: Session, caller: Caller) -> Shadows:
    return Shadows(Promotions(ModelRepository(session, caller.user_id)))


def _reports(session: Session, services: Composition, caller: Caller) -> ShadowReports:
    repository = ShadowRepository(session, caller.user_id)
    return ShadowReports(repository, lambda: services.scanning_redis, services.cursors)
