"""Answers with an entity tag, and changes that name the one they are based on."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from modelyard.kit.errors import PreconditionFailed, PreconditionRequired
from modelyard.kit.etag import etag_of, matches, none_match


async def if_match(
    _tag: Annotated[
        str | None,
        Header(alias="If-Match", description="The ETag of the last look; 428 without, 412 where it is old"),
    ] = None,
) -> None:
    """Says that a route takes a change only from who knows what is there: see `check_match`."""


async def if_match_given(
    _tag: Annotated[
        str | None, Header(alias="If-Match", description="Only if this ETag is still the present one")
    ] = None,
    _none: Annotated[
        str | None, Header(alias="If-None-Match", description="`*`: only if there is none yet")
    ] = None,
) -> None:
    """Says that a route heeds conditions where there are any: see `check_given`."""


IF_MATCH = Depends(if_match)
IF_MATCH_GIVEN = Depends(if_match_given)


def tagged(request: Request, body: BaseModel) -> Response:
    """`body` with its `ETag`, or 304 where `If-None-Match` of a GET says that the client has it already."""
    content = body.model_dump(mode="json")
    tag = etag_of(content)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    # Who changed something is told so: to them the header said whether to do it at all.
    if request.method == "GET" and not none_match(request.headers.get("if-none-match"), tag):
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


def check_given(request: Request, current: BaseModel, *, made: bool) -> None:
    """Lets a change pass whose `If-Match` and `If-None-Match`, where it has them, hold for `current`.

    `made`: somebody made it; otherwise `current` says that there is none. Raises `PreconditionFailed`. Call
    it with the row locked.
    """
    if "if-match" in request.headers:
        check_match(request, current)
    tag = etag_of(current.model_dump(mode="json"))
    if made and not none_match(request.headers.get("if-none-match"), tag):
        raise PreconditionFailed("It is there already. Leave If-None-Match out to change it.")
