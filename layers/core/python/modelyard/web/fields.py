"""Kinds of text that payloads may carry, checked once for all functions."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from modelyard.accounts import emails, passwords
from modelyard.kit.clock import written_out


class Payload(BaseModel):
    """A request body: unknown fields are refused, so that nobody believes they did something."""

    model_config = ConfigDict(extra="forbid")


class Shown(BaseModel):
    """A response body, filled from rows or from keywords."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def built(cls, row: object, **more: Any) -> Self:
        """From a row's columns and what stands in no row."""
        columns = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(columns | more)


def _one_line(text: str) -> str:
    """NFC, trimmed, without control, unassigned or invisible direction characters."""
    clean = unicodedata.normalize("NFC", text).strip()
    if not clean:
        raise ValueError("This cannot be empty.")
    for character in clean:
        category = unicodedata.category(character)
        if category in ("Cc", "Cn", "Co", "Cs", "Zl", "Zp") or character in _DIRECTIONS:
            raise ValueError("This may not contain control characters.")
    return clean


_DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _password(text: str) -> str:
    reason = passwords.reason_against(text)
    if reason is not None:
        raise ValueError(reason)
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(written_out)]
DisplayName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_one_line)]
Email = Annotated[
    str,
    Field(min_length=3, max_length=320, json_schema_extra={"format": "email"}),
    AfterValidator(emails.normalised),
]
NewPassword = Annotated[
    str,
    Field(
        min_length=passwords.SHORTEST,
        max_length=1024,
        description="8 characters at least, 72 bytes in UTF-8 at most",
        json_schema_extra={"format": "password"},
    ),
    AfterValidator(_password),
]
GivenPassword = Annotated[str, Field(max_length=1024, json_schema_extra={"format": "password"})]
