"""Schemathesis over the OpenAPI document: requests that fit it and requests that do not, and what an answer
must be either way.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests.adapters import HTTPAdapter
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from urllib3 import HTTPHeaderDict, HTTPResponse

from tests.support.whole_api import WholeApi

METHODS = ("get", "post", "put", "patch", "delete")
# The document cannot say everything that a payload must be: a password's 72 bytes, an id that exists.
_REFUSED = ["400", "401", "403", "404", "405", "409", "410", "412", "413", "415", "422", "428", "429"]
_CONFIG = {
    "checks": {
        "positive_data_acceptance": {"enabled": False},
        "negative_data_rejection": {"expected-statuses": _REFUSED},
    }
}


def load(document: dict[str, Any]) -> Any:
    """The schema, with every check but the ones above."""
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(_CONFIG))


def labels(document: Mapping[str, Any]) -> list[str]:
    """`POST /auth/login`, …"""
    return [
        f"{method.upper()} {path}"
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


class Gateway(HTTPAdapter):
    """Lets `requests` talk to the API in this process. Every request comes from another address, so that the
    limits per address stop nobody.
    """

    def __init__(self, api: WholeApi) -> None:
        super().__init__()
        self._api = api
        self._count = 0

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self._count += 1
        ip = f"10.{self._count >> 16 & 255}.{self._count >> 8 & 255}.{self._count & 255}"
        body = request.body.encode() if isinstance(request.body, str) else request.body
        assert request.method is not None
        headers = {_text(name): _text(value) for name, value in request.headers.items()}
        answer = self._api.request(request.method, request.path_url, body=body, headers=headers, ip=ip)
        raw = HTTPResponse(
            body=io.BytesIO(answer.body),
            headers=HTTPHeaderDict(answer.headers),
            status=answer.status,
            preload_content=False,
        )
        return self.build_response(request, raw)


def session_for(api: WholeApi) -> requests.Session:
    session = requests.Session()
    session.mount("http://api.example.com/", Gateway(api))
    return session


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def ask(case: Any, **how: Any) -> Any:
    """Sends the case and validates the answer. Other protocols say 503 of a model that is not ready."""
    response = case.call(**how)
    not_ready = response.status_code == 503 and case.path.startswith(("/v1/models/", "/v2/models/"))
    case.validate_response(
        response,
        excluded_checks=[not_a_server_error] if not_ready else None,
        headers=how.get("headers"),
        transport_kwargs=how,
    )
    return response


def fuzz(
    operation: Any,
    call: Callable[[Any], Any],
    *,
    examples: int,
    path_parameters: dict[str, str] | None = None,
) -> None:
    """Calls `call` with so many cases that fit the document, and as many that do not.

    The same cases every time: what fails once fails again.
    """
    limits = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        strategy = operation.as_strategy(generation_mode=mode, path_parameters=path_parameters)
        try:
            limits(given(case=strategy)(lambda case: call(case)))()
        except Unsatisfiable:
            if mode is GenerationMode.POSITIVE:
                raise  # nothing can be wrong about an operation that takes no more than a text in its path
