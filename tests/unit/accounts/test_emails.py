from __future__ import annotations

import pytest
from modelyard.accounts.emails import normalised


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Ada@Example.COM ", "ada@example.com"),
        ("ａｄａ@example.com", "ada@example.com"),
        ("ada+tag@mail.example.co.uk", "ada+tag@mail.example.co.uk"),
        ("ada@company.local", "ada@company.local"),
        ("o'neil@example.com", "o'neil@example.com"),
    ],
)
def test_one_mailbox_has_one_spelling(given, kept):
    assert normalised(given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@exa mple.com",
        "ada@@example.com",
        "ada@example.com\0", "ada@example.com\nBcc: eve@example.com", "a" * 65 + "@example.com",
        "ada@" + "x" * 260 + ".com", "ada@[127.0.0.1]", "'; DROP TABLE users; --",
        "ada@example..com", "\ud800@example.com",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_repeating_it(given):
    with pytest.raises(ValueError) as raised:
        normalised(given)
    assert not given or given not in str(raised.value)
