"""Ratios of one run, and what a cold start may import. Absolute times are `python -m tests.benchmarks`'s."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.measure import MODELS, Warm, rows, warm
from tests.benchmarks.runtime_api import ROOT, Function
from tests.benchmarks.scenario import HANDLERS, Scenario, scenario

TOO_HEAVY = (
    "sklearn", "scipy", "pandas", "joblib", "onnx", "sqlalchemy", "psycopg", "boto3", "botocore", "fastapi",
    "starlette", "pydantic", "mangum", "redis", "jwt", "aws_lambda_powertools", "asyncio",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with scenario(tmp_path_factory.mktemp("benchmark")) as found:
        yield found


@pytest.fixture(scope="module")
def forest(place: Scenario) -> Warm:
    return warm(place, "RandomForest(100)", MODELS["RandomForest(100)"](), calls=150)


def test_answers_equal_scikit_learns(forest: Warm) -> None:
    assert forest.predictions_equal


def test_a_forest_is_answered_many_times_faster_than_by_fastapi_and_joblib(forest: Warm) -> None:
    """With everything switched on against nothing; the quickest tenth, since the machine may be busy."""
    assert forest.plain.p10 / forest.uncached.p10 >= 6


def test_a_forest_is_answered_faster_than_scikit_learn_alone_predicts(forest: Warm) -> None:
    assert forest.sklearn.p10 / (forest.uncached.p10 - forest.empty.p10) >= 4


def test_a_cached_answer_costs_no_more_than_an_uncached_one(forest: Warm) -> None:
    assert forest.cached.p10 <= forest.uncached.p10 * 1.25


def test_memory_stays_below_the_target_and_below_the_peers(forest: Warm) -> None:
    assert forest.memory <= 120
    assert forest.memory < forest.plain_memory / 1.5


def test_nothing_heavy_is_imported_before_the_first_answer(place: Scenario) -> None:
    trained = MODELS["LogisticRegression"]()
    event = place.event(place.add(trained), rows(1))
    ours = place.predict(BENCHMARK_HANDLER=str(ROOT / "functions/predict/handler.py"))
    with Function("modules.handler", path=HANDLERS, environment=ours.environment) as function:
        answer, _ = function.call(event)
    assert answer["statusCode"] == 200
    loaded = set(answer["headers"]["x-modules"].split())
    assert "onnxruntime" in loaded
    assert loaded.isdisjoint(TOO_HEAVY), sorted(loaded & set(TOO_HEAVY))


def test_the_page_is_written_between_its_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tests.benchmarks import __main__ as page

    target = tmp_path / "PERFORMANCE.md"
    target.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    monkeypatch.setattr(page, "PAGE", target)
    page.write("| new |")
    assert target.read_text() == f"before\n{page.BEGIN}\n| new |\n{page.END}\nafter\n"
