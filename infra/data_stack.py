"""What outlives a deployment: bucket, signing keys and, unless brought along, PostgreSQL and Redis."""

from __future__ import annotations

import json

from aws_cdk import (
    Duration,
    RemovalPolicy,
    SecretValue,
    Stack,
    aws_ec2 as ec2,
    aws_elasticache as elasticache,
    aws_rds as rds,
    aws_s3 as s3,
    aws_secretsmanager as secrets,
)
from constructs import Construct

from infra import catalogue
from infra.acknowledge import acknowledge
from infra.network import Network
from infra.queues import PLAIN_HTTP, QueueWithDeadLetters
from infra.retention import removal
from infra.stages import ManagedData, Stage

DATABASE_PORT = 5432
CACHE_PORT = 6379
KEEP_JOBS_DAYS = 30
KEEP_UPLOADS_DAYS = 30  # registered files live on under models/
BEHIND_A_GROUP = "Its security group admits the functions alone; another port would hide nothing."
NO_PUNCTUATION = {"exclude_punctuation": True, "include_space": False, "password_length": 48}


def bucket_name(scope: Construct, stage: Stage) -> str:
    """Known without a lookup: people drop files into it, and roles need no reference between stacks."""
    stack = Stack.of(scope)
    return f"{stage.prefix}-{stack.account}-{stack.region}"


