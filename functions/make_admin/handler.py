"""Makes the first administrator. Nobody reaches this over HTTP: `python -m tools.make_admin EMAIL` invokes
it, with the rights of whoever operates the account. It refuses once there is an administrator.
"""

from __future__ import annotations

from typing import Any

from modelyard.accounts.administration import make_first_admin
from modelyard.accounts.audit import Origin
from modelyard.accounts.emails import normalised
from modelyard.composition import Composition
from modelyard.kit.errors import Problem

services = Composition()


def handle(event: dict[str, Any], services: Composition) -> dict[str, str]:
    """`{"email": …}` → `{"user_id"}` or `{"error"}`."""
    try:
        email = normalised(str(event.get("email", "")))
    except ValueError as error:
        return {"error": str(error)}
    try:
        with services.database.transaction() as unit:
            audit = services.audit(unit, Origin(request_id=str(event.get("request_id", ""))))
            follows = make_first_admin(unit, audit, email)
    except Problem as problem:
        return {"error": problem.detail}
    services.revocations.follow(follows)
    return {"user_id": follows.user_id}


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    return handle(event | {"request_id": getattr(context, "aws_request_id", "")}, services)
