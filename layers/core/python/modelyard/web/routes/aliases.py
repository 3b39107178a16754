"""Aliases of versions: promotion, rollback and their history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from modelyard.accounts.admission import Caller
from modelyard.db import tables
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.registry.changes import Reason
from modelyard.registry.promotion import Alias, By, Promotions
from modelyard.registry.repository import ModelRepository
from modelyard.registry.schemas import Moment
from modelyard.web.conditional import IF_MATCH, IF_MATCH_GIVEN, check_given, check_match, tagged
from modelyard.web.dependencies import AfterCommitDep, ReadModels, ServicesDep, SessionDep, WriteModels
from modelyard.web.routes.models import NOT_MODIFIED, follow_up
from modelyard.web.routing import Router
from modelyard.web.urls import base_url

router = Router(tags=["models"])


class AliasShown(BaseModel):
    alias: Annotated[str, Field(examples=["champion"])]
    version: Annotated[str, Field(examples=["v2"])]
    updated_at: Moment | None
    predict_url: str

    @classmethod
    def of(cls, model_id: str, alias: Alias, base: str) -> Self:
        url = f"{base}/predict/{model_id}?alias={alias.name}"
        return cls(alias=alias.name, version=f"v{alias.number}", updated_at=alias.updated_at, predict_url=url)


class AliasList(BaseModel):
    items: list[AliasShown]


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Annotated[str, Field(min_length=1, max_length=16, examples=["v2"])]
    reason: Reason = ""


class Rollback(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


class PromotionShown(BaseModel):
    """A move of an alias; `actor_id` null: the platform's own doing."""

    at: Moment
    action: Literal[
        "registered",
        "promoted",
        "removed",
        "rolled_back",
        "split",
        "joined",
        "withdrawn",
        "shadowed",
        "unshadowed",
    ]
    alias: str
    from_version: str | None
    to_version: str | None
    weights: Annotated[
        dict[str, int] | None,
        Field(description="Of a split, or what a withdrawal left of one: percent by version"),
    ]
    reason: str
    actor_id: str | None
    credential_id: str | None

    @classmethod
    def of(cls, row: tables.Promotion) -> Self:
        at: datetime = row.at
        return cls.model_validate(
            {
                "at": at,
                "action": row.action,
                "alias": row.alias,
                "from_version": row.from_number and f"v{row.from_number}",
                "to_version": row.to_number and f"v{row.to_number}",
                "weights": row.traffic and {f"v{number}": share for number, share in row.traffic.items()},
                "reason": row.reason,
                "actor_id": row.actor_id,
                "credential_id": row.credential_id,
            }
        )


class PromotionPage(BaseModel):
    items: list[PromotionShown]
    next_cursor: str | None


class HistoryQuery(BaseModel):
    alias: Annotated[str | None, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(description="The next_cursor of the page before")] = None


@router.get("/models/{model_id}/aliases", response_model=AliasList, responses=NOT_MODIFIED)
async def list_aliases(
    request: Request, model_id: str, caller: ReadModels, services: ServicesDep, session: SessionDep
) -> Response:
    """The aliases of a model and the versions that answer to them."""
    repository, base = ModelRepository(session, caller.user_id), base_url(request, services)
    found = Promotions(repository).all(repository.model(model_id))
    return tagged(request, AliasList(items=[AliasShown.of(model_id, alias, base) for alias in found]))


@router.get("/models/{model_id}/aliases/{alias}", response_model=AliasShown, responses=NOT_MODIFIED)
async def get_alias(
    request: Request,
    model_id: str,
    alias: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
) -> Response:
    """One alias."""
    repository = ModelRepository(session, caller.user_id)
    found = Promotions(repository).get(repository.model(model_id), alias)
    return tagged(request, AliasShown.of(model_id, found, base_url(request, services)))


@router.put("/models/{model_id}/aliases/{alias}", response_model=AliasShown, dependencies=[IF_MATCH_GIVEN])
async def promote(
    request: Request,
    model_id: str,
    alias: str,
    body: Wanted,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Points an alias to a version; `champion` is what answers where a request names none. With If-Match only
    if it still points to where that says, with `If-None-Match: *` only if it is new."""
    repository, base = ModelRepository(session, caller.user_id), base_url(request, services)
    model = repository.model(model_id, lock=True)
    promotions = Promotions(repository)
    look = promotions.get if "if-match" in request.headers else promotions.find
    current = look(model, alias)
    if current is not None:
        check_given(request, AliasShown.of(model_id, current, base), made=True)
    moved = promotions.promote(model, alias, body.version, by_caller(caller, body.reason))
    after += follow_up(services, caller, model_id)
    return tagged(request, AliasShown.of(model_id, moved, base))


@router.delete("/models/{model_id}/aliases/{alias}", status_code=204, dependencies=[IF_MATCH])
async def remove_alias(
    request: Request,
    model_id: str,
    alias: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Removes an alias; its versions stay. Send the alias's ETag as If-Match."""
    repository, base = ModelRepository(session, caller.user_id), base_url(request, services)
    model = repository.model(model_id, lock=True)
    promotions = Promotions(repository)
    check_match(request, AliasShown.of(model_id, promotions.get(model, alias), base))
    promotions.remove(model, alias, by_caller(caller, ""))
    after += follow_up(services, caller, model_id)
    return Response(status_code=204)


@router.post("/models/{model_id}/aliases/{alias}/rollback", response_model=AliasShown)
async def roll_back(
    request: Request,
    model_id: str,
    alias: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
    body: Rollback | None = None,
) -> Response:
    """Points an alias back to where it pointed before its last promotion."""
    repository, base = ModelRepository(session, caller.user_id), base_url(request, services)
    model = repository.model(model_id, lock=True)
    moved = Promotions(repository).roll_back(model, alias, by_caller(caller, body.reason if body else ""))
    after += follow_up(services, caller, model_id)
    return tagged(request, AliasShown.of(model_id, moved, base))


@router.get("/models/{model_id}/promotions")
async def history(
    request: Request,
    response: Response,
    model_id: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    wanted: Annotated[HistoryQuery, Query()],
) -> PromotionPage:
    """Every move of the model's aliases, newest first: who, when, from, to, why."""
    repository = ModelRepository(session, caller.user_id)
    page = Promotions(repository).history(
        repository.model(model_id),
        services.cursors,
        alias=wanted.alias,
        limit=wanted.limit,
        cursor=wanted.cursor,
    )
    url = f"{base_url(request, services)}/models/{model_id}/promotions"
    if link := page.link(url, {"alias": wanted.alias, "limit": wanted.limit}):
        response.headers["Link"] = link
    return PromotionPage(items=[PromotionShown.of(row) for row in page.items], next_cursor=page.next_cursor)


def by_caller(caller: Caller, reason: str) -> By:
    return By(caller.user_id, caller.credential_id, reason)
