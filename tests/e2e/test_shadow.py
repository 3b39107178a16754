"""A shadow on the deployed cloud: callers get the champion's answers alone, the report says where the two
differ as scikit-learn does, and a shadow that fails is nobody's trouble.
"""

from __future__ import annotations

import json
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from modelyard.serving.routing import KEEP_SECONDS

from tests.e2e.conftest import Cloud
from tests.support.account import Account, expect
from tests.support.estimators import dumped, flat_model, flats, forest, iris

SEEN_WITHIN = KEEP_SECONDS + 0.5  # by requests
REPORTED_WITHIN = 90.0  # seconds; a first start of the worker, on busy cores, is most of it
QUOTA = {"requests_per_minute": 100_000}


def tree() -> Any:
    """A shallow tree, which takes some irises for others."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=1, random_state=0).fit(*iris())


def spline() -> Any:
    """A model without a compiled form that raises on what lies beyond its training."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    x, y = iris()
    wide = np.vstack([x, np.full((1, 4), -100.0), np.full((1, 4), 100.0)])
    estimator = make_pipeline(
        SplineTransformer(n_knots=3, extrapolation="error"), LogisticRegression(max_iter=1000)
    )
    return estimator.fit(wide, [*y, y[0], y[-1]])


def rents() -> Any:
    """What a flat costs, said otherwise: by its neighbours."""
    from sklearn.base import clone
    from sklearn.tree import DecisionTreeRegressor

    model = clone(flat_model()).set_params(model=DecisionTreeRegressor(max_depth=3, random_state=0))
    rng = np.random.default_rng(12)
    return model.fit(flats(), 20 * flats()["size"].fillna(60.0) + 100 * flats().rooms + rng.normal(0, 5, 300))


@dataclass(frozen=True)
class Model:
    owner: Account
    model_id: str

    def shadow(self, version: str, **more: Any) -> None:
        """Sets the shadow, and waits until all requests know."""
        body = {"version": version, "reason": "Is it better?"} | more
        expect(self.owner.api.put(f"/models/{self.model_id}/shadow", json=body), 200)
        time.sleep(SEEN_WITHIN)

    def report(self, requests: int) -> dict[str, Any]:
        """The report, once so many requests are in it, compared or failed."""
        begun = time.monotonic()
        found = self.owner.poll(
            f"/models/{self.model_id}/shadow",
            lambda body: body["report"]["requests"] + body["report"]["failed_requests"] >= requests,
            seconds=REPORTED_WITHIN,
        )
        report: dict[str, Any] = found["report"]
        print(f"{requests} requests reported {time.monotonic() - begun:.1f} s after the last")
        assert report["requests"] + report["failed_requests"] == requests
        assert report["pending"] == 0
        return report

    def compared(self, **query: str) -> list[dict[str, Any]]:
        """All the requests behind the report, page by page."""
        items: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = expect(
                self.owner.api.get(
                    f"/models/{self.model_id}/shadow/predictions",
                    params=query | {"limit": "40"} | ({"cursor": cursor} if cursor else {}),
                ),
                200,
            )
            items += page["items"]
            cursor = page["next_cursor"]
        return items


@pytest.fixture(scope="module")
def make(account: Callable[[], Account], administrator: Account) -> Callable[..., Model]:
    def make(name: str, *estimators: Any) -> Model:
        owner = account()
        expect(administrator.api.patch(f"/users/{owner.user_id}", json=QUOTA), 200)
        for estimator in estimators:
            created = owner.upload(name, dumped(estimator))
            owner.ready(created)
        return Model(owner, created["model_id"])

    return make


@pytest.fixture(scope="module")
def model(make: Callable[..., Model]) -> Model:
    """v1 is the champion; v2 answers otherwise, v3 fails on some rows."""
    return make("iris-shadow", forest(), tree(), spline())


