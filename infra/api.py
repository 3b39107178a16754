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
from infra.functions import RETENTION
from infra.stages import Stage

STAGE_NAME = "api"

# What API Gateway answers by itself, in the shape of every other error (RFC 9457): type, status, code, title, detail
GATEWAY_ANSWERS: tuple[tuple[gateway.ResponseType, int, str, str, str], ...] = (
    (gateway.ResponseType.MISSING_AUTHENTICATION_TOKEN, 404, "not_found", "Not found",
     "There is no such path, or not with this method. /api/docs lists them."),
    (gateway.ResponseType.RESOURCE_NOT_FOUND, 404, "not_found", "Not found", "There is no such path."),
    (gateway.ResponseType.BAD_REQUEST_PARAMETERS, 400, "malformed", "Malformed request", "A parameter is missing."),
    (gateway.ResponseType.BAD_REQUEST_BODY, 400, "malformed", "Malformed request", "The body is not valid."),
    (gateway.ResponseType.UNAUTHORIZED, 401, "unauthorized", "Authentication required", "Send a token or an API key."),
    (gateway.ResponseType.ACCESS_DENIED, 403, "forbidden", "Not allowed", "The request was refused."),
    (gateway.ResponseType.WAF_FILTERED, 403, "forbidden", "Not allowed", "The firewall refused the request."),
    (gateway.ResponseType.REQUEST_TOO_LARGE, 413, "too_large", "Too large",
     "The body is over 10 MB. Ask POST /api/models/upload for an upload address, or submit a job."),
    (gateway.ResponseType.UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "Unsupported media type",
     "Send application/json."),
    (gateway.ResponseType.THROTTLED, 429, "quota_exceeded", "Too many requests", "Come back in a second."),
    (gateway.ResponseType.QUOTA_EXCEEDED, 429, "quota_exceeded", "Too many requests", "Come back later."),
    (gateway.ResponseType.INTEGRATION_TIMEOUT, 504, "deadline_exceeded", "The deadline passed",
     "No answer within 29 seconds. Submit many rows as a job: POST /api/predict/batch/{model_id}."),
    (gateway.ResponseType.INTEGRATION_FAILURE, 502, "bad_gateway", "No valid answer from the function",
     "Try again shortly."),
)  # fmt: skip
PROBLEM_TYPES = {"quota_exceeded": "https://iana.org/assignments/http-problem-types#quota-exceeded"}


class Api(Construct):
    """`rest` and its one stage."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002
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
                retention=RETENTION[stage.log_days],
                removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
                if stage.retain_data
                else RemovalPolicy.DESTROY,
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
            "The function admits callers itself: token or key, revocation and limit in one round trip to Redis."
            if verb != "OPTIONS"
            else "Browsers send preflight requests without credentials."
        )
        acknowledge(method, reason, "AwsSolutions-APIG4", "AwsSolutions-COG4")

    def _integration(self, function: str) -> gateway.LambdaIntegration:
        if function not in self._integrations:
            self._integrations[function] = gateway.LambdaIntegration(
                self._entries[function], allow_test_invoke=False, scope_permission_to_method=False
            )
        return self._integrations[function]

    def _answers(self, origins: list[str]) -> None:
        headers = {
            "Content-Type": "'application/problem+json'",
            "Access-Control-Allow-Origin": f"'{origins[0] if len(origins) == 1 else '*'}'",
            "Access-Control-Expose-Headers": "'Retry-After'",
            "Cache-Control": "'no-store'",
        }
        for kind, status, code, title, detail in GATEWAY_ANSWERS:
            extra = {"Retry-After": "'1'"} if status == 429 else {}
            if status == 401:
                extra = {"WWW-Authenticate": "'Bearer'"}
            self._answer(kind, status, problem(status, code, title, detail), headers | extra)
        client = problem(
            "$context.status", "malformed", "Malformed request", "The request was not understood."
        )
        server = problem("$context.status", "internal_error", "Internal error", "Try again shortly.")
        self._answer(gateway.ResponseType.DEFAULT_4_XX, None, client, headers)
        self._answer(gateway.ResponseType.DEFAULT_5_XX, None, server, headers)

    def _answer(
        self, kind: gateway.ResponseType, status: int | None, body: str, headers: dict[str, str]
    ) -> None:
        self.rest.add_gateway_response(
            f"Answer{kind.response_type}",
            type=kind,
            status_code=str(status) if status else None,
            response_headers=headers,
            templates={"application/json": body},
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


def problem(status: int | str, code: str, title: str, detail: str) -> str:
    """A body in the shape of `modelyard.kit.errors.Problem`; API Gateway fills in the variables."""
    body = {
        "type": PROBLEM_TYPES.get(code, f"/api/problems/{code}"),
        "title": title,
        "status": status,
        "detail": detail,
        "instance": "$context.path",
        "code": code,
        "request_id": "$context.requestId",
    }
    return json.dumps(body).replace('"$context.status"', "$context.status")  # a number, not a string
