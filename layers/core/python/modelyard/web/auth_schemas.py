"""Bodies of `/auth/*` and of the caller's own account."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.web.fields import DisplayName, Email, GivenPassword, NewPassword, Payload, Shown


class Registration(Payload):
    email: Email
    password: NewPassword
    name: DisplayName


class Registered(Shown):
    email: str
    name: str
    detail: str = "You can log in now. If this address had an account before, that account is unchanged."


class Credentials(Payload):
    email: Email
    password: GivenPassword


class PasswordGrant(BaseModel):
    """RFC 6749, 4.3. Clients send more fields than the grant needs; those are ignored."""

    model_config = ConfigDict(extra="ignore")
    grant_type: Literal["password"] = "password"
    username: Email
    password: GivenPassword


class Refresh(Payload):
    refresh_token: str = Field(min_length=1, max_length=2048)


class Logout(Payload):
    everywhere: bool = Field(False, description="End all sessions and not only this one")


class TokenPair(Shown):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds until the access token ends")


class Me(Shown):
    id: str
    email: str
    name: str
    role: Literal["user", "admin"]
    created_at: datetime
    updated_at: datetime


class SessionShown(Shown):
    id: str
    current: bool = Field(description="Whether it is the one that asks")
    ip: str
    user_agent: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = Field(description="Set where it was ended before its time")
    revoked_reason: str | None = Field(
        description="`refresh_replayed`: a refresh token was used twice, so somebody else may have had it"
    )


class SessionList(Shown):
    items: list[SessionShown]
