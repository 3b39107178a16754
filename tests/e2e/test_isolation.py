"""Two users: each sees only what is theirs, and a foreign id answers as a missing one does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.conftest import Cloud, Served
from tests.support.account import Account, expect

ROW = {"inputs": [[5.1, 3.5, 1.4, 0.2]]}


@dataclass(frozen=True)
class Two:
    """The stranger, and ids that belong to the owner."""

    stranger: Account
    model_id: str
    job_id: str


@pytest.fixture(scope="module")
def two(iris_model: Served, account: Callable[[], Account]) -> Two:
    job = expect(iris_model.owner.api.post(f"/predict/batch/{iris_model.model_id}", json=ROW), 202)
    iris_model.owner.poll(job["status_url"], lambda job: job["status"] == "succeeded", seconds=120)
    return Two(account(), iris_model.model_id, job["job_id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models/{model}"),
        ("GET", "/models/{model}/versions"),
        ("GET", "/models/{model}/versions/v1"),
        ("POST", "/predict/{model}"),
        ("POST", "/predict/batch/{model}"),
        ("GET", "/jobs/{job}"),
        ("GET", "/jobs/{job}/results"),
    ],
)
def test_foreign_and_missing_answer_alike(two: Two, method: str, path: str):
    def ask(model: str, job: str) -> httpx.Response:
        body = ROW if method == "POST" else None
        return two.stranger.api.request(method, path.format(model=model, job=job), json=body)

    foreign = ask(two.model_id, two.job_id)
    missing = ask("mdl_" + "0" * 26, "job_" + "0" * 26)

    assert (foreign.status_code, missing.status_code) == (404, 404)
    same = {"type", "title", "status", "detail", "code"}
    assert {k: foreign.json()[k] for k in same} == {k: missing.json()[k] for k in same}


def test_lists_hold_only_what_is_theirs(two: Two):
    for path in ("/models", "/jobs"):
        assert expect(two.stranger.api.get(path), 200)["items"] == []


def test_a_cached_answer_of_another_user_is_not_found(iris_model: Served, two: Two):
    assert iris_model.owner.predict(two.model_id, ROW).status_code == 200
    assert iris_model.owner.predict(two.model_id, ROW).headers["x-cache"] == "HIT"

    assert two.stranger.predict(two.model_id, ROW).status_code == 404


def test_the_same_name_means_another_model_for_each(two: Two, iris_model: Served):
    created = two.stranger.announce("iris", "model.joblib", 10)

    assert created["model_id"] != iris_model.model_id
    assert created["version"] == "v1"


def test_a_file_dropped_for_another_user_cannot_be_placed_through_the_form(two: Two, cloud: Cloud):
    """The form names one key exactly: replacing it breaks the signature or the policy."""
    created = two.stranger.announce("theirs", "model.joblib", 4)
    form = created["upload"]
    fields = {**form["fields"], "key": f"uploads/usr_{'0' * 26}/iris/model.joblib"}

    sent = httpx.post(form["url"], data=fields, files={"file": b"evil"}, timeout=30, trust_env=False)

    assert sent.status_code in (400, 403)
