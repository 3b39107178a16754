"""The catalogue of functions: what runs, what starts it, and what it may touch.

Roles, environment, log groups, routes and queues derive from it: adding a route is one line in `routes`,
adding a permission one in `grants`. `tests/infra/test_drift.py` compares it with the folders in `functions/`,
the handlers and the synthesised template.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# --- the words --------------------------------------------------------------------------------------------

SECRETS = ("database", "database-owner", "redis", "signing-keys")
BUCKET_VERBS = ("read", "write", "delete", "list", "probe")

LAYER_SETS = {
    "web": ("core", "base", "web"),
    "event": ("core", "base"),
    "onnx": ("core", "base", "onnx"),
    "native": ("core", "onnx", "sklearn", "boosters"),
    "compile": ("core", "onnx", "sklearn", "compile", "boosters"),
    "plain": ("core",),
}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, without the stage `/api` that stands before it."""

    method: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Route:
        """Reads `POST /predict/{model_id}`."""
        if not re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) (/([a-z0-9._:-]+|\{[a-z_]+\}))+", text):
            raise ValueError(f"not a route: {text!r}; write it as 'GET /models/{{model_id}}'")
        method, path = text.split(" ")
        return cls(method, path)

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{([a-z_]+)\}", self.path))


@dataclass(frozen=True, slots=True)
class Grant:
    """One permission.

    `bucket:<read|write|delete|list>:<prefix>*`, `bucket:probe` (does it answer?), `secret:<name>`,
    `secret:write:<name>`, `queue:send:<queue>`, `invoke:<function>`.
    """

    kind: Literal["bucket", "secret", "queue", "invoke"]
    verb: str
    target: str

    @classmethod
    def parse(cls, text: str) -> Grant:
        match text.split(":"):
            case ["bucket", "probe"]:
                return cls("bucket", "probe", "")
            case ["bucket", verb, target] if verb in BUCKET_VERBS and re.fullmatch(r"[a-z]+/\*", target):
                return cls("bucket", verb, target)
            case ["secret", name] if name in SECRETS:
                return cls("secret", "read", name)
            case ["secret", "write", name] if name in SECRETS:
                return cls("secret", "write", name)
            case ["queue", "send", name]:
                return cls("queue", "send", name)
            case ["invoke", name]:
                return cls("invoke", "invoke", name)
        raise ValueError(f"not a grant: {text!r}; the forms stand in {cls.__name__}'s docstring")


@dataclass(frozen=True, slots=True)
class FromQueue:
    """Messages of a queue, reported item by item."""

    queue: str
    batch_size: int
    max_concurrency: int


@dataclass(frozen=True, slots=True)
class FromLogs:
    """Log lines with `term`, of the functions `sources`."""

    sources: tuple[str, ...]
    term: str


@dataclass(frozen=True, slots=True)
class EveryMinutes:
    minutes: int


@dataclass(frozen=True, slots=True)
class AtDeployment:
    """Runs once per deployment that changed it, before anything else goes live."""


@dataclass(frozen=True, slots=True)
class OnInvoke:
    """Called by functions that hold the grant `invoke:<name>`, or by whoever operates the account."""

    by_operator: bool = False


Trigger = FromQueue | FromLogs | EveryMinutes | AtDeployment | OnInvoke


