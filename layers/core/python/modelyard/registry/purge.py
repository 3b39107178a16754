"""The end of what was deleted long enough ago, and news of changes that Redis may have missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from modelyard.db.engine import Database
from modelyard.db.tables import Job, Model, ModelVersion
from modelyard.kit.clock import Clock, utc_now
from modelyard.registry.artifacts import ArtifactStore
from modelyard.registry.names import ArtifactKeys
from modelyard.registry.repository import ModelRepository
from modelyard.registry.retention import GRACE
from modelyard.registry.routes import RouteBook
from modelyard.telemetry.forgetting import SECONDS, forget_predictions
from modelyard.telemetry.log import logger

RECENT = timedelta(minutes=15)
"""Longer than the schedule's pause: every change is published at least once more."""


@dataclass(slots=True)
class PurgeReport:
    models: int = 0
    versions: int = 0
    routes: int = 0
    errors: int = 0


class RegistrySweep:
    """Safe to run at any time, also twice at once."""

    def __init__(
        self,
        *,
        database: Database,
        store: ArtifactStore,
        routes: RouteBook,
        clock: Clock = utc_now,
        record_seconds: float = SECONDS,
    ) -> None:
        self._database = database
        self._store = store
        self._routes = routes
        self._clock = clock
        self._record_seconds = record_seconds

    def run(self, *, limit: int = 20) -> PurgeReport:
        """Ends up to `limit` models and versions, oldest first, and publishes recent changes again; none
        stops another.
        """
        report = PurgeReport()
        over = self._clock() - GRACE
        models = select(Model.user_id, Model.id).where(Model.deleted_at < over).order_by(Model.deleted_at)
        for user_id, model_id in self._find(models, limit):
            report.models += self._attempt(report, self._purge_model, user_id, model_id)
        versions = (
            select(ModelVersion.user_id, ModelVersion.id)
            .where(ModelVersion.deleted_at < over)
            .order_by(ModelVersion.deleted_at)
        )
        for user_id, version_id in self._find(versions, limit):
            report.versions += self._attempt(report, self._purge_version, user_id, version_id)
        recent = select(Model.user_id, Model.id).where(Model.updated_at > self._clock() - RECENT)
        for user_id, model_id in self._find(recent.order_by(Model.updated_at.desc()), 500):
            report.routes += self._attempt(report, self._publish, user_id, model_id)
        return report

    def _find(self, statement: Any, limit: int) -> Sequence[tuple[str, str]]:
        with self._database.transaction() as session:
            return [tuple(row) for row in session.execute(statement.limit(limit))]

    def _attempt(
        self, report: PurgeReport, step: Callable[[str, str], bool], user_id: str, row_id: str
    ) -> int:
        try:
            return int(step(user_id, row_id))
        except Exception:
            logger.exception("registry sweep", user_id=user_id, target=row_id)
            report.errors += 1
            return 0

    def _publish(self, user_id: str, model_id: str) -> bool:
        self._routes.publish(user_id, model_id)
        return True

    def _purge_model(self, user_id: str, model_id: str) -> bool:
        """Files first: should this end in between, the row that names them is there for the next run.

        Nobody can restore it meanwhile: its time is over.
        """
        with self._database.transaction() as session:
            versions = list(ModelRepository(session, user_id).all_versions(model_id))
            jobs = select(Job.id).where(Job.user_id == user_id, Job.model_id == model_id)
            job_ids = list(session.scalars(jobs))
        self._remove(user_id, versions, job_ids)
        self._store.delete_prefix(f"models/{user_id}/{model_id}/")
        if not forget_predictions(self._database, user_id, model_id=model_id, seconds=self._record_seconds):
            return False
        with self._database.transaction() as session:
            repository = ModelRepository(session, user_id)
            model = repository.find_model(model_id, lock=True, deleted=True)
            if model is None:
                return False
            repository.erase(model)
        return True

    def _purge_version(self, user_id: str, version_id: str) -> bool:
        with self._database.transaction() as session:
            version = ModelRepository(session, user_id).deleted_version(version_id)
            if version is None:
                return False
            jobs = select(Job.id).where(Job.user_id == user_id, Job.version_id == version_id)
            job_ids = list(session.scalars(jobs))
        self._remove(user_id, [version], job_ids)
        whose = {"model_id": version.model_id, "version_id": version_id}
        if not forget_predictions(self._database, user_id, **whose, seconds=self._record_seconds):
            return False
        with self._database.transaction() as session:
            repository = ModelRepository(session, user_id)
            gone = repository.deleted_version(version_id)
            if gone is not None:
                repository.erase(gone)
        return gone is not None

    def _remove(self, user_id: str, versions: Sequence[ModelVersion], job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            self._store.delete_prefix(f"jobs/{user_id}/{job_id}/")
        for version in versions:
            self._store.delete_prefix(ArtifactKeys(user_id, version.model_id, version.number).prefix)
            if version.upload_s3_version is not None:  # exactly this file: others may have come after it
                self._store.delete(version.upload_key, version.upload_s3_version)
