"""Cursors: opaque, unforgeable, bound to one listing, and alive across a rotation of keys."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given, strategies as st
from modelyard.kit.paging import BadCursor, Cursors, Page, page_of

KEYS = {
    "current": "k2",
    "k1": "first-key-first-key-first-key-first",
    "k2": "second-key-second-key-second-key",
}
cursors = Cursors(lambda: KEYS)


def test_no_cursor_is_the_beginning():
    assert cursors.decode("models/usr_1", None) is None
    assert cursors.decode("models/usr_1", "") is None


@given(st.lists(st.one_of(st.integers(), st.text(string.printable)), max_size=3))
def test_a_position_comes_back_as_it_went(position):
    assert cursors.decode("models", cursors.encode("models", position)) == position


@pytest.mark.parametrize("scope", ["models/usr_2", "models", "versions/usr_1/x", ""])
def test_another_listing_refuses_it(scope):
    cursor = cursors.encode("models/usr_1", ["mdl_1"])
    with pytest.raises(BadCursor) as refused:
        cursors.decode(scope, cursor)
    assert refused.value.status == 422
    assert cursor not in str(refused.value.body(instance="/", request_id="r"))


@given(st.data())
def test_no_changed_cursor_is_read(data):
    cursor = cursors.encode("models", ["mdl_1", 7])
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BadCursor):
        cursors.decode("models", base64.urlsafe_b64encode(bytes(raw)).decode())


@pytest.mark.parametrize("junk", ["x", "é", "....", "a" * 5000, "AAAA", "\0", " ", "null", "e30"])
def test_junk_is_refused(junk):
    with pytest.raises(BadCursor):
        cursors.decode("models", junk)


def test_a_cursor_outlives_a_rotation_until_its_key_is_gone():
    old = Cursors(lambda: {"current": "k1", "k1": KEYS["k1"]}).encode("models", [1])
    assert cursors.decode("models", old) == [1]
    with pytest.raises(BadCursor):
        Cursors(lambda: {"current": "k2", "k2": KEYS["k2"]}).decode("models", old)


@pytest.mark.parametrize(
    ("rows", "kept", "more"), [([], [], False), ([1, 2], [1, 2], False), ([1, 2, 3], [1, 2], True)]
)
def test_the_extra_row_says_that_there_is_more(rows, kept, more):
    page = page_of(rows, 2, cursors=cursors, scope="s", position=lambda row: [row])
    assert page.items == kept
    assert (page.next_cursor is not None) == more
    if more:
        assert cursors.decode("s", page.next_cursor) == [2]


def test_the_link_keeps_the_other_parameters():
    assert Page([1], "abc").link("https://x/api/models", {"limit": 2, "cursor": "old", "tag": None}) == (
        '<https://x/api/models?limit=2&cursor=abc>; rel="next"'
    )
    several = {"tag": ["a b", "c"], "ready": True, "deleted": False}
    assert Page([1], "abc").link("https://x", several) == (
        '<https://x?tag=a+b&tag=c&ready=true&deleted=false&cursor=abc>; rel="next"'
    )
    assert Page([1]).link("https://x", {}) is None
