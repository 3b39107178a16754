"""Models: uploads, listing, what is said of them, deletion and return."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from modelyard.accounts.admission import Caller
from modelyard.composition import Composition
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.registry.answer_cache import forget_answers
from modelyard.registry.changes import Deletion, ModelChange, Tag
from modelyard.registry.lifecycle import Lifecycle
from modelyard.registry.listing import Listing
from modelyard.registry.repository import ModelRepository
from modelyard.registry.schemas import Model, ModelPage, ModelSummary, Upload
from modelyard.registry.search import ModelSearch, ModelSort
from modelyard.web.conditional import IF_MATCH, check_match, tagged
from modelyard.web.dependencies import (
    AfterCommitDep,
    OriginDep,
    ReadModels,
    ServicesDep,
    SessionDep,
    WriteModels,
)
from modelyard.web.routing import IDEMPOTENT, Router
from modelyard.web.uploads import UPLOAD_BODY, read_upload
from modelyard.web.urls import base_url

router = Router(tags=["models"])
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "Not modified"}}
Tags = Annotated[list[Tag], Field(max_length=20, description="Repeat it for several: all must be there")]


class ModelQuery(BaseModel):
    """Filters, order and page."""

    q: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00]+$",
            description="Looked for in name and description",
        ),
    ] = None
    tag: Tags = []
    ready: Annotated[bool | None, Field(description="Whether a version answers predictions")] = None
    deleted: Annotated[bool, Field(description="Deleted models instead")] = False
    sort: ModelSort = "-created"
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(description="The next_cursor of the page before")] = None

    def search(self) -> ModelSearch:
        return ModelSearch(self.q, tuple(self.tag), self.ready, self.deleted, self.sort)


@router.post(
    "/models/upload",
    status_code=201,
    response_model=Upload,
    responses={202: {"model": Upload, "description": "The file came along and is being registered"}},
    openapi_extra=UPLOAD_BODY,
    dependencies=[IDEMPOTENT],
)
async def upload(
    request: Request, response: Response, caller: WriteModels, services: ServicesDep, origin: OriginDep
) -> Upload:
    """Uploads a model: announce it as JSON and send the file to the form that comes back, or send a small
    file along as multipart/form-data. An existing name gets its next version."""
    wanted, content = await read_upload(request)
    with services.database.transaction() as session:
        announced = services.uploads.announce(ModelRepository(session, caller.user_id), wanted.announcement())
        form = services.uploads.form(announced) if content is None else None
        services.audit(session, origin, caller).record(
            "model.upload", user_id=caller.user_id, target=announced.version_id
        )
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
    wanted: Annotated[ModelQuery, Query()],
) -> ModelPage:
    """The caller's models, newest first unless told otherwise; cards are left out."""
    listing = Listing(ModelRepository(session, caller.user_id), services.cursors)
    page = listing.models(limit=wanted.limit, cursor=wanted.cursor, search=wanted.search())
    base = base_url(request, services)
    params = wanted.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)
    if link := page.link(f"{base}/models", params | {"limit": wanted.limit}):
        response.headers["Link"] = link
    items = [ModelSummary.of(model, latest, base_url=base) for model, latest in page.items]
    return ModelPage(items=items, next_cursor=page.next_cursor)


@router.get("/models/{model_id}", response_model=Model, responses=NOT_MODIFIED)
async def get_model(
    request: Request, model_id: str, caller: ReadModels, services: ServicesDep, session: SessionDep
) -> Response:
    """One model."""
    return tagged(request, _shown(ModelRepository(session, caller.user_id), model_id, request, services))


@router.patch("/models/{model_id}", response_model=Model, dependencies=[IF_MATCH])
async def change_model(
    request: Request,
    model_id: str,
    body: ModelChange,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    after: AfterCommitDep,
) -> Response:
    """Changes description, tags, metadata, card or the cache. Send the model's ETag as If-Match."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    check_match(request, _shown(repository, model_id, request, services))
    Lifecycle(repository).change_model(model, body.changes())
    session.flush()
    if body.cache is not None:
        dropped = [] if body.cache.enabled else [version.id for version in repository.all_versions(model_id)]
        after += follow_up(services, caller, model_id, dropped)
    return tagged(request, _shown(repository, model_id, request, services))


@router.delete("/models/{model_id}", dependencies=[IF_MATCH])
async def delete_model(
    request: Request,
    model_id: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Deletion:
    """Deletes a model: it answers no more, its name is free. Send the model's ETag as If-Match."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    check_match(request, _shown(repository, model_id, request, services))
    Lifecycle(repository).delete_model(model)
    services.audit(session, origin, caller).record("model.delete", user_id=caller.user_id, target=model_id)
    version_ids = [version.id for version in repository.all_versions(model_id)]
    after += follow_up(services, caller, model_id, version_ids)
    assert model.deleted_at is not None
    return Deletion.of(model_id, model.deleted_at, base_url=base_url(request, services))


@router.post("/models/{model_id}/restore", response_model=Model)
async def restore_model(
    request: Request,
    model_id: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Response:
    """Brings a deleted model back, until its purge."""
    repository = ModelRepository(session, caller.user_id)
    Lifecycle(repository).restore_model(model_id)
    session.flush()
    services.audit(session, origin, caller).record("model.restore", user_id=caller.user_id, target=model_id)
    after += follow_up(services, caller, model_id)
    return tagged(request, _shown(repository, model_id, request, services))


def follow_up(
    services: Composition, caller: Caller, model_id: str, retired: list[str] | None = None
) -> list[Callable[[], object]]:
    """What requests must see once a change is committed: the route, and no answer of what is `retired`."""
    steps: list[Callable[[], object]] = [partial(services.routes.publish, caller.user_id, model_id)]
    if retired:
        steps.append(partial(forget_answers, services.scanning_redis, caller.user_id, retired))
    return steps


def _shown(repository: ModelRepository, model_id: str, request: Request, services: Composition) -> Model:
    model, latest = Listing(repository, services.cursors).model(model_id)
    return Model.of(model, latest, base_url=base_url(request, services))
