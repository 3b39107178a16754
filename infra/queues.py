"""Queues with their dead-letter queues."""

from __future__ import annotations

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack, aws_iam as iam, aws_sqs as sqs
from constructs import Construct

from infra import catalogue
from infra.acknowledge import acknowledge
from infra.stages import Stage

VISIBILITY_FACTOR = (
    6  # times the consumer's timeout, as Lambda asks for: a throttled batch waits without being lost
)


PLAIN_HTTP = "This stage's endpoint is an emulator on loopback, without TLS."


class QueueWithDeadLetters(Construct):
    """`main` and `dead`; both encrypted, both over TLS only."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, queue: catalogue.Queue) -> None:
        super().__init__(scope, id)
        consumer = catalogue.consumer_of(queue.name)
        self.dead = sqs.Queue(
            self,
            "Dead",
            queue_name=f"{stage.prefix}-{queue.name}-dead",
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=stage.tls_only,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.main = sqs.Queue(
            self,
            "Main",
            queue_name=f"{stage.prefix}-{queue.name}",
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * consumer.timeout),
            retention_period=Duration.days(4),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=stage.tls_only,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=queue.receives),
            removal_policy=RemovalPolicy.DESTROY,
        )

        if not stage.tls_only:
            for queue_made in (self.main, self.dead):
                acknowledge(queue_made, PLAIN_HTTP, "AwsSolutions-SQS4")

    def allow_bucket(self, name: str) -> CfnResource:
        """Lets one bucket write; returns the policy, which that bucket's notification must wait for."""
        stack = Stack.of(self)
        self.main.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.main.queue_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnEquals": {"aws:SourceArn": f"arn:{stack.partition}:s3:::{name}"},
                },
            )
        )
        policy = self.main.node.find_child("Policy").node.default_child
        assert isinstance(policy, CfnResource)
        return policy
