"""Uploads, models and versions over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.registry.listing import Listing
from modelyard.registry.repository import ModelRepository
from modelyard.registry.schemas import Model, ModelPage, Upload, Version, VersionPage, VersionSummary
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.conditional import tagged
from modelyard.web.dependencies import ReadModels, ServicesDep, SessionDep, WriteModels
from modelyard.web.routing import Router
from modelyard.web.uploads import UPLOAD_BODY, read_upload
from modelyard.web.urls import base_url

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(description="The next_cursor of the page before")]

router = Router(tags=["models"])


@router.post(
    "/models/upload",
    status_code=201,
    response_model=Upload,
    responses={202: {"model": Upload, "description": "The file came along and is being registered"}},
    openapi_extra=UPLOAD_BODY,
)
async def upload(request: Request, response: Response, caller: WriteModels, services: ServicesDep) -> Upload:
    """Uploads a model: announce it as JSON and send the file to the form that comes back, or send a small
    file along as multipart/form-data. An existing name gets its next version."""
    wanted, content = await read_upload(request)
    with services.database.transaction() as session:
        announced = services.uploads.announce(ModelRepository(session, caller.user_id), wanted.announcement())
        form = services.uploads.form(announced) if content is None else None
    # Committed before the file is stored: its arrival is an event that must find its version.
    answer = Upload.of(announced, form, base_url=base_url(request, services))
    if content is not None:
        services.uploads.store(announced, content)
        response.status_code = 202
        response.headers["Retry-After"] = "2"
    response.headers["Location"] = answer.status_url
    return answer


@router.get("/models")
async def list_models(
    request: Request,
    response: Response,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> ModelPage:
    """The caller's models, newest first."""
    listing = Listing(ModelRepository(session, caller.user_id), services.cursors)
    base, page = base_url(request, services), listing.models(limit=limit, cursor=cursor)
    if link := page.link(f"{base}/models", {"limit": limit}):
        response.headers["Link"] = link
    items = [Model.of(model, latest, base_url=base) for model, latest in page.items]
    return ModelPage(items=items, next_cursor=page.next_cursor)


@router.get("/models/{model_id}", response_model=Model, responses={304: {"description": "Not modified"}})
async def get_model(
    request: Request, model_id: str, caller: ReadModels, services: ServicesDep, session: SessionDep
) -> Response:
    """One model."""
    listing = Listing(ModelRepository(session, caller.user_id), services.cursors)
    model, latest = listing.model(model_id)
    return tagged(request, Model.of(model, latest, base_url=base_url(request, services)))


@router.get("/models/{model_id}/versions")
async def list_versions(
    request: Request,
    response: Response,
    model_id: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> VersionPage:
    """The versions of a model, newest first, whatever became of them."""
    listing = Listing(ModelRepository(session, caller.user_id), services.cursors)
    base, page = base_url(request, services), listing.versions(model_id, limit=limit, cursor=cursor)
    if link := page.link(f"{base}/models/{model_id}/versions", {"limit": limit}):
        response.headers["Link"] = link
    items = [VersionSummary.of(version, base_url=base) for version in page.items]
    return VersionPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/models/{model_id}/versions/{version}",
    response_model=Version,
    responses={304: {"description": "Not modified"}},
)
async def get_version(
    request: Request,
    model_id: str,
    version: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
) -> Response:
    """One version, named `v1` or `1`, with its description once it is ready, its reason when it failed."""
    listing = Listing(ModelRepository(session, caller.user_id), services.cursors)
    found = listing.version(model_id, version)
    return tagged(request, Version.of(found, base_url=base_url(request, services)))


handler = lambda_handler(create_app(router))