@dataclass(frozen=True, kw_only=True)
class Function:
    """One Lambda function: `functions/<name>/handler.py`, entry `handler.handler`.

    `timeout` in seconds; `memory` and `scratch` (`/tmp`) in MB. `share` is its part of the database
    connections that the stage allows (reserved concurrency); 0: opens none and is not limited. `sandboxed`:
    its environments serve one tenant each and its role may write its own log and nothing else.
    """

    name: str
    purpose: str
    layers: str
    routes: tuple[str, ...] = ()
    trigger: Trigger | None = None
    grants: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    memory: int = 1024
    timeout: int = 29
    scratch: int = 512
    share: int = 0
    sandboxed: bool = False
    snap_start: bool = False

    def __post_init__(self) -> None:
        if bool(self.routes) == (self.trigger is not None):
            raise ValueError(f"{self.name}: give either routes or a trigger")
        if self.sandboxed and self.grants:
            raise ValueError(f"{self.name}: a sandboxed function holds no grant; pass it presigned URLs")
        if self.layers not in LAYER_SETS:
            raise ValueError(f"{self.name}: layers is one of {', '.join(LAYER_SETS)}")
        if bool(self.share) != self.uses_database:
            raise ValueError(f"{self.name}: exactly the functions with a database secret have a share")

    @property
    def parsed_routes(self) -> tuple[Route, ...]:
        return tuple(Route.parse(text) for text in self.routes)

    @property
    def parsed_grants(self) -> tuple[Grant, ...]:
        return tuple(Grant.parse(text) for text in self.grants)

    @property
    def layer_names(self) -> tuple[str, ...]:
        return LAYER_SETS[self.layers]

    @property
    def uses_database(self) -> bool:
        return any(grant.startswith("secret:database") for grant in self.grants)

    @property
    def in_network(self) -> bool:
        """Whether it must reach PostgreSQL or Redis, and so stands in their VPC where there is one."""
        return self.uses_database or "secret:redis" in self.grants


@dataclass(frozen=True, kw_only=True)
class Queue:
    """An SQS queue with a dead-letter queue; its visibility timeout derives from its consumer's timeout."""

    name: str
    receives: int  # deliveries before a message goes to the dead-letter queue
    from_uploads: bool = False  # S3 writes it


# --- what exists ------------------------------------------------------------------------------------------

QUEUES = (
    Queue(name="register", receives=5, from_uploads=True),
    Queue(name="batch", receives=5),
)

UPLOADS_PREFIX = "uploads/"
PREFLIGHT = "docs"  # answers OPTIONS of every path: it needs the list of origins and nothing else

CALLER = ("secret:database", "secret:redis", "secret:signing-keys")  # what authenticating a caller takes
ONE_THREAD = (("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"))  # default pools stall on a shared core

