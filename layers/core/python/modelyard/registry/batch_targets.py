"""The registry's answer to jobs: which version of a model one runs against, and what it takes."""

from __future__ import annotations

from sqlalchemy.orm import Session

from modelyard.batch.target import Target, Wished, choose
from modelyard.registry.repository import ModelRepository
from modelyard.registry.routes import RouteBook
from modelyard.serving.errors import ModelNotFound, VersionNotFound
from modelyard.serving.signature import Signature


class BatchTargets:
    """Finds targets within one unit of work."""

    def __init__(self, session: Session, routes: RouteBook) -> None:
        self._session = session
        self._routes = routes

    def find(self, user_id: str, model_id: str, wished: Wished) -> Target:
        """Raises `ModelNotFound` for a missing and for a foreign model, and what `choose` raises."""
        route = self._routes.load(user_id, model_id)
        if route is None:
            raise ModelNotFound("There is no model of this id. GET /api/models lists yours.")
        version = choose(route, wished)
        row = ModelRepository(self._session, user_id).find_version(version.version_id)
        if row is None or row.signature is None:
            raise VersionNotFound("This model has no such version that is ready.")
        return Target(route.model_id, version, Signature.from_json(row.signature))
