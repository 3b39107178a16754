"""Queues with their dead-letter queues."""

from __future__ import annotations

from aws_cdk import CfnResource, Duration, RemovalPolicy, Stack, aws_iam as iam, aws_sqs as sqs
from constructs import Construct

from infra import catalogue
from infra.stages import Stage

VISIBILITY_FACTOR = (
    6  # times the consumer's timeout, as Lambda asks for: a throttled batch waits without being lost
)


class QueueWithDeadLetters(Construct):
    """`main` and `dead`; both encrypted, both over TLS only."""

    def __init__(self, scope: Construct, id: str, *, stage: Stage, queue: catalogue.Queue) -> None:  # noqa: A002
        super().__init__(scope, id)
        consumer = catalogue.consumer_of(queue.name)
        self.dead = sqs.Queue(
            self,
            "Dead",
            queue_name=f"{stage.prefix}-{queue.name}-dead",
            retention_period=Duration.days(14),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.main = sqs.Queue(
            self,
            "Main",
            queue_name=f"{stage.prefix}-{queue.name}",
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * consumer.timeout),
            retention_period=Duration.days(4),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead, max_receive_count=queue.receives),
            removal_policy=RemovalPolicy.DESTROY,
        )

    def allow_s3_of_this_account(self) -> CfnResource:
        """Lets S3 write; returns the policy, which a bucket's notification must wait for.

        The account is the condition, not the bucket: policy and bucket would wait for each other.
        """
        self.main.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.main.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        policy = self.main.node.find_child("Policy").node.default_child
        assert isinstance(policy, CfnResource)
        return policy
