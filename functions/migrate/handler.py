"""Brings the schema to head at every deployment, before anything else goes live."""

from __future__ import annotations

from typing import Any

from modelyard.composition import Composition
from modelyard.telemetry.log import logger

services = Composition()


def handle(services: Composition) -> dict[str, str]:
    """The revision that the schema has now. Raises where it cannot be reached: the deployment fails then."""
    revision = services.migrate()
    logger.info("schema is current", revision=revision)
    return {"revision": revision}


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    return handle(services)
