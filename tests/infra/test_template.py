"""What the synthesised templates must say about data, queues, functions and the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from infra import catalogue
from infra.catalogue import EveryMinutes, FromLogs, FromQueue
from infra.gateway_answers import ANSWERS
from tests.infra.template import Resource, Synthesised, strings

Stages = Callable[[str], Synthesised]


def _bucket(made: Synthesised) -> Resource:
    (found,) = (p for p in made.of_type("AWS::S3::Bucket").values() if "BucketName" in p)
    return found


# --- data


def test_buckets_are_encrypted_versioned_and_closed(each_stage: Synthesised) -> None:
    buckets = each_stage.of_type("AWS::S3::Bucket")
    assert len(buckets) == (2 if each_stage.stage.access_log else 1)
    for properties in buckets.values():
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_the_bucket_forgets_uploads_and_jobs_and_never_models(each_stage: Synthesised) -> None:
    rules = _bucket(each_stage)["LifecycleConfiguration"]["Rules"]
    expiring = {rule.get("Prefix") for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"uploads/", "jobs/"}
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules)


def test_uploads_reach_the_register_queue_and_only_our_bucket_may_send(each_stage: Synthesised) -> None:
    (notification,) = _bucket(each_stage)["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Event"] == "s3:ObjectCreated:*"
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]
    queue = notification["Queue"]["Fn::GetAtt"][0]
    (policy,) = (
        p for p in each_stage.of_type("AWS::SQS::QueuePolicy").values() if p["Queues"] == [{"Ref": queue}]
    )
    (allow,) = (s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow")
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert each_stage.text(allow["Condition"]["ArnEquals"]["aws:SourceArn"]) == each_stage.bucket_arn
    assert "aws:SourceAccount" in allow["Condition"]["StringEquals"]


def test_plain_http_is_refused_wherever_there_is_tls(each_stage: Synthesised) -> None:
    policies = [
        statement
        for kind in ("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")
        for policy in each_stage.of_type(kind).values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and "aws:SecureTransport" in str(statement["Condition"])
    ]
    things = sum(
        len(each_stage.of_type(kind)) for kind in ("AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SNS::Topic")
    )
    assert len(policies) == (things if each_stage.stage.tls_only else 0)


def test_the_signing_keys_are_generated(each_stage: Synthesised) -> None:
    (secret,) = (
        p
        for p in each_stage.of_type("AWS::SecretsManager::Secret").values()
        if p.get("Name") == each_stage.stage.secret_name("signing-keys")
    )
    generate = secret["GenerateSecretString"]
    assert json.loads(generate["SecretStringTemplate"]) == {"current": "k1"}
    assert generate["GenerateStringKey"] == "k1"
    assert generate["PasswordLength"] >= 32
    assert "SecretString" not in secret


def test_no_template_carries_a_password(each_stage: Synthesised) -> None:
    for secret in each_stage.of_type("AWS::SecretsManager::Secret").values():
        assert "GenerateSecretString" in secret or "{{resolve:secretsmanager:" in json.dumps(
            secret["SecretString"]
        )
    for properties in each_stage.of_type("AWS::RDS::DBInstance").values():
        assert "{{resolve:secretsmanager:" in json.dumps(properties["MasterUserPassword"])
    for properties in each_stage.of_type("AWS::ElastiCache::ReplicationGroup").values():
        assert "{{resolve:secretsmanager:" in json.dumps(properties["AuthToken"])


def test_local_brings_its_own_postgresql_and_redis(synthesised: Stages) -> None:
    local = synthesised("local")
    kinds = {resource["Type"] for resource in local.resources.values()}
    assert not {
        kind for kind in kinds if kind.startswith(("AWS::RDS", "AWS::ElastiCache", "AWS::EC2", "AWS::WAF"))
    }
    names = {p.get("Name") for p in local.of_type("AWS::SecretsManager::Secret").values()}
    assert names == {"modelyard/local/signing-keys"}


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_managed_stages_make_every_secret_the_functions_read(synthesised: Stages, stage: str) -> None:
    made = synthesised(stage)
    names = {p.get("Name") for p in made.of_type("AWS::SecretsManager::Secret").values()}
    assert {made.stage.secret_name(name) for name in catalogue.SECRETS} <= names
    secrets = {p.get("Name"): p for p in made.of_type("AWS::SecretsManager::Secret").values()}
    application = secrets[made.stage.secret_name("database")]["GenerateSecretString"]["SecretStringTemplate"]
    assert set(json.loads(made.text(application))) == {"username", "host", "port", "dbname", "sslmode"}
    redis = made.text(secrets[made.stage.secret_name("redis")]["SecretString"])
    assert all(f'"{name}":' in redis for name in ("host", "port", "tls", "password"))


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_postgresql_and_redis_are_encrypted_and_out_of_reach(synthesised: Stages, stage: str) -> None:
    made = synthesised(stage)
    database = made.only("AWS::RDS::DBInstance")
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert made.only("AWS::RDS::DBParameterGroup")["Parameters"]["rds.force_ssl"] == "1"
    cache = made.only("AWS::ElastiCache::ReplicationGroup")
    assert cache["TransitEncryptionEnabled"] is True
    assert cache["AtRestEncryptionEnabled"] is True
    for properties in made.of_type("AWS::EC2::SecurityGroup").values():
        assert "CidrIp" not in str(properties.get("SecurityGroupIngress", ""))
    for properties in made.of_type("AWS::EC2::SecurityGroupIngress").values():
        assert "SourceSecurityGroupId" in properties
        assert properties["FromPort"] == properties["ToPort"]


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_network_has_no_nat_and_a_free_way_out(synthesised: Stages, stage: str) -> None:
    made = synthesised(stage)
    assert not made.of_type("AWS::EC2::NatGateway")
    assert not made.of_type("AWS::EC2::InternetGateway")
    assert not made.of_type("AWS::RDS::DBProxy")
    assert len(made.of_type("AWS::EC2::EgressOnlyInternetGateway")) == 1
    routes = [
        p for p in made.of_type("AWS::EC2::Route").values() if p.get("DestinationIpv6CidrBlock") == "::/0"
    ]
    assert len(routes) == 2  # the functions' subnets, in two zones
    for properties in made.of_type("AWS::EC2::Subnet").values():
        assert properties["AssignIpv6AddressOnCreation"] is True
        assert not properties.get("MapPublicIpOnLaunch")


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_functions_stand_in_the_network_exactly_where_they_need_it(synthesised: Stages, stage: str) -> None:
    made = synthesised(stage)
    for function in catalogue.FUNCTIONS:
        inside = any(
            g in function.grants for g in ("secret:database", "secret:database-owner", "secret:redis")
        )
        assert ("VpcConfig" in made.function(function.name)) is inside
        assert (made.environment(function.name).get("AWS_USE_DUALSTACK_ENDPOINT") == "true") is inside
        if inside:
            assert made.function(function.name)["VpcConfig"]["Ipv6AllowedForDualStack"] is True


def test_prod_keeps_its_data(synthesised: Stages) -> None:
    prod = synthesised("prod")
    for kind in ("AWS::S3::Bucket", "AWS::SecretsManager::Secret"):
        for name, resource in prod.data["Resources"].items():
            if resource["Type"] == kind:
                assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
                assert resource["UpdateReplacePolicy"] == "Retain", name
    (database,) = (r for r in prod.data["Resources"].values() if r["Type"] == "AWS::RDS::DBInstance")
    assert database["DeletionPolicy"] == "Snapshot"
    assert database["Properties"]["DeletionProtection"] is True
    assert database["Properties"]["MultiAZ"] is True
    assert database["Properties"]["BackupRetentionPeriod"] >= 7
    cache = prod.only("AWS::ElastiCache::ReplicationGroup")
    assert cache["AutomaticFailoverEnabled"] is True
    assert cache["MultiAZEnabled"] is True
    for resource in prod.service["Resources"].values():
        if resource["Type"] == "AWS::Logs::LogGroup":
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
            assert resource["Properties"]["RetentionInDays"] == 365


def test_dev_is_lean(synthesised: Stages) -> None:
    dev = synthesised("dev")
    database = dev.only("AWS::RDS::DBInstance")
    assert (database["DBInstanceClass"], database["MultiAZ"]) == ("db.t4g.micro", False)
    assert database["DeletionProtection"] is False
    cache = dev.only("AWS::ElastiCache::ReplicationGroup")
    assert (cache["CacheNodeType"], cache["NumCacheClusters"]) == ("cache.t4g.micro", 1)
    assert not dev.of_type("AWS::CloudWatch::Alarm")
    assert not dev.of_type("AWS::WAFv2::WebACL")


# --- queues and triggers


@pytest.mark.parametrize("queue", catalogue.QUEUES, ids=lambda queue: queue.name)
def test_a_queue_outwaits_its_consumer_and_loses_nothing(
    each_stage: Synthesised, queue: catalogue.Queue
) -> None:
    by_name = {p["QueueName"]: (name, p) for name, p in each_stage.of_type("AWS::SQS::Queue").items()}
    _, main = by_name[f"{each_stage.stage.prefix}-{queue.name}"]
    dead_id, dead = by_name[f"{each_stage.stage.prefix}-{queue.name}-dead"]
    consumer = catalogue.consumer_of(queue.name)
    assert main["VisibilityTimeout"] >= 6 * each_stage.function(consumer.name)["Timeout"]
    assert main["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [dead_id, "Arn"]}
    assert main["RedrivePolicy"]["maxReceiveCount"] == 5
    assert dead["MessageRetentionPeriod"] > main["MessageRetentionPeriod"]
    assert main["SqsManagedSseEnabled"] is True
    assert dead["SqsManagedSseEnabled"] is True


def test_queues_are_consumed_item_by_item_within_the_reserve(each_stage: Synthesised) -> None:
    mappings = each_stage.of_type("AWS::Lambda::EventSourceMapping").values()
    by_function = {m["FunctionName"]["Ref"]: m for m in mappings}
    functions = each_stage.of_type("AWS::Lambda::Function")
    consumers = [f for f in catalogue.FUNCTIONS if isinstance(f.trigger, FromQueue)]
    assert len(by_function) == len(consumers)
    for name, mapping in by_function.items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        concurrency = mapping["ScalingConfig"]["MaximumConcurrency"]
        assert 2 <= concurrency <= functions[name].get("ReservedConcurrentExecutions", 1000)


def test_prediction_records_flow_from_the_logs(each_stage: Synthesised) -> None:
    (consumer,) = (f for f in catalogue.FUNCTIONS if isinstance(f.trigger, FromLogs))
    filters = each_stage.of_type("AWS::Logs::SubscriptionFilter").values()
    groups = {each_stage.resources[f["LogGroupName"]["Ref"]]["Properties"]["LogGroupName"] for f in filters}
    prefix = f"/aws/lambda/{each_stage.stage.prefix}"
    assert groups == {f"{prefix}-predict", f"{prefix}-run_batch"}
    assert f"{prefix}-{consumer.name}" not in groups  # it would feed itself
    assert {f["FilterPattern"] for f in filters} == {'"prediction_record"'}


def test_schedules_run_as_often_as_the_catalogue_says(each_stage: Synthesised) -> None:
    wished = {
        f.name: timedelta(minutes=f.trigger.minutes)
        for f in catalogue.FUNCTIONS
        if isinstance(f.trigger, EveryMinutes)
    }
    functions = each_stage.of_type("AWS::Lambda::Function")
    found = {}
    for rule in each_stage.of_type("AWS::Events::Rule").values():
        (target,) = rule["Targets"]
        number, unit = rule["ScheduleExpression"].removeprefix("rate(").removesuffix(")").split()
        name = functions[target["Arn"]["Fn::GetAtt"][0]]["FunctionName"]
        found[name.removeprefix(f"{each_stage.stage.prefix}-")] = timedelta(
            **{unit if unit.endswith("s") else f"{unit}s": int(number)}
        )
    assert found == wished
    assert "roll_up" in found


def test_the_schema_is_migrated_before_any_new_code_runs(each_stage: Synthesised) -> None:
    (trigger,) = (n for n, r in each_stage.resources.items() if r["Type"] == "Custom::Trigger")
    resources = each_stage.resources
    for name, properties in each_stage.of_type("AWS::Lambda::Function").items():
        full = str(properties.get("FunctionName", ""))
        if full and not full.endswith("-migrate"):
            assert trigger in resources[name]["DependsOn"], full
    assert each_stage.text(resources[trigger]["Properties"]["HandlerArn"])


# --- functions


def test_functions_run_where_the_layers_were_built_for(each_stage: Synthesised) -> None:
    for function in catalogue.FUNCTIONS:
        properties = each_stage.function(function.name)
        assert properties["Runtime"] == "python3.13"
        assert properties["Architectures"] == ["arm64"]
        assert properties["Handler"] == "handler.handler"
        assert 1 <= len(properties["Layers"]) <= 5
        assert properties["Timeout"] == function.timeout
    assert all(f.timeout <= 29 for f in catalogue.FUNCTIONS if f.routes)
    assert all(f.timeout <= 900 for f in catalogue.FUNCTIONS)


def test_callers_outlive_whom_they_invoke() -> None:
    by_name = catalogue.BY_NAME
    assert by_name["register_model"].timeout > by_name["inspect_model"].timeout
    assert by_name["run_batch"].timeout > by_name["predict_native"].timeout


def test_every_function_logs_into_a_group_that_forgets(each_stage: Synthesised) -> None:
    groups = {p.get("LogGroupName"): p for p in each_stage.of_type("AWS::Logs::LogGroup").values()}
    for function in catalogue.FUNCTIONS:
        group = groups[f"/aws/lambda/{each_stage.stage.prefix}-{function.name}"]
        assert group["RetentionInDays"] == each_stage.stage.log_days


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_all_environments_together_leave_postgresql_connections(synthesised: Stages, stage: str) -> None:
    made = synthesised(stage)
    assert made.stage.data is not None
    reserved = [
        made.function(f.name).get("ReservedConcurrentExecutions") for f in catalogue.FUNCTIONS if f.share
    ]
    assert None not in reserved
    assert sum(reserved) <= made.stage.data.database_connections


def test_only_prod_keeps_snapshots_of_predict(each_stage: Synthesised) -> None:
    snapped = {
        p["FunctionName"] for p in each_stage.of_type("AWS::Lambda::Function").values() if p.get("SnapStart")
    }
    aliases = each_stage.of_type("AWS::Lambda::Alias")
    if each_stage.stage.snap_start:
        assert snapped == {f"{each_stage.stage.prefix}-predict"}
        assert [alias["Name"] for alias in aliases.values()] == ["live"]
        (method,) = (
            p for p in _methods(each_stage).values() if _route(each_stage, p) == "POST /predict/{model_id}"
        )
        assert next(iter(aliases)) in set(strings(method["Integration"]["Uri"]))
    else:
        assert not snapped
        assert not aliases


# --- the API


def _methods(made: Synthesised) -> dict[str, Resource]:
    return made.of_type("AWS::ApiGateway::Method")


def _path(made: Synthesised, reference: Resource) -> str:
    if "Fn::GetAtt" in reference:
        return ""
    resource = made.resources[reference["Ref"]]["Properties"]
    return f"{_path(made, resource['ParentId'])}/{resource['PathPart']}"


def _route(made: Synthesised, method: Resource) -> str:
    return f"{method['HttpMethod']} {_path(made, method['ResourceId'])}"


def routes_in(made: Synthesised) -> set[str]:
    return {_route(made, method) for method in _methods(made).values()}


def test_every_path_answers_preflight_requests_and_no_path_is_greedy(each_stage: Synthesised) -> None:
    routes = routes_in(each_stage)
    paths = {route.split(" ")[1] for route in routes}
    assert {f"OPTIONS {path}" for path in paths} <= routes
    assert not [route for route in routes if route.startswith("ANY ") or "+" in route]


def test_methods_reach_the_function_of_the_catalogue(each_stage: Synthesised) -> None:
    functions = {f"{each_stage.stage.prefix}-{f.name}": f.name for f in catalogue.FUNCTIONS}
    expected = {f"{r.method} {r.path}": f.name for r, f in catalogue.all_routes().items()}
    resources = each_stage.resources
    for method in _methods(each_stage).values():
        names = set(strings(method["Integration"]["Uri"])) & set(resources)
        properties = [resources[name]["Properties"] for name in names]
        targets = [
            p if "Handler" in p else resources[p["FunctionName"]["Ref"]]["Properties"] for p in properties
        ]
        (target,) = (functions[t["FunctionName"]] for t in targets)
        assert target == expected.get(_route(each_stage, method), catalogue.PREFLIGHT)
        assert method["Integration"]["Type"] == "AWS_PROXY"


def test_path_parameters_are_required(each_stage: Synthesised) -> None:
    for method in _methods(each_stage).values():
        names = [part[1:-1] for part in _route(each_stage, method).split("/") if part.startswith("{")]
        assert method.get("RequestParameters", {}) == {f"method.request.path.{name}": True for name in names}
        assert "RequestValidatorId" in method


def test_the_api_is_binary_throttled_and_under_api(each_stage: Synthesised) -> None:
    rest = each_stage.only("AWS::ApiGateway::RestApi")
    assert rest["BinaryMediaTypes"] == ["*/*"]
    assert rest["EndpointConfiguration"]["Types"] == ["REGIONAL"]
    stage = each_stage.only("AWS::ApiGateway::Stage")
    assert stage["StageName"] == "api"
    (settings,) = stage["MethodSettings"]
    assert settings["ThrottlingRateLimit"] == each_stage.stage.requests_per_second
    assert settings["ThrottlingBurstLimit"] == each_stage.stage.burst
    assert settings.get("DataTraceEnabled") in (None, False)
    assert ("AccessLogSetting" in stage) is each_stage.stage.access_log


def test_answers_of_the_gateway_have_the_shape_of_our_own(each_stage: Synthesised) -> None:
    from modelyard.kit.errors import Problem

    ours = Problem("…").body(instance="", request_id="") | dict.fromkeys(("error", "message"))
    answers = each_stage.of_type("AWS::ApiGateway::GatewayResponse").values()
    assert len(answers) == len(ANSWERS)
    for answer in answers:
        body = json.loads(answer["ResponseTemplates"]["application/json"].replace("$context.requestId", "id"))
        default = answer["ResponseType"].startswith("DEFAULT_")
        assert set(body) == (set(ours) - {"status"} if default else set(ours))
        assert body["error"] == body["message"] == body["detail"]  # where other servers' clients look
        if not default:
            assert str(body["status"]) == answer["StatusCode"]
        headers = answer["ResponseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert "gatewayresponse.header.Access-Control-Allow-Origin" in headers
        assert ("gatewayresponse.header.Retry-After" in headers) is (body.get("status") == 429)
        assert ("gatewayresponse.header.WWW-Authenticate" in headers) is (body.get("status") == 401)
    kinds = {answer["ResponseType"] for answer in answers}
    assert {
        "DEFAULT_4XX",
        "DEFAULT_5XX",
        "THROTTLED",
        "REQUEST_TOO_LARGE",
        "MISSING_AUTHENTICATION_TOKEN",
    } <= kinds


def test_one_origin_is_named_and_several_are_not() -> None:
    name = "Access-Control-Allow-Origin"
    assert ANSWERS[0].headers([])[name] == "'*'"
    assert ANSWERS[0].headers(["https://a.example"])[name] == "'https://a.example'"
    assert ANSWERS[0].headers(["https://a.example", "https://b.example"])[name] == "'*'"


def test_prod_is_watched_and_fenced(synthesised: Stages) -> None:
    prod = synthesised("prod")
    alarms = {
        p["AlarmName"].removeprefix("modelyard-prod-")
        for p in prod.of_type("AWS::CloudWatch::Alarm").values()
    }
    expected = {f"{f.name}-{kind}" for f in catalogue.FUNCTIONS for kind in ("errors", "throttles")}
    expected |= {f"{q.name}-{kind}" for q in catalogue.QUEUES for kind in ("dead-letters", "queue-age")}
    withdrawn = {f"{name}-canaries-withdrawn" for name in ("record_predictions", "roll_up")}
    assert alarms == expected | withdrawn | {"api-5xx", "api-p95-ms", "predict-p95-ms"}
    for properties in prod.of_type("AWS::CloudWatch::Alarm").values():
        assert properties["AlarmActions"]
        assert properties["TreatMissingData"] == "notBreaching"
    acl = prod.only("AWS::WAFv2::WebACL")
    (common,) = (r for r in acl["Rules"] if r["Name"] == "AWSManagedRulesCommonRuleSet")
    overrides = common["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    assert {"Name": "SizeRestrictions_BODY", "ActionToUse": {"Count": {}}} in overrides
    assert prod.only("AWS::WAFv2::WebACLAssociation")["WebACLArn"] == {
        "Fn::GetAtt": [next(iter(prod.of_type("AWS::WAFv2::WebACL"))), "Arn"]
    }


def test_every_stage_has_a_dashboard_and_tells_where_it_is(each_stage: Synthesised) -> None:
    assert each_stage.only("AWS::CloudWatch::Dashboard")["DashboardName"] == each_stage.stage.prefix
    outputs = each_stage.service["Outputs"]
    assert set(outputs) == {"ApiId", "ApiUrl", "BucketName"}
    assert each_stage.text(outputs["ApiUrl"]["Value"]).endswith("/api")
    assert f"arn:aws:s3:::{each_stage.text(outputs['BucketName']['Value'])}" == each_stage.bucket_arn
