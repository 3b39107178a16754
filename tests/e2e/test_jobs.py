"""Many rows at once: submitted, worked through a queue, read back in order."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Served
from tests.support.account import expect
from tests.support.estimators import people

DONE = ("succeeded", "failed", "cancelled")


def _results(served: Served, job_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        parameters = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
        page = expect(served.owner.api.get(f"/jobs/{job_id}/results", params=parameters), 200)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_a_thousand_rows_equal_scikit_learn(people_model: Served):
    frame = people().sample(1000, replace=True, random_state=1)
    records = frame.to_dict("records")

    answer = people_model.owner.api.post(f"/predict/batch/{people_model.model_id}", json={"records": records})
    submitted = expect(answer, 202)
    job = people_model.owner.poll(submitted["status_url"], lambda job: job["status"] in DONE, seconds=120)

    assert answer.headers["location"].endswith(f"/api/jobs/{submitted['job_id']}")
    assert (job["status"], job["total_rows"], job["failed_rows"]) == ("succeeded", 1000, 0)
    assert job["progress"] == 1.0
    items = _results(people_model, job["job_id"])
    assert [item["row"] for item in items] == list(range(1000))
    assert [item["prediction"] for item in items] == people_model.estimator.predict(frame).tolist()


def test_the_download_link_works_without_a_token(people_model: Served):
    frame = people().head(5)
    body = {"records": frame.to_dict("records")}

    submitted = expect(people_model.owner.api.post(f"/predict/batch/{people_model.model_id}", json=body), 202)
    job = people_model.owner.poll(submitted["status_url"], lambda job: job["status"] in DONE, seconds=120)
    download = httpx.get(job["results"]["download_url"], timeout=30, trust_env=False)

    assert download.status_code == 200
    assert len(download.text.splitlines()) == 5


def test_a_bad_row_fails_alone(people_model: Served):
    records = people().head(4).to_dict("records")
    records[2] = {**records[2], "age": "old"}

    answer = people_model.owner.api.post(f"/predict/batch/{people_model.model_id}", json={"records": records})
    submitted = expect(answer, 202)
    job = people_model.owner.poll(submitted["status_url"], lambda job: job["status"] in DONE, seconds=120)

    assert (job["status"], job["failed_rows"]) == ("succeeded", 1)
    items = _results(people_model, job["job_id"])
    assert [bool(item.get("error")) for item in items] == [False, False, True, False]


@pytest.mark.parametrize("body", [{}, {"records": [], "inputs": []}, {"rows": [[1]]}])
def test_a_job_without_rows_is_refused(people_model: Served, body: dict[str, Any]):
    answer = people_model.owner.api.post(f"/predict/batch/{people_model.model_id}", json=body)

    assert answer.status_code == 422
