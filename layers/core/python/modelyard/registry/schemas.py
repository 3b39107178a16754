"""Models and versions as the wire shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from modelyard.db import tables
from modelyard.kit.clock import isoformat
from modelyard.registry.artifacts import UploadForm
from modelyard.registry.names import MAX_FILENAME, MAX_NAME, NAME_PATTERN
from modelyard.registry.retention import purge_at
from modelyard.registry.uploads import Announced, Announcement
from modelyard.serving.route import ANSWER_SECONDS

Moment = Annotated[datetime, PlainSerializer(isoformat, return_type=str)]
Status = Literal["pending", "inspecting", "ready", "failed"]
Stage = Literal["active", "deprecated", "archived"]
MAX_DESCRIPTION = 2000


def _plain_text(text: str) -> str:
    if any(character < " " and character not in "\n\r\t" for character in text):
        raise ValueError("expected text without control characters")
    return text


Description = Annotated[str, Field(max_length=MAX_DESCRIPTION), AfterValidator(_plain_text)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$", description="Of the file, in hex")]


class UploadRequest(BaseModel):
    """Announces a file; the answer holds a form to send it with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=NAME_PATTERN, examples=["churn"])]
    filename: Annotated[str, Field(min_length=1, max_length=MAX_FILENAME, examples=["model.joblib"])]
    size: Annotated[int, Field(ge=1, description="Of the file, in bytes", examples=[48213])]
    description: Annotated[Description | None, Field(description="Replaces the model's, where given")] = None
    sha256: Sha256 | None = None

    def announcement(self) -> Announcement:
        sha256 = self.sha256.lower() if self.sha256 else None
        return Announcement(self.name, self.filename, self.size, self.description, sha256)


class Form(BaseModel):
    """Send `fields` and then the file, as `file`, to `url` by POST as multipart/form-data."""

    url: str
    fields: dict[str, str]
    expires_at: Moment


class Upload(BaseModel):
    """A version that is under way; `status_url` tells what becomes of it."""

    model_id: str
    version: Annotated[str, Field(examples=["v1"])]
    version_id: str
    status: Status
    upload: Annotated[Form | None, Field(description="null where the file came with the request")]
    status_url: str
    predict_url: str

    @classmethod
    def of(cls, announced: Announced, form: UploadForm | None, *, base_url: str) -> Upload:
        model_id, version = announced.model_id, f"v{announced.number}"
        return cls(
            model_id=model_id,
            version=version,
            version_id=announced.version_id,
            status="pending",
            upload=form and Form(url=form.url, fields=form.fields, expires_at=announced.form_expires_at),
            status_url=f"{base_url}/models/{model_id}/versions/{version}",
            predict_url=f"{base_url}/predict/{model_id}",
        )


class Reason(BaseModel):
    """Why a version failed: a stable word for programs, a sentence for its author."""

    rule: Annotated[str, Field(examples=["checksum_mismatch"])]
    detail: str
    format: str | None = None


class VersionSummary(BaseModel):
    """A version without its description."""

    model_id: str
    version: Annotated[str, Field(examples=["v1"])]
    version_id: str
    status: Status
    reason: Reason | None
    filename: str
    format: Annotated[str | None, Field(examples=["joblib"])]
    size: Annotated[int | None, Field(description="In bytes; as declared until the file has come")]
    sha256: str | None
    runtime: Annotated[str | None, Field(examples=["onnx"])]
    estimator: Annotated[str | None, Field(examples=["RandomForestClassifier"])]
    task: Annotated[str | None, Field(examples=["classifier"])]
    stage: Stage
    deprecated_at: Moment | None
    sunset_at: Annotated[Moment | None, Field(description="When a deprecated version is meant to end")]
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    created_at: Moment
    finished_at: Moment | None
    deleted_at: Moment | None
    purge_at: Annotated[Moment | None, Field(description="Until then a deleted version can be restored")]
    status_url: str
    predict_url: str

    @classmethod
    def facts(cls, version: tables.ModelVersion, base_url: str) -> dict[str, Any]:
        signature = version.signature or {}
        url = f"{base_url}/models/{version.model_id}/versions/v{version.number}"
        return {
            "model_id": version.model_id,
            "version": f"v{version.number}",
            "version_id": version.id,
            "status": version.status,
            "reason": version.reason,
            "filename": version.filename,
            "format": version.artifact_format,
            "size": version.artifact_size if version.artifact_size is not None else version.declared_size,
            "sha256": version.artifact_sha256 or version.declared_sha256,
            "runtime": version.runtime,
            "estimator": signature.get("estimator"),
            "task": signature.get("task"),
            "stage": version.stage,
            "deprecated_at": version.deprecated_at,
            "sunset_at": version.sunset_at,
            "description": version.description,
            "tags": version.tags,
            "metadata": version.facts,
            "created_at": version.created_at,
            "finished_at": version.finished_at,
            "deleted_at": version.deleted_at,
            "purge_at": version.deleted_at and purge_at(version.deleted_at),
            "status_url": url,
            "predict_url": f"{base_url}/predict/{version.model_id}?version=v{version.number}",
        }

    @classmethod
    def of(cls, version: tables.ModelVersion, *, base_url: str) -> VersionSummary:
        return cls.model_validate(cls.facts(version, base_url))


