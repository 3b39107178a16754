"""One role per function, derived from its grants in the catalogue and from nothing else.

No managed policy: `AWSLambdaBasicExecutionRole` would let every function write every log group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Stack, aws_iam as iam
from constructs import Construct

from infra import catalogue
from infra.acknowledge import acknowledge
from infra.catalogue import Function, Grant
from infra.stages import Stage

BUCKET_ACTIONS = {
    "read": ["s3:GetObject", "s3:GetObjectVersion"],
    "write": ["s3:PutObject"],
    "delete": ["s3:DeleteObject", "s3:DeleteObjectVersion"],
}
SEND = "sqs:SendMessage*"  # on AWS that is one action; emulators ask for sqs:SendMessageBatch as well
QUEUE_CONSUMER = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
]
# What the Lambda service does to attach a function to subnets; EC2 knows no narrower resource for these.
NETWORK_ACTIONS = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]


class Roles:
    """Makes roles in `scope`, for one stage and one bucket."""

    def __init__(self, scope: Construct, *, stage: Stage, bucket: str, in_network: bool) -> None:
        self._scope = scope
        self._stage = stage
        self._bucket = f"arn:{Stack.of(scope).partition}:s3:::{bucket}"
        self._in_network = in_network

    def make(self, function: Function) -> iam.Role:
        """The role of `function`, complete: nothing may be added to it later."""
        statements = [self._own_log(function), *map(self._statement, function.parsed_grants)]
        if isinstance(function.trigger, catalogue.FromQueue):
            statements.append(
                _allow(QUEUE_CONSUMER, [self._arn("sqs", f"{self._stage.prefix}-{function.trigger.queue}")])
            )
        if function.in_network and self._in_network:
            statements += self._network(function)
        role = iam.Role(
            self._scope,
            f"{construct_id(function.name)}Role",
            description=f"Modelyard {self._stage.name}: {function.name}",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"catalogue": iam.PolicyDocument(statements=statements, minimize=False)},
        )
        self._acknowledge(role, statements)
        return role

    def _own_log(self, function: Function) -> iam.PolicyStatement:
        group = self._arn("logs", f"log-group:{log_group_name(self._stage, function)}:*")
        return _allow(["logs:CreateLogStream", "logs:PutLogEvents"], [group])

    def _statement(self, grant: Grant) -> iam.PolicyStatement:
        match grant:
            case Grant("bucket", "probe", _):
                return _allow(["s3:GetBucketLocation"], [self._bucket])
            case Grant("bucket", "list", prefix):
                condition = {"StringLike": {"s3:prefix": prefix}}
                return _allow(["s3:ListBucket"], [self._bucket], condition)
            case Grant("bucket", verb, prefix):
                return _allow(BUCKET_ACTIONS[verb], [f"{self._bucket}/{prefix}"])
            case Grant("secret", verb, name):
                # Secrets Manager ends every ARN with six characters of its own
                secret = self._arn("secretsmanager", f"secret:{self._stage.secret_name(name)}-??????")
                action = "GetSecretValue" if verb == "read" else "PutSecretValue"
                return _allow([f"secretsmanager:{action}"], [secret])
            case Grant("queue", _, name):
                return _allow([SEND], [self._arn("sqs", f"{self._stage.prefix}-{name}")])
            case Grant("invoke", _, name):
                return _allow(
                    ["lambda:InvokeFunction"], [self._arn("lambda", f"function:{self._stage.prefix}-{name}")]
                )
        raise ValueError(f"no policy for {grant}")

    def _network(self, function: Function) -> list[iam.PolicyStatement]:
        """The service may attach the function to its subnets; the function's own code may not."""
        itself = {
            "ArnEquals": {
                "lambda:SourceFunctionArn": self._arn(
                    "lambda", f"function:{self._stage.prefix}-{function.name}"
                )
            }
        }
        refused = iam.PolicyStatement(
            effect=iam.Effect.DENY, actions=NETWORK_ACTIONS, resources=["*"], conditions=itself
        )
        return [_allow(NETWORK_ACTIONS, ["*"]), refused]

    def _acknowledge(self, role: iam.Role, statements: list[iam.PolicyStatement]) -> None:
        """cdk-nag asks about every `*`. Ours end a prefix of keys or the streams of one log group."""
        for resource in {each for statement in statements for each in statement.resources}:
            shown = _shown(Stack.of(self._scope).resolve(resource))
            if shown == "*":
                reason = (
                    "EC2 knows no narrower resource for attaching to subnets; the code itself is denied it."
                )
            elif ":log-group:" in shown:
                reason = "The streams of the function's own log group."
            elif shown.endswith("/*"):
                reason = "The objects below one prefix of the bucket, as the catalogue grants them."
            else:
                continue
            acknowledge(role, reason, f"AwsSolutions-IAM5[Resource::{shown}]")
        if any(SEND in statement.actions for statement in statements):
            acknowledge(
                role,
                "On AWS the pattern stands for sqs:SendMessage alone.",
                f"AwsSolutions-IAM5[Action::{SEND}]",
            )

    def _arn(self, service: str, resource: str) -> str:
        stack = Stack.of(self._scope)
        return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{resource}"


def _allow(
    actions: list[str], resources: list[str], conditions: Mapping[str, object] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)


def _shown(resolved: Any) -> str:
    """An ARN as cdk-nag writes it: `arn:<AWS::Partition>:s3:::…`."""
    if isinstance(resolved, str):
        return resolved
    if "Ref" in resolved:
        return f"<{resolved['Ref']}>"
    return str(resolved["Fn::Join"][0]).join(_shown(part) for part in resolved["Fn::Join"][1])


def log_group_name(stage: Stage, function: Function) -> str:
    return f"/aws/lambda/{stage.prefix}-{function.name}"


def construct_id(name: str) -> str:
    """`run_batch` → `RunBatch`."""
    return "".join(part.capitalize() for part in name.split("_"))
