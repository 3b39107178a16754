"""What a caller may be told about accounts."""

from __future__ import annotations

from modelyard.kit.errors import Conflict, Forbidden, NotFound, Unauthorized


class WrongCredentials(Unauthorized):
    """Unknown account and wrong password alike."""

    code, title = "wrong_credentials", "Email or password is wrong"


class WrongPassword(Forbidden):
    """Of somebody who is logged in already: not a 401, which would make clients refresh and try again."""

    code, title = "wrong_password", "The current password is wrong"


class EmailTaken(Conflict):
    code, title = "email_taken", "This address cannot be used"


class AccountSuspended(Forbidden):
    code, title = "account_suspended", "This account is suspended"


class AccountDeleted(Forbidden):
    code, title = "account_deleted", "This account was deleted"


class SessionEnded(Unauthorized):
    code, title = "session_ended", "This session has ended"


class SessionNotFound(NotFound):
    code, title = "session_not_found", "No such session"


class KeyNotFound(NotFound):
    code, title = "api_key_not_found", "No such API key"


class TooManyKeys(Conflict):
    code, title = "too_many_api_keys", "Too many API keys"


class UserNotFound(NotFound):
    code, title = "user_not_found", "No such user"