class Version(VersionSummary):
    """A version; the last three are there once it is `ready`."""

    signature: Annotated[dict[str, Any] | None, Field(description="What the model takes and gives")]
    input_schema: Annotated[dict[str, Any] | None, Field(description="JSON Schema of one record")]
    example: Annotated[dict[str, Any] | None, Field(description="A body for predict_url that predicts")]

    @classmethod
    def of(cls, version: tables.ModelVersion, *, base_url: str) -> Version:
        signature = version.signature
        description = None
        if signature is not None:
            description = {k: v for k, v in signature.items() if k not in ("input_schema", "example")}
        return cls.model_validate(
            cls.facts(version, base_url)
            | {
                "signature": description,
                "input_schema": signature and signature.get("input_schema"),
                "example": signature and signature.get("example"),
            }
        )


class AnswerCache(BaseModel):
    """How answers are cached: each for `ttl_seconds`, or not at all."""

    enabled: bool
    ttl_seconds: int | None

    @classmethod
    def of(cls, model: tables.Model) -> Self:
        seconds = ANSWER_SECONDS if model.answer_seconds is None else model.answer_seconds
        return cls(enabled=seconds > 0, ttl_seconds=seconds or None)


class ModelSummary(BaseModel):
    """A model: a name and its versions."""

    model_id: str
    name: str
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    default_version: Annotated[str | None, Field(description="What answers predictions; null: none is ready")]
    latest_version: str | None
    latest_status: Status | None
    cache: AnswerCache
    created_at: Moment
    updated_at: Moment
    deleted_at: Moment | None
    purge_at: Annotated[Moment | None, Field(description="Until then a deleted model can be restored")]
    versions_url: str
    predict_url: str

    @classmethod
    def columns(
        cls, model: tables.Model, latest: tables.ModelVersion | None, base_url: str
    ) -> dict[str, Any]:
        return {
            "model_id": model.id,
            "name": model.name,
            "description": model.description,
            "tags": model.tags,
            "metadata": model.facts,
            "default_version": model.default_version and f"v{model.default_version}",
            "latest_version": latest and f"v{latest.number}",
            "latest_status": latest and latest.status,
            "cache": AnswerCache.of(model),
            "created_at": model.created_at,
            "updated_at": model.updated_at,
            "deleted_at": model.deleted_at,
            "purge_at": model.deleted_at and purge_at(model.deleted_at),
            "versions_url": f"{base_url}/models/{model.id}/versions",
            "predict_url": f"{base_url}/predict/{model.id}",
        }

    @classmethod
    def of(cls, model: tables.Model, latest: tables.ModelVersion | None, *, base_url: str) -> Self:
        return cls.model_validate(cls.columns(model, latest, base_url))


class Model(ModelSummary):
    """A model with its card."""

    card: Annotated[str, Field(description="Markdown")]

    @classmethod
    def columns(
        cls, model: tables.Model, latest: tables.ModelVersion | None, base_url: str
    ) -> dict[str, Any]:
        return super().columns(model, latest, base_url) | {"card": model.card}


class ModelPage(BaseModel):
    items: list[ModelSummary]
    next_cursor: str | None


class VersionPage(BaseModel):
    items: list[VersionSummary]
    next_cursor: str | None