def some_rows(count: int, seed: int) -> np.ndarray:
    """Rows like irises, no two equal, each exact in 32 bits."""
    x, _ = iris()
    rng = np.random.default_rng(seed)
    rows = x[rng.integers(0, len(x), count)] + rng.normal(0, 0.3, (count, 4))
    return np.maximum(np.round(rows * 1024) / 1024, 0.0)


# How each form is sent, and where its answer has the predictions.


def _plain(model: Model, body: dict[str, Any]) -> tuple[httpx.Response, Callable[[Any], list[Any]]]:
    return model.owner.predict(model.model_id, body), lambda answer: answer["predictions"]


def rows_form(model: Model, rows: np.ndarray) -> Any:
    return _plain(model, {"inputs": rows.tolist()})


def columns_form(model: Model, rows: np.ndarray) -> Any:
    return _plain(model, {"inputs": {f"x{index}": rows[:, index].tolist() for index in range(4)}})


def records_form(model: Model, rows: np.ndarray) -> Any:
    return _plain(
        model, {"records": [{f"x{i}": value for i, value in enumerate(row)} for row in rows.tolist()]}
    )


def split_form(model: Model, rows: np.ndarray) -> Any:
    table = {"columns": ["x3", "x1", "x2", "x0"], "data": rows[:, [3, 1, 2, 0]].tolist()}
    return _plain(model, {"dataframe_split": table})


def v2_json(model: Model, rows: np.ndarray) -> Any:
    tensor = {"name": "input", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}
    answer = model.owner.api.post(f"/v2/models/{model.model_id}/infer", json={"inputs": [tensor]})
    return answer, lambda body: body["outputs"][0]["data"]


def v2_binary(model: Model, rows: np.ndarray) -> Any:
    data = struct.pack(f"<{rows.size}f", *rows.ravel())
    tensor = {"name": "input", "shape": list(rows.shape), "datatype": "FP32"}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(data)}}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    path = f"/v2/models/{model.model_id}/infer"
    answer = model.owner.api.post(path, content=head + data, headers=headers)
    return answer, lambda body: body["outputs"][0]["data"]


def v1(model: Model, rows: np.ndarray) -> Any:
    answer = model.owner.api.post(f"/v1/models/{model.model_id}:predict", json={"instances": rows.tolist()})
    return answer, lambda body: body["predictions"]


def mlflow_csv(model: Model, rows: np.ndarray) -> Any:
    text = pd.DataFrame(rows, columns=["x0", "x1", "x2", "x3"]).to_csv(index=False)
    path, headers = f"/models/{model.model_id}/invocations", {"Content-Type": "text/csv"}
    return model.owner.api.post(path, content=text, headers=headers), lambda body: body["predictions"]


FORMS = [rows_form, columns_form, records_form, split_form, v2_json, v2_binary, v1, mlflow_csv]


def test_the_report_says_where_the_two_differ_and_callers_never_notice(model: Model, cloud: Cloud):
    model.shadow("v2")
    each = 16  # requests in every form, of 1 to 3 rows
    rows = some_rows(len(FORMS) * each * 2, seed=1)
    ours, theirs = forest().predict(rows), tree().predict(rows)
    sent, first = [], 0
    for number in range(len(FORMS) * each):
        end = first + 1 + number % 3
        answer, predictions = FORMS[number % len(FORMS)](model, rows[first:end])
        assert predictions(expect(answer, 200)) == ours[first:end].tolist()
        assert answer.headers["x-model-version"] == "v1"
        sent.append((answer.headers["x-prediction-id"], slice(first, end)))
        first = end
    asked = slice(0, first)

    report = model.report(len(sent))

    differing = int((ours[asked] != theirs[asked]).sum())
    assert 0 < differing < first
    assert (report["rows"], report["differing"], report["failed_requests"]) == (first, differing, 0)
    assert report["agreeing"] == first - differing
    assert report["rate"] == pytest.approx(differing / first)
    pairs = Counter((a, b) for a, b in zip(ours[asked], theirs[asked], strict=True) if a != b)
    assert {(pair["answered"], pair["shadow"]): pair["rows"] for pair in report["pairs"]} == pairs
    print(f"{len(sent)} requests, {first} rows: {report}")

    found = {item["prediction_id"]: item for item in model.compared(differing="true")}
    assert found.keys() == {one for one, part in sent if (ours[part] != theirs[part]).any()}
    for one, part in sent:
        if one in found:
            assert found[one]["differing"] == int((ours[part] != theirs[part]).sum())
            assert found[one]["answer"]["predictions"] == ours[part].tolist()
            assert found[one]["shadow_answer"]["predictions"] == theirs[part].tolist()
    assert len(model.compared()) == len(sent)
    assert cloud.cache.keys(f"*shadow:{model.model_id}") == []  # no input stays
    recorded = "select count(*) from predictions where model_id = %s and model_version <> 'v1'"
    assert cloud.rows(recorded, model.model_id) == [(0,)]


