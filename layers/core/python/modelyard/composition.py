"""The composition root: the one place that builds services from settings and secrets.

Everything is made on first use, and imported on first use where it is heavy: a cold start pays only for what
its function needs. Tests build services themselves or subclass `Composition`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelyard.kit.environment import optional, required
from modelyard.kit.secrets import Secrets

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from modelyard.accounts.administration import Administration
    from modelyard.accounts.admission import Admitter, Caller
    from modelyard.accounts.audit import Audit, AuditTrail, Origin
    from modelyard.accounts.cookies import BrowserCookies
    from modelyard.accounts.key_service import ApiKeys
    from modelyard.accounts.keys import KeyRecord
    from modelyard.accounts.passwords import Passwords
    from modelyard.accounts.revocation import Revocations
    from modelyard.accounts.service import Accounts
    from modelyard.accounts.sessions import Sessions
    from modelyard.accounts.sweep import AccessSweep
    from modelyard.accounts.throttle import Throttle
    from modelyard.accounts.tokens import Tokens
    from modelyard.batch.service import JobService
    from modelyard.batch.store import JobStore
    from modelyard.batch.sweep import JobSweep
    from modelyard.batch.worker import Worker
    from modelyard.db.engine import Database
    from modelyard.db.outbox import Dispatcher
    from modelyard.kit.awslite import S3Objects
    from modelyard.kit.paging import Cursors
    from modelyard.kit.redis import RedisCommands
    from modelyard.kit.resp import Connection
    from modelyard.registry.artifacts import ArtifactStore
    from modelyard.registry.purge import RegistrySweep
    from modelyard.registry.registration import Registration
    from modelyard.registry.routes import RouteBook
    from modelyard.registry.shadow.calls import ShadowCalls
    from modelyard.registry.shadow.sweep import ShadowSweep
    from modelyard.registry.shadow.worker import ShadowWorker
    from modelyard.registry.sweep import UploadSweep
    from modelyard.registry.trials.canaries import Canaries
    from modelyard.registry.trials.watch import Trials
    from modelyard.registry.uploads import Uploads
    from modelyard.serving.engine import Engine
    from modelyard.serving.models import ModelCache
    from modelyard.serving.names import NameTable
    from modelyard.serving.routing import RouteTable
    from modelyard.serving.runtime import Invoke
    from modelyard.telemetry.ingest import RecordWriter
    from modelyard.telemetry.readiness import Readiness


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
    def secrets_manager(self) -> Any:
        from modelyard.kit.aws import client

        return client("secretsmanager")

    @cached_property
    def tokens(self) -> Tokens:
        from modelyard.accounts.tokens import SigningKeys, Tokens

        return Tokens(SigningKeys(self.signing_keys))

    @cached_property
    def admitter(self) -> Admitter:
        from modelyard.accounts.admission import Admitter
        from modelyard.accounts.keyring import KeyRing

        keys = KeyRing(self._load_key, self.redis)
        return Admitter(self.tokens, self.redis, keys=keys, cookies=self.cookies)

    @cached_property
    def cookies(self) -> BrowserCookies:
        from modelyard.accounts.cookies import BrowserCookies

        secure = optional("MODELYARD_SECURE_COOKIES", "true") != "false"
        return BrowserCookies(secure=secure, origins=lambda: self.allowed_origins | self._own_origin)

    @property
    def _own_origin(self) -> frozenset[str]:
        scheme, slashes, rest = self.public_url.partition("://")
        return frozenset({scheme + slashes + rest.partition("/")[0]} if slashes else ())

    def _load_key(self, user_id: str, key_id: str) -> KeyRecord | None:
        from modelyard.accounts.key_service import load_record

        return load_record(self.database, user_id, key_id)

    @cached_property
    def throttle(self) -> Throttle:
        from modelyard.accounts.throttle import Throttle

        return Throttle(self.redis)

    @cached_property
    def passwords(self) -> Passwords:
        from modelyard.accounts.passwords import Passwords

        return Passwords()

    def audit(self, unit: Session, origin: Origin, actor: Caller | None = None) -> Audit:
        from modelyard.accounts.audit import Audit

        return Audit(unit, origin, actor)

    def accounts(self, unit: Session, origin: Origin, actor: Caller | None = None) -> Accounts:
        from modelyard.accounts.service import Accounts

        return Accounts(unit, self.audit(unit, origin, actor), passwords=self.passwords)

    def sessions(self, unit: Session, origin: Origin, actor: Caller | None = None) -> Sessions:
        from modelyard.accounts.sessions import Sessions

        audit = self.audit(unit, origin, actor)
        return Sessions(unit, audit, origin=origin, passwords=self.passwords, tokens=self.tokens)

    def administration(self, unit: Session, origin: Origin, caller: Caller) -> Administration:
        from modelyard.accounts.administration import Administration

        return Administration(unit, caller, self.audit(unit, origin, caller), self.cursors)

    def audit_trail(self, unit: Session) -> AuditTrail:
        from modelyard.accounts.audit import AuditTrail

        return AuditTrail(unit, self.cursors)

    def api_keys(self, unit: Session, origin: Origin, caller: Caller) -> ApiKeys:
        from modelyard.accounts.key_service import ApiKeys

        return ApiKeys(unit, caller, self.audit(unit, origin, caller))

    @cached_property
    def revocations(self) -> Revocations:
        from modelyard.accounts.revocation import Revocations

        return Revocations(self.redis)

    @cached_property
    def access_sweep(self) -> AccessSweep:
        from modelyard.accounts.sweep import AccessSweep

        return AccessSweep(self.database, self.revocations, self.s3, self.bucket)

    @cached_property
    def readiness(self) -> Readiness:
        from sqlalchemy import text

        from modelyard.kit.aws import client
        from modelyard.telemetry.readiness import Check, Readiness

        def database() -> None:
            with self.database.transaction() as unit:
                unit.execute(text("SELECT 1"))

        # its own client: a readiness check is not worth a retry
        s3 = client("s3", read_timeout=3, attempts=1)
        return Readiness(
            Check("database", database),
            Check("cache", lambda: self.redis.ping(), essential=False),
            Check("storage", lambda: s3.get_bucket_location(Bucket=self.bucket)),
        )

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

    @cached_property
    def registry_sweep(self) -> RegistrySweep:
        from modelyard.registry.purge import RegistrySweep

        return RegistrySweep(database=self.database, store=self.artifacts, routes=self.routes)

    @property
    def scanning_redis(self) -> Any:
        """Redis for the few who look through keys; not on the hot path, whose client cannot."""
        return self.redis

    @cached_property
    def outbox(self) -> Dispatcher:
        from modelyard.db.outbox import Dispatcher

        return Dispatcher(self.database, lambda: self.sqs, self.queue_url)

    def queue_url(self, queue: str) -> str:
        """The URL of a queue by its logical name: `batch` or `register`."""
        return required(f"MODELYARD_{queue.upper()}_QUEUE_URL")

    @cached_property
    def job_store(self) -> JobStore:
        from modelyard.batch.store import JobStore

        return JobStore(self.s3, self.bucket)

    def jobs(self, unit: Session) -> JobService:
        from modelyard.batch.service import JobService
        from modelyard.registry.batch_targets import BatchTargets

        targets = BatchTargets(unit, self.routes)
        return JobService(unit, store=self.job_store, find_target=targets.find, cursors=self.cursors)

    @cached_property
    def batch_worker(self) -> Worker:
        from modelyard.batch.worker import Worker

        return Worker(
            database=self.database,
            store=self.job_store,
            find_route=self.routes.load,
            load_model=self.model_cache.get,
            original=self.model_cache.original,
            dispatcher=self.outbox,
        )

    @cached_property
    def job_sweep(self) -> JobSweep:
        from modelyard.batch.sweep import JobSweep

        return JobSweep(database=self.database, store=self.job_store, dispatcher=self.outbox)

    @cached_property
    def record_writer(self) -> RecordWriter:
        from modelyard.telemetry.ingest import RecordWriter

        return RecordWriter(self.database)

    @cached_property
    def trials(self) -> Trials:
        """What is done for models on trial when records of theirs arrive, and again by the sweep."""
        from modelyard.registry.trials.watch import Trials

        return Trials(self.database, steps=(self.canaries.look, self.shadow_calls))

    @cached_property
    def canaries(self) -> Canaries:
        from modelyard.accounts.audit import Audit, Origin
        from modelyard.registry.trials.canaries import Canaries, Withdrawal

        def note(unit: Session, done: Withdrawal) -> None:
            audit, version = Audit(unit, Origin()), f"v{done.number}"
            audit.record(
                "canary.withdraw",
                user_id=done.user_id,
                target=done.model_id,
                by_platform=True,
                version=version,
                reason=done.reason,
            )

        return Canaries(self.database, self.routes, note=note)

    @cached_property
    def shadow_calls(self) -> ShadowCalls:
        from modelyard.registry.shadow.calls import ShadowCalls

        return ShadowCalls(self.scanning_redis, lambda: self.sqs, self.queue_url)

    @cached_property
    def shadow_worker(self) -> ShadowWorker:
        from modelyard.registry.shadow.worker import ShadowWorker

        return ShadowWorker(
            database=self.database,
            redis=self.scanning_redis,
            find_route=self.routes.load,
            load_model=self.model_cache.get,
            calls=self.shadow_calls,
        )

    @cached_property
    def shadow_sweep(self) -> ShadowSweep:
        from modelyard.registry.shadow.sweep import ShadowSweep

        return ShadowSweep(self.database)

    def migrate(self) -> str:
        """Brings the schema to head as its owner, and gives the application its role; the revision."""
        from modelyard.db.engine import DatabaseSettings
        from modelyard.db.migrate import upgrade

        owner = DatabaseSettings.from_secret(self.secrets.get(required("MODELYARD_DATABASE_OWNER_SECRET")))
        app = DatabaseSettings.from_secret(self.secrets.get(required("MODELYARD_DATABASE_SECRET")))
        return upgrade(owner, app)

    @property
    def public_url(self) -> str:
        """Where clients reach the API, without a slash at the end; empty: derived from each request."""
        return optional("MODELYARD_PUBLIC_URL").rstrip("/")

    @cached_property
    def sqs(self) -> Any:
        from modelyard.kit.aws import client

        return client("sqs")

    @cached_property
    def model_cache(self) -> ModelCache:
        """Models in memory, at most half of the function's."""
        from pathlib import Path

        from modelyard.serving.artifacts import ArtifactStore
        from modelyard.serving.models import ModelCache
        from modelyard.serving.runtime import NativeRuntime

        objects = self.model_objects
        folder = Path(optional("TMPDIR", "/tmp")) / "modelyard-models"  # noqa: S108  # checksums guard it
        return ModelCache(
            ArtifactStore(objects.get, folder, max_bytes=1 << 30),
            lambda signature, version, tenant: NativeRuntime(
                signature, version, tenant=tenant, presign=objects.presigned_get, invoke=self.invoke_native
            ),
            max_bytes=int(optional("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")) << 19,
        )

    @cached_property
    def model_objects(self) -> S3Objects:
        """Reads the bucket's objects without botocore."""
        from modelyard.kit.awslite import S3Objects, Service

        return S3Objects(Service("s3"), self.bucket)

    @cached_property
    def invoke_native(self) -> Invoke:
        from modelyard.kit.awslite import Lambda, Service
        from modelyard.serving.native import native_invoke

        service, name = Lambda(Service("lambda")), required("MODELYARD_NATIVE_FUNCTION")
        return native_invoke(
            lambda payload, tenant, seconds: service.invoke(name, payload, tenant=tenant, seconds=seconds)
        )


