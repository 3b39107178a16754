"""An error of the database is logged with its statement and never with the values."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


def test_values_do_not_stand_in_database_errors(session):
    with pytest.raises(DBAPIError) as caught:
        session.execute(text("SELECT CAST(:value AS integer) + no_such_column"), {"value": "a-password-hash"})

    assert "no_such_column" in str(caught.value)
    assert "a-password-hash" not in str(caught.value)
