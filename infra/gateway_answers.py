"""What API Gateway answers by itself, in the shape of every other error (RFC 9457) and with CORS headers.

Every type that a Lambda proxy without authorizers can meet is listed: a body cannot name the status
otherwise, because `$context.status` is empty where no function answered. The two defaults leave it out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from aws_cdk import aws_apigateway as gateway

PROBLEM_TYPES = {"quota_exceeded": "https://iana.org/assignments/http-problem-types#quota-exceeded"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One gateway response; `detail` tells the caller what to change."""

    kind: str  # a static member of gateway.ResponseType
    status: int | None
    code: str
    title: str
    detail: str

    @property
    def type(self) -> gateway.ResponseType:
        found = getattr(gateway.ResponseType, self.kind)
        assert isinstance(found, gateway.ResponseType)
        return found

    @property
    def body(self) -> str:
        """The template; API Gateway fills in the id. The path stays out: it would not be escaped."""
        body = {
            "type": PROBLEM_TYPES.get(self.code, f"/api/problems/{self.code}"),
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": "urn:uuid:$context.requestId",
            "code": self.code,
            "request_id": "$context.requestId",
            # Clients of V2 and V1 read the one, of MLflow and SageMaker the other: a gateway response knows
            # no path, so every answer carries both.
            "error": self.detail,
            "message": self.detail,
        }
        return json.dumps({name: value for name, value in body.items() if value is not None})

    def headers(self, origins: list[str]) -> dict[str, str]:
        """Response headers, in API Gateway's quotes."""
        headers = {
            "Content-Type": "'application/problem+json'",
            # A fixed answer can name one origin; these answers carry nothing of anybody's
            "Access-Control-Allow-Origin": f"'{origins[0] if len(origins) == 1 else '*'}'",
            "Access-Control-Expose-Headers": "'Retry-After'",
            "Cache-Control": "'no-store'",
        }
        if self.status in (429, 503):
            headers["Retry-After"] = "'1'"
        if self.status == 401:
            headers["WWW-Authenticate"] = "'Bearer realm=\"modelyard\"'"
        return headers


def _not_found(kind: str) -> Answer:
    detail = "There is no such path, or not with this method. GET /api/docs lists them."
    return Answer(kind, 404, "not_found", "Not found", detail)


def _malformed(kind: str) -> Answer:
    return Answer(kind, 400, "malformed", "Malformed request", "The gateway could not read the request.")


def _forbidden(kind: str, detail: str) -> Answer:
    return Answer(kind, 403, "forbidden", "Not allowed", detail)


def _too_many(kind: str) -> Answer:
    detail = "The platform is busy. Come back in a second."
    return Answer(kind, 429, "quota_exceeded", "Too many requests", detail)


def _internal(kind: str, status: int | None = 500) -> Answer:
    return Answer(kind, status, "internal_error", "Internal error", "Try again shortly.")


ANSWERS = (
    _not_found("MISSING_AUTHENTICATION_TOKEN"),
    _not_found("RESOURCE_NOT_FOUND"),
    _malformed("BAD_REQUEST_BODY"),
    _malformed("BAD_REQUEST_PARAMETERS"),
    Answer(
        "UNAUTHORIZED",
        401,
        "unauthorized",
        "Authentication required",
        "Send Authorization: Bearer <access token>, or X-API-Key.",
    ),
    _forbidden("ACCESS_DENIED", "The gateway refused the request."),
    _forbidden("INVALID_SIGNATURE", "Send Authorization: Bearer <access token>, not an AWS signature."),
    _forbidden("EXPIRED_TOKEN", "Send Authorization: Bearer <access token>, not an AWS signature."),
    _forbidden("WAF_FILTERED", "The firewall refused the request."),
    Answer(
        "REQUEST_TOO_LARGE",
        413,
        "too_large",
        "Too large",
        "The body is over 10 MB. Upload larger files to the address that POST /api/models/upload or "
        "POST /api/jobs/inputs answers.",
    ),
    Answer(
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        "unsupported_media_type",
        "Unsupported media type",
        "Send application/json.",
    ),
    _too_many("THROTTLED"),
    _too_many("QUOTA_EXCEEDED"),
    _internal("API_CONFIGURATION_ERROR"),
    Answer(
        "INTEGRATION_FAILURE", 502, "bad_gateway", "No valid answer from the function", "Try again shortly."
    ),
    Answer(
        "INTEGRATION_TIMEOUT",
        504,
        "deadline_exceeded",
        "The deadline passed",
        "No answer within 29 seconds. Submit many rows as a job: POST /api/predict/batch/{model_id}.",
    ),
    Answer("DEFAULT_4_XX", None, "malformed", "Malformed request", "The gateway did not accept the request."),
    _internal("DEFAULT_5_XX", None),
)