class HotComposition(Composition):
    """The same services for `predict`: without boto3 and redis-py, whose import alone is a cold start."""

    @cached_property
    def secrets(self) -> Secrets:
        from modelyard.kit.awslite import SecretsManager, Service

        return Secrets(SecretsManager(Service("secretsmanager")).get)

    @cached_property
    def redis(self) -> Connection:
        from modelyard.kit.resp import Connection

        return Connection(lambda: self.secrets.get(required("MODELYARD_REDIS_SECRET")))

    @cached_property
    def engine(self) -> Engine:
        from modelyard.serving.engine import Engine

        return Engine(
            admit=self.admitter.admit,
            routes=self.route_table,
            names=self.name_table,
            models=self.model_cache,
            cache=self.redis,
        )

    @cached_property
    def name_table(self) -> NameTable:
        from modelyard.serving.names import NameTable, remember_in

        return NameTable(lambda user_id, name: self.routes.find(user_id, name), remember_in(self.redis))

    @cached_property
    def route_table(self) -> RouteTable:
        from modelyard.serving.routing import RouteTable, remember_in

        return RouteTable(
            lambda user_id, model_id: self.routes.load(user_id, model_id), remember_in(self.redis)
        )

    def preload(self) -> None:
        """Imports what the first request needs while Lambda initialises: at full speed, before a snapshot."""
        import onnxruntime  # noqa: F401

        import modelyard.accounts.admission
        import modelyard.accounts.keyring
        import modelyard.accounts.tokens
        import modelyard.kit.awslite
        import modelyard.kit.resp
        import modelyard.serving.native
        import modelyard.serving.routing  # noqa: F401

    def after_restore(self) -> None:
        """What a snapshot must not carry over: a dead connection, routes of another day."""
        self.redis.close()
        self.route_table.expire()
