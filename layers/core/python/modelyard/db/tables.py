"""The schema, as SQLAlchemy tables. Every tenant's row carries `user_id`; see docs/DATABASE_SCHEMA.md.

Prediction records are partitioned by day (`predictions`); partitions are made and dropped by `roll_up`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = String(30)
Shares = JSONB(none_as_null=True)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB, str: Text}  # noqa: RUF012


class User(Base):
    __tablename__ = "users"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)  # lower-cased, NFKC
    password_hash: Mapped[str]
    name: Mapped[str]
    role: Mapped[str] = mapped_column(String(16), server_default="user")
    status: Mapped[str] = mapped_column(String(16), server_default="active")
    requests_per_minute: Mapped[int | None]  # set by an administrator; None: the default of everybody
    email_verified_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]  # when its owner deleted it; purged after the grace period
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    __table_args__ = (
        Index("ix_users_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        CheckConstraint("role in ('user', 'admin')", name="role"),
        CheckConstraint("status in ('active', 'suspended', 'deleted')", name="status"),
    )


class Session(Base):
    """One login: a family of refresh tokens, of which only the newest is good."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    refresh_hash: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(server_default="")
    ip: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None] = mapped_column(String(32))


class ApiKey(Base):
    """A key for programs. Its secret is shown once, kept as a digest: 256 random bits need no slow hash."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    model_ids: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # None: all models
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    revoked_at: Mapped[datetime | None]


class AuditEntry(Base):
    """Who did what to what, from where, and what came of it. The application may add and read, never change.

    No foreign key: the trail outlives what it tells about.
    """

    __tablename__ = "audit_log"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    user_id: Mapped[str | None] = mapped_column(Id)  # the account that it concerns, who may read it
    actor_id: Mapped[str | None] = mapped_column(
        Id
    )  # who did it; None: somebody unknown, or the service itself
    credential_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(String(128), server_default="")
    result: Mapped[str] = mapped_column(String(16))
    ip: Mapped[str] = mapped_column(String(64), server_default="")
    request_id: Mapped[str] = mapped_column(String(128), server_default="")
    details: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    __table_args__ = (
        Index("ix_audit_log_user_id_id", "user_id", "id"),
        Index("ix_audit_log_action_id", "action", "id"),
        CheckConstraint("result in ('done', 'refused')", name="result"),
    )


class IdempotentRequest(Base):
    """A creating POST with an Idempotency-Key, and what was answered; `status` is None while it runs."""

    __tablename__ = "idempotent_requests"
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    route: Mapped[str] = mapped_column(String(128), primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    payload_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[str | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Model(Base):
    __tablename__ = "models"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    facts: Mapped[dict[str, Any]] = mapped_column("metadata", server_default="{}")  # free-form
    card: Mapped[str] = mapped_column(server_default="")  # Markdown
    default_version: Mapped[int | None]
    traffic: Mapped[dict[str, Any] | None] = mapped_column(
        Shares
    )  # version number → percent, while requests are split
    guard: Mapped[dict[str, Any] | None] = mapped_column(Shares)  # when a split's canary is withdrawn
    split_at: Mapped[datetime | None]  # since when requests are split as they are
    shadow: Mapped[dict[str, Any] | None] = mapped_column(Shares)  # {number, percent, tolerance}
    answer_seconds: Mapped[int | None]  # how long answers are cached; 0: not at all, None: the platform's
    last_version: Mapped[int] = mapped_column(
        server_default="0"
    )  # the counter that numbers versions; lock the row
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    deleted_at: Mapped[datetime | None]
    __table_args__ = (
        Index(
            "uq_models_user_id_name",
            "user_id",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_models_user_id_id", "user_id", "id"),
        Index("ix_models_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        Index("ix_models_updated_at", "updated_at"),
        Index(
            "ix_models_on_trial",
            "id",
            postgresql_where=text("traffic IS NOT NULL OR shadow IS NOT NULL"),
        ),
    )


class ModelVersion(Base):
    """An immutable version. `status` moves pending → inspecting → ready | failed and never back; `stage` says
    whether a ready one may be used, and moves as its owner wishes.
    """

    __tablename__ = "model_versions"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    number: Mapped[int]
    status: Mapped[str] = mapped_column(String(16), server_default="pending")
    reason: Mapped[dict[str, Any] | None]  # {rule, detail, …} of a failed version
    filename: Mapped[str]
    declared_size: Mapped[int | None] = mapped_column(BigInteger)
    declared_sha256: Mapped[str | None] = mapped_column(String(64))
    upload_key: Mapped[str]
    upload_s3_version: Mapped[str | None]
    artifact_key: Mapped[str | None]
    artifact_format: Mapped[str | None] = mapped_column(String(16))
    artifact_size: Mapped[int | None] = mapped_column(BigInteger)
    artifact_sha256: Mapped[str | None] = mapped_column(String(64))
    onnx_key: Mapped[str | None]
    onnx_sha256: Mapped[str | None] = mapped_column(String(64))
    runtime: Mapped[str | None] = mapped_column(String(16))  # onnx | native
    signature: Mapped[dict[str, Any] | None]  # modelyard.serving.signature.Signature
    stage: Mapped[str] = mapped_column(String(16), server_default="active")
    deprecated_at: Mapped[datetime | None]
    sunset_at: Mapped[datetime | None]  # when a deprecated version is meant to end
    description: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    facts: Mapped[dict[str, Any]] = mapped_column("metadata", server_default="{}")
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    inspecting_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("model_id", "number"),
        # at-least-once delivery: one registration per object version, and one version per presigned key
        Index(
            "uq_model_versions_upload",
            "upload_key",
            "upload_s3_version",
            unique=True,
            postgresql_where=text("upload_s3_version IS NOT NULL"),
        ),
        Index("ix_model_versions_status", "status", "created_at"),
        Index("ix_model_versions_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        CheckConstraint("status in ('pending', 'inspecting', 'ready', 'failed')", name="status"),
        CheckConstraint("stage in ('active', 'deprecated', 'archived')", name="stage"),
    )


class ModelAlias(Base):
    """A name of the owner's for a version; never `champion`, which is `models.default_version`."""

    __tablename__ = "model_aliases"
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    alias: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    number: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Promotion(Base):
    """An alias moved: who, when, from where to where, why. Rows are added and never changed."""

    __tablename__ = "promotions"
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    actor_id: Mapped[str | None] = mapped_column(Id)  # None: the platform itself
    credential_id: Mapped[str | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(16))
    alias: Mapped[str] = mapped_column(String(64))
    from_number: Mapped[int | None]
    to_number: Mapped[int | None]
    traffic: Mapped[dict[str, Any] | None] = mapped_column(Shares)  # of a split: version number → percent
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        Index("ix_promotions_model_id_seq", "model_id", "seq"),
        CheckConstraint(
            "action in ('registered', 'promoted', 'removed', 'rolled_back', 'split', 'joined', 'withdrawn',"
            " 'shadowed', 'unshadowed')",
            name="action",
        ),
    )


