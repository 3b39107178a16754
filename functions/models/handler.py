"""Uploads, models, versions and aliases over HTTP."""

from __future__ import annotations

from modelyard.web.app import create_app, lambda_handler
from modelyard.web.routes import aliases, model_docs, models, shadow, traffic, versions
from modelyard.web.routing import combine

router = combine(
    models.router, versions.router, aliases.router, traffic.router, shadow.router, model_docs.router
)
handler = lambda_handler(create_app(router))
