"""What a caller of the prediction engine may be told."""

from __future__ import annotations

from modelyard.kit.errors import (
    Conflict,
    DeadlineExceeded,
    Gone,
    Invalid,
    Malformed,
    NotFound,
    TooLarge,
    Unavailable,
)


class MalformedBody(Malformed):
    code, title = "malformed_body", "The body cannot be read"


class InvalidInput(Invalid):
    """The rows do not fit the model's signature; `errors` names each place."""

    code, title = "invalid_input", "The input does not fit the model"


class InvalidParameter(Invalid):
    code, title = "invalid_parameter", "A query parameter does not fit"


class TooManyRows(TooLarge):
    code, title = "too_many_rows", "Too many rows for one request"


class ModelNotFound(NotFound):
    code, title = "model_not_found", "No such model"


class VersionNotFound(NotFound):
    code, title = "version_not_found", "No such version"


class AliasNotFound(NotFound):
    code, title = "alias_not_found", "No such alias"


class VersionArchived(Gone):
    """The version was ready once; its owner retired it."""

    code, title = "version_archived", "The version is archived"


class ModelNotReady(Conflict):
    """The model exists, but none of its versions can answer yet."""

    code, title = "model_not_ready", "The model is not ready"


class ArtifactUnavailable(Unavailable):
    """A ready version whose files cannot be had, or are not what was registered."""

    code, title = "model_unavailable", "The model cannot be loaded right now"


class StorageUnavailable(ArtifactUnavailable):
    """The same where storage is to blame and not the version: no reason to withdraw it."""

    code, title = "storage_unavailable", "Storage does not answer right now"


class PredictionTimeout(DeadlineExceeded):
    code, title = "prediction_timeout", "The prediction took too long"
