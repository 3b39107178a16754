"""Versions: listing, stages, what is said of them, deletion and return."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from modelyard.composition import Composition
from modelyard.db import tables
from modelyard.kit.paging import DEFAULT_LIMIT, MAX_LIMIT
from modelyard.registry.changes import Deletion, VersionChange
from modelyard.registry.lifecycle import Lifecycle
from modelyard.registry.listing import Listing, number_of
from modelyard.registry.repository import ModelRepository
from modelyard.registry.schemas import Stage, Status, Version, VersionPage, VersionSummary
from modelyard.registry.search import VersionSearch, VersionSort
from modelyard.serving.route import notices
from modelyard.web.conditional import IF_MATCH, check_match, tagged
from modelyard.web.dependencies import (
    AfterCommitDep,
    OriginDep,
    ReadModels,
    ServicesDep,
    SessionDep,
    WriteModels,
)
from modelyard.web.routes.models import NOT_MODIFIED, Tags, follow_up
from modelyard.web.routing import Router
from modelyard.web.urls import base_url

router = Router(tags=["models"])


class VersionQuery(BaseModel):
    """Filters, order and page."""

    status: Status | None = None
    stage: Stage | None = None
    tag: Tags = []
    deleted: Annotated[bool, Field(description="Deleted versions instead")] = False
    sort: VersionSort = "-number"
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Annotated[str | None, Field(description="The next_cursor of the page before")] = None

    def search(self) -> VersionSearch:
        return VersionSearch(self.status, self.stage, tuple(self.tag), self.deleted, self.sort)


@router.get("/models/{model_id}/versions")
async def list_versions(
    request: Request,
    response: Response,
    model_id: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    wanted: Annotated[VersionQuery, Query()],
) -> VersionPage:
    """The versions of a model, newest first unless told otherwise, whatever became of them."""
    listing = Listing(ModelRepository(session, caller.user_id), services.cursors)
    page = listing.versions(model_id, limit=wanted.limit, cursor=wanted.cursor, search=wanted.search())
    base = base_url(request, services)
    params = wanted.model_dump(mode="json", exclude={"cursor"}, exclude_defaults=True)
    if link := page.link(f"{base}/models/{model_id}/versions", params | {"limit": wanted.limit}):
        response.headers["Link"] = link
    items = [VersionSummary.of(version, base_url=base) for version in page.items]
    return VersionPage(items=items, next_cursor=page.next_cursor)


@router.get("/models/{model_id}/versions/{version}", response_model=Version, responses=NOT_MODIFIED)
async def get_version(
    request: Request,
    model_id: str,
    version: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
) -> Response:
    """One version, named `v1` or `1`, with its description once it is ready, its reason when it failed."""
    found = Listing(ModelRepository(session, caller.user_id), services.cursors).version(model_id, version)
    return _tagged(request, found, services)


@router.patch("/models/{model_id}/versions/{version}", response_model=Version, dependencies=[IF_MATCH])
async def change_version(
    request: Request,
    model_id: str,
    version: str,
    body: VersionChange,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Response:
    """Changes the stage or what is said of a version. Deprecated ones answer with a notice, archived ones
    with 410. Send the version's ETag as If-Match."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    found = repository.version(model_id, number_of(version), lock=True)
    check_match(request, Version.of(found, base_url=base_url(request, services)))
    before = found.stage
    Lifecycle(repository).change_version(model, found, body.changes())
    session.flush()
    if found.stage != before:
        services.audit(session, origin, caller).record(
            "version.stage", user_id=caller.user_id, target=found.id, before=before, after=found.stage
        )
    retired = [found.id] if found.stage == "archived" != before else []
    after += follow_up(services, caller, model_id, retired)
    return _tagged(request, found, services)


@router.delete("/models/{model_id}/versions/{version}", dependencies=[IF_MATCH])
async def delete_version(
    request: Request,
    model_id: str,
    version: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Deletion:
    """Deletes a version that answers nobody. Send the version's ETag as If-Match."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    found = repository.version(model_id, number_of(version), lock=True)
    check_match(request, Version.of(found, base_url=base_url(request, services)))
    Lifecycle(repository).delete_version(model, found)
    services.audit(session, origin, caller).record("version.delete", user_id=caller.user_id, target=found.id)
    after += follow_up(services, caller, model_id, [found.id])
    assert found.deleted_at is not None
    base = base_url(request, services)
    return Deletion.of(model_id, found.deleted_at, base_url=base, number=found.number)


@router.post("/models/{model_id}/versions/{version}/restore", response_model=Version)
async def restore_version(
    request: Request,
    model_id: str,
    version: str,
    caller: WriteModels,
    services: ServicesDep,
    session: SessionDep,
    origin: OriginDep,
    after: AfterCommitDep,
) -> Response:
    """Brings a deleted version back, until its purge."""
    repository = ModelRepository(session, caller.user_id)
    model = repository.model(model_id, lock=True)
    found = Lifecycle(repository).restore_version(model, number_of(version))
    session.flush()
    services.audit(session, origin, caller).record("version.restore", user_id=caller.user_id, target=found.id)
    after += follow_up(services, caller, model_id)
    return _tagged(request, found, services)


def _tagged(request: Request, version: tables.ModelVersion, services: Composition) -> Response:
    """The version, with the notices that its predictions carry."""
    response = tagged(request, Version.of(version, base_url=base_url(request, services)))
    if version.deprecated_at is not None:
        sunset = None if version.sunset_at is None else int(version.sunset_at.timestamp())
        response.headers.update(notices(int(version.deprecated_at.timestamp()), sunset))
    return response
