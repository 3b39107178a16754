"""Answers with an entity tag, and changes that name the one they are based on."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from modelyard.kit.errors import PreconditionFailed, PreconditionRequired
from modelyard.kit.etag import etag_of, matches, none_match


def tagged(request: Request, body: BaseModel) -> Response:
    """`body` with its `ETag`, or 304 where `If-None-Match` says that the client has it already."""
    content = body.model_dump(mode="json")
    tag = etag_of(content)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if not none_match(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return JSONResponse(content, headers=headers)


def tagged_by(setting: BaseModel, body: BaseModel) -> Response:
    """`body` with the `ETag` of `setting`, the part of it that a change is based on.

    Never 304: the rest changes without anybody's doing.
    """
    headers = {"ETag": etag_of(setting.model_dump(mode="json")), "Cache-Control": "private, no-cache"}
    return JSONResponse(body.model_dump(mode="json"), headers=headers)


def check_match(request: Request, current: BaseModel) -> None:
    """Lets a change pass whose `If-Match` names what `current` is now.

    Raises `PreconditionRequired` without the header and `PreconditionFailed` where somebody was faster. Call
    it with the row locked.
    """
    header = request.headers.get("if-match")
    if header is None:
        raise PreconditionRequired(
            "Send If-Match with the ETag that a GET of this answered, so that nobody's change gets lost."
        )
    if not matches(header, etag_of(current.model_dump(mode="json"))):
        raise PreconditionFailed("It has changed since. GET it again, look, and send its new ETag.")
