"""The pages about the API and the schema name what there is."""

from __future__ import annotations

from pathlib import Path

from modelyard.accounts.admission import SCOPES
from modelyard.db.tables import (
    ApiKey,
    AuditEntry,
    IdempotentRequest,
    Job,
    JobChunk,
    Model,
    ModelVersion,
    Outbox,
    Prediction,
    Session,
    User,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_schema_page_names_the_tables():
    page = (DOCS / "DATABASE_SCHEMA.md").read_text()
    tables = (
        ApiKey,
        AuditEntry,
        IdempotentRequest,
        Job,
        JobChunk,
        Model,
        ModelVersion,
        Outbox,
        Prediction,
        Session,
        User,
    )
    assert [table.__tablename__ for table in tables if f"`{table.__tablename__}`" not in page] == []


def test_the_api_page_names_the_scopes():
    page = (DOCS / "API_DESIGN.md").read_text()
    assert [scope for scope in SCOPES if f"`{scope}`" not in page] == []
