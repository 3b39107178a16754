"""Entity tags and the two comparisons."""

from __future__ import annotations

import pytest
from modelyard.kit.etag import etag_of, matches, none_match

TAG = etag_of({"a": 1})


def test_equal_content_has_an_equal_tag():
    assert etag_of({"a": 1, "b": 2}) == etag_of({"b": 2, "a": 1})
    assert etag_of({"a": 1}) != etag_of({"a": "1"})
    assert TAG.startswith('"')
    assert TAG.endswith('"')


@pytest.mark.parametrize(
    ("header", "sent"),
    [
        (None, True),
        ("", True),
        (TAG, False),
        (f"W/{TAG}", False),
        (f'"x", {TAG}', False),
        ("*", False),
        ('"x"', True),
        ("junk", True),
    ],
)
def test_if_none_match_compares_weakly(header, sent):
    assert none_match(header, TAG) is sent


@pytest.mark.parametrize(
    ("header", "holds"),
    [(TAG, True), (f'"x",{TAG}', True), ("*", True), (f"W/{TAG}", False), ('"x"', False), ("", False)],
)
def test_if_match_compares_strongly(header, holds):
    assert matches(header, TAG) is holds
