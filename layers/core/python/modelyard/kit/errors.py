"""The one error tree. What a caller may be told is a `Problem`; everything else is a 500 without a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class FieldError:
    """A wrong place in a payload. `detail`: what was expected and what kind was found, never the value."""

    pointer: str
    detail: str

    def as_dict(self) -> dict[str, str]:
        return {"pointer": self.pointer, "detail": self.detail}


class Problem(Exception):
    """An error with an answer for the caller (RFC 9457). Subclass it in the domain that raises it.

    `detail` is read by the caller: it says what was wrong and what to change, never an input value.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    type_uri: ClassVar[str | None] = None  # default: /api/problems/{code}

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """The `application/problem+json` body; `instance` is the path, decoded."""
        body: dict[str, Any] = {
            "type": self.type_uri or f"/api/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": quote(instance, safe="/:@!$&'()*+,;=~"),  # a URI reference is ASCII
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            body["errors"] = [error.as_dict() for error in self.errors]
        return body | self.extra


class Malformed(Problem):
    status, code, title = 400, "malformed", "Malformed request"


class Unauthorized(Problem):
    status, code, title = 401, "unauthorized", "Authentication required"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        headers = extra.pop("headers", None) or {"WWW-Authenticate": 'Bearer realm="modelyard"'}
        super().__init__(detail, headers=headers, **extra)


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "Not allowed"


class NotFound(Problem):
    """Unknown and foreign alike: which of the two is nobody's business."""

    status, code, title = 404, "not_found", "Not found"


class Conflict(Problem):
    status, code, title = 409, "conflict", "Conflict"


class Gone(Problem):
    status, code, title = 410, "gone", "Gone"


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition_failed", "The resource has changed"


class TooLarge(Problem):
    status, code, title = 413, "too_large", "Too large"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(Problem):
    status, code, title = 422, "invalid", "The payload does not fit"


class PreconditionRequired(Problem):
    status, code, title = 428, "precondition_required", "If-Match is required"


class TooManyRequests(Problem):
    status, code, title = 429, "quota_exceeded", "Too many requests"
    type_uri = "https://iana.org/assignments/http-problem-types#quota-exceeded"


class ModelError(Problem):
    """The model itself raised; its trace is logged and never answered."""

    status, code, title = 500, "model_error", "The model failed on this input"


class Unavailable(Problem):
    """A dependency is away or a model is loading; the caller may come back."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after: int = 2, **extra: Any) -> None:
        headers = {"Retry-After": str(retry_after)} | (extra.pop("headers", None) or {})
        super().__init__(detail, headers=headers, **extra)


class DeadlineExceeded(Problem):
    status, code, title = 504, "deadline_exceeded", "The deadline passed"