FUNCTIONS = (
    Function(
        name="auth",
        purpose="registration and sessions",
        layers="web",
        routes=(
            "POST /auth/register",
            "POST /auth/login",
            "POST /auth/token",
            "POST /auth/refresh",
            "POST /auth/logout",
            "POST /auth/restore",
        ),
        grants=CALLER,
        memory=1769,  # one whole CPU: a login is a bcrypt of 12 rounds
        share=8,
    ),
    Function(
        name="users",
        purpose="the caller's own account",
        layers="web",
        routes=(
            "GET /users/me",
            "PATCH /users/me",
            "DELETE /users/me",
            "POST /users/me/password",
            "GET /users/me/audit",
            "GET /users/me/sessions",
            "DELETE /users/me/sessions/{session_id}",
            "POST /api-keys",
            "GET /api-keys",
            "POST /api-keys/{key_id}/rotate",
            "DELETE /api-keys/{key_id}",
            "GET /users",
            "GET /users/{user_id}",
            "PATCH /users/{user_id}",
            "GET /audit",
        ),
        grants=CALLER,
        share=5,
    ),
    Function(
        name="models",
        purpose="uploads, models and versions",
        layers="web",
        routes=(
            "POST /models/upload",
            "GET /models",
            "GET /models/{model_id}",
            "GET /models/{model_id}/openapi.json",
            "GET /models/{model_id}/snippets",
            "PATCH /models/{model_id}",
            "DELETE /models/{model_id}",
            "POST /models/{model_id}/restore",
            "GET /models/{model_id}/versions",
            "GET /models/{model_id}/versions/{version}",
            "PATCH /models/{model_id}/versions/{version}",
            "DELETE /models/{model_id}/versions/{version}",
            "POST /models/{model_id}/versions/{version}/restore",
            "GET /models/{model_id}/aliases",
            "GET /models/{model_id}/aliases/{alias}",
            "PUT /models/{model_id}/aliases/{alias}",
            "DELETE /models/{model_id}/aliases/{alias}",
            "POST /models/{model_id}/aliases/{alias}/rollback",
            "GET /models/{model_id}/promotions",
            "GET /models/{model_id}/traffic",
            "PUT /models/{model_id}/traffic",
            "DELETE /models/{model_id}/traffic",
            "GET /models/{model_id}/shadow",
            "PUT /models/{model_id}/shadow",
            "DELETE /models/{model_id}/shadow",
            "GET /models/{model_id}/shadow/predictions",
        ),
        grants=(*CALLER, "bucket:write:uploads/*"),
        share=8,
    ),
    Function(
        name="predict",
        purpose="predictions",
        layers="onnx",
        routes=(
            "POST /predict/{model_id}",
            "GET /v2",
            "GET /v2/health/live",
            "GET /v2/health/ready",
            "GET /v2/models",
            "POST /v2/repository/index",
            "GET /v2/models/{model}",
            "GET /v2/models/{model}/ready",
            "POST /v2/models/{model}/infer",
            "GET /v2/models/{model}/versions/{version}",
            "GET /v2/models/{model}/versions/{version}/ready",
            "POST /v2/models/{model}/versions/{version}/infer",
            "GET /v1/models",
            "GET /v1/models/{model}",
            "POST /v1/models/{model}",  # {model} is `name:predict`: siblings share one parameter
            "POST /models/{model_id}/invocations",
            "GET /models/{model_id}/ping",
            "GET /models/{model_id}/version",
            "POST /endpoints/{model}/invocations",
        ),
        grants=(*CALLER, "bucket:read:models/*", "invoke:predict_native"),
        environment=ONE_THREAD,
        memory=1769,
        scratch=2048,
        share=18,
        snap_start=True,
    ),
    Function(
        name="batch",
        purpose="jobs",
        layers="web",
        routes=(
            "POST /predict/batch/{model_id}",
            "POST /jobs/inputs",
            "GET /jobs",
            "GET /jobs/{job_id}",
            "GET /jobs/{job_id}/results",
            "POST /jobs/{job_id}/cancel",
        ),
        grants=(*CALLER, "bucket:read:jobs/*", "bucket:write:jobs/*", "queue:send:batch"),
        share=6,
    ),
    Function(
        name="health",
        purpose="liveness and readiness",
        layers="web",
        routes=("GET /health", "GET /health/ready"),
        grants=("secret:database", "secret:redis", "bucket:probe"),
        memory=512,
        share=3,
    ),
    Function(
        name="docs",
        purpose="the OpenAPI document and its two readers",
        layers="web",
        routes=("GET /docs", "GET /docs/{asset}", "GET /redoc", "GET /openapi.json"),
        memory=512,
    ),
    Function(
        name="register_model",
        purpose="the registration of one upload, start to end",
        layers="event",
        trigger=FromQueue("register", batch_size=1, max_concurrency=5),
        grants=(
            "secret:database",
            "secret:redis",
            "bucket:read:uploads/*",
            "bucket:list:uploads/*",
            "bucket:read:models/*",
            "bucket:list:models/*",
            "bucket:write:models/*",
            "bucket:delete:models/*",
            "invoke:inspect_model",
        ),
        timeout=420,  # outlives inspect_model, and then says what became of it
        scratch=2048,
        share=5,
    ),
    Function(
        name="inspect_model",
        purpose="opens, describes, compiles and verifies one upload",
        layers="compile",
        trigger=OnInvoke(),
        environment=ONE_THREAD,
        memory=3008,
        timeout=330,
        scratch=4096,
        sandboxed=True,
    ),
    Function(
        name="predict_native",
        purpose="predicts with the original estimator",
        layers="native",
        trigger=OnInvoke(),
        environment=ONE_THREAD,
        memory=3008,
        timeout=120,
        scratch=2048,
        sandboxed=True,
    ),
    Function(
        name="run_batch",
        purpose="one chunk of a job",
        layers="onnx",
        trigger=FromQueue("batch", batch_size=1, max_concurrency=8),
        grants=(
            "secret:database",
            "secret:redis",
            "bucket:read:models/*",
            "bucket:read:jobs/*",
            "bucket:write:jobs/*",
            "queue:send:batch",
            "invoke:predict_native",
        ),
        environment=ONE_THREAD,
        memory=1769,
        timeout=300,
        scratch=2048,
        share=8,
    ),
    Function(
        name="record_predictions",
        purpose="prediction records from log lines into PostgreSQL",
        layers="event",
        trigger=FromLogs(sources=("predict", "run_batch"), term="prediction_record"),
        grants=("secret:database", "secret:redis", "queue:send:batch"),  # withdraws canaries, asks shadows
        memory=512,
        timeout=60,
        share=5,
    ),
    Function(
        name="roll_up",
        purpose="roll-ups, stuck uploads and jobs, unsent messages, old partitions",
        layers="event",
        trigger=EveryMinutes(5),
        grants=(
            "secret:database",
            "secret:redis",
            "bucket:read:uploads/*",
            "bucket:list:uploads/*",
            "bucket:list:models/*",
            "bucket:list:jobs/*",
            "bucket:delete:uploads/*",
            "bucket:delete:models/*",
            "bucket:delete:jobs/*",
            "queue:send:batch",
            "queue:send:register",
        ),
        memory=512,
        timeout=240,
        share=1,
    ),
    Function(
        name="make_admin",
        purpose="makes the first administrator, for whoever operates the account",
        layers="web",  # reads addresses as registration does
        trigger=OnInvoke(by_operator=True),
        grants=("secret:database", "secret:redis"),
        memory=512,
        timeout=29,
        share=1,
    ),
    Function(
        name="rotate_keys",
        purpose="rotates the keys that sign tokens",
        layers="event",
        trigger=EveryMinutes(30 * 24 * 60),
        grants=("secret:signing-keys", "secret:write:signing-keys"),
        memory=256,
        timeout=29,
    ),
    Function(
        name="migrate",
        purpose="brings the schema to head",
        layers="event",
        trigger=AtDeployment(),
        grants=("secret:database-owner", "secret:database"),
        memory=512,
        timeout=600,
        share=1,
    ),
)

