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
    from modelyard.accounts.admission import Admitter
    from modelyard.accounts.tokens import Tokens
    from modelyard.db.engine import Database
    from modelyard.kit.paging import Cursors
    from modelyard.kit.redis import RedisCommands
    from modelyard.registry.routes import RouteBook


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

        return Cursors(lambda: self.secrets.get(required("MODELYARD_SIGNING_KEYS_SECRET")))

    @cached_property
    def routes(self) -> RouteBook:
        from modelyard.registry.routes import RouteBook

        return RouteBook(self.database, self.redis)

    @cached_property
    def sqs(self) -> Any:
        from modelyard.kit.aws import client

        return client("sqs")
