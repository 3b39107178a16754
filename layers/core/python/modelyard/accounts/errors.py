"""What a caller may be told about accounts."""

from __future__ import annotations

from modelyard.kit.errors import Forbidden, NotFound, Unauthorized


class WrongCredentials(Unauthorized):
    """Unknown account and wrong password alike."""

    code, title = "wrong_credentials", "Email or password is wrong"


class AccountSuspended(Forbidden):
    code, title = "account_suspended", "This account is suspended"


class SessionEnded(Unauthorized):
    code, title = "session_ended", "This session has ended"


class SessionNotFound(NotFound):
    code, title = "session_not_found", "No such session"


class UserNotFound(NotFound):
    code, title = "user_not_found", "No such user"
