"""The CDK app: `cdk synth -c stage=local|dev|prod`.

Further context: `public_url` (where clients reach the API, ends with /api), `origins` (of browsers,
comma-separated), `alarm_email`.
"""

from __future__ import annotations

from aws_cdk import (
    App,
    CliCredentialsStackSynthesizer,
    DefaultStackSynthesizer,
    IStackSynthesizer,
    Tags,
    Validations,
)
from cdk_nag import AwsSolutionsChecks

from infra.data_stack import DataStack
from infra.service_stack import ServiceStack
from infra.stages import Stage, stage_named
from tools.layers import Builder

# Behaviour that CDK keeps behind switches for older projects
SWITCHES = {
    "@aws-cdk/aws-lambda:recognizeLayerVersion": True,  # a changed migration runs again: it lives in a layer
    "@aws-cdk/aws-lambda:recognizeVersionProps": True,
    "@aws-cdk/aws-apigateway:disableCloudWatchRole": True,
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/core:checkSecretUsage": True,
    "@aws-cdk/core:target-partitions": ["aws", "aws-cn", "aws-us-gov"],
    "@aws-cdk/aws-iam:minimizePolicies": False,
    "@aws-cdk/aws-rds:databaseProxyUniqueResourceName": True,
    "aws:cdk:enable-path-metadata": False,
    "aws:cdk:version-reporting": False,
}


def build(app: App, stage: Stage, builder: Builder | None = None) -> tuple[DataStack, ServiceStack]:
    """Both stacks of `stage`, with its layers built where they are not there yet."""
    builder = builder or Builder(stage.layers_for)
    origins = [origin for origin in str(app.node.try_get_context("origins") or "").split(",") if origin]
    data = DataStack(
        app,
        "Data",
        stage=stage,
        origins=origins,
        stack_name=f"{stage.prefix}-data",
        synthesizer=_synthesizer(stage),
    )
    service = ServiceStack(
        app,
        "Service",
        stage=stage,
        data=data,
        builder=builder,
        public_url=str(app.node.try_get_context("public_url") or ""),
        origins=origins,
        alarm_email=app.node.try_get_context("alarm_email"),
        stack_name=stage.prefix,
        synthesizer=_synthesizer(stage),
    )
    for stack in (data, service):
        stack.termination_protection = stage.retain_data
        Tags.of(stack).add("application", "modelyard")
        Tags.of(stack).add("stage", stage.name)
    service.add_stack_dependency(data)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, write_suppressions_to_cloud_formation=True))
    return data, service


def _synthesizer(stage: Stage) -> IStackSynthesizer:
    if stage.deploy_with == "cli-credentials":
        return CliCredentialsStackSynthesizer()
    return DefaultStackSynthesizer()


def main() -> None:
    app = App(context=SWITCHES)
    build(app, stage_named(app.node.try_get_context("stage")))
    app.synth()


if __name__ == "__main__":
    main()
