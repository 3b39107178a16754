"""Who may do what with jobs, and what is told to those who ask wrongly: 401, 403, 404, 422, valid, away."""

from __future__ import annotations

import pytest
from modelyard.kit.ids import new_id
from sqlalchemy import create_engine

from tests.support.serving import forest, logistic, mixed

ROUTES = [
    ("POST", "/predict/batch/{model}"),
    ("POST", "/jobs/inputs"),
    ("GET", "/jobs"),
    ("GET", "/jobs/{job}"),
    ("GET", "/jobs/{job}/results"),
    ("POST", "/jobs/{job}/cancel"),
]


@pytest.fixture(scope="module")
def trained():
    return logistic()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_gets_in_without_a_token(gateway, method, path):
    answer = gateway.request(method, path.format(model=new_id("mdl"), job=new_id("job")), json={})

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), ROUTES[3:])
def test_a_job_of_somebody_else_does_not_exist(api, gateway, user, stranger, trained, model_of, method, path):
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[:1]}).json()[
        "job_id"
    ]
    other = gateway.with_headers(stranger.headers)

    foreign = other.request(method, path.format(job=job))
    missing = other.request(method, path.format(job=new_id("job")))

    assert (foreign.status, foreign.json()["code"]) == (404, "job_not_found")
    assert missing.json()["detail"] == foreign.json()["detail"]
    assert other.get("/jobs").json()["items"] == []
    assert api.get(f"/jobs/{job}").json()["status"] == "queued"


def test_a_model_of_somebody_else_does_not_exist(api, stranger, trained, model_of):
    answer = api.post(f"/predict/batch/{model_of(stranger, trained)}", json={"inputs": trained.rows[:1]})

    assert (answer.status, answer.json()["code"]) == (404, "model_not_found")


def test_an_input_of_somebody_else_does_not_exist(api, gateway, stranger, user, trained, model_of, cloud):
    offer = gateway.with_headers(stranger.headers).post("/jobs/inputs").json()
    cloud.put(offer["key"], b"1,2,3,4\n")
    model = model_of(user, trained)

    for reference in ({"upload": offer["upload"]}, {"key": offer["key"]}, {"key": "models/x"}, {}):
        answer = api.post(f"/predict/batch/{model}", json={"input": reference})
        assert (answer.status, answer.json()["code"]) == (404, "input_not_found"), reference


@pytest.mark.parametrize("job", ["x", "job_", "mdl_01m891fjacx1adq5ac8mjpsdxp", "job_%00", "%27;--"])
def test_what_is_no_id_is_not_found(api, job):
    assert api.get(f"/jobs/{job}").status == 404


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, ""),
        ({"inputs": [[1, 2, 3, 4]], "records": []}, 422, ""),
        ({"inputs": []}, 422, "/inputs"),
        ({"records": []}, 422, "/records"),
        ({"inputs": {"x0": [1]}}, 422, "/inputs"),
        ({"inputs": {"x0": [1], "x1": [1], "x2": [1, 2], "x3": [1]}}, 422, "/inputs"),
        ({"inputs": {"x0": 1, "x1": [1], "x2": [1], "x3": [1]}}, 422, "/inputs"),
        ({"inputs": {"x0": [1], "x1": [1], "x2": [1], "x3": [1], "x4": [1]}}, 422, "/inputs"),
        ({"dataframe_split": {"data": [[1]]}}, 422, "/dataframe_split/columns"),
        (
            {"dataframe_split": {"columns": ["x0", "x0", "x2", "x3"], "data": [[1]]}},
            422,
            "/dataframe_split/columns",
        ),
        ({"dataframe_split": {"columns": ["x0"], "data": [[1]]}}, 422, "/dataframe_split/columns"),
        ({"dataframe_split": {"columns": ["x0", "x1", "x2", "x3"]}}, 422, "/dataframe_split/data"),
        ({"inputs": [[1, 2, 3, 4]], "input": {"upload": "x"}}, 422, "/input"),
        ({"inputs": [[1, 2, 3, 4]] * 101}, 413, None),
        ({"inputs": [[1, 2, 3, 4]], "output": {"outputs": ["decision_function"]}}, 422, None),
        ({"inputs": [[1, 2, 3, 4]], "output": {"format": "xlsx"}}, 422, "/output/format"),
        ({"inputs": [[1, 2, 3, 4]], "more": 1}, 422, "/more"),
        ({"input": {"key": "a\0b"}}, 404, None),
        ({"inputs": "secret-value"}, 422, None),
    ],
)
def test_a_wrong_body_is_told_what_to_change(api, user, trained, model_of, body, status, pointer):
    answer = api.post(f"/predict/batch/{model_of(user, trained)}", json=body)

    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret-value" not in answer.text
    if pointer is not None:
        assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("version=v9", 404, "version_not_found"),
        ("version=latest", 422, "invalid_parameter"),
        ("version=v1", 202, None),
        ("alias=champion", 202, None),
        ("alias=challenger", 404, "alias_not_found"),
        ("alias=", 422, "invalid_parameter"),
        (f"alias={'a' * 65}", 422, "invalid_parameter"),
        ("alias=champion&version=v1", 422, "invalid_parameter"),
    ],
)
def test_versions(api, user, trained, model_of, query, status, code):
    answer = api.post(f"/predict/batch/{model_of(user, trained)}?{query}", json={"inputs": trained.rows[:1]})

    assert (answer.status, answer.json().get("code")) == (status, code)


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        (b"PAR1....", 415, "Parquet"),
        (b"\x1f\x8b\x08\x00", 415, "gzip"),
        (b"PK\x03\x04....", 415, "Excel"),
        (b"a\0b\0", 415, "binary"),
        (b"\xff\xfe1\n", 415, "UTF-8"),
        (b"\n\n", 422, "empty"),
        (b"city,price\nBern,1\n", 422, "rooms"),
        (b"price,rooms,city\n", 422, "no rows"),
        (b"price,price,rooms,city\n1,1,1,Bern\n", 422, "twice"),
    ],
)
def test_a_file_that_cannot_work_is_refused_at_once(api, user, model_of, cloud, content, status, word):
    key = f"jobs/{user.id}/inputs/some-file"
    cloud.put(key, content)

    answer = api.post(f"/predict/batch/{model_of(user, mixed())}", json={"input": {"key": key}})

    assert answer.status == status, answer.text
    assert word in answer.text


