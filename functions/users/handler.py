"""Users: one's own account, sessions and keys; and everybody's, for administrators."""

from __future__ import annotations

from modelyard.web.app import create_app, lambda_handler
from modelyard.web.routes import administration, keys, profile
from modelyard.web.routing import combine

router = combine(profile.router, keys.router, administration.router)
handler = lambda_handler(create_app(router))
