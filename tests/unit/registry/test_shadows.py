"""A shadow's setting as it is stored."""

from __future__ import annotations

from modelyard.db.tables import Model
from modelyard.registry.shadow.settings import Shadow

SETTING = {"number": 2, "percent": 50, "tolerance": 1e-6, "since": "2026-11-25T12:00:00+00:00"}


def test_a_setting_of_a_later_release_can_be_read() -> None:
    """During a deployment, or after going back, both releases read what either wrote."""
    later = Model(shadow=SETTING | {"sampling": "by key"})
    assert Shadow.of(later) == Shadow(**SETTING)


def test_without_a_setting_there_is_no_shadow() -> None:
    assert Shadow.of(Model(shadow=None)) is None
