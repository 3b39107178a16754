"""Addresses as accounts know them: one spelling per mailbox, as far as that can be known."""

from __future__ import annotations

import unicodedata

LONGEST_EMAIL = 254


def normalised(text: str) -> str:
    """The address in NFKC and lower case; raises `ValueError` with a reason that does not repeat it.

    Only the form is checked: whether a mailbox exists is for a message to it to find out.
    """
    import email_validator  # 40 ms that only registration and login need

    complaint = "This is not an email address such as name@example.com."
    folded = unicodedata.normalize("NFKC", text).strip().lower()
    if len(folded) > LONGEST_EMAIL:
        raise ValueError(f"An email address has at most {LONGEST_EMAIL} characters.")
    try:
        checked = email_validator.validate_email(
            folded, check_deliverability=False, globally_deliverable=False
        )
    except email_validator.EmailNotValidError as error:
        raise ValueError(complaint) from error
    if "." not in checked.domain:
        raise ValueError(complaint)
    return checked.normalized.lower()
