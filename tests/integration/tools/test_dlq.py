"""Looking at dead letters and sending them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.moto_api._internal import moto_api_backend

from tools import dlq


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        moto_api_backend.reset()  # another package's fake AWS may still be around, and is the same one
        client = boto3.client("sqs")
        for stage in ("dev", "prod"):
            for name in ("register", "batch"):
                make(client, f"modelyard-{stage}-{name}")
        client.create_queue(QueueName="without-dead-letters")
        yield client


def make(client, name):
    dead = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
    client.create_queue(QueueName=name, Attributes={"RedrivePolicy": policy})


def send(sqs, name, *bodies):
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    return [sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"] for body in bodies]


def waiting(sqs, name):
    """How many messages are there, hidden or not: the fake SQS shows them again a millisecond late."""
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


UPLOAD = json.dumps({"Records": [{"s3": {"object": {"key": "uploads/usr_1/churn/m.joblib"}}}]})
CHUNK = json.dumps({"job_id": "job_1", "chunk": 3})


def test_all_queues_with_what_is_in_them(sqs, capsys):
    send(sqs, "modelyard-dev-register-dead", UPLOAD, UPLOAD)
    assert dlq.main([], sqs=sqs) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    dead = "modelyard-dev-register-dead"
    assert ["2", dead, "(from", "modelyard-dev-register)"] in [line.split() for line in lines]
    assert "without-dead-letters" not in "".join(lines)


@pytest.mark.parametrize("arguments", [["register"], ["nothing"], ["register", "--stage", "local"]])
def test_a_queue_that_is_not_one_is_said_with_those_there_are(sqs, capsys, arguments):
    assert dlq.main(["show", *arguments], sqs=sqs) == 2
    assert "modelyard-prod-batch" in capsys.readouterr().err


def test_showing_leaves_everything_where_it_is(sqs, capsys):
    ids = send(sqs, "modelyard-dev-register-dead", *[UPLOAD] * 23)
    assert dlq.main(["show", "register", "--stage", "dev"], sqs=sqs) == 0
    shown = capsys.readouterr().out
    assert all(message in shown for message in ids)
    assert "uploads/usr_1/churn/m.joblib" in shown
    assert "23 in modelyard-dev-register-dead" in shown
    dlq.main(["show", "register", "--stage", "dev"], sqs=sqs)
    assert "23 in modelyard-dev-register-dead" in capsys.readouterr().out  # nothing stayed hidden


def test_at_most_so_many(sqs, capsys):
    send(sqs, "modelyard-dev-register-dead", *[UPLOAD] * 5)
    dlq.main(["show", "modelyard-dev-register", "--limit", "3", "--full"], sqs=sqs)
    out = capsys.readouterr().out
    assert "3 in modelyard-dev-register-dead" in out
    assert out.count(UPLOAD) == 3


def test_replaying_sends_everything_back(sqs, capsys):
    send(sqs, "modelyard-prod-batch-dead", *[CHUNK] * 12)
    assert dlq.main(["replay", "modelyard-prod-batch-dead"], sqs=sqs) == 0
    assert "12 sent back to modelyard-prod-batch" in capsys.readouterr().out
    assert waiting(sqs, "modelyard-prod-batch-dead") == 0
    assert waiting(sqs, "modelyard-prod-batch") == 12


def test_replaying_one_leaves_the_others(sqs, capsys):
    _, wanted, _ = send(sqs, "modelyard-prod-batch-dead", CHUNK, UPLOAD, CHUNK)
    assert dlq.main(["replay", "batch", "--stage", "prod", "--id", wanted], sqs=sqs) == 0
    assert waiting(sqs, "modelyard-prod-batch-dead") == 2
    url = sqs.get_queue_url(QueueName="modelyard-prod-batch")["QueueUrl"]
    assert sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"] == UPLOAD


def test_an_id_that_is_not_there_is_said(sqs, capsys):
    send(sqs, "modelyard-prod-batch-dead", CHUNK)
    assert dlq.main(["replay", "batch", "--stage", "prod", "--id", "nothing"], sqs=sqs) == 1
    assert "not in modelyard-prod-batch-dead: nothing" in capsys.readouterr().err
    assert waiting(sqs, "modelyard-prod-batch-dead") == 1


@pytest.mark.parametrize(
    ("body", "about"),
    [
        (UPLOAD, "uploads/usr_1/churn/m.joblib"),
        (CHUNK, "job_1 chunk 3"),
        (json.dumps({"job_id": "job_1", "split": True}), "job_1 split"),
        ("not JSON", "not JSON"),
        ("[1]", "[1]"),
        ("x" * 500, "x" * 120),
    ],
)
def test_what_a_message_is_about(body, about):
    assert dlq.subject(body) == about
