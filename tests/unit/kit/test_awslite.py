"""The lean AWS client over real sockets: kept connections, retries, deadlines, errors by name."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from modelyard.kit.awslite import AwsError, Lambda, S3Objects, SecretsManager, Service

from tests.support.aws import AwsStub


@pytest.fixture
def aws() -> Iterator[AwsStub]:
    with AwsStub() as stub:
        yield stub


def service(aws: AwsStub, name: str, **more: str) -> Service:
    return Service(name, environment=aws.environment(**more))


class TestEndpoints:
    @pytest.mark.parametrize(
        ("name", "region", "dualstack", "url"),
        [
            ("lambda", "eu-west-1", "", "https://lambda.eu-west-1.amazonaws.com"),
            ("lambda", "eu-west-1", "true", "https://lambda.eu-west-1.api.aws"),
            ("lambda", "cn-north-1", "", "https://lambda.cn-north-1.amazonaws.com.cn"),
            ("secretsmanager", "us-gov-west-1", "true", "https://secretsmanager.us-gov-west-1.api.aws"),
            (
                "secretsmanager",
                "cn-north-1",
                "true",
                "https://secretsmanager.cn-north-1.api.amazonwebservices.com.cn",
            ),
            ("s3", "eu-west-1", "false", "https://s3.eu-west-1.amazonaws.com"),
            ("s3", "eu-west-1", "true", "https://s3.dualstack.eu-west-1.amazonaws.com"),
            ("s3", "cn-north-1", "true", "https://s3.dualstack.cn-north-1.amazonaws.com.cn"),
        ],
    )
    def test_of_aws_are_botocores(self, name: str, region: str, dualstack: str, url: str) -> None:
        import boto3
        from botocore.config import Config

        environment = {"AWS_REGION": region, "AWS_USE_DUALSTACK_ENDPOINT": dualstack}
        assert Service(name, environment=environment).url == url
        boto = boto3.client(
            name,
            region_name=region,
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(use_dualstack_endpoint=dualstack == "true"),
        )
        assert boto.meta.endpoint_url == url

    def test_given(self) -> None:
        environment = {
            "AWS_ENDPOINT_URL": "http://localhost:4566/",
            "AWS_ENDPOINT_URL_S3": "http://minio:9000",
        }
        assert Service("lambda", environment=environment).url == "http://localhost:4566"
        assert Service("s3", environment=environment).url == "http://minio:9000"

    def test_the_default_region(self) -> None:
        assert Service("s3", environment={"AWS_DEFAULT_REGION": "eu-west-3"}).url.endswith(
            "eu-west-3.amazonaws.com"
        )


class TestS3:
    def test_an_object_in_chunks(self, aws: AwsStub) -> None:
        aws.objects["bucket/models/a b+ü"] = data = bytes(3 << 20)
        chunks = list(S3Objects(service(aws, "s3"), "bucket").get("models/a b+ü"))
        assert b"".join(chunks) == data
        assert len(chunks) >= 3
        assert aws.seen[0].path == "/bucket/models/a%20b%2B%C3%BC"
        assert "AKIDEXAMPLE" in aws.seen[0].headers["authorization"]

    def test_the_session_token_is_sent(self, aws: AwsStub) -> None:
        aws.objects["bucket/k"] = b"x"
        list(S3Objects(service(aws, "s3", AWS_SESSION_TOKEN="t"), "bucket").get("k"))
        assert aws.seen[0].headers["x-amz-security-token"] == "t"

    def test_missing(self, aws: AwsStub) -> None:
        with pytest.raises(KeyError):
            S3Objects(service(aws, "s3"), "bucket").get("none")

    def test_refused(self, aws: AwsStub) -> None:
        aws.failures = [403]
        with pytest.raises(AwsError) as caught:
            S3Objects(service(aws, "s3"), "bucket").get("k")
        assert (caught.value.status, caught.value.code) == (403, "AccessDenied")

    def test_an_object_left_unread_does_not_block_the_next(self, aws: AwsStub) -> None:
        aws.objects["bucket/a"], aws.objects["bucket/b"] = bytes(4 << 20), b"b"
        objects = S3Objects(service(aws, "s3"), "bucket")
        next(iter(objects.get("a")))
        assert list(objects.get("b")) == [b"b"]

    @pytest.mark.parametrize(
        ("bucket", "environment", "start"),
        [
            ("data", {}, "https://data.s3.us-east-1.amazonaws.com/models/a%20b?"),
            ("dotted.name", {}, "https://s3.us-east-1.amazonaws.com/dotted.name/models/a%20b?"),
            ("data", {"AWS_ENDPOINT_URL": "http://localhost:1"}, "http://localhost:1/data/models/a%20b?"),
        ],
    )
    def test_presigned(self, bucket: str, environment: dict[str, str], start: str) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
        url = S3Objects(Service("s3", environment=environment | keys), bucket).presigned_get("models/a b")
        assert url.startswith(start)
        assert "X-Amz-Expires=300" in url


class TestTransport:
    def test_repeated_where_aws_asks_for_it(self, aws: AwsStub) -> None:
        aws.objects["bucket/k"] = b"x"
        aws.failures = [503, 429]
        assert list(S3Objects(service(aws, "s3"), "bucket").get("k")) == [b"x"]
        assert len(aws.seen) == 3

    def test_given_up_after_three(self, aws: AwsStub) -> None:
        aws.failures = [503] * 5
        with pytest.raises(AwsError) as caught:
            S3Objects(service(aws, "s3"), "bucket").get("k")
        assert caught.value.code == "SlowDown"
        assert len(aws.seen) == 3

    def test_a_kept_connection_that_was_closed_meanwhile(self, aws: AwsStub) -> None:
        aws.objects["bucket/k"] = b"x"
        objects = S3Objects(service(aws, "s3"), "bucket")
        assert list(objects.get("k")) == [b"x"]
        aws.hang_up = 1
        assert list(objects.get("k")) == [b"x"]

    def test_a_new_connection_that_is_closed_is_an_error(self, aws: AwsStub) -> None:
        aws.hang_up = 1
        with pytest.raises(AwsError) as caught:
            S3Objects(service(aws, "s3"), "bucket").get("k")
        assert caught.value.status == 0

    def test_nobody_listens(self, aws: AwsStub) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            lost = Service("s3", environment=aws.environment(AWS_ENDPOINT_URL=url))
            with pytest.raises(AwsError, match="ConnectionRefused"):
                S3Objects(lost, "bucket").get("k")

    def test_an_answer_that_never_comes(self, aws: AwsStub) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            lost = Service("lambda", environment=aws.environment(AWS_ENDPOINT_URL=url))
            begun = time.monotonic()
            with pytest.raises(AwsError) as caught:
                Lambda(lost).invoke("f", b"{}", tenant=None, seconds=0.2)
            assert caught.value.code == "TimeoutError"
            assert time.monotonic() - begun < 2


class TestLambda:
    def test_tenant_and_payload(self, aws: AwsStub) -> None:
        aws.functions["native"] = lambda body, tenant: (json.dumps([json.loads(body), tenant]).encode(), None)
        found = Lambda(service(aws, "lambda")).invoke("native", b'{"a": 1}', tenant="usr_1", seconds=5)
        assert json.loads(found) == [{"a": 1}, "usr_1"]
        assert aws.seen[0].headers["x-amz-invocation-type"] == "RequestResponse"

    def test_without_a_tenant(self, aws: AwsStub) -> None:
        aws.functions["native"] = lambda body, tenant: (json.dumps(tenant).encode(), None)
        assert Lambda(service(aws, "lambda")).invoke("native", b"", tenant=None, seconds=5) == b"null"

    @pytest.mark.parametrize("body", [b'{"errorType": "Runtime.ExitError"}', b"not json", b"[]"])
    def test_a_function_that_failed(self, aws: AwsStub, body: bytes) -> None:
        aws.functions["native"] = lambda _, tenant: (body, "Unhandled")
        with pytest.raises(AwsError) as caught:
            Lambda(service(aws, "lambda")).invoke("native", b"{}", tenant=None, seconds=5)
        assert caught.value.code.startswith("FunctionError:")


class TestSecrets:
    def test_a_secret(self, aws: AwsStub) -> None:
        aws.secrets["a/name"] = {"host": "h"}
        assert json.loads(SecretsManager(service(aws, "secretsmanager")).get("a/name")) == {"host": "h"}

    def test_missing(self, aws: AwsStub) -> None:
        with pytest.raises(AwsError) as caught:
            SecretsManager(service(aws, "secretsmanager")).get("none")
        assert caught.value.code == "ResourceNotFoundException"
