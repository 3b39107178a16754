"""Functions hold what the catalogue grants and nothing else, and the cloud enforces it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.conftest import Cloud, Served

SANDBOXED = ["inspect_model", "predict_native"]


def _as_role_of(cloud: Cloud, function: str, service: str) -> Any:
    """A client with the permissions of a function's role: its session, taken by the operator."""
    name = f"modelyard-local-{function}"
    role = cloud.client("lambda").get_function_configuration(FunctionName=name)["Role"]
    sts = cloud.client("sts")
    session = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.client(
        service,
        endpoint_url=sts.meta.endpoint_url,
        region_name=sts.meta.region_name,
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


def _artifact(cloud: Cloud, served: Served) -> str:
    statement = "select artifact_key from model_versions where id = %s"
    return str(cloud.rows(statement, served.version["version_id"])[0][0])


@pytest.mark.parametrize("function", SANDBOXED)
def test_the_sandbox_cannot_read_the_bucket(cloud: Cloud, iris_model: Served, function: str):
    key = _artifact(cloud, iris_model)
    assert cloud.client("s3").head_object(Bucket=cloud.bucket, Key=key)["ContentLength"] > 0
    s3 = _as_role_of(cloud, function, "s3")

    for attempt in (
        lambda: s3.get_object(Bucket=cloud.bucket, Key=key),
        lambda: s3.list_objects_v2(Bucket=cloud.bucket),
        lambda: s3.put_object(Bucket=cloud.bucket, Key=key, Body=b"mine"),
        lambda: s3.list_buckets(),
    ):
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["Error"]["Code"] in ("AccessDenied", "403")


@pytest.mark.parametrize("function", SANDBOXED)
@pytest.mark.parametrize("secret", ["database", "database-owner", "redis", "signing-keys"])
def test_the_sandbox_cannot_read_a_secret(cloud: Cloud, function: str, secret: str):
    secrets = _as_role_of(cloud, function, "secretsmanager")

    with pytest.raises(ClientError) as refused:
        secrets.get_secret_value(SecretId=f"modelyard/local/{secret}")

    assert "AccessDenied" in refused.value.response["Error"]["Code"]


@pytest.mark.parametrize("function", SANDBOXED)
def test_the_sandbox_calls_nobody(cloud: Cloud, function: str):
    with pytest.raises(ClientError, match="not authorized"):
        _as_role_of(cloud, function, "lambda").invoke(FunctionName="modelyard-local-migrate")
    with pytest.raises(ClientError, match="not authorized"):
        _as_role_of(cloud, function, "sqs").send_message(
            QueueUrl=cloud.client("sqs").get_queue_url(QueueName="modelyard-local-register")["QueueUrl"],
            MessageBody="{}",
        )


@pytest.mark.parametrize(
    ("function", "allowed", "denied"),
    [
        ("predict", "models/", "uploads/"),
        ("register_model", "models/", "jobs/"),
        ("batch", "jobs/", "models/"),
    ],
)
def test_others_reach_their_prefix_and_no_other(cloud: Cloud, function: str, allowed: str, denied: str):
    operator = cloud.client("s3")
    for prefix in (allowed, denied):
        operator.put_object(Bucket=cloud.bucket, Key=f"{prefix}probe/for-the-test", Body=b"x")
    s3 = _as_role_of(cloud, function, "s3")

    assert s3.get_object(Bucket=cloud.bucket, Key=f"{allowed}probe/for-the-test")["ContentLength"] == 1
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=cloud.bucket, Key=f"{denied}probe/for-the-test")

    assert refused.value.response["Error"]["Code"] == "AccessDenied"


@pytest.mark.parametrize("function", ["predict", "models", "run_batch"])
def test_only_migrate_reads_the_owner_of_the_database(cloud: Cloud, function: str):
    secrets = _as_role_of(cloud, function, "secretsmanager")

    with pytest.raises(ClientError):
        secrets.get_secret_value(SecretId="modelyard/local/database-owner")

    assert "password" in secrets.get_secret_value(SecretId="modelyard/local/database")["SecretString"]


@pytest.mark.parametrize("function", ["roll_up", "migrate"])
def test_scheduled_and_deployed_functions_run_with_their_layers_and_their_role(cloud: Cloud, function: str):
    answer = cloud.client("lambda").invoke(FunctionName=f"modelyard-local-{function}", Payload=b"{}")

    assert "FunctionError" not in answer, json.loads(answer["Payload"].read())


def test_no_function_has_a_secret_in_its_environment(cloud: Cloud):
    secrets = cloud.client("secretsmanager")
    values = [
        json.loads(secrets.get_secret_value(SecretId=f"modelyard/local/{name}")["SecretString"])["password"]
        for name in ("database", "database-owner", "redis")
    ]

    for function in cloud.client("lambda").list_functions()["Functions"]:
        environment = json.dumps(function.get("Environment", {}))
        assert not any(value in environment for value in values), function["FunctionName"]
