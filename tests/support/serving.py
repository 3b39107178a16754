"""Trained models with their ONNX form and signature, and a `predict` handler over real Redis and PostgreSQL.

The ONNX files are made here by skl2onnx alone, so that serving is tested without intake.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from modelyard.composition import HotComposition
from modelyard.kit.ids import new_id
from modelyard.kit.resp import Connection
from modelyard.serving.artifacts import ArtifactStore
from modelyard.serving.models import ModelCache
from modelyard.serving.names import ListedModel
from modelyard.serving.route import Route, VersionRoute
from modelyard.serving.runtime import NativeRuntime
from modelyard.serving.signature import Column, OnnxGraph, OnnxInput, OnnxType, Signature

from tests.fakes.objects import FakeObjects
from tests.support.composition import LocalComposition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Trained:
    """A fitted estimator with what registration would have made of it."""

    estimator: Any
    onnx: bytes
    signature: Signature
    rows: list[list[Any]]  # rows of the kind that it was trained on


def convert(estimator: Any, initial_types: Sequence[tuple[str, Any]]) -> bytes:
    from skl2onnx import to_onnx

    classifier = hasattr(estimator, "classes_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skl2onnx and protobuf talk about each other
        model = to_onnx(
            estimator,
            initial_types=list(initial_types),
            options={id(estimator): {"zipmap": False}} if classifier else None,
            target_opset={"": 21, "ai.onnx.ml": 3},
        )
    data: bytes = model.SerializeToString()
    return data


def matrix_model(estimator: Any, *, width: int = 4, classes: int = 2, tensor: OnnxType = "float") -> Trained:
    """`estimator` fitted on random numbers; a classifier of string labels where it has `predict_proba`."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    rng = np.random.default_rng(7)
    # float32 numbers, so that a float graph sees what scikit-learn sees
    x = rng.normal(size=(300, width)).astype(np.float32).astype(np.float64)
    classifier = hasattr(estimator, "predict_proba")
    score = x[:, 0] + 0.5 * x[:, 1]
    y = np.digitize(score, np.linspace(-0.5, 0.5, classes - 1)) if classifier else score
    estimator.fit(x, y)
    kind = {"float": FloatTensorType, "double": DoubleTensorType}[tensor]
    outputs = (
        {"predict": "label", "predict_proba": "probabilities"} if classifier else {"predict": "variable"}
    )
    signature = Signature(
        estimator=type(estimator).__name__,
        task="classifier" if classifier else "regressor",
        layout="matrix",
        columns=[Column(f"x{index}") for index in range(width)],
        outputs=list(outputs),
        classes=estimator.classes_.tolist() if classifier else None,
        runtime="onnx",
        onnx=OnnxGraph([OnnxInput("X", tensor, list(range(width)))], outputs),
    )
    onnx = convert(estimator, [("X", kind([None, width]))])
    return Trained(estimator, onnx, signature, x[:50].tolist())


def logistic(**options: Any) -> Trained:
    from sklearn.linear_model import LogisticRegression

    return matrix_model(LogisticRegression(), **options)


def forest(trees: int = 10, **options: Any) -> Trained:
    from sklearn.ensemble import RandomForestClassifier

    return matrix_model(RandomForestClassifier(trees, random_state=0), **options)


def boosting(**options: Any) -> Trained:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return matrix_model(HistGradientBoostingClassifier(max_iter=50), **options)


def regression(**options: Any) -> Trained:
    from sklearn.linear_model import LinearRegression

    return matrix_model(LinearRegression(), **options)


def mixed() -> Trained:
    """A ColumnTransformer pipeline trained on a DataFrame: numbers scaled, strings one-hot."""
    import pandas as pd
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "price": rng.normal(50, 10, 200),
            "rooms": rng.integers(1, 6, 200),
            "city": rng.choice(["Bern", "Genève", "Zürich"], 200),
        }
    )
    target = np.where(frame["price"] + 5 * frame["rooms"] > 65, "dear", "cheap")
    encode = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["price", "rooms"]),
            ("names", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]
    )
    pipeline = Pipeline([("encode", encode), ("model", LogisticRegression())]).fit(frame, target)
    onnx = convert(
        pipeline,
        [
            ("price", DoubleTensorType([None, 1])),
            ("rooms", Int64TensorType([None, 1])),
            ("city", StringTensorType([None, 1])),
        ],
    )
    signature = Signature(
        estimator="Pipeline",
        task="classifier",
        layout="frame",
        columns=[
            Column("price"),
            Column("rooms", dtype="int64"),
            Column("city", kind="string", dtype="object", categories=["Bern", "Genève", "Zürich"]),
        ],
        named=True,
        outputs=["predict", "predict_proba"],
        classes=["cheap", "dear"],
        runtime="onnx",
        onnx=OnnxGraph(
            [
                OnnxInput("price", "double", [0]),
                OnnxInput("rooms", "int64", [1]),
                OnnxInput("city", "string", [2]),
            ],
            {"predict": "label", "predict_proba": "probabilities"},
        ),
    )
    return Trained(pipeline, onnx, signature, frame[:20].values.tolist())


def ready_version(number: int) -> VersionRoute:
    """A route's version whose files are nowhere."""
    return VersionRoute(
        version_id=f"ver_{number}",
        number=number,
        runtime="onnx",
        artifact_key="a",
        artifact_format="joblib",
        artifact_size=1,
        artifact_sha256="0" * 64,
        metadata_key="m",
        onnx_key="o",
        onnx_sha256="1" * 64,
    )


