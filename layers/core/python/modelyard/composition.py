"""The composition root: the one place that builds services from settings and secrets.

Everything is made on first use, and imported on first use where it is heavy: a cold start pays only for what its
function needs. Tests build services themselves or subclass `Composition`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelyard.kit.environment import optional, required
from modelyard.kit.secrets import Secrets

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from modelyard.accounts.admission import Admitter
    from modelyard.accounts.passwords import Passwords
    from modelyard.accounts.service import Accounts
    from modelyard.accounts.sessions import Sessions
    from modelyard.accounts.throttle import Throttle
    from modelyard.accounts.tokens import Tokens
    from modelyard.db.engine import Database
    from modelyard.kit.paging import Cursors
    from modelyard.kit.redis import RedisCommands
    from modelyard.registry.artifacts import ArtifactStore
    from modelyard.registry.registration import Registration
    from modelyard.registry.routes import RouteBook
    from modelyard.registry.sweep import UploadSweep
    from modelyard.registry.uploads import Uploads


class Composition:
    """Builds and keeps the collaborators of one Lambda environment."""

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets()

    @cached_property
    def database(self) -> Database:
        from modelyard.db.engine import Database, DatabaseSettings, make_engine

        settings = DatabaseSettings.from_secret(self.secrets.get(required("MODELYARD_DATABASE_SECRET")))
        return Database(make_engine(settings))

    @cached_property
    def redis(self) -> RedisCommands:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        secret = self.secrets.get(required("MODELYARD_REDIS_SECRET"))
        client: Any = Redis(
            host=secret["host"],
            port=int(secret["port"]),
            password=secret.get("password"),
            ssl=bool(secret.get("tls")),
            socket_timeout=0.5,
            socket_connect_timeout=0.5,
            retry=Retry(NoBackoff(), 1),
        )
        return client  # type: ignore[no-any-return]

    def signing_keys(self, max_age: float = 300.0) -> dict[str, Any]:
        """The secret with the keys that sign tokens and cursors."""
        return self.secrets.get(required("MODELYARD_SIGNING_KEYS_SECRET"), max_age=max_age)

    @cached_property
    def tokens(self) -> Tokens:
        from modelyard.accounts.tokens import SigningKeys, Tokens

        return Tokens(SigningKeys(self.signing_keys))

    @cached_property
    def admitter(self) -> Admitter:
        from modelyard.accounts.admission import Admitter

        return Admitter(self.tokens, self.redis)

    @cached_property
    def throttle(self) -> Throttle:
        from modelyard.accounts.throttle import Throttle

        return Throttle(self.redis)

    @cached_property
    def passwords(self) -> Passwords:
        from modelyard.accounts.passwords import Passwords

        return Passwords()

    def accounts(self, unit: Session) -> Accounts:
        from modelyard.accounts.service import Accounts

        return Accounts(unit, self.passwords)

    def sessions(self, unit: Session) -> Sessions:
        from modelyard.accounts.sessions import Sessions

        return Sessions(unit, passwords=self.passwords, tokens=self.tokens)

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins of browsers that may call with credentials."""
        listed = optional("MODELYARD_ALLOWED_ORIGINS").split(",")
        return frozenset(origin.strip() for origin in listed if origin.strip())

    @property
    def bucket(self) -> str:
        return required("MODELYARD_BUCKET")

    @cached_property
    def s3(self) -> Any:
        from modelyard.kit.aws import client

        return client("s3", read_timeout=30)

    @cached_property
    def cursors(self) -> Cursors:
        from modelyard.kit.paging import Cursors

        return Cursors(self.signing_keys)

    @cached_property
    def routes(self) -> RouteBook:
        from modelyard.registry.routes import RouteBook

        return RouteBook(self.database, self.redis)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from modelyard.registry.artifacts import ArtifactStore

        return ArtifactStore(self.s3, self.bucket)

    @cached_property
    def uploads(self) -> Uploads:
        from modelyard.intake.verdict import Limits
        from modelyard.registry.uploads import Uploads

        return Uploads(self.artifacts, Limits.from_environment())

    @cached_property
    def registration(self) -> Registration:
        from modelyard.intake import onnx_gate
        from modelyard.intake.verdict import Limits
        from modelyard.kit.aws import client
        from modelyard.registry.inspector import WAIT_SECONDS, LambdaInspector
        from modelyard.registry.registration import Registration

        invoker = client("lambda", read_timeout=WAIT_SECONDS, attempts=1)
        return Registration(
            database=self.database,
            store=self.artifacts,
            inspector=LambdaInspector(invoker, required("MODELYARD_INSPECT_FUNCTION")),
            routes=self.routes,
            check_onnx=onnx_gate.check,
            limits=Limits.from_environment(),
        )

    @cached_property
    def upload_sweep(self) -> UploadSweep:
        from modelyard.registry.sweep import UploadSweep

        return UploadSweep(
            database=self.database,
            store=self.artifacts,
            sqs=self.sqs,
            queue_url=required("MODELYARD_REGISTER_QUEUE_URL"),
            bucket=self.bucket,
        )

    @property
    def public_url(self) -> str:
        """Where clients reach the API, without a slash at the end; empty: derived from each request."""
        return optional("MODELYARD_PUBLIC_URL").rstrip("/")

    @cached_property
    def sqs(self) -> Any:
        from modelyard.kit.aws import client

        return client("sqs")