def test_parquet_by_name_is_refused(api, user, trained, model_of, cloud):
    answer = api.post(
        f"/predict/batch/{model_of(user, trained)}", json={"input": {"key": "x", "format": "parquet"}}
    )

    assert answer.status == 422


def test_only_so_many_jobs_at_once(api, user, trained, model_of):
    model = model_of(user, trained)
    for _ in range(3):
        assert api.post(f"/predict/batch/{model}", json={"inputs": trained.rows[:1]}).status == 202

    refused = api.post(f"/predict/batch/{model}", json={"inputs": trained.rows[:1]})

    assert (refused.status, refused.json()["code"]) == (429, "too_many_jobs")
    assert refused.headers["retry-after"] == "30"


def test_results_of_a_job_under_way_are_a_conflict(api, user, trained, model_of):
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[:1]}).json()[
        "job_id"
    ]

    answer = api.get(f"/jobs/{job}/results")

    assert (answer.status, answer.json()["code"]) == (409, "results_not_ready")
    assert api.get(f"/jobs/{job}").headers["retry-after"] == "1"


def test_an_ended_job_cannot_be_cancelled(api, user, trained, model_of, deliver):
    job = api.post(f"/predict/batch/{model_of(user, trained)}", json={"inputs": trained.rows[:1]}).json()[
        "job_id"
    ]
    deliver()

    answer = api.post(f"/jobs/{job}/cancel")

    assert (answer.status, answer.json()["code"]) == (409, "job_finished")


def test_a_model_without_a_ready_version(api, user, services):
    from modelyard.db.tables import Model

    model = new_id("mdl")
    with services.database.transaction() as session:
        session.add(Model(id=model, user_id=user.id, name="empty"))

    answer = api.post(f"/predict/batch/{model}", json={"inputs": [[1]]})

    assert (answer.status, answer.json()["code"]) == (409, "model_not_ready")


def test_storage_away_is_a_503_and_leaves_no_job(api, user, trained, model_of, services):
    model = model_of(user, trained)
    services.job_store._bucket = "no-such-bucket"

    answer = api.post(f"/predict/batch/{model}", json={"inputs": trained.rows[:1]})

    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert api.get("/jobs").json()["items"] == []


def test_a_queue_that_is_away_costs_time_and_no_job(
    api, user, model_of, services, cloud, clock, deliver, monkeypatch
):
    trained = forest(trees=3)
    url, model = cloud.queue_url, model_of(user, trained)
    monkeypatch.setenv("MODELYARD_BATCH_QUEUE_URL", url + "-gone")

    job = api.post(f"/predict/batch/{model}", json={"inputs": trained.rows[:3]})
    assert job.status == 202
    assert cloud.messages() == []

    monkeypatch.setenv("MODELYARD_BATCH_QUEUE_URL", url)
    clock.turn(minutes=2)
    assert services.outbox.sweep() == 1
    deliver()
    assert api.get(f"/jobs/{job.json()['job_id']}").json()["status"] == "succeeded"


def test_database_away_is_a_503(api, services):
    from modelyard.db.engine import Database

    engine = create_engine(
        "postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 2}
    )
    services.database = Database(engine)

    answer = api.get("/jobs")

    assert (answer.status, answer.json()["code"]) == (503, "unavailable")
