"""Addresses as accounts know them: one spelling per mailbox, as far as that can be known."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

LONGEST_EMAIL = 254
_COMPLAINT = "This is not an email address, such as name@company.com."


def normalised(text: str) -> str:
    """The address in NFKC and lower case; raises `ValueError` with a reason that does not repeat it.

    Only the form is checked: whether a mailbox exists is for a message to it to find out.
    """
    folded = unicodedata.normalize("NFKC", text).strip().lower()
    if len(folded) > LONGEST_EMAIL:
        raise ValueError(f"An email address has at most {LONGEST_EMAIL} characters.")
    validator = _validator()
    try:
        checked = validator.validate_email(folded, check_deliverability=False, strict=True)
    except validator.EmailNotValidError as error:
        raise ValueError(_COMPLAINT) from error
    return str(checked.normalized).lower()


@cache
def _validator() -> Any:
    """The library, imported where it is first needed, and told that intranets and tests have mail too."""
    import email_validator

    for name in ("local", "test"):
        if name in email_validator.SPECIAL_USE_DOMAIN_NAMES:
            email_validator.SPECIAL_USE_DOMAIN_NAMES.remove(name)
    return email_validator
