"""An upload that is announced or sent twice under one Idempotency-Key is one version."""

from __future__ import annotations

import pytest
from modelyard.db.tables import AuditEntry
from modelyard.web.app import create_app, lambda_handler
from sqlalchemy import select

from functions.models.handler import router
from tests.integration.registry.test_models_api import WANTED, form_body
from tests.support.http import ApiGateway

KEY = {"Idempotency-Key": "upload-1"}


@pytest.fixture
def mine(services, user):
    return ApiGateway(lambda_handler(create_app(router, services)), headers=user.headers)


def test_announced_twice(mine, rows):
    first, again = (mine.post("/models/upload", json=WANTED, headers=KEY) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(rows.versions()) == 1
    assert mine.post("/models/upload", json=WANTED | {"size": 8}, headers=KEY).status == 422


def test_sent_twice(mine, rows, cloud):
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    body = form_body([("name", "churn")])
    first, again = (mine.post("/models/upload", body=body, headers=KEY | kind) for _ in range(2))
    assert (first.status, again.status) == (202, 202), first.text
    assert again.json()["version_id"] == first.json()["version_id"]
    assert len(rows.versions()) == 1
    assert len(cloud.keys("uploads/")) == 1


def test_the_upload_stands_in_the_trail(mine, user, database):
    version = mine.post("/models/upload", json=WANTED).json()["version_id"]
    with database.transaction() as session:
        (entry,) = session.execute(select(AuditEntry).where(AuditEntry.user_id == user.id)).scalars()
    assert (entry.action, entry.target, entry.result, entry.ip) == (
        "model.upload",
        version,
        "done",
        "203.0.113.7",
    )
    assert entry.credential_id == user.session_id
