"""Links that work outside: under the configured public URL, or under the one that the client used."""

from __future__ import annotations

from fastapi import Request

from modelyard.composition import Composition


def base_url(request: Request, services: Composition) -> str:
    """Where the API begins, such as `https://api.example.com/api`: no slash at the end."""
    return services.public_url or str(request.base_url).rstrip("/")