class DataStack(Stack):
    """`bucket`, `upload_queues` by name, and `network` where the stage has one.

    Secrets are found by name (`Stage.secret_name`), whoever made them.
    """

    def __init__(
        self, scope: Construct, id: str, *, stage: Stage, origins: list[str], **kwargs: object
    ) -> None:
        super().__init__(scope, id, **kwargs)  # type: ignore[arg-type]
        self._stage = stage
        self._removal = removal(stage)
        self.upload_queues = {
            queue.name: QueueWithDeadLetters(
                self, f"{queue.name.capitalize()}Queue", stage=stage, queue=queue
            )
            for queue in catalogue.QUEUES
            if queue.from_uploads
        }
        self.bucket = self._bucket(origins)
        self._notify()
        self._secret(
            "SigningKeys",
            "signing-keys",
            {"current": "k1"},
            generate="k1",
            rotation="rotated by a function of ours",
        )
        self.network: Network | None = None
        if stage.data is not None:
            self.network = Network(self, "Network")
            self._postgresql(stage.data, self.network)
            self._cache(stage.data, self.network)

    # --- S3

    def _bucket(self, origins: list[str]) -> s3.Bucket:
        common = {
            "encryption": s3.BucketEncryption.S3_MANAGED,
            "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
            "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            "enforce_ssl": self._stage.tls_only,
            "versioned": True,
            "removal_policy": self._removal,
        }
        log = None
        if self._stage.access_log:
            log = s3.Bucket(
                self,
                "AccessLog",
                lifecycle_rules=[
                    s3.LifecycleRule(
                        expiration=Duration.days(90), noncurrent_version_expiration=Duration.days(1)
                    )
                ],
                **common,  # type: ignore[arg-type]
            )
            acknowledge(log, "This is the bucket that holds the access logs.", "AwsSolutions-S1")
        bucket = s3.Bucket(
            self,
            "Bucket",
            bucket_name=bucket_name(self, self._stage),
            server_access_logs_bucket=log,
            server_access_logs_prefix="data/" if log else None,
            cors=[
                s3.CorsRule(
                    # Presigned URLs carry their own permission and no cookie
                    allowed_origins=origins or ["*"],
                    allowed_methods=[s3.HttpMethods.GET, s3.HttpMethods.POST, s3.HttpMethods.PUT],
                    allowed_headers=["*"],
                    exposed_headers=["ETag", "x-amz-version-id"],
                    max_age=3600,
                )
            ],
            lifecycle_rules=self._lifecycle(),
            **common,  # type: ignore[arg-type]
        )
        if not self._stage.tls_only:
            acknowledge(bucket, PLAIN_HTTP, "AwsSolutions-S10")
        if log is None:
            acknowledge(bucket, "This stage serves one machine and keeps no access log.", "AwsSolutions-S1")
        return bucket

    @staticmethod
    def _lifecycle() -> list[s3.LifecycleRule]:
        return [
            s3.LifecycleRule(
                id="unfinished-and-replaced",
                abort_incomplete_multipart_upload_after=Duration.days(1),
                noncurrent_version_expiration=Duration.days(30),
                expired_object_delete_marker=True,
            ),
            s3.LifecycleRule(id="uploads", prefix="uploads/", expiration=Duration.days(KEEP_UPLOADS_DAYS)),
            s3.LifecycleRule(id="jobs", prefix="jobs/", expiration=Duration.days(KEEP_JOBS_DAYS)),
        ]

    def _notify(self) -> None:
        """S3 → SQS as a property of the bucket.

        CDK's own way would deploy a function that may rewrite any bucket's notifications.
        """
        bucket = self.bucket.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        configurations = []
        for queue in self.upload_queues.values():
            bucket.add_resource_dependency(queue.allow_bucket(bucket_name(self, self._stage)))
            prefix = s3.CfnBucket.FilterRuleProperty(name="prefix", value=catalogue.UPLOADS_PREFIX)
            configurations.append(
                s3.CfnBucket.QueueConfigurationProperty(
                    event="s3:ObjectCreated:*",
                    queue=queue.main.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(rules=[prefix])
                    ),
                )
            )
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=configurations
        )

    # --- secrets

    def _secret(
        self, id: str, name: str, template: dict[str, object], *, generate: str, rotation: str
    ) -> secrets.Secret:
        secret = secrets.Secret(
            self,
            id,
            secret_name=self._stage.secret_name(name),
            removal_policy=self._removal,
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps(template),
                generate_string_key=generate,
                **NO_PUNCTUATION,  # type: ignore[arg-type]
            ),
        )
        acknowledge(secret, f"Secrets Manager does not rotate this secret: {rotation}.", "AwsSolutions-SMG4")
        return secret

    # --- PostgreSQL

    def _postgresql(self, data: ManagedData, network: Network) -> None:
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_18_3)
        database = rds.DatabaseInstance(
            self,
            "Database",
            engine=engine,
            instance_type=ec2.InstanceType(data.database_class),
            credentials=rds.Credentials.from_generated_secret(
                "modelyard_owner", secret_name=self._stage.secret_name("database-owner")
            ),
            database_name="modelyard",
            port=DATABASE_PORT,
            vpc=network.vpc,
            vpc_subnets=network.data_subnets,
            security_groups=[network.data_group("DatabaseAccess", port=DATABASE_PORT, what="PostgreSQL")],
            publicly_accessible=False,
            multi_az=data.database_multi_az,
            allocated_storage=data.database_storage_gb,
            max_allocated_storage=data.database_storage_gb * 5,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            backup_retention=Duration.days(data.backup_days),
            copy_tags_to_snapshot=True,
            delete_automated_backups=not self._stage.retain_data,
            deletion_protection=self._stage.retain_data,
            removal_policy=RemovalPolicy.SNAPSHOT if self._stage.retain_data else RemovalPolicy.DESTROY,
            auto_minor_version_upgrade=True,
            cloudwatch_logs_exports=["postgresql"],
            parameter_group=rds.ParameterGroup(
                self,
                "DatabaseParameters",
                engine=engine,
                parameters={"rds.force_ssl": "1", "log_min_duration_statement": "500", "timezone": "UTC"},
            ),
        )
        self._acknowledge_database(database, data)
        self._secret(
            "DatabaseRole",
            "database",
            {
                "username": "modelyard_app",
                "host": database.instance_endpoint.hostname,
                "port": DATABASE_PORT,
                "dbname": "modelyard",
                "sslmode": "require",
            },
            generate="password",
            rotation="migrate sets the role's password at every deployment",
        )

    def _acknowledge_database(self, database: rds.DatabaseInstance, data: ManagedData) -> None:
        acknowledge(
            database,
            BEHIND_A_GROUP,
            "AwsSolutions-RDS11",
        )
        secret = database.node.find_child("Secret")
        assert isinstance(secret, secrets.Secret)
        secret.apply_removal_policy(self._removal)  # a restored snapshot still has this password
        acknowledge(
            secret,
            "Only migrate reads it, and a rotating function would need a way into the VPC.",
            "AwsSolutions-SMG4",
        )
        if not data.database_multi_az:
            acknowledge(database, "A lean stage: an hour without it is acceptable.", "AwsSolutions-RDS3")
        if not self._stage.retain_data:
            acknowledge(database, "The data of this stage may go with it.", "AwsSolutions-RDS10")

    # --- Redis

    def _cache(self, data: ManagedData, network: Network) -> None:
        password = self._secret(
            "CachePassword",
            "redis-password",
            {},
            generate="password",
            rotation="the cache holds nothing of its own",
        ).secret_value_from_json("password")
        subnets = elasticache.CfnSubnetGroup(
            self,
            "CacheSubnets",
            description="Subnets without a way out",
            subnet_ids=network.vpc.select_subnets(subnet_group_name="data").subnet_ids,
        )
        several = data.cache_nodes > 1
        cache = elasticache.CfnReplicationGroup(
            self,
            "Cache",
            replication_group_description="Modelyard: routes, answers, limits, revocations",
            engine="valkey",
            engine_version="8.0",
            cache_node_type=data.cache_node,
            num_cache_clusters=data.cache_nodes,
            automatic_failover_enabled=several,
            multi_az_enabled=several,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[
                network.data_group("CacheAccess", port=CACHE_PORT, what="Redis").security_group_id
            ],
            port=CACHE_PORT,
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            auth_token=password.unsafe_unwrap(),
            auto_minor_version_upgrade=True,
            snapshot_retention_limit=data.backup_days if several else 0,
        )
        acknowledge(cache, BEHIND_A_GROUP, "AwsSolutions-AEC5")
        if not several:
            acknowledge(cache, "A lean stage: predictions go on without the cache.", "AwsSolutions-AEC4")
        access = secrets.Secret(
            self,
            "CacheAccessSecret",
            secret_name=self._stage.secret_name("redis"),
            removal_policy=self._removal,
            secret_object_value={
                "host": SecretValue.unsafe_plain_text(cache.attr_primary_end_point_address),
                "port": SecretValue.unsafe_plain_text(str(CACHE_PORT)),
                "tls": SecretValue.unsafe_plain_text("true"),
                "password": password,
            },
        )
        acknowledge(access, "Follows the password's own secret at every deployment.", "AwsSolutions-SMG4")
