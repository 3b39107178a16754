"""What a model's callers need: its own OpenAPI document, and programs that call it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from modelyard.db import tables
from modelyard.registry.listing import number_of
from modelyard.registry.repository import ModelRepository
from modelyard.serving.errors import ModelNotReady
from modelyard.serving.signature import Signature
from modelyard.web.dependencies import ReadModels, ServicesDep, SessionDep
from modelyard.web.model_document import model_document
from modelyard.web.routing import Router
from modelyard.web.snippets import KEY_VARIABLE, snippets
from modelyard.web.urls import base_url

router = Router(tags=["models"])
Wanted = Annotated[str | None, Query(description="`2` or `v2`; otherwise the default version")]


class Snippets(BaseModel):
    """Sources by language; each reads the key from the environment."""

    curl: str
    python: str
    javascript: str
    key_variable: Annotated[str, Field(description="The environment variable that holds the API key")]


@router.get(
    "/models/{model_id}/openapi.json",
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def model_openapi(
    request: Request,
    model_id: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    version: Wanted = None,
) -> JSONResponse:
    """The OpenAPI document of one model, with its own columns and an example that predicts. With `version`,
    its routes ask that version."""
    model, found, signature = _described(ModelRepository(session, caller.user_id), model_id, version)
    return JSONResponse(
        model_document(
            signature,
            model_id=model.id,
            name=model.name,
            version=f"v{found.number}",
            pinned=version is not None,
            deprecated=found.stage == "deprecated",
            description=found.description or model.description,
            base_url=base_url(request, services),
        )
    )


@router.get("/models/{model_id}/snippets")
async def model_snippets(
    request: Request,
    model_id: str,
    caller: ReadModels,
    services: ServicesDep,
    session: SessionDep,
    version: Wanted = None,
) -> Snippets:
    """Programs that call one model, or one version of it, for curl, Python and JavaScript."""
    model, found, signature = _described(ModelRepository(session, caller.user_id), model_id, version)
    pinned = None if version is None else f"v{found.number}"
    base = base_url(request, services)
    sources: dict[str, Any] = snippets(signature, model_id=model.id, base_url=base, version=pinned)
    return Snippets(**sources, key_variable=KEY_VARIABLE)


def _described(
    repository: ModelRepository, model_id: str, version: str | None
) -> tuple[tables.Model, tables.ModelVersion, Signature]:
    model = repository.model(model_id)
    number = model.default_version if version is None else number_of(version)
    found = None if number is None else repository.version(model_id, number)
    if found is None or found.status != "ready" or not found.signature:
        raise ModelNotReady(
            "What is not ready has no columns yet. GET /models/{model_id}/versions tells why."
        )
    return model, found, Signature.from_json(found.signature)