@dataclass
class Registered:
    """A model of a user, registered as far as serving is concerned."""

    route: Route
    trained: Trained

    @property
    def id(self) -> str:
        return self.route.model_id

    @property
    def path(self) -> str:
        return f"/predict/{self.route.model_id}"


def register(
    objects: FakeObjects,
    user_id: str,
    *models: Trained,
    default: int = 1,
    model_id: str | None = None,
    name: str = "a model",
) -> Registered:
    """Puts the files of versions 1, 2, … in place and makes their route."""
    model_id = model_id or new_id("mdl")
    versions = {}
    for number, trained in enumerate(models, start=1):
        prefix = f"models/{user_id}/{model_id}/v{number}"
        objects.data[f"{prefix}/model.onnx"] = trained.onnx
        objects.data[f"{prefix}/metadata.json"] = json.dumps(trained.signature.to_json()).encode()
        native = trained.signature.runtime == "native"
        versions[number] = VersionRoute(
            version_id=new_id("ver"),
            number=number,
            runtime=trained.signature.runtime,
            artifact_key=f"{prefix}/model.joblib",
            artifact_format="joblib",
            artifact_size=10,
            artifact_sha256="0" * 64,
            metadata_key=f"{prefix}/metadata.json",
            onnx_key=None if native else f"{prefix}/model.onnx",
            onnx_sha256=None if native else hashlib.sha256(trained.onnx).hexdigest(),
        )
    route = Route(model_id, user_id, name, default if models else None, versions)
    return Registered(route, models[0] if models else logistic())


class FakeRoutes:
    """Stands for the route book: what PostgreSQL knows."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Route] = {}
        self.loads = 0
        self.failure: Exception | None = None

    def add(self, registered: Registered) -> Registered:
        self.routes[registered.route.user_id, registered.id] = registered.route
        return registered

    def load(self, user_id: str, model_id: str) -> Route | None:
        self.loads += 1
        if self.failure is not None:
            raise self.failure
        return self.routes.get((user_id, model_id))

    def find(self, user_id: str, name: str) -> str | None:
        self.loads += 1
        if self.failure is not None:
            raise self.failure
        ids = [r.model_id for (owner, _), r in self.routes.items() if owner == user_id and r.name == name]
        return ids[0] if ids else None

    def listing(self, user_id: str) -> list[ListedModel]:
        self.loads += 1
        if self.failure is not None:
            raise self.failure
        return [
            ListedModel(r.model_id, r.name, r.default, dict.fromkeys(r.versions, True))
            for (owner, _), r in self.routes.items()
            if owner == user_id
        ]

    def promote(self, registered: Registered, number: int) -> None:
        registered.route = replace(registered.route, default=number)
        self.add(registered)


class CountingConnection(Connection):
    """Counts what goes over the socket, and can be cut off."""

    away = False

    def reset(self) -> None:
        self.sends = 0
        self.commands: list[str] = []

    def _send_and_read(self, data: bytes, replies: int) -> list[Any]:
        if self.away:
            raise ConnectionRefusedError
        self.sends += 1
        self.commands += [part.split(b"\r\n")[1].decode() for part in data.split(b"\r\n$", 1)[1:]]
        return super()._send_and_read(data, replies)


class ServingComposition(LocalComposition, HotComposition):
    """`HotComposition` over a given Redis, fake objects, fake routes and a fake sandbox (`native_answer`)."""

    def __init__(
        self, redis_settings: Callable[[], Mapping[str, Any]], folder: Path, **collaborators: Any
    ) -> None:
        self._settings, self._folder = redis_settings, folder
        connection = CountingConnection(redis_settings)
        connection.reset()
        super().__init__(**{"redis": connection, "routes": FakeRoutes()} | collaborators)
        self.objects: FakeObjects
        self.__dict__.setdefault("objects", FakeObjects())
        self.native_answer: dict[str, Any] = {}
        self.native_calls: list[tuple[dict[str, Any], str, float]] = []
        self.sandbox: Callable[[dict[str, Any]], dict[str, Any]] | None = None  # instead of `native_answer`
        self.model_cache = ModelCache(ArtifactStore(self.objects.get, folder), self._native_runtime)

    def cold(self) -> ServingComposition:
        """A new environment of the same platform."""
        folder = self._folder.with_name(new_id("tmp"))
        return ServingComposition(self._settings, folder, objects=self.objects, routes=self.routes)

    def count(self) -> CountingConnection:
        """Counts from now on; what was posted is waited for first."""
        self.redis.ping()
        self.redis.reset()
        return self.redis

    @contextmanager
    def redis_away(self) -> Iterator[None]:
        self.redis.away = True
        yield
        self.redis.away = False

    def _native_runtime(self, signature: Signature, version: VersionRoute, tenant: str) -> NativeRuntime:
        def invoke(payload: dict[str, Any], tenant: str, seconds: float) -> dict[str, Any]:
            self.native_calls.append((payload, tenant, seconds))
            return self.native_answer if self.sandbox is None else self.sandbox(payload)

        presign = self.objects.presigned_get
        return NativeRuntime(signature, version, tenant=tenant, presign=presign, invoke=invoke)


def token_for(composition: LocalComposition, user_id: str, **claims: Any) -> dict[str, str]:
    """Headers of a session of this user, who need not be in the database."""
    given = {
        "kind": "access",
        "session_id": new_id("ses"),
        "role": "user",
        "token_id": new_id("tok"),
    } | claims
    token = composition.tokens.sign(user_id=user_id, **given)
    return {"Authorization": f"Bearer {token}"}
