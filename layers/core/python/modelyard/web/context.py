"""What one request carries besides its body."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelyard.web.shapes import request_id

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from modelyard.accounts.admission import Admission

_KEY = "modelyard.request"


@dataclass
class RequestContext:
    """Made by the middleware, found again in the ASGI scope."""

    request_id: str
    method: str
    path: str  # as the client sees it: /api/…
    ip: str
    started: float = field(default_factory=time.perf_counter)
    admission: Admission | None = None
    unit: Session | None = None  # the request's unit of work, while it is open
    at_end: list[Callable[[int], None]] = field(default_factory=list)  # told the status, once all is over
    error: str | None = None  # the problem's code, for the log
    log: dict[str, Any] = field(default_factory=dict)  # more for the log line, such as model_version

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> RequestContext:
        context = scope[_KEY]
        assert isinstance(context, cls)
        return context

    @classmethod
    def begin(cls, scope: dict[str, Any], headers: Mapping[str, str]) -> RequestContext:
        """The client's X-Request-Id if it is harmless, else the gateway's id, else a new one."""
        client = scope.get("client") or ("", 0)
        context = cls(
            request_id=request_id(headers.get("x-request-id", ""), scope.get("aws.event") or {}),
            method=scope["method"],
            path=scope["path"],
            ip=str(client[0] or ""),
        )
        scope[_KEY] = context
        return context

    @property
    def milliseconds(self) -> float:
        return (time.perf_counter() - self.started) * 1000
