"""The REST API: every route of the catalogue, explicitly, under the stage `api`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aws_cdk import (
    RemovalPolicy,
    aws_apigateway as gateway,
    aws_lambda as lambda_,
    aws_logs as logs,
)
from constructs import Construct

from infra import catalogue
from infra.acknowledge import acknowledge
from infra.gateway_answers import ANSWERS
from infra.retention import log_retention, removal
from infra.stages import Stage

STAGE_NAME = "api"


class Api(Construct):
    """`rest` and its one stage."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        stage: Stage,
        entries: Mapping[str, lambda_.IFunction],
        origins: list[str],
    ) -> None:
        super().__init__(scope, id)
        self.rest = gateway.RestApi(
            self,
            "Rest",
            rest_api_name=stage.prefix,
            description="Modelyard",
            endpoint_types=[gateway.EndpointType.REGIONAL],
            binary_media_types=["*/*"],  # V2 clients send tensors, multipart uploads send files
            cloud_watch_role=stage.access_log,
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN if stage.access_log else None,
            deploy_options=self._stage_options(stage),
        )
        self.rest.node.try_remove_child("Endpoint")  # an output of CDK's own; ours is ApiUrl
        self._validator = self.rest.add_request_validator(
            "Parameters", validate_request_parameters=True, validate_request_body=True
        )
        self._entries = entries
        self._integrations: dict[str, gateway.LambdaIntegration] = {}
        for route, function in catalogue.all_routes().items():
            self._method(route.method, route.path, function.name)
        for path in dict.fromkeys(route.path for route in catalogue.all_routes()):
            self._method("OPTIONS", path, catalogue.PREFLIGHT)
        self._answers(origins)
        self._acknowledge(stage)

    def _stage_options(self, stage: Stage) -> gateway.StageOptions:
        options: dict[str, object] = {
            "stage_name": STAGE_NAME,
            "throttling_rate_limit": stage.requests_per_second,
            "throttling_burst_limit": stage.burst,
            "metrics_enabled": True,
        }
        if stage.access_log:
            group = logs.LogGroup(
                self,
                "AccessLog",
                retention=log_retention(stage),
                removal_policy=removal(stage),
            )
            options |= {
                "access_log_destination": gateway.LogGroupLogDestination(group),
                "access_log_format": gateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG)),
                "logging_level": gateway.MethodLoggingLevel.ERROR,
                "data_trace_enabled": False,  # it would log bodies
            }
        return gateway.StageOptions(**options)  # type: ignore[arg-type]

    def _method(self, verb: str, path: str, function: str) -> None:
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        method = self.rest.root.resource_for_path(path).add_method(
            verb,
            self._integration(function),
            authorization_type=gateway.AuthorizationType.NONE,
            request_parameters={f"method.request.path.{name}": True for name in names},
            request_validator=self._validator,
        )
        reason = (
            "The function admits callers itself: token or key, revocation, limit, in one round trip to Redis."
            if verb != "OPTIONS"
            else "Browsers send preflight requests without credentials."
        )
        acknowledge(method, reason, "AwsSolutions-APIG4", "AwsSolutions-COG4")

    def _integration(self, function: str) -> gateway.LambdaIntegration:
        if function not in self._integrations:
            self._integrations[function] = gateway.LambdaIntegration(
                self._entries[function], scope_permission_to_method=False
            )
        return self._integrations[function]

    def _answers(self, origins: list[str]) -> None:
        for answer in ANSWERS:
            self.rest.add_gateway_response(
                f"Answer{answer.kind}",
                type=answer.type,
                status_code=str(answer.status) if answer.status else None,
                response_headers=answer.headers(origins),
                templates={"application/json": answer.body},
            )

    def _acknowledge(self, stage: Stage) -> None:
        role = self.rest.node.try_find_child("CloudWatchRole")
        if role is not None:
            policy = "arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
            reason = "The policy that AWS documents for the account-wide role of API Gateway."
            acknowledge(role, reason, f"AwsSolutions-IAM4[Policy::{policy}]")
        if not stage.access_log:
            reason = "This stage serves one machine and keeps no access log."
            acknowledge(self.rest.deployment_stage, reason, "AwsSolutions-APIG1", "AwsSolutions-APIG6")
        if not stage.firewall:
            reason = "A stage without customers: the gateway's throttling has to do."
            acknowledge(self.rest.deployment_stage, reason, "AwsSolutions-APIG3")


ACCESS_LOG = {
    "time": "$context.requestTime",
    "request_id": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "length": "$context.responseLength",
    "latency_ms": "$context.responseLatency",
    "function_ms": "$context.integrationLatency",
    "error": "$context.error.responseType",
    "waf": "$context.waf.status",
}
