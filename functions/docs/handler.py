"""The API's documentation: the OpenAPI document, Swagger UI and ReDoc, all from here and nowhere else.

`assets/` is filled from npm packages by `tools/docs_assets.py`; `openapi.json` is made by `tools/openapi.py`.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from modelyard.web.app import create_app, lambda_handler
from modelyard.web.assets import Assets, NoSuchAsset
from modelyard.web.document import methods_in
from modelyard.web.routing import PUBLIC, Router

HERE = Path(__file__).parent
DOCUMENT = HERE / "openapi.json"
# Styles inline, because both readers make <style> elements as they go; scripts from here only.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
PAGE_SECONDS, ASSET_SECONDS = 300, 86_400

router = Router(tags=["docs"], dependencies=[PUBLIC])
pages, assets = Assets(HERE / "pages"), Assets(HERE / "assets")
document = Assets(HERE)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    return pages.answer(request, "docs.html", seconds=PAGE_SECONDS, policy=POLICY)


@router.get("/redoc", include_in_schema=False)
async def redoc(request: Request) -> Response:
    return pages.answer(request, "redoc.html", seconds=PAGE_SECONDS, policy=POLICY)


@router.get("/docs/{asset}", include_in_schema=False)
async def asset(request: Request, asset: str) -> Response:
    try:
        return pages.answer(request, asset, seconds=PAGE_SECONDS)
    except NoSuchAsset:
        return assets.answer(request, asset, seconds=ASSET_SECONDS)


@router.get("/openapi.json", responses={200: {"content": {"application/json": {}}}})
async def openapi(request: Request) -> Response:
    """This document."""
    return document.answer(request, DOCUMENT.name, seconds=PAGE_SECONDS)


# This function answers the gateway's OPTIONS for every path.
handler = lambda_handler(create_app(router, methods=methods_in(DOCUMENT)))