BY_NAME = {function.name: function for function in FUNCTIONS}

# The variable under which a function finds what a grant opens (docs/ARCHITECTURE.md).
SECRET_VARIABLES = {
    "database": "MODELYARD_DATABASE_SECRET",
    "database-owner": "MODELYARD_DATABASE_OWNER_SECRET",
    "redis": "MODELYARD_REDIS_SECRET",
    "signing-keys": "MODELYARD_SIGNING_KEYS_SECRET",
}
QUEUE_VARIABLES = {"batch": "MODELYARD_BATCH_QUEUE_URL", "register": "MODELYARD_REGISTER_QUEUE_URL"}
INVOKE_VARIABLES = {
    "inspect_model": "MODELYARD_INSPECT_FUNCTION",
    "predict_native": "MODELYARD_NATIVE_FUNCTION",
}


def consumer_of(queue: str) -> Function:
    """The one function that reads `queue`."""
    (consumer,) = (f for f in FUNCTIONS if isinstance(f.trigger, FromQueue) and f.trigger.queue == queue)
    return consumer


def all_routes() -> dict[Route, Function]:
    """Every route and the function behind it; two functions never share one."""
    routes: dict[Route, Function] = {}
    for function in FUNCTIONS:
        for route in function.parsed_routes:
            if route in routes:
                raise ValueError(
                    f"{route.method} {route.path} belongs to {routes[route].name} and {function.name}"
                )
            routes[route] = function
    return routes
