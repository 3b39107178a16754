"""Refusals that change something: they are returned, committed, and only then raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from modelyard.db.tables import Session
from modelyard.kit.errors import Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Denied:
    """An answer and not an exception, because what it changed (the end of a session, an audit entry) must be
    committed before the problem is raised. The session `revoke` must be told to admission.
    """

    problem: Problem
    revoke: Session | None = None


def granted(outcome: T | Denied) -> T:
    """Once the unit of work is committed: the good outcome, or the problem raised."""
    if isinstance(outcome, Denied):
        raise outcome.problem
    return outcome
