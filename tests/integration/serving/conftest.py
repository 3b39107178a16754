"""A `predict` handler over real Redis, with models that serving itself never trained."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from modelyard.kit.ids import new_id

from functions.predict.handler import make_handler
from tests.support.http import ApiGateway
from tests.support.serving import (
    Registered,
    ServingComposition,
    Trained,
    forest,
    logistic,
    mixed,
    register,
    token_for,
)
from tools.local.services import Redis

TRAINED = {"logistic": cache(logistic), "forest": cache(forest), "mixed": cache(mixed)}


class Platform:
    """One user before one warm or cold `predict` environment."""

    def __init__(self, composition: ServingComposition) -> None:
        self.composition = composition
        self.user_id = new_id("usr")
        self.handler = make_handler(composition)
        self.api = ApiGateway(self.handler, headers=token_for(composition, self.user_id))

    def add(self, *models: str | Trained, **options: Any) -> Registered:
        trained = [TRAINED[item]() if isinstance(item, str) else item for item in models]
        registered = register(self.composition.objects, self.user_id, *trained, **options)
        return self.composition.routes.add(registered)


@pytest.fixture
def platform(redis_server: Redis, redis_client: Any, tmp_path: Path) -> Iterator[Platform]:
    composition = ServingComposition(redis_server.secret, tmp_path / "models")
    yield Platform(composition)
    composition.redis.close()


@pytest.fixture
def records(capsys: pytest.CaptureFixture[str]) -> Any:
    """Reads the log lines since the last call, as objects."""
    import json

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]

    return read