def test_a_shadow_that_fails_is_a_line_in_the_report(model: Model):
    model.shadow("v3")
    fine, beyond = some_rows(12, seed=2), 1000.0 + some_rows(12, seed=3)
    for rows, expected in ((fine, forest().predict(fine)), (beyond, forest().predict(beyond))):
        for row, label in zip(rows, expected, strict=True):
            answer = expect(model.owner.predict(model.model_id, {"inputs": [row.tolist()]}), 200)
            assert (answer["predictions"], answer["model_version"]) == ([label], "v1")

    report = model.report(24)

    assert report["failures"] == [{"code": "model_error", "requests": 12}]
    assert (report["requests"], report["rows"]) == (12, 12)
    assert report["differing"] == int((forest().predict(fine) != spline().predict(fine)).sum())
    assert model.owner.predict(model.model_id, {"inputs": fine.tolist()}).status_code == 200


def test_numbers_strings_and_missing_values_are_measured(make: Callable[..., Model]):
    estimators = flat_model(), rents()
    here = make("flats-shadow", *estimators)
    here.shadow("v2", tolerance=0.01)
    frame = flats()[flats().city.notna()].head(60)
    assert frame["size"].isna().any()
    ours, theirs = (estimator.predict(frame) for estimator in estimators)
    records = json.loads(frame.to_json(orient="records"))
    for first in range(0, 60, 3):
        answer = expect(here.owner.predict(here.model_id, {"records": records[first : first + 3]}), 200)
        assert answer["predictions"] == pytest.approx(ours[first : first + 3].tolist(), rel=1e-6)

    report = here.report(20)

    apart = np.abs(ours - theirs)
    differing = int((apart > 0.01 * np.maximum(1.0, np.maximum(np.abs(ours), np.abs(theirs)))).sum())
    assert (report["rows"], report["differing"]) == (60, differing)
    assert report["difference"]["mean"] == pytest.approx(apart.mean(), rel=1e-5)
    assert report["difference"]["largest"] == pytest.approx(apart.max(), rel=1e-5)
    assert report["pairs"] == []
    assert report["milliseconds"]["answered"] > 0
    assert report["milliseconds"]["shadow"] > 0


def test_a_shadow_that_is_promoted_answers_and_is_asked_no_more(model: Model):
    model.shadow("v2")
    expect(model.owner.api.put(f"/models/{model.model_id}/aliases/champion", json={"version": "v2"}), 200)
    time.sleep(SEEN_WITHIN)
    rows = some_rows(5, seed=4)

    answer = expect(model.owner.predict(model.model_id, {"inputs": rows.tolist()}), 200)

    assert (answer["predictions"], answer["model_version"]) == (tree().predict(rows).tolist(), "v2")
    shown = expect(model.owner.api.get(f"/models/{model.model_id}/shadow"), 200)
    assert (shown["version"], shown["report"]) == (None, None)
    history = expect(model.owner.api.get(f"/models/{model.model_id}/promotions"), 200)["items"]
    assert [entry["action"] for entry in history[:3]] == ["unshadowed", "promoted", "shadowed"]
