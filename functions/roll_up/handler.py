"""The platform's housekeeping, every few minutes. A step that fails does not keep others from running."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from typing import Any

from modelyard.composition import Composition
from modelyard.telemetry import partitions
from modelyard.telemetry.log import logger

services = Composition()


class StepsFailed(RuntimeError):
    """Some steps failed; the log has their traces. Raised last, so that the function counts as failed."""


def handle(services: Composition) -> dict[str, Any]:
    """Runs every step and reports what each did."""
    steps: dict[str, Callable[[], Any]] = {
        "trials": lambda: services.trials.sweep(),  # first: how soon it withdraws a canary is promised
        "partitions": lambda: partitions.roll(services.database),
        "outbox": lambda: {"sent": services.outbox.sweep()},
        "jobs": lambda: services.job_sweep.run(),
        "uploads": lambda: services.upload_sweep.run(),
        "registry": lambda: services.registry_sweep.run(),
        "access": lambda: services.access_sweep.run(),
        "shadows": lambda: services.shadow_sweep.run(),
    }
    report: dict[str, Any] = {}
    failed = []
    for name, step in steps.items():
        try:
            done = step()
            report[name] = asdict(done) if is_dataclass(done) and not isinstance(done, type) else done
        except Exception:
            logger.exception("step failed", step=name)
            failed.append(name)
    logger.info("rolled up", **report)
    if failed:
        raise StepsFailed(", ".join(failed))
    return report


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return handle(services)
