"""A model that is honest until a certain row comes: its sender is told so, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.conftest import Served
from tests.support.account import Account, expect
from tests.support.estimators import dumped, iris

BACKTRACKS = r"(?u)\b(?:a|aa)+b|\w\w+"  # for ever on a long run of "a", never on ordinary words


def test_a_prediction_that_never_returns_costs_one_request(
    iris_model: Served, account: Callable[[], Account]
):
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = (
        ["good words", "fine words", "bad deeds", "poor deeds"] * 5,
        ["up", "up", "down", "down"] * 5,
    )
    model = make_pipeline(HashingVectorizer(n_features=64, token_pattern=BACKTRACKS), LogisticRegression())
    owner = account()
    created = owner.upload("backtracks", dumped(model.fit(texts, labels)))
    assert owner.ready(created)["runtime"] == "native"
    rows = iris()[0][:2].tolist()

    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(owner.predict, created["model_id"], {"inputs": ["a" * 60]})
        others = [iris_model.owner.predict(iris_model.model_id, {"inputs": rows}) for _ in range(3)]
        answer = stuck.result(timeout=60)

    assert [other.status_code for other in others] == [200, 200, 200]
    assert answer.status_code == 504
    assert answer.json()["code"] == "prediction_timeout"
    assert "batch" in answer.json()["detail"]
    again = expect(owner.predict(created["model_id"], {"inputs": ["good words"]}), 200)
    assert again["predictions"] == model.predict(["good words"]).tolist()


def test_an_answer_that_outgrows_a_request_is_refused_in_words(account: Callable[[], Account]):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    model = make_pipeline(StandardScaler(), PolynomialFeatures(degree=10)).fit(iris()[0])
    owner = account()
    created = owner.upload("grows", dumped(model))
    owner.ready(created)
    row = [5.1, 3.5, 1.4, 0.2]

    answer = owner.predict(created["model_id"], {"inputs": [row] * 20_000})

    assert answer.status_code in (413, 504), answer.text  # too large, or too slow on this machine
    assert "Send fewer rows" in answer.json()["detail"]
    small = expect(owner.predict(created["model_id"], {"inputs": [row]}), 200)
    assert len(small["predictions"][0]) == 1001
