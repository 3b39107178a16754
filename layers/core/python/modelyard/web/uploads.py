"""Reading the body of `POST /models/upload`: JSON that announces a file, or a form that carries it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from modelyard.kit.errors import FieldError, Invalid, Malformed, UnsupportedMediaType
from modelyard.registry.schemas import UploadRequest
from modelyard.registry.uploads import DIRECT_BYTES, FileTooLarge

_FORM = {
    "type": "object",
    "required": ["name", "file"],
    "properties": {
        "name": {"type": "string"},
        "file": {"type": "string", "format": "binary", "description": f"At most {DIRECT_BYTES} bytes"},
        "description": {"type": "string"},
        "sha256": {"type": "string"},
    },
}
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": UploadRequest.model_json_schema()},
            "multipart/form-data": {"schema": _FORM},
        },
    }
}
"""`openapi_extra` of the route: FastAPI cannot tell two kinds of body from the signature."""


async def read_upload(request: Request) -> tuple[UploadRequest, bytes | None]:
    """What is announced, and the file where it came along. Raises problems."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        return await _from_form(request)
    if content_type not in ("", "application/json"):
        raise UnsupportedMediaType(
            "Announce the file as application/json, or send it along as multipart/form-data."
        )
    try:
        body = await request.json()
    except json.JSONDecodeError:
        raise Malformed("The body is not valid JSON.") from None
    return _validated(body), None


async def _from_form(request: Request) -> tuple[UploadRequest, bytes]:
    try:
        form = await request.form(max_files=1, max_fields=8, max_part_size=65_536)
    except HTTPException as error:  # a body beyond what any route reads ends here as well
        raise (_too_large() if error.status_code == 413 else _unreadable()) from None
    try:
        return await _from_fields(form)
    finally:
        await form.close()


async def _from_fields(form: FormData) -> tuple[UploadRequest, bytes]:
    fields: dict[str, Any] = dict(form)
    file = fields.pop("file", None)
    repeated = len(form.multi_items()) > len(form)
    if repeated or any(isinstance(value, UploadFile) for value in fields.values()):
        raise _unreadable()
    if not isinstance(file, UploadFile):
        raise Invalid("The form carries no file.", errors=[FieldError("/file", "This field is required.")])
    if told := sorted({"filename", "size"} & fields.keys()):
        errors = [FieldError(f"/{name}", "This is read off the file; leave it out.") for name in told]
        raise Invalid("The form says more than it may; see errors.", errors=errors)
    content = await file.read(DIRECT_BYTES + 1)
    if len(content) > DIRECT_BYTES:
        raise _too_large()
    if not content:
        raise Invalid("The file is empty.", errors=[FieldError("/file", "expected at least 1 byte")])
    return _validated(fields | {"filename": file.filename or "", "size": len(content)}), content


def _validated(body: Any) -> UploadRequest:
    try:
        return UploadRequest.model_validate(body)
    except ValidationError as error:
        failures = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**f, "loc": ("body", *f["loc"])} for f in failures]) from None


def _unreadable() -> Malformed:
    return Malformed("The form cannot be read: send each field once, and one file, named 'file'.")


def _too_large() -> FileTooLarge:
    return FileTooLarge(
        f"At most {DIRECT_BYTES} bytes fit into a request. Send the same route JSON with name, filename and "
        "size: it answers with a presigned form that takes files up to the limit for uploads.",
        max_bytes=DIRECT_BYTES,
    )
