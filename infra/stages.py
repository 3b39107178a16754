"""The stages. Everything in which they differ is a field here; nothing asks for a stage's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ManagedData:
    """PostgreSQL and Redis that the data stack creates, in a VPC of their own."""

    database_class: str
    database_storage_gb: int
    database_connections: int  # what the instance allows, less a reserve for operators
    database_multi_az: bool
    backup_days: int
    cache_node: str
    cache_nodes: int  # more than one: a replica in another zone and automatic failover


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One deployment of Modelyard.

    `data=None` means "bring your own PostgreSQL and Redis": the operator creates the secrets
    `modelyard/<stage>/database-owner`, `/database` and `/redis` before the deployment, in the shape that
    docs/ARCHITECTURE.md shows, and no VPC is made.
    """

    name: str
    data: ManagedData | None
    retain_data: bool
    log_days: Literal[7, 30, 365]
    # Where layers run: on Lambda (arm64, Python 3.13) or on this machine, under this interpreter.
    layers_for: Literal["lambda", "host"]
    # Bootstrap roles, or the caller's own credentials (emulators that enforce IAM know no bootstrap roles).
    deploy_with: Literal["bootstrap-roles", "cli-credentials"]
    snap_start: bool
    firewall: bool
    alarms: bool
    access_log: bool  # needs an account-wide role of API Gateway and a bucket for S3's own log
    tls_only: bool  # refuse plain HTTP to buckets, queues and topics, and send cookies over TLS alone
    reserve_concurrency: bool
    requests_per_second: int
    burst: int
    log_level: Literal["DEBUG", "INFO"] = "INFO"

    @property
    def prefix(self) -> str:
        """The beginning of every name."""
        return f"modelyard-{self.name}"

    def secret_name(self, secret: str) -> str:
        return f"modelyard/{self.name}/{secret}"


LOCAL = Stage(
    name="local",
    data=None,
    retain_data=False,
    log_days=7,
    layers_for="host",
    deploy_with="cli-credentials",
    snap_start=False,
    firewall=False,
    alarms=False,
    access_log=False,
    tls_only=False,
    reserve_concurrency=False,
    requests_per_second=1000,
    burst=2000,
)

DEV = Stage(
    name="dev",
    data=ManagedData(
        database_class="t4g.micro",
        database_storage_gb=20,
        database_connections=75,
        database_multi_az=False,
        backup_days=1,
        cache_node="cache.t4g.micro",
        cache_nodes=1,
    ),
    retain_data=False,
    log_days=7,
    layers_for="lambda",
    deploy_with="bootstrap-roles",
    snap_start=False,
    firewall=False,
    alarms=False,
    access_log=True,
    tls_only=True,
    reserve_concurrency=True,
    requests_per_second=200,
    burst=400,
)

PROD = Stage(
    name="prod",
    data=ManagedData(
        database_class="m7g.large",
        database_storage_gb=100,
        database_connections=800,
        database_multi_az=True,
        backup_days=14,
        cache_node="cache.m7g.large",
        cache_nodes=2,
    ),
    retain_data=True,
    log_days=365,
    layers_for="lambda",
    deploy_with="bootstrap-roles",
    snap_start=True,
    firewall=True,
    alarms=True,
    access_log=True,
    tls_only=True,
    reserve_concurrency=True,
    requests_per_second=2000,
    burst=4000,
)

STAGES = {stage.name: stage for stage in (LOCAL, DEV, PROD)}


class UnknownStageError(ValueError):
    """The context value `stage` names no stage."""


def stage_named(name: str | None) -> Stage:
    """The stage of `-c stage=<name>`."""
    if name not in STAGES:
        raise UnknownStageError(f"choose a stage with -c stage=<name>, one of: {', '.join(STAGES)}")
    return STAGES[name]
