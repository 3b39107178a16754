"""A job from its submission to its results, as its owner sees it."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from tests.support.serving import forest, logistic, mixed, regression


@pytest.fixture(scope="module")
def trained():
    return forest(trees=5)


def truth(trained, rows):
    return trained.estimator.predict(np.array(rows)).tolist()


def test_rows_in_the_body_are_predicted_in_chunks(api, user, trained, model_of, deliver, cloud, records):
    model, rows = model_of(user, trained), trained.rows[:23]

    submitted = api.post(f"/predict/batch/{model}", json={"inputs": rows})

    assert submitted.status == 202, submitted.text
    body = submitted.json()
    assert (body["status"], body["total_rows"], body["progress"]) == ("queued", 23, 0.0)
    assert submitted.headers["location"] == body["status_url"]
    assert submitted.headers["location"].endswith(f"/api/jobs/{body['job_id']}")
    assert submitted.headers["retry-after"] == "1"

    assert deliver() == []
    job = api.get(f"/jobs/{body['job_id']}").json()
    assert (job["status"], job["progress"], job["done_rows"], job["failed_rows"]) == ("succeeded", 1.0, 23, 0)
    assert [item["prediction"] for item in job["results"]["items"]] == truth(trained, rows)
    assert [item["row"] for item in job["results"]["items"]] == list(range(23))
    lines = [json.loads(line) for line in records]
    assert sorted(line["rows"] for line in lines) == [3, 10, 10]
    assert {line["request_id"] for line in lines} == {body["job_id"]}


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: {"inputs": {f"x{i}": [row[i] for row in rows] for i in range(4)}},
        lambda rows: {"records": [{f"x{i}": row[i] for i in range(4)} for row in rows]},
        lambda rows: {
            "dataframe_split": {"columns": ["x3", "x2", "x1", "x0"], "data": [r[::-1] for r in rows]}
        },
        lambda rows: {"dataframe_split": {"columns": [0, 1, 2, 3], "data": rows}},
    ],
)
def test_every_form_of_the_wire(api, user, trained, model_of, deliver, form):
    rows = trained.rows[:12]

    job = api.post(f"/predict/batch/{model_of(user, trained)}?version=v1", json=form(rows)).json()["job_id"]
    deliver()

    items = api.get(f"/jobs/{job}/results").json()["items"]
    assert [item["prediction"] for item in items] == truth(trained, rows)


def test_probabilities_on_request(api, user, trained, model_of, deliver):
    rows = trained.rows[:12]
    body = {"inputs": rows, "output": {"outputs": ["predict", "predict_proba"], "format": "csv"}}

    job = api.post(f"/predict/batch/{model_of(user, trained)}", json=body).json()["job_id"]
    deliver()

    items = api.get(f"/jobs/{job}/results").json()["items"]
    expected = trained.estimator.predict_proba(np.array(rows))
    assert np.allclose([item["probabilities"] for item in items], expected, atol=1e-6)
    assert list(items[0]) == ["row", "prediction", "probabilities"]


def test_a_bad_row_fails_alone(api, user, trained, model_of, deliver):
    rows = [*trained.rows[:2], ["a", 1, 2, 3], [1, 2], *trained.rows[2:15], None]

    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": rows}).json()["job_id"]
    deliver()

    found = api.get(f"/jobs/{job}").json()
    assert (found["status"], found["done_rows"], found["failed_rows"]) == ("succeeded", 18, 3)
    items = found["results"]["items"]
    good = [item["prediction"] for item in items if "error" not in item or item["error"] is None]
    assert good == truth(trained, trained.rows[:15])
    assert items[2]["error"] == {"pointer": "/0", "detail": "expected a number, got a string"}
    assert "expected 4 values" in items[3]["error"]["detail"]
    assert items[17]["prediction"] is None


def upload(api, cloud, content: bytes) -> str:
    """Uploads through the form that the API offers; moto takes the POST as a put."""
    offer = api.post("/jobs/inputs")
    assert offer.status == 201, offer.text
    body = offer.json()
    assert body["fields"]["key"] == body["key"]
    assert {"policy", "x-amz-signature"} <= set(body["fields"])
    cloud.put(body["key"], content)
    return body["upload"]


def as_csv(rows, header=None, delimiter=","):
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerows(([header] if header else []) + rows)
    return buffer.getvalue().encode()


def test_a_csv_file_in_and_a_csv_file_out(api, user, trained, model_of, deliver, cloud):
    rows = trained.rows[:33]
    reference = upload(api, cloud, as_csv(rows, ["x0", "x1", "x2", "x3"]))

    submitted = api.post(f"/predict/batch/{model_of(user, trained)}", json={"input": {"upload": reference}})
    assert submitted.status == 202, submitted.text
    assert submitted.json()["total_rows"] is None
    deliver()

    job = api.get(f"/jobs/{submitted.json()['job_id']}").json()
    assert (job["status"], job["total_rows"]) == ("succeeded", 33)
    assert job["results"]["items"] is None  # too many for SMALL
    assert job["results"]["format"] == "csv"
    table = list(csv.reader(io.StringIO(cloud.read(f"jobs/{user.id}/{job['job_id']}/results.csv").decode())))
    assert table[0] == ["row", "prediction", "error"]
    assert [row[0] for row in table[1:]] == [str(number) for number in range(33)]
    assert [int(row[1]) for row in table[1:]] == truth(trained, rows)
    assert job["job_id"] in job["results"]["download_url"]


def test_a_csv_file_with_other_columns_quotes_and_bad_rows(api, user, model_of, deliver, cloud):
    trained = mixed()
    lines = ["id,city,rooms,price"]
    for number, (price, rooms, city) in enumerate(trained.rows[:15]):
        lines.append(f'"row, {number}",{city},{rooms},{price!r}')
    lines[5] = '"a ""quoted""\nname",Bern,many,50.0'
    lines[9] = "short,Bern"
    reference = upload(api, cloud, ("\r\n".join(lines) + "\r\n").encode())

    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"input": {"upload": reference}}).json()
    deliver()

    page = api.get(f"/jobs/{job['job_id']}/results").json()
    import pandas as pd

    expected = trained.estimator.predict(
        pd.DataFrame(trained.rows[:15], columns=["price", "rooms", "city"]).astype(
            {"price": float, "rooms": int}
        )
    ).tolist()
    assert len(page["items"]) == 15
    for number, item in enumerate(page["items"]):
        if number not in (4, 8):
            assert item["prediction"] == expected[number]
    assert page["items"][4]["error"] == {"pointer": "/rooms", "detail": "expected a number, got a string"}
    assert "expected 4 fields" in page["items"][8]["error"]["detail"]


def test_a_json_lines_file(api, user, trained, model_of, deliver, cloud):
    rows = trained.rows[:12]
    lines = [json.dumps(row) for row in rows]
    lines[3] = '{"x0": 1'
    reference = upload(api, cloud, "\n\n".join(lines).encode())

    job = api.post(
        f"/predict/batch/{model_of(user, trained)}",
        json={"input": {"upload": reference}, "output": {"format": "json"}},
    ).json()["job_id"]
    deliver()

    results = json.loads(cloud.read(f"jobs/{user.id}/{job}/results.json"))
    assert results == api.get(f"/jobs/{job}/results").json()["items"]
    assert "valid JSON" in results[3]["error"]["detail"]
    assert results[4]["prediction"] == truth(trained, rows)[4]


def test_results_come_by_page(api, user, trained, model_of, deliver, stranger, gateway):
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[:23]}).json()[
        "job_id"
    ]
    deliver()

    seen, url = [], f"/jobs/{job}/results?limit=9"
    while url:
        page = api.get(url)
        seen += [item["row"] for item in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        assert (cursor is None) == ("link" not in page.headers)
        url = f"/jobs/{job}/results?limit=9&cursor={cursor}" if cursor else None
    assert seen == list(range(23))
    assert api.get(f"/jobs/{job}/results?cursor=AAAA").status == 422


def test_jobs_are_listed_newest_first_and_by_status(api, user, trained, model_of, deliver):
    model = model_of(user, trained)
    jobs = []
    for _ in range(3):
        jobs.append(api.post(f"/predict/batch/{model}", json={"inputs": trained.rows[:1]}).json()["job_id"])
    api.post(f"/jobs/{jobs[0]}/cancel")

    first = api.get("/jobs?limit=2").json()
    rest = api.get(f"/jobs?limit=2&cursor={first['next_cursor']}").json()

    assert {j["job_id"] for j in first["items"] + rest["items"]} == set(jobs)
    assert rest["next_cursor"] is None
    cancelled = api.get(f"/jobs?status=cancelled&model_id={model}").json()["items"]
    assert [j["job_id"] for j in cancelled] == [jobs[0]]


def test_a_cancelled_job_does_no_more_work(api, user, trained, model_of, deliver, cloud):
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[:23]}).json()[
        "job_id"
    ]

    cancelled = api.post(f"/jobs/{job}/cancel")
    assert (cancelled.status, cancelled.json()["status"]) == (200, "cancelled")
    assert deliver() == []

    assert api.get(f"/jobs/{job}").json()["done_rows"] == 0
    assert api.post(f"/jobs/{job}/cancel").status == 200
    assert api.get(f"/jobs/{job}/results").json()["code"] == "results_gone"
    assert not [key for key in cloud.keys(f"jobs/{user.id}/{job}/") if "chunks" in key]


def test_a_regressor(api, user, model_of, deliver):
    trained = regression()
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[:5]}).json()[
        "job_id"
    ]
    deliver()

    items = api.get(f"/jobs/{job}").json()["results"]["items"]
    assert np.allclose([i["prediction"] for i in items], truth(trained, trained.rows[:5]), atol=1e-4)


def test_one_row_without_a_bracket(api, user, model_of, deliver):
    trained = logistic()
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[0]}).json()[
        "job_id"
    ]
    deliver()

    assert api.get(f"/jobs/{job}").json()["done_rows"] == 1
