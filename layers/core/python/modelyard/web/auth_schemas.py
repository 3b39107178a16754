"""Bodies of `/auth/*` and of the caller's own account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.accounts.key_service import NewKey
from modelyard.accounts.keys import shown
from modelyard.db.tables import ApiKey, Session
from modelyard.web.fields import DisplayName, Email, GivenPassword, Moment, NewPassword, Payload, Shown


class Registration(Payload):
    email: Email
    password: NewPassword
    name: DisplayName


class Registered(Shown):
    email: str
    name: str
    detail: str = "You can log in now. If this address had an account before, that account is unchanged."


class Login(Payload):
    email: Email
    password: GivenPassword
    cookies: bool = Field(
        False, description="For browsers: the tokens come as cookies that pages cannot read"
    )


class PasswordGrant(BaseModel):
    """RFC 6749, 4.3. Clients send more fields than the grant needs; those are ignored."""

    model_config = ConfigDict(extra="ignore")
    grant_type: Literal["password"] = "password"
    username: Email
    password: GivenPassword


class Refresh(Payload):
    refresh_token: str | None = Field(
        None, min_length=1, max_length=2048, description="Left out where it comes as a cookie"
    )


class Logout(Payload):
    everywhere: bool = Field(False, strict=True, description="End all sessions and not only this one")


class TokenPair(Shown):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds until the access token ends")


class CookieSession(Shown):
    """What a browser is told: its tokens are in cookies."""

    csrf_token: str = Field(
        description="For the header X-CSRF-Token of writes; also in a cookie pages can read"
    )
    expires_in: int = Field(description="Seconds until the access token ends")


class Me(Shown):
    id: str
    email: str
    name: str
    role: Literal["user", "admin"]
    email_verified_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class MeChange(Payload):
    name: DisplayName | None = None
    email: Email | None = None
    current_password: GivenPassword | None = Field(None, description="Needed for a new email")


class PasswordChange(Payload):
    current_password: GivenPassword
    new_password: NewPassword


class Proof(Payload):
    current_password: GivenPassword


class Closed(Shown):
    purged_after: datetime = Field(description="Until then the account can be restored")


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

    @classmethod
    def of(cls, row: Session, *, current: str) -> SessionShown:
        return cls.built(row, current=row.id == current)


class SessionList(Shown):
    items: list[SessionShown]


Scope = Literal["predict", "models:read", "models:write", "jobs", "admin"]


class KeyWanted(Payload):
    name: DisplayName
    scopes: list[Scope] = Field(min_length=1, max_length=5, description="What the key may do")
    model_ids: list[Annotated[str, Field(max_length=30)]] | None = Field(
        None, min_length=1, max_length=100, description="Limits the key to these models; otherwise all"
    )
    expires_at: Moment | None = Field(None, description="Without it the key lives until it is revoked")


class KeyShown(Shown):
    id: str
    name: str
    prefix: str = Field(description="How the key begins")
    scopes: list[Scope]
    model_ids: list[str] | None
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To within five minutes")
    created_at: datetime

    @classmethod
    def of(cls, row: ApiKey) -> KeyShown:
        return cls.built(row, prefix=shown(row.id))


class KeyCreated(KeyShown):
    key: str = Field(description="The key itself. It is shown this once: keep it now")

    @classmethod
    def made(cls, new: NewKey) -> KeyCreated:
        return cls.built(new.row, prefix=shown(new.row.id), key=new.text)


class KeyList(Shown):
    items: list[KeyShown]
