"""A `predict` handler over real Redis, with models that serving itself never trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from modelyard.intake.native import Workers
from modelyard.intake.verdict import Limits
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

ROWS = np.random.default_rng(3).normal(size=(6, 4)).round(3).tolist()
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


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """A sandbox for the module; what it fetches stands in `FILES`."""

    def fetch(url: str, target: Path, **_: Any) -> str:
        target.write_bytes(FILES[url.partition("?")[0]])
        return ""

    workers = Workers(replace(Limits(), memory_bytes=1 << 30), keep_bytes=1 << 31, fetch=fetch)
    yield workers
    workers.close()


FILES: dict[str, bytes] = {}


class Sandboxed:
    """A platform whose sandbox function is the real one."""

    def __init__(self, platform: Platform, workers: Workers, folder: Path) -> None:
        self.platform, self.api, self._folder = platform, platform.api, folder
        platform.composition.sandbox = workers.predict

    def add(self, trained: Trained, *, estimator: Any = None, **options: Any) -> Registered:
        """A ready version with its original file (of another `estimator`, where something is to be wrong)."""
        registered = self.platform.add(trained, **options)
        path = self._folder / "model.joblib"
        joblib.dump(trained.estimator if estimator is None else estimator, path)
        key = registered.route.versions[1].artifact_key
        FILES[f"https://bucket.example.com/{key}"] = path.read_bytes()
        return registered

    def ask(self, registered: Registered, query: str, rows: Any = None) -> Any:
        return self.api.post(f"{registered.path}{query}", json={"inputs": ROWS if rows is None else rows})

    def explain(self, registered: Registered, rows: Any = None, query: str = "", **options: Any) -> Any:
        body = {"inputs": ROWS if rows is None else rows}
        return self.api.post(f"{registered.path}?explain=true{query}", json=body, **options)


@pytest.fixture
def sandboxed(platform: Platform, workers: Workers, tmp_path: Path) -> Sandboxed:
    return Sandboxed(platform, workers, tmp_path)