class Job(Base):
    """A batch prediction. `done_rows` and `failed_rows` are sums over its finished chunks."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"))
    version_id: Mapped[str] = mapped_column(Id, ForeignKey("model_versions.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16), server_default="queued")
    reason: Mapped[dict[str, Any] | None]
    options: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    input_key: Mapped[str]
    total_rows: Mapped[int] = mapped_column(server_default="0")
    done_rows: Mapped[int] = mapped_column(server_default="0")
    failed_rows: Mapped[int] = mapped_column(server_default="0")
    total_chunks: Mapped[int] = mapped_column(server_default="0")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        Index("ix_jobs_user_id_id", "user_id", "id"),
        Index("ix_jobs_status", "status", "created_at"),
    )


class JobChunk(Base):
    __tablename__ = "job_chunks"
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    chunk: Mapped[int] = mapped_column(Integer, primary_key=True)
    user_id: Mapped[str] = mapped_column(Id)
    status: Mapped[str] = mapped_column(String(16), server_default="queued")
    first_row: Mapped[int]
    rows: Mapped[int]
    first_byte: Mapped[int] = mapped_column(
        BigInteger, server_default="0"
    )  # where its rows stand in the input file
    end_byte: Mapped[int] = mapped_column(BigInteger, server_default="0")
    failed_rows: Mapped[int] = mapped_column(server_default="0")
    result_key: Mapped[str | None]
    finished_at: Mapped[datetime | None]


class Prediction(Base):
    """One prediction request as its log line told it. Partitioned by day on `at`."""

    __tablename__ = "predictions"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(Id)
    model_id: Mapped[str] = mapped_column(Id)
    version_id: Mapped[str | None] = mapped_column(Id)
    model_version: Mapped[str | None] = mapped_column(String(16))
    request_id: Mapped[str] = mapped_column(server_default="")
    endpoint: Mapped[str] = mapped_column(server_default="")
    status_code: Mapped[int]
    error: Mapped[str | None] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(server_default="0")
    cached: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    runtime: Mapped[str | None] = mapped_column(String(16))
    duration_ms: Mapped[float] = mapped_column(Double)
    cold: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))  # the model was loaded for it
    routed: Mapped[bool] = mapped_column(
        Boolean, server_default=text("false")
    )  # it asked for neither version nor alias
    __table_args__ = (
        Index("ix_predictions_model_id_at", "model_id", "at"),
        Index("ix_predictions_user_id_at", "user_id", "at"),
        {"postgresql_partition_by": "RANGE (at)"},
    )


class ShadowPrediction(Base):
    """What a shadow version answered where another one was asked, and how the two compare; no inputs.

    No foreign key to the user: rows go with their model, and so with its owner.
    """

    __tablename__ = "shadow_predictions"
    prediction_id: Mapped[str] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime]
    user_id: Mapped[str] = mapped_column(Id)
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id", ondelete="CASCADE"))
    number: Mapped[int]  # of the version that answered
    shadow_number: Mapped[int]
    rows: Mapped[int]
    differing: Mapped[int]  # rows whose answers differ
    measured: Mapped[int]  # rows whose answers hold numbers on both sides
    largest: Mapped[float | None] = mapped_column(Double)  # difference of such a row
    total: Mapped[float | None] = mapped_column(Double)  # of these rows' differences
    pairs: Mapped[list[Any] | None] = mapped_column(Shares)  # [answered, shadow, rows], of differing labels
    error: Mapped[str | None] = mapped_column(String(64))  # a problem code, where the shadow failed
    answered_ms: Mapped[float | None] = mapped_column(Double)  # the model's own time, on either side
    shadow_ms: Mapped[float] = mapped_column(Double)
    answer: Mapped[dict[str, Any] | None] = mapped_column(Shares)  # where they differ; None: too large too
    shadow_answer: Mapped[dict[str, Any] | None] = mapped_column(Shares)
    __table_args__ = (
        Index("ix_shadow_predictions_model_id", "model_id", "shadow_number", "prediction_id"),
        Index(
            "ix_shadow_predictions_differing",
            "model_id",
            "shadow_number",
            "prediction_id",
            postgresql_where=text("differing > 0"),
        ),
        Index("ix_shadow_predictions_at", "at"),
    )


class Outbox(Base):
    """A queue message, written in the transaction that needs it; sent after commit, or by the sweep."""

    __tablename__ = "outbox"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    queue: Mapped[str] = mapped_column(String(64))  # logical name: "batch", "register"
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    __table_args__ = (Index("ix_outbox_unsent", "created_at", postgresql_where=text("sent_at IS NULL")),)
