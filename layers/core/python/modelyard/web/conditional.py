"""Answers with an entity tag."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from modelyard.kit.etag import etag_of, none_match


def tagged(request: Request, body: BaseModel) -> Response:
    """`body` with its `ETag`, or 304 where `If-None-Match` says that the client has it already."""
    content = body.model_dump(mode="json")
    tag = etag_of(content)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if not none_match(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return JSONResponse(content, headers=headers)
