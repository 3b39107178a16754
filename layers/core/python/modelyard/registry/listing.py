"""Models and versions for those who look at them: one user's, page by page."""

from __future__ import annotations

from modelyard.db.tables import Model, ModelVersion
from modelyard.kit.errors import NotFound
from modelyard.kit.paging import Cursors, Page, page_of
from modelyard.registry.names import version_number
from modelyard.registry.repository import ModelRepository
from modelyard.registry.search import ModelSearch, VersionSearch


class Listing:
    """Cursors are good for the same user, listing, filters and order only; a bad one raises `BadCursor`."""

    def __init__(self, repository: ModelRepository, cursors: Cursors) -> None:
        self._repository = repository
        self._cursors = cursors

    def models(
        self, *, limit: int, cursor: str | None, search: ModelSearch = ModelSearch()
    ) -> Page[tuple[Model, ModelVersion | None]]:
        """Models, each with its newest version."""
        scope = f"models/{self._repository.user_id}/{search}"
        after = self._cursors.decode(scope, cursor)
        models = self._repository.models(search, after=after, limit=limit + 1)
        latest = self._repository.latest_versions([model.id for model in models])
        rows = [(model, latest.get(model.id)) for model in models]
        return page_of(
            rows, limit, cursors=self._cursors, scope=scope, position=lambda row: search.position(row[0])
        )

    def model(self, model_id: str) -> tuple[Model, ModelVersion | None]:
        """Raises `NotFound`."""
        model = self._repository.model(model_id)
        return model, self._repository.latest_versions([model.id]).get(model.id)

    def versions(
        self, model_id: str, *, limit: int, cursor: str | None, search: VersionSearch = VersionSearch()
    ) -> Page[ModelVersion]:
        """Raises `NotFound` where there is no such model."""
        self._repository.model(model_id)
        scope = f"versions/{self._repository.user_id}/{model_id}/{search}"
        after = self._cursors.decode(scope, cursor)
        number = int(after[0]) if after else None
        rows = self._repository.versions(model_id, search, after=number, limit=limit + 1)
        return page_of(rows, limit, cursors=self._cursors, scope=scope, position=lambda row: [row.number])

    def version(self, model_id: str, version: str) -> ModelVersion:
        """`version` is `3` or `v3`; raises `NotFound`, for anything else too."""
        return self._repository.version(model_id, number_of(version))


def number_of(version: str) -> int:
    """The number in `v3` or `3`; raises `NotFound`: what is no version's name names no version."""
    number = version_number(version)
    if number is None:
        raise NotFound("Versions are named v1, v2, …. GET /models/{model_id}/versions lists them.")
    return number
