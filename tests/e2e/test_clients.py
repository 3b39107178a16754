"""Clients of other servers, as their makers publish them, against the deployed local cloud.

They live in an environment of their own (`.clients`, made by `make test`) and run as programs, so that what
they need never meets what the platform needs.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.e2e.conftest import ROOT
from tests.support.account import Account, expect
from tests.support.estimators import dumped, flat_model, flats, forest, iris

CLIENTS = Path(__file__).parent / "clients"
PATIENCE = 240  # seconds for one program: on two busy cores MLflow alone takes ten to import


@dataclass(frozen=True)
class Order:
    """What every program is told."""

    given: dict[str, Any]

    def run(self, program: str) -> dict[str, Any]:
        """What the program found."""
        python = ROOT / ".clients" / "bin" / "python"
        assert python.exists(), "run: make .clients/.stamp"
        environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        done = subprocess.run(
            [python, CLIENTS / program],
            input=json.dumps(self.given),
            env=environment | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def rows() -> np.ndarray:
    return iris()[0][::7]


def frame() -> pd.DataFrame:
    """Strings, integers, floats, and missing floats."""
    some = flats()[flats().city.notna()].head(40)
    assert some["size"].isna().any()
    return some


def gaps() -> pd.DataFrame:
    """Strings of which some are missing as well, and a row that lacks both."""
    some = flats()[flats().city.isna() | flats()["size"].isna()].head(40)
    assert (some.city.isna() & some["size"].isna()).any()
    return some


def sent(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in table[name].tolist()]
        for name in table
    }


@pytest.fixture(scope="module")
def order(account: Callable[[], Account]) -> Order:
    """Two models that answer and one whose only version failed."""
    owner = account()
    created = [owner.upload("iris", dumped(forest())), owner.upload("flats", dumped(flat_model()))]
    broken = owner.upload("broken", dumped(forest())[:-1000])
    for one in created:
        owner.ready(one)
    assert owner.wait(broken)["status"] == "failed"
    key = expect(owner.api.post("/api-keys", json={"name": "clients", "scopes": ["predict"]}), 201)
    columns = sent(frame())
    return Order(
        {
            "url": str(owner.api.base_url).rstrip("/"),
            "key": key["key"],
            "iris_id": created[0]["model_id"],
            "rows": rows().tolist(),
            "frame": columns,
            "gaps": sent(gaps()),
            "swapped": columns | {"rooms": columns["city"], "city": columns["rooms"]},
        }
    )


def labels() -> list[str]:
    return forest().predict(rows()).tolist()


def rents(table: pd.DataFrame | None = None) -> Any:
    asked = frame() if table is None else table
    return pytest.approx(flat_model().predict(asked).tolist(), rel=1e-6)


class TestTriton:
    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, order: Order) -> dict[str, Any]:
        return order.run("triton.py")

    def test_health_and_readiness(self, found: dict[str, Any]) -> None:
        assert (found["live"], found["ready"]) == (True, True)
        assert (found["model_ready"], found["version_ready"]) == (True, True)
        assert (found["missing_ready"], found["stranger_ready"]) == (False, False)
        assert (found["failed_ready"], found["failed_version_ready"]) == (False, False)

    def test_lists_and_metadata(self, found: dict[str, Any]) -> None:
        assert found["server"]["name"] == "modelyard"
        index = {(entry["name"], entry["version"], entry["state"]) for entry in found["index"]}
        assert index == {
            ("iris", "v1", "READY"),
            ("flats", "v1", "READY"),
            ("broken", "v1", "UNAVAILABLE"),
        }
        (tensor,) = found["iris_metadata"]["inputs"]
        assert (tensor["datatype"], tensor["shape"]) == ("FP64", [-1, 4])
        assert [(i["name"], i["datatype"]) for i in found["metadata"]["inputs"]] == [
            ("size", "FP64"),
            ("rooms", "FP64"),
            ("city", "BYTES"),
        ]
        assert [(o["name"], o["datatype"]) for o in found["metadata"]["outputs"]] == [("predict", "FP64")]

    @pytest.mark.parametrize("way", ["binary", "json", "by_id"])
    def test_predictions_equal_scikit_learn(self, found: dict[str, Any], way: str) -> None:
        assert found[way] == labels()

    def test_single_precision_is_what_it_says(self, found: dict[str, Any]) -> None:
        assert found["single"] == forest().predict(rows().astype(np.float32)).tolist()

    def test_probabilities(self, found: dict[str, Any]) -> None:
        np.testing.assert_allclose(found["probabilities"], forest().predict_proba(rows()), atol=1e-5)

    @pytest.mark.parametrize("way", ["frame_binary", "frame_json"])
    def test_mixed_columns_with_missing_values(self, found: dict[str, Any], way: str) -> None:
        assert found[way] == rents()

    @pytest.mark.parametrize(
        ("what", "status", "words"),
        [
            ("bad_shape", "422", "/inputs/0/shape"),
            ("bad_name", "404", "There is no model"),
            ("bad_output", "422", "does not offer"),
            ("too_many", "413", "at most 20000 rows"),
            ("too_large", "413", "larger"),
            ("bad_version", "404", "no ready version"),
            ("bad_type", "422", "expected a number"),
            ("failed", "409", "No version of this model is ready"),
            ("failed_metadata", "503", "No version of this model is ready"),
            ("missing_metadata", "404", "There is no model"),
            ("stranger", "401", "API key"),
            ("wrong_key", "401", "API key"),
            ("stranger_index", "401", "API key"),
        ],
    )
    def test_errors_say_what_was_wrong(
        self, found: dict[str, Any], what: str, status: str, words: str
    ) -> None:
        assert found[what][0] == status
        assert words in found[what][1]


class TestKServe:
    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, order: Order) -> dict[str, Any]:
        return order.run("kserve_rest.py")

    def test_readiness(self, found: dict[str, Any]) -> None:
        assert [found[name] for name in ("v1_ready", "v2_ready", "v2_live", "v2_server_ready")] == [True] * 4
        assert found["v2_missing"] is False
        assert found["v1_missing"][0] == "404"
        assert (found["v1_failed_ready"], found["v2_failed_ready"]) == (False, False)
        assert found["v1_stranger_ready"][0] == "401"
        assert found["v2_stranger_ready"] is False

    @pytest.mark.parametrize("way", ["v1", "v2", "v2_binary"])
    def test_predictions_equal_scikit_learn(self, found: dict[str, Any], way: str) -> None:
        assert found[way] == labels()

    @pytest.mark.parametrize("way", ["v1_frame", "v2_frame"])
    def test_mixed_columns_with_missing_values(self, found: dict[str, Any], way: str) -> None:
        assert found[way] == rents()

    @pytest.mark.parametrize("way", ["v1_gaps", "v2_gaps"])
    def test_missing_strings_and_numbers(self, found: dict[str, Any], way: str) -> None:
        assert found[way] == rents(gaps())

    def test_probabilities(self, found: dict[str, Any]) -> None:
        expected = forest().predict_proba(rows())
        np.testing.assert_allclose(np.reshape(found["v2_probabilities"], expected.shape), expected, atol=1e-5)

    @pytest.mark.parametrize("version", ["v1", "v2"])
    @pytest.mark.parametrize(
        ("what", "status", "words"),
        [
            ("bad", "422", {"v1": "/instances/0", "v2": "/inputs/0/shape"}),
            ("unknown", "404", "There is no model"),
            ("failed", "409", "No version of this model is ready"),
            ("stranger", "401", "API key"),
        ],
    )
    def test_errors_say_what_was_wrong(
        self, found: dict[str, Any], version: str, what: str, status: str, words: str | dict[str, str]
    ) -> None:
        got = found[f"{version}_{what}"]
        assert got[0] == status
        assert (words if isinstance(words, str) else words[version]) in got[1]


class TestScoring:
    @pytest.fixture(scope="class")
    @classmethod
    def found(cls, order: Order) -> dict[str, Any]:
        return order.run("scoring.py")

    @pytest.mark.parametrize("way", ["array", "list", "unnamed"])
    def test_mlflow_predicts_as_scikit_learn(self, found: dict[str, Any], way: str) -> None:
        assert found["mlflow"][way] == labels()
        assert found["mlflow"]["version"] == "v1"

    @pytest.mark.parametrize("way", ["frame", "records"])
    def test_mlflow_on_mixed_columns(self, found: dict[str, Any], way: str) -> None:
        assert found["mlflow"][way] == rents()

    @pytest.mark.parametrize("way", ["gaps", "gaps_as_nan", "gaps_in_records"])
    def test_mlflow_on_missing_strings_and_numbers(self, found: dict[str, Any], way: str) -> None:
        assert found["mlflow"][way] == rents(gaps())

    def test_mlflow_probabilities(self, found: dict[str, Any]) -> None:
        np.testing.assert_allclose(
            found["mlflow"]["probabilities"], forest().predict_proba(rows()), atol=1e-5
        )

    @pytest.mark.parametrize(
        ("what", "status", "words"),
        [
            ("bad", 422, "city"),
            ("bad_width", 422, "expected 4 values"),
            ("missing", 404, ""),
            ("missing_invoke", 404, "RESOURCE_DOES_NOT_EXIST"),
            ("failed", 503, ""),
            ("failed_version", 503, ""),
            ("failed_invoke", 409, "No version of this model is ready"),
            ("stranger", 401, ""),
            ("stranger_invoke", 401, "UNAUTHENTICATED"),
        ],
    )
    def test_mlflow_errors(self, found: dict[str, Any], what: str, status: int, words: str) -> None:
        assert f"error code {status}" in found["mlflow"][what]
        assert words in found["mlflow"][what]

    @pytest.mark.parametrize("way", ["csv", "json"])
    def test_sagemaker_predicts_as_scikit_learn(self, found: dict[str, Any], way: str) -> None:
        assert found["sagemaker"][way] == labels()

    @pytest.mark.parametrize("way", ["frame", "bare_frame"])
    def test_sagemaker_on_mixed_columns(self, found: dict[str, Any], way: str) -> None:
        assert found["sagemaker"][way] == rents()

    @pytest.mark.parametrize("way", ["gaps", "gaps_as_json"])
    def test_sagemaker_on_missing_strings_and_numbers(self, found: dict[str, Any], way: str) -> None:
        assert found["sagemaker"][way] == rents(gaps())

    @pytest.mark.parametrize(
        ("what", "exception", "code", "words"),
        [
            ("bad", "ValidationError", "ValidationError", "expected 4 cells"),
            ("bad_kind", "ValidationError", "ValidationError", "text/csv"),
            ("missing", "ValidationError", "ValidationError", "There is no model"),
            ("failed", "ModelNotReadyException", "ModelNotReadyException", "No version of this model"),
            ("stranger", "ClientError", "AccessDeniedException", "API key"),
        ],
    )
    def test_sagemaker_errors(
        self, found: dict[str, Any], what: str, exception: str, code: str, words: str
    ) -> None:
        got = found["sagemaker"][what]
        assert got[:2] == [exception, code]
        assert words in got[2]
