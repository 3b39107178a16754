"""Who may do what, judged on the synthesised policies and written down here a second time, by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra import catalogue
from tests.infra.template import Synthesised, as_list, strings

SANDBOXED = ("inspect_model", "predict_native")
SECRET_SUFFIX = "-AbCdEf"

MAY = [
    ("models", "s3:PutObject", "bucket/uploads/usr_1/iris/ver_1/m.joblib"),
    ("predict", "s3:GetObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("predict", "lambda:InvokeFunction", "function/predict_native"),
    ("batch", "s3:PutObject", "bucket/jobs/usr_1/job_1/input.csv"),
    ("batch", "sqs:SendMessage", "queue/batch"),
    ("health", "s3:GetBucketLocation", "bucket"),
    ("register_model", "sqs:ReceiveMessage", "queue/register"),
    ("register_model", "s3:GetObjectVersion", "bucket/uploads/usr_1/iris/m.joblib"),
    ("register_model", "s3:PutObject", "bucket/models/usr_1/mdl_1/v1/metadata.json"),
    ("register_model", "lambda:InvokeFunction", "function/inspect_model"),
    ("run_batch", "sqs:DeleteMessage", "queue/batch"),
    ("run_batch", "s3:PutObject", "bucket/jobs/usr_1/job_1/chunks/00000.json"),
    ("run_batch", "lambda:InvokeFunction", "function/predict_native"),
    ("roll_up", "s3:DeleteObject", "bucket/jobs/usr_1/job_1/results.json"),
    ("roll_up", "sqs:SendMessage", "queue/register"),
    ("migrate", "secretsmanager:GetSecretValue", "secret/database-owner"),
    ("record_predictions", "secretsmanager:GetSecretValue", "secret/database"),
    ("record_predictions", "secretsmanager:GetSecretValue", "secret/redis"),
    ("record_predictions", "sqs:SendMessage", "queue/batch"),
    ("auth", "secretsmanager:GetSecretValue", "secret/signing-keys"),
    ("rotate_keys", "secretsmanager:PutSecretValue", "secret/signing-keys"),
]

MAY_NOT = [
    # the hot path reads models and changes nothing
    ("predict", "s3:PutObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("predict", "s3:DeleteObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("predict", "s3:GetObject", "bucket/uploads/usr_1/iris/m.joblib"),
    ("predict", "s3:GetObject", "bucket/jobs/usr_1/job_1/input.csv"),
    ("predict", "sqs:SendMessage", "queue/batch"),
    ("predict", "lambda:InvokeFunction", "function/inspect_model"),
    # who takes uploads cannot touch what is served
    ("models", "s3:PutObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("models", "s3:GetObject", "bucket/models/usr_1/mdl_1/v1/model.joblib"),
    ("models", "lambda:InvokeFunction", "function/inspect_model"),
    ("auth", "s3:GetObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("users", "s3:ListBucket", "bucket"),
    ("health", "secretsmanager:GetSecretValue", "secret/signing-keys"),
    ("health", "s3:ListBucket", "bucket"),
    ("docs", "secretsmanager:GetSecretValue", "secret/database"),
    ("batch", "s3:GetObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("batch", "sqs:ReceiveMessage", "queue/batch"),
    # workers sign no tokens, and only migrate is the owner
    ("run_batch", "secretsmanager:GetSecretValue", "secret/signing-keys"),
    ("run_batch", "s3:PutObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("register_model", "secretsmanager:GetSecretValue", "secret/signing-keys"),
    ("register_model", "s3:PutObject", "bucket/uploads/usr_1/iris/m.joblib"),
    ("record_predictions", "sqs:SendMessage", "queue/register"),
    ("record_predictions", "secretsmanager:GetSecretValue", "secret/database-owner"),
    ("roll_up", "s3:PutObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("migrate", "s3:GetObject", "bucket/models/usr_1/mdl_1/v1/model.onnx"),
    ("auth", "secretsmanager:PutSecretValue", "secret/signing-keys"),
    ("rotate_keys", "secretsmanager:PutSecretValue", "secret/database"),
]


def _arn(made: Synthesised, thing: str) -> str:
    kind, _, rest = thing.partition("/")
    match kind:
        case "bucket":
            return f"{made.bucket_arn}/{rest}" if rest else made.bucket_arn
        case "queue":
            return made.arn("sqs", f"{made.stage.prefix}-{rest}")
        case "function":
            return made.arn("lambda", f"function:{made.stage.prefix}-{rest}")
        case "secret":
            return made.arn("secretsmanager", f"secret:{made.stage.secret_name(rest)}{SECRET_SUFFIX}")
    raise AssertionError(thing)


@pytest.mark.parametrize("function", SANDBOXED)
def test_a_sandboxed_role_writes_its_own_log_and_nothing_else(each_stage: Synthesised, function: str) -> None:
    (statement,) = each_stage.statements(function)
    assert statement["Effect"] == "Allow"
    assert sorted(statement["Action"]) == ["logs:CreateLogStream", "logs:PutLogEvents"]
    (resource,) = as_list(statement["Resource"])
    group = f"log-group:/aws/lambda/{each_stage.stage.prefix}-{function}:*"
    assert each_stage.text(resource) == each_stage.arn("logs", group)
    role = each_stage.role(function)
    assert "ManagedPolicyArns" not in role
    assert "PermissionsBoundary" not in role
    assert len(role["Policies"]) == 1


@pytest.mark.parametrize("function", SANDBOXED)
def test_a_sandboxed_function_knows_nothing_and_serves_one_tenant(
    each_stage: Synthesised, function: str
) -> None:
    properties = each_stage.function(function)
    assert properties["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    assert "VpcConfig" not in properties
    assert set(each_stage.environment(function)) == {
        "MODELYARD_STAGE",
        "POWERTOOLS_LOG_LEVEL",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
    }


def test_no_other_function_is_isolated_by_tenant(each_stage: Synthesised) -> None:
    isolated = {
        p["FunctionName"].removeprefix(f"{each_stage.stage.prefix}-")
        for p in each_stage.of_type("AWS::Lambda::Function").values()
        if "TenancyConfig" in p
    }
    assert isolated == set(SANDBOXED)


@pytest.mark.parametrize(("function", "action", "thing"), MAY)
def test_may(synthesised: Callable[[str], Synthesised], function: str, action: str, thing: str) -> None:
    made = synthesised("prod")
    assert made.allows(function, action, _arn(made, thing))


@pytest.mark.parametrize(("function", "action", "thing"), MAY_NOT)
def test_may_not(synthesised: Callable[[str], Synthesised], function: str, action: str, thing: str) -> None:
    made = synthesised("prod")
    assert not made.allows(function, action, _arn(made, thing))


def test_stages_grant_the_same(synthesised: Callable[[str], Synthesised]) -> None:
    """What passes locally is what deploys."""
    for function in catalogue.FUNCTIONS:
        granted = {}
        for stage in ("local", "dev", "prod"):
            made = synthesised(stage)
            granted[stage] = sorted(
                str(
                    (each["Effect"], each["Action"], [made.text(r) for r in as_list(each["Resource"])])
                ).replace(stage, "STAGE")
                for each in made.statements(function.name)
                if not any(action.startswith("ec2:") for action in as_list(each["Action"]))
            )
        assert granted["local"] == granted["dev"] == granted["prod"], function.name


def test_only_migrate_is_the_owner_of_the_database(each_stage: Synthesised) -> None:
    owner = _arn(each_stage, "secret/database-owner")
    holders = {
        f.name
        for f in catalogue.FUNCTIONS
        if each_stage.allows(f.name, "secretsmanager:GetSecretValue", owner)
    }
    assert holders == {"migrate"}


def test_every_function_has_a_role_of_its_own_without_managed_policies(each_stage: Synthesised) -> None:
    roles = [each_stage.function(f.name)["Role"]["Fn::GetAtt"][0] for f in catalogue.FUNCTIONS]
    assert len(set(roles)) == len(catalogue.FUNCTIONS)
    for function in catalogue.FUNCTIONS:
        assert "ManagedPolicyArns" not in each_stage.role(function.name)


def test_every_function_writes_its_own_log_only(each_stage: Synthesised) -> None:
    for function in catalogue.FUNCTIONS:
        for other in catalogue.FUNCTIONS:
            stream = each_stage.arn(
                "logs", f"log-group:/aws/lambda/{each_stage.stage.prefix}-{other.name}:log-stream:x"
            )
            assert each_stage.allows(function.name, "logs:PutLogEvents", stream) is (function == other)


def test_a_star_stands_only_where_the_code_is_denied_the_same(each_stage: Synthesised) -> None:
    for function in catalogue.FUNCTIONS:
        wide = [s for s in each_stage.statements(function.name) if "*" in as_list(s["Resource"])]
        allowed = [s["Action"] for s in wide if s["Effect"] == "Allow"]
        denied = [s["Action"] for s in wide if s["Effect"] == "Deny"]
        assert allowed == denied
        assert all(action.startswith("ec2:") for actions in allowed for action in actions)
        for statement in wide:
            if statement["Effect"] == "Deny":
                (source,) = statement["Condition"]["ArnEquals"].values()
                name = f"function:{each_stage.stage.prefix}-{function.name}"
                assert each_stage.text(source) == each_stage.arn("lambda", name)


def test_no_action_is_a_service_at_large(each_stage: Synthesised) -> None:
    for function in catalogue.FUNCTIONS:
        for statement in each_stage.statements(function.name):
            for action in as_list(statement["Action"]):
                assert "*" not in action or action == "sqs:SendMessage*"


def test_listing_is_held_to_a_prefix(each_stage: Synthesised) -> None:
    listings = [
        statement
        for function in catalogue.FUNCTIONS
        for statement in each_stage.statements(function.name)
        if "s3:ListBucket" in as_list(statement["Action"])
    ]
    assert listings
    for statement in listings:
        assert statement["Condition"]["StringLike"]["s3:prefix"] in {"uploads/*", "jobs/*", "models/*"}


def test_environments_hold_names_and_no_secret(each_stage: Synthesised) -> None:
    for function in catalogue.FUNCTIONS:
        environment = each_stage.function(function.name)["Environment"]["Variables"]
        assert not any("resolve:" in text for text in strings(environment))
        for name, value in each_stage.environment(function.name).items():
            if name.endswith("_SECRET"):
                assert value.startswith(f"modelyard/{each_stage.stage.name}/")
            assert "PASSWORD" not in name
            assert "TOKEN" not in name


def test_environments_name_exactly_what_is_granted(each_stage: Synthesised) -> None:
    variables = catalogue.SECRET_VARIABLES
    for function in catalogue.FUNCTIONS:
        environment = each_stage.environment(function.name)
        for secret, variable in variables.items():
            arn = _arn(each_stage, f"secret/{secret}")
            assert each_stage.allows(function.name, "secretsmanager:GetSecretValue", arn) is (
                variable in environment
            )
        bucket = any(g.kind == "bucket" for g in function.parsed_grants)
        assert bucket is ("MODELYARD_BUCKET" in environment)


@pytest.mark.parametrize(
    "text",
    [
        "bucket:read",
        "bucket:own:models/*",
        "bucket:read:models",
        "bucket:read:*",
        "secret:everything",
        "s3:*",
        "",
    ],
)
def test_a_grant_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a grant"):
        catalogue.Grant.parse(text)


@pytest.mark.parametrize(
    "text", ["models", "FETCH /models", "GET models", "GET /Models", "GET /a/{b", "GET /{proxy+}"]
)
def test_a_route_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a route"):
        catalogue.Route.parse(text)


def test_a_function_that_contradicts_itself_is_refused() -> None:
    make = catalogue.Function
    with pytest.raises(ValueError, match="either routes or a trigger"):
        make(name="x", purpose="", layers="plain")
    with pytest.raises(ValueError, match="holds no grant"):
        make(
            name="x",
            purpose="",
            layers="plain",
            trigger=catalogue.OnInvoke(),
            sandboxed=True,
            grants=("bucket:read:models/*",),
        )
    with pytest.raises(ValueError, match="layers is one of"):
        make(name="x", purpose="", layers="all", trigger=catalogue.OnInvoke())
    with pytest.raises(ValueError, match="have a share"):
        make(name="x", purpose="", layers="plain", trigger=catalogue.OnInvoke(), grants=("secret:database",))
