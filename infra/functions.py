"""Lambda functions from the catalogue: code, layers, role, log group, environment."""

from __future__ import annotations

from typing import Any

from aws_cdk import (
    AssetHashType,
    Duration,
    Size,
    aws_iam as iam,
    aws_lambda as lambda_,
    aws_logs as logs,
    triggers,
)
from constructs import Construct

from infra import catalogue
from infra.acknowledge import acknowledge
from infra.catalogue import AtDeployment, Function
from infra.network import Network
from infra.retention import log_retention, removal
from infra.roles import Roles, construct_id, log_group_name
from infra.stages import Stage
from tools.layers import Builder, Built

RUNTIME = lambda_.Runtime.PYTHON_3_13
ALIAS = "live"


class Functions:
    """Makes the functions of one stage in `scope`; `public_url` and `origins` come with the deployment."""

    def __init__(
        self,
        scope: Construct,
        *,
        stage: Stage,
        builder: Builder,
        bucket: str,
        queue_urls: dict[str, str],
        network: Network | None,
        public_url: str,
        origins: list[str],
    ) -> None:
        self._scope = scope
        self._stage = stage
        self._builder = builder
        self._bucket = bucket
        self._queue_urls = queue_urls
        self._network = network
        self._public_url = public_url
        self._origins = origins
        self._roles = Roles(scope, stage=stage, bucket=bucket, in_network=network is not None)
        self._layers: dict[str, lambda_.LayerVersion] = {}

    def make(self, function: Function) -> lambda_.Function:
        properties = self._properties(function)
        name = construct_id(function.name)
        kind = triggers.TriggerFunction if isinstance(function.trigger, AtDeployment) else lambda_.Function
        made = kind(self._scope, name, **properties)
        acknowledge(
            made, "Layers and tests are made for Python 3.13, the version of design.md.", "AwsSolutions-L1"
        )
        return made

    def entry(self, function: Function, made: lambda_.Function) -> lambda_.IFunction:
        """What callers of the API reach: the function, or its newest version where snapshots are kept."""
        if not self._snapped(function):
            return made
        return lambda_.Alias(made, "Live", alias_name=ALIAS, version=made.current_version)

    def _properties(self, function: Function) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "function_name": f"{self._stage.prefix}-{function.name}",
            "description": f"Modelyard: {function.purpose}",
            "runtime": RUNTIME,
            "architecture": lambda_.Architecture.ARM_64,
            "handler": "handler.handler",
            "code": asset(self._builder.function(function.name)),
            "layers": [self._layer(name) for name in function.layer_names],
            "role": self._frozen_role(function),
            "log_group": self._log_group(function),
            "memory_size": function.memory,
            "timeout": Duration.seconds(function.timeout),
            # Snapshots keep no more than Lambda's default
            "ephemeral_storage_size": Size.mebibytes(512 if self._snapped(function) else function.scratch),
            "environment": self._environment(function),
        }
        if function.sandboxed:
            properties["tenancy_config"] = lambda_.TenancyConfig.PER_TENANT
        if self._snapped(function):
            properties["snap_start"] = lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS
        limit = reserved(function, self._stage)
        if limit is not None:
            properties["reserved_concurrent_executions"] = limit
        if function.in_network and self._network is not None:
            properties |= {
                "vpc": self._network.vpc,
                "vpc_subnets": self._network.function_subnets,
                "security_groups": [self._network.function_group],
                "ipv6_allowed_for_dual_stack": True,
            }
        return properties

    def _snapped(self, function: Function) -> bool:
        return self._stage.snap_start and function.snap_start

    def _frozen_role(self, function: Function) -> iam.IRole:
        return self._roles.make(function).without_policy_updates()

    def _layer(self, name: str) -> lambda_.LayerVersion:
        if name not in self._layers:
            self._layers[name] = lambda_.LayerVersion(
                self._scope,
                f"{construct_id(name)}Layer",
                layer_version_name=f"{self._stage.prefix}-{name}",
                code=asset(self._builder.layer(name)),
                compatible_runtimes=[RUNTIME],
                compatible_architectures=[lambda_.Architecture.ARM_64],
            )
        return self._layers[name]

    def _log_group(self, function: Function) -> logs.LogGroup:
        return logs.LogGroup(
            self._scope,
            f"{construct_id(function.name)}Log",
            log_group_name=log_group_name(self._stage, function),
            retention=log_retention(self._stage),
            removal_policy=removal(self._stage),
        )

    def _environment(self, function: Function) -> dict[str, str]:
        """Names of what the grants open; see docs/ARCHITECTURE.md. Nothing secret stands here."""
        environment = {"MODELYARD_STAGE": self._stage.name, "POWERTOOLS_LOG_LEVEL": self._stage.log_level}
        for grant in function.parsed_grants:
            match grant.kind:
                case "bucket":
                    environment["MODELYARD_BUCKET"] = self._bucket
                case "secret":
                    environment[catalogue.SECRET_VARIABLES[grant.target]] = self._stage.secret_name(
                        grant.target
                    )
                case "queue":
                    environment[catalogue.QUEUE_VARIABLES[grant.target]] = self._queue_urls[grant.target]
                case "invoke":
                    variable = catalogue.INVOKE_VARIABLES[grant.target]
                    environment[variable] = f"{self._stage.prefix}-{grant.target}"
        if function.routes:
            environment["MODELYARD_PUBLIC_URL"] = self._public_url
            environment["MODELYARD_ALLOWED_ORIGINS"] = ",".join(self._origins)
            environment["MODELYARD_SECURE_COOKIES"] = "true" if self._stage.tls_only else "false"
        if function.in_network and self._network is not None:
            environment["AWS_USE_DUALSTACK_ENDPOINT"] = "true"  # the VPC's only way out is IPv6
        return environment | dict(function.environment)


def asset(built: Built) -> lambda_.AssetCode:
    """An archive that CDK neither unpacks nor hashes again."""
    return lambda_.Code.from_asset(
        str(built.archive), asset_hash=built.key, asset_hash_type=AssetHashType.CUSTOM
    )


def reserved(function: Function, stage: Stage) -> int | None:
    """How many environments may run at once, so that together they never exhaust PostgreSQL's connections.

    `None`: as many as the account allows.
    """
    if not stage.reserve_concurrency or stage.data is None or not function.share:
        return None
    total = sum(each.share for each in catalogue.FUNCTIONS)
    return max(1, function.share * stage.data.database_connections // total)
