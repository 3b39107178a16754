"""What models and files may be called, and the keys under which they lie in the bucket.

- `uploads/{user_id}/{model_name}/{file}`: dropped by hand
- `uploads/{user_id}/{model_name}/{version_id}/{file}`: through the API
- `models/{user_id}/{model_id}/v{n}/…`: what is served, and for minutes what the inspector wrote
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelyard.kit.ids import is_id

UPLOADS = "uploads/"
NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$"
MAX_NAME = 128
MAX_FILENAME = 255
NAME_RULE = (
    f"1 to {MAX_NAME} characters: ASCII letters, digits, dot, underscore and hyphen, beginning and ending "
    "with a letter or a digit, and not shaped like an id (mdl_…)"
)
FILENAME_RULE = (
    f"1 to {MAX_FILENAME} characters without slashes, backslashes or control characters, and not '.' or '..'"
)
EXTENSIONS = {"pickle": "pkl", "joblib": "joblib", "skops": "skops", "onnx": "onnx"}
"""Artifact format → extension of the served copy. The uploaded file's own extension is never trusted."""

_NAME = re.compile(NAME_PATTERN)
_IDLIKE = re.compile(r"^[a-z]{3}_[0-9a-z]{26}$")
_UNSAFE_IN_KEY = re.compile(r"[^A-Za-z0-9._-]")


def is_model_name(name: str) -> bool:
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None and _IDLIKE.match(name) is None


def is_filename(name: str) -> bool:
    """Whether a file may be called so. Names are kept as given; only the key in the bucket is made plain."""
    if not 0 < len(name) <= MAX_FILENAME or name in {".", ".."}:
        return False
    return not any(
        character in "/\\\x7f" or character < " " or "\ud800" <= character <= "\udfff" for character in name
    )


def upload_key(user_id: str, model_name: str, version_id: str, filename: str) -> str:
    """Where the API puts an upload. Characters that need quoting in a key or a form become underscores."""
    return f"{UPLOADS}{user_id}/{model_name}/{version_id}/{_UNSAFE_IN_KEY.sub('_', filename)}"


@dataclass(frozen=True, slots=True)
class UploadKey:
    """A key below `uploads/`, taken apart. `version_id` is None for a file that was dropped by hand."""

    key: str
    user_id: str
    model_name: str
    version_id: str | None
    filename: str

    @classmethod
    def parse(cls, key: str) -> UploadKey | None:
        """None where no user or model can be told from the key; the caller logs and forgets such a file."""
        parts = key.removeprefix(UPLOADS).split("/")
        if not key.startswith(UPLOADS) or len(parts) < 3 or not is_id(parts[0], "usr"):
            return None
        user_id, model_name, *rest = parts
        if len(rest) == 2 and is_id(rest[0], "ver"):
            return cls(key, user_id, model_name, rest[0], rest[1])
        return cls(key, user_id, model_name, None, "/".join(rest))

    @property
    def is_folder_marker(self) -> bool:
        """Consoles make empty objects that end with a slash to show a folder."""
        return self.filename == "" or self.filename.endswith("/")


@dataclass(frozen=True, slots=True)
class ArtifactKeys:
    """Where the files of one version lie."""

    user_id: str
    model_id: str
    number: int

    @property
    def prefix(self) -> str:
        return f"models/{self.user_id}/{self.model_id}/v{self.number}/"

    def artifact(self, artifact_format: str) -> str:
        return f"{self.prefix}model.{EXTENSIONS[artifact_format]}"

    @property
    def onnx(self) -> str:
        return f"{self.prefix}model.onnx"

    @property
    def metadata(self) -> str:
        return f"{self.prefix}metadata.json"

    @property
    def staged(self) -> str:
        """Where the inspector writes the compiled model; nothing is served from there."""
        return f"{self.prefix}inspected.onnx"


def version_number(text: str) -> int | None:
    """The number in `3` or `v3`; None where it is none."""
    match = re.fullmatch(r"v?([1-9][0-9]{0,8})", text, re.ASCII)
    return int(match.group(1)) if match else None
